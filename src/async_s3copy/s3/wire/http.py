"""HTTP as values: what goes onto a connection, what comes back, what can go wrong on the way."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

RawHeaders = Sequence[tuple[bytes, bytes]]

# Header values are UTF-8 by convention of every S3 SDK; what is not survives a round trip.
_ENCODING: Final = "utf-8"
_ERRORS: Final = "surrogateescape"


class Request(NamedTuple):
    """One request, ready to be written; its ``repr`` shows no header, for one holds a token.

    Attributes:
        method: HTTP method; ``"HEAD"`` has an answer without a body.
        head: Request line and headers as they go over the wire, the empty line included.
        body: What follows the head; ``Content-Length`` is in the head already.
        replayable: Whether it may be sent a second time unseen, when the kept-alive connection it
            was written to turns out to be dead. False where a second sending could be answered
            otherwise than the first, such as a conditional write.
    """

    method: str
    head: bytes
    body: bytes = b""
    replayable: bool = True

    def __repr__(self) -> str:
        return f"<Request {self.method}, {len(self.body):,} bytes, replayable={self.replayable}>"


class Response(NamedTuple):
    """One answer, complete.

    Attributes:
        status: HTTP status.
        raw_headers: Headers in order of arrival, as they arrived.
        body: The body, without its transfer encoding.
    """

    status: int
    raw_headers: RawHeaders
    body: bytes

    def headers(self) -> Mapping[str, str]:
        """Return the headers by lowercase name; of repeated ones the last."""
        return decoded(self.raw_headers)


@dataclass(frozen=True, slots=True)
class StreamedResponse:
    """One answer whose body is still arriving.

    Attributes:
        status: HTTP status.
        raw_headers: Headers in order of arrival, as they arrived.
        content_length: Bytes the body promises; ``None`` where the answer does not say.
        chunks: The body in pieces, in order. Reading is paused while the consumer is slow. Raises
            ``ConnectionLostError`` where the body ends early.
    """

    status: int
    raw_headers: RawHeaders
    content_length: int | None
    chunks: AsyncIterator[bytes]

    def headers(self) -> Mapping[str, str]:
        """Return the headers by lowercase name; of repeated ones the last."""
        return decoded(self.raw_headers)


def decoded(raw_headers: RawHeaders) -> dict[str, str]:
    """Return raw headers as text, by lowercase name; of repeated ones the last."""
    return {
        name.decode(_ENCODING, _ERRORS).lower(): value.decode(_ENCODING, _ERRORS)
        for name, value in raw_headers
    }


def encoded(text: str) -> bytes:
    """Return header text as it goes over the wire; the inverse of what ``decoded`` does."""
    return text.encode(_ENCODING, _ERRORS)


class WireError(Exception):
    """Report that no answer could be had; ``s3.wire.client`` turns it into an ``S3Error``."""


class ConnectError(WireError):
    """Report that no connection could be opened to any address: refused, unreachable, timed out."""


class TlsError(WireError):
    """Report that the server's certificate or handshake was refused; a retry cannot cure it."""


class ConnectionLostError(WireError):
    """Report that the connection ended before the answer did."""


class ReadTimeoutError(WireError):
    """Report that the server was silent for longer than the read timeout."""


class MalformedResponseError(WireError):
    """Report an answer that is not HTTP, or exceeds a bound on what is read into memory."""
