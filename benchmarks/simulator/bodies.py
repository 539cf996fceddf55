"""Request bodies: of a length, chunked, aws-chunked, or aws-chunked in chunks."""

from __future__ import annotations

import hashlib
from typing import Final, Protocol

from benchmarks.simulator.messages import MalformedRequestError, Request

_LONGEST_LINE: Final = 16 << 10
_KEPT_BYTES: Final = 8 << 20


class Decoder(Protocol):
    """Takes the bytes of a body as they come."""

    done: bool

    def feed(self, data: memoryview) -> int:
        """Take what belongs to the body; return how many bytes that was."""


class Sink:
    """Where bodies go: counted, hashed, and kept only if they are documents.

    Args:
        keep: Keep the bytes, up to 8 MiB.
    """

    done = False

    def __init__(self, *, keep: bool) -> None:
        self.size_bytes = 0
        self.md5 = hashlib.md5()
        self.kept = bytearray()
        self._keep = keep

    def feed(self, data: memoryview) -> int:
        """Take all of it."""
        self.size_bytes += len(data)
        if self._keep:
            self.kept += data[: _KEPT_BYTES - len(self.kept)]
        else:
            self.md5.update(data)
        return len(data)


class FixedLength:
    """So many bytes.

    Args:
        length_bytes: How many.
        target: Takes them.
    """

    def __init__(self, length_bytes: int, target: Decoder) -> None:
        self._left = length_bytes
        self._target = target
        self.done = length_bytes == 0

    def feed(self, data: memoryview) -> int:
        """Take what belongs to the body; return how many bytes that was."""
        taken = min(self._left, len(data))
        # Whatever follows the end of an inner body is of no interest.
        self._target.feed(data[:taken])
        self._left -= taken
        self.done = self._left == 0
        return taken


class Chunked:
    """Chunks with their sizes in front, and trailers; aws-chunked is framed the same way.

    Args:
        target: Takes the content.
    """

    def __init__(self, target: Decoder) -> None:
        self._target = target
        self._left = 0
        self._line = bytearray()
        self._in_trailers = False
        self._after_chunk = False
        self.done = False

    def feed(self, data: memoryview) -> int:
        """Take what belongs to the body; return how many bytes that was."""
        position = 0
        while position < len(data) and not self.done:
            if self._left:
                position += self._content(data[position:])
            else:
                position += self._until_newline(data[position:])
        return position

    def _content(self, data: memoryview) -> int:
        taken = min(self._left, len(data))
        self._target.feed(data[:taken])
        self._left -= taken
        self._after_chunk = self._left == 0
        return taken

    def _until_newline(self, data: memoryview) -> int:
        piece = bytes(data[:_LONGEST_LINE])
        taken = piece.find(b"\n") + 1
        self._line += piece[: taken or len(piece)]
        if len(self._line) > _LONGEST_LINE:
            raise MalformedRequestError("the line before a chunk is too long")
        if not taken:
            return len(piece)
        line, self._line = bytes(self._line).strip(), bytearray()
        self._take_line(line)
        return taken

    def _take_line(self, line: bytes) -> None:
        if self._in_trailers:
            self.done = not line
        elif self._after_chunk and not line:
            self._after_chunk = False
        else:
            self._left = _chunk_size(line)
            self._in_trailers = self._left == 0


def decoder(request: Request, sink: Sink) -> Decoder | None:
    """Return what decodes a request's body into the sink; None: it has none.

    Raises:
        MalformedRequestError: The length is no number.
    """
    chunked = (request.header(b"transfer-encoding") or b"").lower() == b"chunked"
    length = request.header(b"content-length")
    if not chunked and (length is None or length == b"0"):
        return None
    signed = request.header(b"x-amz-content-sha256") or b""
    target: Decoder = Chunked(sink) if signed.startswith(b"STREAMING-") else sink
    if chunked:
        return Chunked(target)
    if length is None or not length.isdigit():
        raise MalformedRequestError("Content-Length is no number")
    return FixedLength(int(length), target)


def _chunk_size(line: bytes) -> int:
    try:
        return int(line.partition(b";")[0], 16)
    except ValueError:
        raise MalformedRequestError("a chunk's size is no hexadecimal number") from None
