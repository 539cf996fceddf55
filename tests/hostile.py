"""What a hostile endpoint answers: listings that lie and answers that never end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import pytest
from aiohttp import web

from async_s3copy import Account, S3CopyOperation
from tests.fault_server import Answer, Call, FaultServer, Handler
from tests.real import by_way, session_of
from tests.support import REGION

SOURCE, DESTINATION = "source-bucket", "destination-bucket"
KEY: Final = "in/k"
BODY: Final = b"0123456789"

PATIENCE_BYTES: Final = 48 * 1024 * 1024
"""A client that takes so much of an answer takes any amount; sockets hold some of it."""
_PIECE: Final = 256 * 1024

REQUESTS: Final = (
    ("ListObjectsV2", "listing"),
    ("CopyObject", "single"),
    ("HeadObject", "multipart"),
    ("CreateMultipartUpload", "multipart"),
    ("UploadPartCopy", "multipart"),
    ("CompleteMultipartUpload", "multipart"),
    ("GetObject", "relay_put"),
    ("PutObject", "relay_put"),
    ("UploadPart", "relay_multipart"),
)
"""Each kind of request, and a way of copying that makes it."""


def operation(server: FaultServer, way: str, client: str, **given: Any) -> S3CopyOperation:
    """Prepare a copy of one object, or of a prefix, that asks once for everything."""
    account = Account(session=session_of("AK", "secret"), region=REGION, endpoint_url=server.url)
    recursive = way == "listing"
    options = by_way(
        "single" if recursive else way, client=client, max_attempts=1, cleanup_timeout_s=5.0
    )
    settings: dict[str, Any] = {
        "recursive": recursive,
        "source": account,
        "destination": account,
        "options": options,
    }
    source, target = ("in/", "out/") if recursive else (KEY, "out/k")
    return S3CopyOperation(SOURCE, source, DESTINATION, target, **(settings | given))


@dataclass
class Flood:
    """An answer that does not end, and how much of it a client has taken.

    Args:
        head: What it begins with.
        piece: What is repeated.
    """

    head: bytes
    piece: bytes
    sent_bytes: int = 0

    async def __call__(
        self, server: FaultServer, request: web.Request, call: Call, handler: Handler
    ) -> web.StreamResponse:
        """Send, until the client hangs up or the test has seen enough."""
        transport = request.transport
        assert transport is not None
        transport.write(self.head)
        portion = self.piece * (_PIECE // len(self.piece) or 1)
        while not transport.is_closing() and self.sent_bytes < PATIENCE_BYTES:
            if transport.get_write_buffer_size() < _PIECE:
                transport.write(portion)
                self.sent_bytes += len(portion)
            await asyncio.sleep(0)
        transport.abort()
        return web.Response()


@dataclass
class Reached:
    """Which hosts and addresses the process has turned to."""

    hosts: set[str] = field(default_factory=set)
    addresses: set[tuple[str, int]] = field(default_factory=set)


@contextmanager
def watched_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[Reached]:
    """Note every host that is looked up and every address that is connected to."""
    reached = Reached()
    loop = type(asyncio.get_running_loop())
    look_up, connect = loop.getaddrinfo, loop.sock_connect

    async def getaddrinfo(self: Any, host: Any, *rest: Any, **more: Any) -> Any:
        reached.hosts.add(host if isinstance(host, str) else host.decode())
        return await look_up(self, host, *rest, **more)

    async def sock_connect(self: Any, sock: Any, address: Any) -> None:
        reached.addresses.add(tuple(address[:2]))
        await connect(self, sock, address)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "getaddrinfo", getaddrinfo)
        patch.setattr(loop, "sock_connect", sock_connect)
        yield reached


def listing_of(*keys: str, more: str = "") -> Callable[[], Answer]:
    """Answer a listing with these very keys, whatever was asked for."""
    entries = "".join(
        f"<Contents><Key>{key}</Key><Size>10</Size><ETag>&quot;{'0' * 32}&quot;</ETag>"
        "<LastModified>2024-01-02T03:04:05.000Z</LastModified></Contents>"
        for key in keys
    )
    text = f"<ListBucketResult><IsTruncated>false</IsTruncated>{more}{entries}</ListBucketResult>"

    def make() -> Answer:
        async def answer(
            server: FaultServer, request: web.Request, call: Call, handler: Handler
        ) -> web.StreamResponse:
            if call.bucket != SOURCE:
                return await handler(server, call)
            return web.Response(text=text, content_type="application/xml")

        return answer

    return make
