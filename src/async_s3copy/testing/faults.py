"""The faults that ``FaultProxy`` injects, each named after what happens on the way to S3.

A fault is a frozen value: it can be compared, hashed and printed. A fault of your own is a
dataclass on ``Fault`` with ``apply``.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, get_args

from aiohttp import web

from async_s3copy.testing.answers import error_document
from async_s3copy.testing.pages import LISTINGS

if TYPE_CHECKING:
    from async_s3copy.testing.exchange import Exchange

# S3 may send the head of these answers before it knows how the work ends:
# https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
LATE: Final = frozenset(("CopyObject", "UploadPartCopy", "CompleteMultipartUpload"))
# Their answers to a success have no body, or are the object itself.
_EMPTY: Final = frozenset(
    (
        "HeadObject",
        "HeadBucket",
        "PutObject",
        "UploadPart",
        "PutObjectTagging",
        "AbortMultipartUpload",
        "DeleteObject",
        "CreateBucket",
        "DeleteBucket",
        "PutBucketVersioning",
        "Unknown",
    )
)
_DATA: Final = frozenset(("GetObject",))


class Fault(ABC):
    """Something that goes wrong with one request."""

    __slots__ = ()

    def fits(self, operation: str) -> bool:
        """Tell whether this happens to a call of that name in real life."""
        return bool(operation)

    @abstractmethod
    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        """Deal with a request.

        Returns:
            The answer, sent or not; ``Exchange`` makes it.
        """


@dataclass(frozen=True, slots=True)
class Delay(Fault):
    """Pass the request on only after some seconds: a server that thinks, or a slow way to it.

    Attributes:
        seconds: How long, by the ``sleep`` of the proxy: a test need not wait for it.
    """

    seconds: float

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        """Wait, then pass on."""
        await exchange.sleep(self.seconds)
        return await exchange.relayed()


@dataclass(frozen=True, slots=True)
class Hold(Fault):
    """Pass the request on only when an event is set: a server that thinks for as long as you say.

    Attributes:
        until: The event. A request that is never let go is cut when the proxy ends.
    """

    until: asyncio.Event

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        """Wait, then pass on."""
        await self.until.wait()
        return await exchange.relayed()


@dataclass(frozen=True, slots=True)
class ResetBefore(Fault):
    """Reset the connection before the server has the request: a load balancer that restarts."""

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        """Reset."""
        return exchange.reset()


@dataclass(frozen=True, slots=True)
class ResetAfter(Fault):
    """Let the server do its work, then reset the connection: the answer is lost on its way."""

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        """Pass on, wait for the whole answer, reset."""
        await exchange.fetch()
        return exchange.reset()


@dataclass(frozen=True, slots=True)
class LostAnswer(ResetAfter):
    """Lose the answer of a call that must not be made twice: Create and Complete.

    An upload whose Create was carried out and not answered stays open: its id is known to nobody.
    """

    def fits(self, operation: str) -> bool:
        """Only to these two."""
        return operation in ("CreateMultipartUpload", "CompleteMultipartUpload")


@dataclass(frozen=True, slots=True)
class TruncatedBody(Fault):
    """End the connection in the middle of the answer's body: a server that dies.

    Attributes:
        keep: How much arrives: bytes as an ``int``, a part of the whole as a ``float``. At least
            one byte is missing.
    """

    keep: float = 0.5

    def fits(self, operation: str) -> bool:
        """Only where a success has a body."""
        return operation not in _EMPTY

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        """Pass on, and answer with the head and the first bytes of the body."""
        async with exchange.forward() as answer:
            length = answer.content_length
            if not exchange.has_body or length == 0:
                exchange.seen.fault = None
                return await exchange.pass_on(answer)
            if length is None:
                length = len(await answer.read())
            left = self._kept(length)
            response = await exchange.begin_of(answer, length)
            while left and (piece := await answer.content.read(min(left, 65536))):
                await response.write(piece)
                left -= len(piece)
        return exchange.hang_up(response)

    def _kept(self, length: int) -> int:
        kept = self.keep if isinstance(self.keep, int) else int(length * self.keep)
        return min(kept, length - 1)


@dataclass(frozen=True, slots=True)
class Status(Fault):
    """Refuse the request with a status and an ``<Error>``: 500, 502, 503, 504, SlowDown, any other.

    Attributes:
        status: HTTP status.
        code: S3's code; empty answers without a body, as load balancers do.
        message: S3's message.
        retry_after_s: Seconds of a Retry-After header; ``None`` sends none.
    """

    status: int
    code: str = ""
    message: str = ""
    retry_after_s: int | None = None

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        """Refuse."""
        headers = {} if self.retry_after_s is None else {"Retry-After": str(self.retry_after_s)}
        if not self.code:
            return await exchange.answer(self.status, headers=headers)
        return await exchange.refuse(self.status, self.code, self.message, headers=headers)


@dataclass(frozen=True, slots=True)
class OkWithError(Fault):
    """Answer 200 with an ``<Error>``: S3 had begun to answer when the work failed.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html

    Attributes:
        code: S3's code, such as ``"InternalError"`` or ``"SlowDown"``.
    """

    code: str = "InternalError"

    def fits(self, operation: str) -> bool:
        """Only to CopyObject, UploadPartCopy and CompleteMultipartUpload."""
        return operation in LATE

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        """Refuse, with a 200."""
        return await exchange.refuse(200, self.code)


@dataclass(frozen=True, slots=True)
class KeepAliveThenError(OkWithError):
    """Answer 200 and blanks that keep the connection alive, then an ``<Error>``.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html

    Attributes:
        code: S3's code.
        blanks: How many blanks come, one piece of the body each.
    """

    blanks: int = 10

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        """Send the head, blanks, and the error."""
        declaration, error = error_document(self.code).split(b"\n", 1)
        return await exchange.stream((declaration, *[b" "] * self.blanks, error))


Breakage = Literal["truncated", "empty", "html"]


@dataclass(frozen=True, slots=True)
class OkThenBroken(Fault):
    """Answer 200 with something that is no result, though HTTP has nothing to object to.

    Attributes:
        kind: ``"truncated"`` does the work and sends half of its XML; ``"empty"`` does it and
            sends nothing; ``"html"`` does nothing and sends a page, as a captive portal does.
    """

    kind: Breakage = "truncated"

    def __post_init__(self) -> None:
        if self.kind not in get_args(Breakage):
            raise ValueError(f"kind={self.kind!r} must be one of {', '.join(get_args(Breakage))}")

    def fits(self, operation: str) -> bool:
        """Only where a success has a document as its body."""
        return operation not in _EMPTY and operation not in _DATA

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        """Do the work or not, and answer."""
        if self.kind == "html":
            page = b"<!DOCTYPE html><html><body>Sign in to the network</body></html>"
            return await exchange.answer(200, page, {"Content-Type": "text/html"})
        whole = await exchange.fetch()
        half = len(whole.body) // 2 if self.kind == "truncated" else 0
        return await exchange.answer(whole.status, whole.body[:half])


@dataclass(frozen=True, slots=True)
class Drip(Fault):
    """Send the answer a few bytes at a time, each a segment of its own, head included.

    The proxy does not wait in between: the client has as many turns of its loop as there are
    pieces. A test of a client that gives up on slow answers wants ``Hold`` or ``Delay``.

    Attributes:
        bytes_per_chunk: Bytes in each piece.
        dripped_bytes: Bytes that come like this; the rest comes in one piece, so that a large
            object takes no minutes.
    """

    bytes_per_chunk: int = 1
    dripped_bytes: int = 2_048

    def fits(self, operation: str) -> bool:
        """Only where a success has a body."""
        return operation not in _EMPTY

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        """Pass on, read the whole answer, and write it in pieces."""
        if not exchange.has_body:
            return await exchange.untouched()
        whole = await exchange.fetch()
        return await exchange.write_raw(self._pieces(whole.raw()))

    def _pieces(self, data: bytes) -> Iterator[bytes]:
        end = min(self.dripped_bytes, len(data))
        for begin in range(0, end, self.bytes_per_chunk):
            yield data[begin : min(begin + self.bytes_per_chunk, end)]
        yield data[end:]


@dataclass(frozen=True, slots=True)
class IgnoreParameters(Fault):
    """Be a server that does not know some query parameters or headers, and ignores them.

    The request goes on without them, signed anew: the proxy needs ``credentials``. Some servers
    ignore ``start-after``, ``if-none-match`` or ``x-amz-copy-source-if-match``.

    Attributes:
        names: Query parameters, and headers in any case.
    """

    names: tuple[str, ...]

    def __init__(self, *names: str) -> None:
        object.__setattr__(self, "names", names)

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        """Pass on without them."""
        altered = exchange.without(self.names)
        return await (exchange.untouched() if altered is None else exchange.relayed(altered))


@dataclass(frozen=True, slots=True)
class RepeatedPage(Fault):
    """Answer with the page that came before: a listing that repeats itself.

    The page is one that went through the proxy before; where there was none, nothing is done.
    """

    _back = 1

    def fits(self, operation: str) -> bool:
        """Only to listings."""
        return operation in LISTINGS

    async def apply(self, exchange: Exchange) -> web.StreamResponse:
        """Answer with the earlier page."""
        page = exchange.pages.before(exchange.seen, self._back)
        return await (exchange.untouched() if page is None else exchange.answer(200, page))


@dataclass(frozen=True, slots=True)
class BackwardsPage(RepeatedPage):
    """Answer with the page before the one that came before: a listing that goes backwards."""

    _back = 2
