"""What aiohttp does for aiobotocore and must not: follow redirects, keep cookies, read for ever."""

from __future__ import annotations

from typing import Any, Final

import aiohttp

MAX_ANSWER_BYTES: Final = 8 * 1024 * 1024
"""Longest answer that is read into memory; the bodies of objects are not.

A page of 1,000 keys of 1,024 bytes is 3 MiB with every byte URL-encoded, 6 MiB written as XML
references."""


class DirectSession:
    """Send each request where it is addressed, and nowhere else.

    Told by a server to ask another one, aiohttp asks that: with the session token, customer keys
    and body of the request, which only lacks its signature then. S3's own redirects (301, 307) name
    the bucket's Region, and botocore resolves its endpoint itself.

    Args:
        session: aiohttp's session; whoever opened it closes it.
    """

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        # There is no public way: aiobotocore makes the session.
        session._response_class = BoundedResponse
        session._cookie_jar = aiohttp.DummyCookieJar()
        session._retry_connection = False

    async def request(self, method: str, **settings: Any) -> aiohttp.ClientResponse:
        """Send one request; an answer that redirects is an answer like any other."""
        return await self._session.request(method, **settings, allow_redirects=False)


class BoundedResponse(aiohttp.ClientResponse):
    """Refuse an answer that is longer than any of S3's, instead of reading it into memory."""

    async def read(self) -> bytes:
        """Read the whole body.

        Raises:
            ClientPayloadError: It is longer than ``MAX_ANSWER_BYTES``, or did not arrive whole.
        """
        if self._body is None:
            try:
                body = await self._bounded_body()
            except BaseException:
                self.close()
                raise
            self._body = body
        return await super().read()

    async def _bounded_body(self) -> bytes:
        whole = bytearray()
        while piece := await self.content.readany():
            whole += piece
            if len(whole) > MAX_ANSWER_BYTES:
                raise aiohttp.ClientPayloadError(
                    f"the answer is longer than {MAX_ANSWER_BYTES:,} bytes"
                )
        return bytes(whole)
