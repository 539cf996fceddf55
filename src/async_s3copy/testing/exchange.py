"""Exchange: one request in the hands of the proxy, and all that a fault can do with it."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from aiohttp import ClientResponse, ClientSession, hdrs, web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from async_s3copy.errors import S3CopyError
from async_s3copy.testing.answers import REQUEST_ID, Whole, error_document
from async_s3copy.testing.pages import LISTINGS, Pages
from async_s3copy.testing.resigning import Signed, signature
from async_s3copy.testing.seen import Seen

# They speak of one connection, not of the request: RFC 9110, section 7.6.1. The proxy answers
# Expect itself, and has the body then.
_HOP_BY_HOP: Final = (
    hdrs.CONNECTION,
    hdrs.KEEP_ALIVE,
    hdrs.PROXY_AUTHENTICATE,
    hdrs.PROXY_AUTHORIZATION,
    hdrs.TE,
    hdrs.TRAILER,
    hdrs.TRANSFER_ENCODING,
    hdrs.UPGRADE,
    hdrs.EXPECT,
)
_NOT_ADDED: Final = (hdrs.ACCEPT, hdrs.ACCEPT_ENCODING, hdrs.CONTENT_TYPE, hdrs.USER_AGENT)
# Read whole, a body can be sent again on another connection where the first was stale.
_WHOLE_BYTES: Final = 1024 * 1024
_NO_BODY: Final = (204, 304)
# https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
_SIGNED_CHUNKS: Final = "STREAMING-AWS4-"
_RESET: Final = struct.pack("ii", 1, 0)


class ProxyError(S3CopyError, RuntimeError):
    """Report a script that asks for what the proxy cannot do."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """The server behind the proxy, and what the proxy knows of it.

    Attributes:
        url: Its URL, without a slash at the end.
        session: Connections to it.
        credentials: Secret keys by access key id, for requests that are altered.
        sleep: What waits for some seconds.
        pages: The last pages of listings.
    """

    url: str
    session: ClientSession
    credentials: Mapping[str, str] = field(repr=False)
    sleep: Callable[[float], Awaitable[object]]
    pages: Pages


class Exchange:
    """One request, and the ways to deal with it.

    Args:
        request: As it came.
        seen: The same, read.
        upstream: The server behind the proxy.

    Attributes:
        seen: The request; a fault that finds nothing to do calls ``untouched``.
    """

    def __init__(self, request: web.BaseRequest, seen: Seen, upstream: Upstream) -> None:
        self.seen = seen
        self._request = request
        self._upstream = upstream
        self._raw_path = request.raw_path

    @property
    def pages(self) -> Pages:
        """The last pages of listings."""
        return self._upstream.pages

    @property
    def has_body(self) -> bool:
        """Whether an answer to this request may have a body."""
        return self._request.method != hdrs.METH_HEAD

    async def sleep(self, seconds: float) -> None:
        """Wait, by the proxy's clock."""
        await self._upstream.sleep(seconds)

    # To the server.

    @asynccontextmanager
    async def forward(self, altered: Altered | None = None) -> AsyncIterator[ClientResponse]:
        """Send the request on; the server's answer can be read inside the ``async with``.

        Args:
            altered: The request as it is to be sent; ``None`` sends it as it came.
        """
        raw_path, headers = altered or (self._raw_path, self._request.headers)
        async with self._upstream.session.request(
            self._request.method,
            URL(self._upstream.url + raw_path, encoded=True),
            headers=_end_to_end(headers),
            data=await self._body(),
            allow_redirects=False,
            skip_auto_headers=_NOT_ADDED,
        ) as answer:
            yield answer

    async def fetch(self) -> Whole:
        """Send the request on, and read the whole answer."""
        async with self.forward() as answer:
            return Whole(answer.status, _end_to_end(answer.headers), await answer.read())

    def without(self, names: Collection[str]) -> Altered | None:
        """Return the request without some query parameters and headers, signed anew.

        Returns:
            ``None`` where the request has none of them.

        Raises:
            ProxyError: The secret key of who signed it is not known.
        """
        path, _, query = self._raw_path.partition("?")
        pairs = [pair for pair in query.split("&") if pair.partition("=")[0] not in names]
        raw_path = f"{path}?{'&'.join(pairs)}" if query else path
        headers = CIMultiDict(self._request.headers)
        for name in names:
            headers.popall(name, None)
        if raw_path == self._raw_path and len(headers) == len(self._request.headers):
            return None
        return self._signed_anew(raw_path, headers)

    def dated(self, timestamp: str) -> Altered:
        """Return the request with another ``x-amz-date``, signed anew.

        Raises:
            ProxyError: The secret key of who signed it is not known.
        """
        headers = CIMultiDict(self._request.headers)
        headers["x-amz-date"] = timestamp
        return self._signed_anew(self._raw_path, headers)

    def knows_signer(self) -> bool:
        """Tell whether the proxy can sign this request anew."""
        signed = Signed.read(self.seen.headers)
        return signed is not None and signed.access_key_id in self._upstream.credentials

    def _signed_anew(self, raw_path: str, headers: CIMultiDict[str]) -> Altered:
        signed = Signed.read(self.seen.headers)
        if signed is None:  # an anonymous request needs none
            return Altered(raw_path, headers)
        if self.seen.headers.get("x-amz-content-sha256", "").startswith(_SIGNED_CHUNKS):
            raise ProxyError(
                f"{self.seen.operation} cannot be altered: each chunk of its body is signed"
            )
        secret = self._upstream.credentials.get(signed.access_key_id)
        if secret is None:
            raise ProxyError(
                f"altering {self.seen.operation} needs the secret key of who signed it: "
                "give credentials to fault_proxy()"
            )
        lower = {name.lower(): value for name, value in headers.items()}
        headers[hdrs.AUTHORIZATION] = signature(
            secret, signed, self._request.method, raw_path, lower
        )
        return Altered(raw_path, headers)

    async def _body(self) -> bytes | asyncio.StreamReader | None:
        request = self._request
        if not request.body_exists:
            return None
        if self._expects_continue():
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        length = request.content_length
        if length is not None and length <= _WHOLE_BYTES:
            return await request.content.read()
        return request.content  # type: ignore[return-value] # aiohttp's own reader, of that shape

    def _expects_continue(self) -> bool:
        return self.seen.headers.get("expect", "").lower() == "100-continue"

    # To the client.

    async def untouched(self, altered: Altered | None = None) -> web.StreamResponse:
        """Pass the request on and the answer back: there was nothing to do to it."""
        self.seen.fault = None
        return await self.relayed(altered)

    async def relayed(self, altered: Altered | None = None) -> web.StreamResponse:
        """Pass the request on, altered or not, and the answer back."""
        async with self.forward(altered) as answer:
            return await self.pass_on(answer)

    async def pass_on(self, answer: ClientResponse) -> web.StreamResponse:
        """Give the server's answer to the client, a long one piece by piece."""
        length = answer.content_length
        headers = _end_to_end(answer.headers)
        listing = self.seen.operation in LISTINGS
        if self._is_bodiless(answer.status):
            return web.StreamResponse(status=answer.status, reason=answer.reason, headers=headers)
        if listing or (length is not None and length <= _WHOLE_BYTES):
            body = await answer.read()
            if listing and answer.status == 200:
                self.pages.remember(self.seen, body)
            headers.popall(hdrs.CONTENT_LENGTH, None)
            return web.Response(
                status=answer.status, reason=answer.reason, headers=headers, body=body
            )
        response = await self.begin(answer.status, headers)
        async for piece in answer.content.iter_any():
            await response.write(piece)
        return response

    async def begin(self, status: int, headers: CIMultiDict[str]) -> web.StreamResponse:
        """Send the head of an answer; its body is written to what is returned."""
        response = web.StreamResponse(status=status, headers=headers)
        await response.prepare(self._request)
        return response

    async def begin_of(self, answer: ClientResponse, length: int) -> web.StreamResponse:
        """Send the head of the server's answer, with this length."""
        headers = _end_to_end(answer.headers)
        headers[hdrs.CONTENT_LENGTH] = str(length)
        return await self.begin(answer.status, headers)

    async def stream(self, pieces: Iterable[bytes]) -> web.StreamResponse:
        """Answer 200 with a document in pieces; the request goes nowhere."""
        await self._drain()
        kind = {hdrs.CONTENT_TYPE: "application/xml"}
        response = await self.begin(200, CIMultiDict(kind))
        for piece in pieces:
            await response.write(piece)
            await asyncio.sleep(0)
        return response

    async def answer(
        self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> web.StreamResponse:
        """Answer in the server's place; the request goes nowhere."""
        await self._drain()
        named = {"x-amz-request-id": REQUEST_ID, hdrs.CONTENT_TYPE: "application/xml"}
        response = web.Response(status=status, body=body, headers={**named, **(headers or {})})
        if self._expects_continue():
            response.force_close()
        return response

    async def refuse(
        self,
        status: int,
        code: str,
        message: str = "",
        *,
        details: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> web.StreamResponse:
        """Answer with S3's ``<Error>``; to a HEAD, with its status alone."""
        return await self.answer(status, error_document(code, message, details), headers)

    async def write_raw(self, pieces: Iterable[bytes]) -> web.StreamResponse:
        """Write an answer, head included, as these very bytes, and hang up after them."""
        transport = self._request.transport
        for piece in pieces:
            if transport is None or transport.is_closing():
                break
            transport.write(piece)
            # Each piece is a segment of its own: asyncio switches Nagle's algorithm off.
            await asyncio.sleep(0)
        return self.hang_up(web.StreamResponse())

    def hang_up(self, response: web.StreamResponse) -> web.StreamResponse:
        """Close the connection when what was written has been sent."""
        response.force_close()
        if self._request.transport is not None:
            self._request.transport.close()
        return response

    def reset(self) -> web.StreamResponse:
        """Cut the connection with a TCP reset: what was not read yet is lost."""
        transport = self._request.transport
        if transport is not None:
            connection: socket.socket = transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            transport.abort()
        return web.StreamResponse()

    async def _drain(self) -> None:
        # A client that is still writing would not see an answer that comes before a reset. One that
        # waits for a 100 has not begun, and may be answered at once.
        if self._request.body_exists and not self._expects_continue():
            async for _ in self._request.content.iter_any():
                pass

    def _is_bodiless(self, status: int) -> bool:
        return self._request.method == hdrs.METH_HEAD or status in _NO_BODY


class Altered(NamedTuple):
    """A request as it is to be sent: path and query, and headers."""

    raw_path: str
    headers: CIMultiDict[str]


def _end_to_end(headers: CIMultiDictProxy[str] | CIMultiDict[str]) -> CIMultiDict[str]:
    kept = CIMultiDict(headers)
    for name in _HOP_BY_HOP:
        kept.popall(name, None)
    for field_name, value in kept.items():
        if not value.isascii():
            _check_encodable(field_name, value)
    return kept


def _check_encodable(name: str, value: str) -> None:
    # aiohttp would leave the odd bytes out, without a word.
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ProxyError(f"header {name} holds bytes that are no UTF-8: they cannot pass") from None
