"""What a pool of the wire is busy with in tests, and the network it sees."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import anyio
import anyio.lowlevel

from async_s3copy.s3.wire.addresses import Address
from async_s3copy.s3.wire.dialer import connected_socket
from async_s3copy.s3.wire.http import Response
from async_s3copy.s3.wire.pool import Pool
from tests.raw_server import OK, Peer, RawServer
from tests.wire_pools import (
    GET_REQUEST,
)


def numbered(number: int) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % number


def sending(pool: Pool) -> asyncio.Task[Response]:
    return asyncio.create_task(pool.send(GET_REQUEST))


async def busy(
    server: RawServer, pool: Pool, count: int
) -> list[tuple[Peer, asyncio.Task[Response]]]:
    """Let requests be in flight, each on a new connection whose peer has read it."""
    pairs = []
    for _ in range(count):
        task = sending(pool)
        peer = await server.accept()
        await peer.request()
        pairs.append((peer, task))
    return pairs


async def idle(server: RawServer, pool: Pool, count: int) -> list[Peer]:
    """Leave connections idle, put aside in this order."""
    pairs = await busy(server, pool, count)
    for peer, task in pairs:
        await peer.send(OK)
        await task
    return [peer for peer, _ in pairs]


class Network:
    """Addresses that all lead to one raw server, unless the test says otherwise."""

    def __init__(self, server: RawServer, *addresses: Address) -> None:
        self.server = server
        self.addresses: Sequence[Address] = addresses
        self.down: dict[Address, Callable[[], Awaitable[None]]] = {}
        self.default: Callable[[], Awaitable[None]] = anyio.lowlevel.checkpoint
        self.dialled: list[Address] = []
        self.lookups = 0

    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        assert (host, port) == ("127.0.0.1", self.server.port)
        self.lookups += 1
        if not self.addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return self.addresses

    async def connect(self, address: Address) -> socket.socket:
        self.dialled.append(address)
        await self.down.get(address, self.default)()
        return await connected_socket(Address(socket.AF_INET, ("127.0.0.1", self.server.port)))

    def settings(self) -> dict[str, Any]:
        return {"resolve": self.resolve, "connect": self.connect}


async def swallows() -> None:
    await asyncio.Event().wait()
