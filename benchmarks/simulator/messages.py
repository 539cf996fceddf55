"""Requests as they arrive and answers as they leave."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from functools import cached_property
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl, unquote_to_bytes
from xml.sax.saxutils import escape

_XML: Final = b'<?xml version="1.0" encoding="UTF-8"?>\n'
_LINES: Final = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}
# As long as Amazon's, so that a client's parser has as much to do.
_IDS: Final = (
    b"x-amz-id-2: c2ltdWxhdG9yIG9mIGFuIFMzLXNoYXBlZCBzZXJ2ZXIgZm9yIGJlbmNobWFya3MgICAgICAgIA==\r\n"
    b"x-amz-request-id: SIMULATED0123456\r\n"
)


class S3Error(Exception):
    """A request that S3 refuses.

    Args:
        status: HTTP's number.
        code: S3's name.
        message: A sentence.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code

    def document(self) -> bytes:
        """Return the ``<Error>`` that clients parse."""
        text = f"<Error><Code>{self.code}</Code><Message>{escape(str(self))}</Message></Error>"
        return _XML + text.encode()


class MalformedRequestError(Exception):
    """Bytes that are no HTTP request."""


class Request:
    """The head of one request.

    Args:
        head: Everything before the empty line.

    Attributes:
        method: Its verb.
        bucket: First part of the path, as sent.
        raw_key: The rest of the path, as sent; empty for the bucket itself.
        raw_query: After the question mark, as sent.
    """

    __slots__ = ("__dict__", "_head", "_lower", "bucket", "method", "raw_key", "raw_query")

    def __init__(self, head: bytes) -> None:
        line_end = head.find(b"\r\n")
        line = head if line_end < 0 else head[:line_end]
        try:
            self.method, target, version = line.split(b" ")
            _, _, path = target.partition(b"/")
        except ValueError:
            raise MalformedRequestError("the first line is not METHOD TARGET VERSION") from None
        if not version.startswith(b"HTTP/1."):
            raise MalformedRequestError("only HTTP/1 is spoken here")
        path, _, self.raw_query = path.partition(b"?")
        self.bucket, _, self.raw_key = path.partition(b"/")
        self._head = head
        self._lower = head.lower()

    def header(self, name: bytes) -> bytes | None:
        """Return a header's value by its name in lower case, or None."""
        start = self._lower.find(b"\r\n" + name + b":")
        if start < 0:
            return None
        start += len(name) + 3
        end = self._head.find(b"\r\n", start)
        return self._head[start : end if end >= 0 else None].strip()

    @cached_property
    def query(self) -> Mapping[str, str]:
        """The query's parameters, decoded."""
        text = self.raw_query.decode("latin-1")
        pairs = parse_qsl(text, keep_blank_values=True, errors="surrogateescape")
        return dict(pairs)

    @cached_property
    def key(self) -> bytes:
        """The object's key in UTF-8."""
        return unquoted(self.raw_key)

    @property
    def bodiless(self) -> bool:
        """Whether no body can follow, seen at a glance; False: the headers tell."""
        lower = self._lower
        length = lower.find(b"\r\ncontent-length:")
        none = length < 0 or lower[length + 17 : length + 21].strip() == b"0"
        return none and b"\r\ntransfer-encoding:" not in lower

    @property
    def closes(self) -> bool:
        """Whether the client wants the connection closed after the answer."""
        return b"\r\nconnection: close" in self._lower


def unquoted(raw: bytes) -> bytes:
    """Return percent-encoded bytes decoded."""
    return unquote_to_bytes(raw) if b"%" in raw else raw


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer whose body is made while it is sent."""

    head: bytes
    blocks: Iterator[bytes]


@dataclass(frozen=True, slots=True)
class Hangup:
    """The last thing a connection sends.

    Attributes:
        data: Sent before the end.
        reset: End it with a TCP reset instead of in order.
    """

    data: bytes = b""
    reset: bool = False


Reply = bytes | Stream | Hangup


class Replies:
    """Writes answers; knows the date of the current second."""

    def __init__(self) -> None:
        self._second = -1
        self._common = b""
        self._copy_start = b""

    def tell_time(self, unix_s: float) -> None:
        """Renew the Date header if a second has passed."""
        if int(unix_s) == self._second:
            return
        self._second = int(unix_s)
        date = formatdate(self._second, usegmt=True).encode()
        self._common = b"%bDate: %b\r\nServer: simulator\r\n" % (_IDS, date)
        self._copy_start = _LINES[200] + self._common + b"Content-Type: application/xml\r\n"

    def document(self, body: bytes, status: int = 200, headers: bytes = b"") -> bytes:
        """Return an answer with an XML body."""
        return b"%b%bContent-Type: application/xml\r\n%bContent-Length: %d\r\n\r\n%b%b" % (
            _LINES[status],
            self._common,
            headers,
            len(_XML) + len(body),
            _XML,
            body,
        )

    def empty(self, status: int = 200, headers: bytes = b"") -> bytes:
        """Return an answer without a body."""
        length = b"" if status == 204 else b"Content-Length: 0\r\n"
        return b"%b%b%b%b\r\n" % (_LINES[status], self._common, headers, length)

    def head(self, status: int, headers: bytes, length_bytes: int) -> bytes:
        """Return the head of an answer whose body, if any, is sent apart."""
        return b"%b%bAccept-Ranges: bytes\r\n%bContent-Length: %d\r\n\r\n" % (
            _LINES[status],
            self._common,
            headers,
            length_bytes,
        )

    def copied(self, result: bytes, etag: bytes, modified: bytes) -> bytes:
        """Return the answer to a copy; ``result`` is the name of its document."""
        body = b"%b<%b><LastModified>%b</LastModified><ETag>&quot;%b&quot;</ETag></%b>" % (
            _XML,
            result,
            modified,
            etag,
            result,
        )
        return b"%bContent-Length: %d\r\n\r\n%b" % (self._copy_start, len(body), body)

    def error(self, error: S3Error, *, bodiless: bool = False) -> bytes:
        """Return a refusal; ``bodiless`` as for HEAD."""
        if bodiless:
            return self.head(error.status, b"", 0)
        return b"%b%bContent-Type: application/xml\r\nContent-Length: %d\r\n\r\n%b" % (
            _LINES[error.status],
            self._common,
            len(error.document()),
            error.document(),
        )
