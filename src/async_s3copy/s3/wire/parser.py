"""ResponseParser: bytes off a connection into one answer at a time; knows no socket."""

from __future__ import annotations

import sys
from typing import Final, NoReturn

import httptools

from async_s3copy.s3.wire.http import MalformedResponseError, RawHeaders, Response

# S3's own answers have heads below 8 KiB: 2 KiB of metadata, tags counted, a dozen headers.
MAX_HEADERS: Final = 256
MAX_FRAMING_BYTES: Final = 64 * 1024

UNBOUNDED: Final = sys.maxsize

# A piece takes 40 bytes beside its own: in chunks of 2 a body would take twenty times its size.
_MAX_PIECES: Final = 4096


class ResponseParser:
    """Parse the answers of one connection, each begun by ``begin``.

    Refuses what two readers could read differently: two lengths, a length beside a transfer
    encoding, an encoding other than ``chunked``, a protocol switch. Interim (1xx) answers are
    passed over. The head, the trailers and the framing between two pieces of body are bounded.

    Attributes:
        status: HTTP status, once ``head_complete``.
        headers: Headers in order of arrival, once ``head_complete``; trailers are dropped.
        pieces: The body so far; a reader of a stream may take them and leave an empty list.
        body_bytes: The body's size so far, pieces taken away included.
        head_complete: Whether status and headers are there.
        complete: Whether the whole answer is there.
        keep_alive: Whether the connection may be used again, once ``complete``.
    """

    __slots__ = (
        "_bodiless",
        "_fault",
        "_fields",
        "_framing_bytes",
        "_max_body_bytes",
        "_parser",
        "body_bytes",
        "complete",
        "head_complete",
        "headers",
        "keep_alive",
        "pieces",
        "status",
    )

    def __init__(self) -> None:
        self._parser: httptools.HttpResponseParser | None = None
        self._fields: list[tuple[bytes, bytes]] = []
        self._fault: str | None = None
        self.begin(bodiless=False, max_body_bytes=0)

    def begin(self, *, bodiless: bool, max_body_bytes: int) -> None:
        """Expect the next answer.

        Args:
            bodiless: Whether it ends with its head whatever that says: the answer to a HEAD.
            max_body_bytes: A longer body is refused.
        """
        self._bodiless = bodiless
        self._max_body_bytes = max_body_bytes
        self._framing_bytes = 0
        self.status = 0
        self.headers: RawHeaders = ()
        self.pieces: list[bytes | bytearray] = []
        self.body_bytes = 0
        self.head_complete = self.complete = self.keep_alive = False

    def feed(self, data: memoryview) -> None:
        """Parse what has arrived.

        Bytes after the answer's end leave it complete, and the connection not to be used again.

        Raises:
            MalformedResponseError: It is not HTTP, ambiguous, or exceeds a bound.
        """
        parser = self._parser
        if parser is None:
            parser = self._parser = httptools.HttpResponseParser(self)
        before = self.body_bytes
        if len(self.pieces) > _MAX_PIECES:
            self._join_pieces()
        try:
            parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not self.complete:
                raise self._malformed(error) from error
            self.keep_alive = False
        if not self.complete:
            self._bound_framing(len(data), before)
        elif self._bodiless:
            # The C parser waits for the body that the head announced: it is of no more use.
            self._parser = None

    def feed_eof(self) -> bool:
        """Take note that nothing more arrives.

        Returns:
            Whether that completes the answer, as it does where a body has no other end.
        """
        if self.head_complete and not self.complete:
            self.complete = not any(
                name.lower() in (b"content-length", b"transfer-encoding")
                for name, _ in self.headers
            )
        return self.complete

    def close(self) -> None:
        """Let go of the C parser, which refers back to this one."""
        self._parser = None

    def response(self) -> Response:
        """Return the complete answer."""
        pieces = self.pieces
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        return Response(self.status, self.headers, bytes(body))

    # The C parser calls these by name.

    def on_message_begin(self) -> None:
        """Begin an answer: the awaited one, or one that comes after an interim one."""
        if self.complete:
            self._refuse("it goes on after its end")
        self._fields = []

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header, or a trailer."""
        self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        """Keep the head, unless the answer is an interim one."""
        status = self._c_parser().get_status_code()
        if status < 200:
            self._check_interim(status)
            return
        self._check_head()
        self.status = status
        self.headers = self._fields
        self._fields = []
        self.head_complete = True
        if self._bodiless:
            self.complete = True
            self.keep_alive = stays_open(self.headers, self._c_parser().get_http_version())

    def on_chunk_header(self) -> None:
        """Refuse encodings around the chunks: the bytes would be other than what was stored."""
        codings = [value for name, value in self.headers if name.lower() == b"transfer-encoding"]
        if len(codings) != 1 or codings[0].strip().lower() != b"chunked":
            self._refuse("its Transfer-Encoding is not just chunked")

    def on_body(self, data: bytes) -> None:
        """Keep a piece of the body."""
        if self.complete:
            self._refuse("it goes on after its end")
        self.body_bytes += len(data)
        if self.body_bytes > self._max_body_bytes:
            self._refuse(f"its body is longer than {self._max_body_bytes:,} bytes")
        self.pieces.append(data)

    def on_message_complete(self) -> None:
        """End the answer, unless it is an interim one."""
        if self.head_complete and not self.complete:
            self.complete = True
            self.keep_alive = self._c_parser().should_keep_alive()

    def _c_parser(self) -> httptools.HttpResponseParser:
        if self._parser is None:
            raise AssertionError("unreachable: only the parser calls back")
        return self._parser

    def _check_interim(self, status: int) -> None:
        if status == 101:
            self._refuse("it switches protocols")
        if status < 100:
            self._refuse(f"its status is {status}")

    def _check_head(self) -> None:
        if len(self._fields) > MAX_HEADERS:
            self._refuse(f"it has more than {MAX_HEADERS} headers")
        # A head that arrived at once is no longer than one read.
        if self._framing_bytes:
            size_bytes = sum(len(name) + len(value) + 4 for name, value in self._fields)
            if size_bytes > MAX_FRAMING_BYTES:
                self._refuse(f"its headers are longer than {MAX_FRAMING_BYTES:,} bytes")

    def _bound_framing(self, received_bytes: int, body_bytes_before: int) -> None:
        if self.body_bytes > body_bytes_before:
            self._framing_bytes = 0
            return
        self._framing_bytes += received_bytes
        if self._framing_bytes > MAX_FRAMING_BYTES:
            raise MalformedResponseError(
                f"The answer was refused: more than {MAX_FRAMING_BYTES:,} bytes without a body."
            )

    def _join_pieces(self) -> None:
        first, *others = self.pieces
        # Grown in place: joined anew each time, what is there would be copied again and again.
        joined = first if isinstance(first, bytearray) else bytearray(first)
        for piece in others:
            joined += piece
        self.pieces = [joined]

    def _refuse(self, fault: str) -> NoReturn:
        self._fault = fault
        raise MalformedResponseError(fault)

    def _malformed(self, error: Exception) -> MalformedResponseError:
        # The parser's texts are constants; none of them quotes what was received.
        fault = self._fault or f"it is not HTTP/1.1 ({error})"
        return MalformedResponseError(f"The answer was refused: {fault}.")


def stays_open(headers: RawHeaders, version: str) -> bool:
    """Tell whether the sender of a head leaves the connection open.

    Args:
        headers: The head's headers.
        version: The sender's HTTP version, such as ``"1.1"``.
    """
    options = {
        option.strip().lower()
        for name, value in headers
        if name.lower() == b"connection"
        for option in value.split(b",")
    }
    return b"close" not in options and (version == "1.1" or b"keep-alive" in options)
