"""Cancellation of the wire's requests, at every point where it can strike."""

from __future__ import annotations

import asyncio
import gc
import ssl
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from async_s3copy.s3.wire.http import ConnectionLostError
from async_s3copy.s3.wire.pool import Pool
from tests.raw_server import OK, Peer, RawServer, certificate, raw_server, server_context
from tests.wire_busy import busy, idle, numbered
from tests.wire_pools import (
    GET_REQUEST,
    Interruption,
    on_both_loops,
    pool_to,
    settle,
)

pytestmark = pytest.mark.stack_b

Tls = tuple[ssl.SSLContext | None, ssl.SSLContext | None]
Scene = Callable[[RawServer, Pool, Interruption], Awaitable[None]]

BODY = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n"


@pytest.fixture(params=["http", "https"])
def tls(request: pytest.FixtureRequest, tmp_path: Path) -> Tls:
    """Settings of both ends for plain HTTP, and for TLS."""
    if request.param == "http":
        return None, None
    pem = certificate(tmp_path, "localhost")
    return server_context(pem), ssl.create_default_context(cafile=str(pem))


async def on_a_new_connection(server: RawServer, pool: Pool, cut: Interruption) -> None:
    answering = asyncio.create_task(server.answer())
    await finish(cut, asyncio.create_task(run(cut, pool.send(GET_REQUEST))), answering)


async def on_an_idle_connection(server: RawServer, pool: Pool, cut: Interruption) -> None:
    [peer] = await idle(server, pool, 1)
    await finish(
        cut,
        asyncio.create_task(run(cut, pool.send(GET_REQUEST))),
        asyncio.create_task(peer.answer()),
    )


async def on_a_dead_connection(server: RawServer, pool: Pool, cut: Interruption) -> None:
    [peer] = await idle(server, pool, 1)

    async def die_and_answer() -> None:
        await peer.request()
        peer.close()
        await server.answer()

    await finish(
        cut,
        asyncio.create_task(run(cut, pool.send(GET_REQUEST))),
        asyncio.create_task(die_and_answer()),
    )


async def waiting_for_a_turn(server: RawServer, pool: Pool, cut: Interruption) -> None:
    [(peer, task)] = await busy(server, pool, 1)
    cutting = asyncio.create_task(run(cut, pool.send(GET_REQUEST)))
    await settle()
    await peer.send(OK)
    await task
    await finish(cut, cutting, asyncio.create_task(peer.answer()))


async def waiting_for_a_slot(server: RawServer, pool: Pool, cut: Interruption) -> None:
    [(peer, task)] = await busy(server, pool, 1)
    cutting = asyncio.create_task(run(cut, pool.send(GET_REQUEST)))
    await settle()
    peer.close()
    with pytest.raises(ConnectionLostError):
        await task
    await finish(cut, cutting, asyncio.create_task(server.answer()))


async def reading_a_stream(server: RawServer, pool: Pool, cut: Interruption) -> None:
    async def answer_slowly() -> None:
        peer = await server.accept()
        await peer.answer(BODY)
        await settle()
        await peer.send(b"abc")
        await settle()
        await peer.send(b"def")

    async def read() -> None:
        async with pool.stream(GET_REQUEST) as response:
            assert b"".join([chunk async for chunk in response.chunks]) == b"abcdef"

    await finish(cut, asyncio.create_task(run(cut, read())), asyncio.create_task(answer_slowly()))


async def finish(cut: Interruption, task: asyncio.Task[None], serving: asyncio.Task[Any]) -> None:
    """Wait for a request that is cut off at one of its points, or at none, and for its server."""
    if cut.at:
        await asyncio.wait([task])
    else:
        await task
        await serving
    serving.cancel()
    await asyncio.wait([serving])
    if not serving.cancelled():
        # The client hung up on the server in the middle of its script.
        assert isinstance(serving.exception(), ConnectionError | EOFError | None)
    assert task.cancelled() == bool(cut.at)


async def run(cut: Interruption, coroutine: Coroutine[Any, Any, object]) -> None:
    await cut.run(coroutine)


SCENES = [
    on_a_new_connection,
    on_an_idle_connection,
    on_a_dead_connection,
    waiting_for_a_turn,
    waiting_for_a_slot,
    reading_a_stream,
]


@pytest.mark.parametrize("completed", [False, True], ids=["pending", "completed"])
@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
@on_both_loops
async def test_cancellation_at_every_point(scene: Scene, completed: bool, tls: Tls) -> None:
    """Wherever a request is cancelled, even once it has what it waited for, nothing is left.

    Its slot is free, its connection closed unless its answer was complete, and the next request
    gets its own answer.
    """
    theirs, ours = tls
    # Each scene once without interruption, to count its points.
    count, at = None, 0
    while count is None or at <= count:
        async with (
            raw_server(theirs) as server,
            pool_to(server, host="localhost", tls=ours, max_connections=1) as pool,
        ):
            cut = Interruption(at, completed=completed)
            await scene(server, pool, cut)
            count = cut.points if count is None else count
            await nothing_is_left(server, pool)
        at += 1
    assert count > 0


async def nothing_is_left(server: RawServer, pool: Pool) -> None:
    """Check that the slot is free, and every connection the pool does not know is closed."""
    statistics = pool.statistics()
    assert (statistics.in_use, statistics.waiting) == (0, 0)
    await settle()
    again = asyncio.create_task(pool.send(GET_REQUEST))
    if statistics.idle:
        peer = server.peers[-1]
    else:
        peer = await the_next_that_asks(server)
    await peer.answer(numbered(7)) if statistics.idle else await peer.send(numbered(7))
    assert (await again).body == b"7"
    for other in server.peers:
        if other is not peer:
            await other.gone()
    gc.collect(0)


async def the_next_that_asks(server: RawServer) -> Peer:
    """Return the next connection that carries a request, past those that were cut off."""
    while True:
        peer = await server.accept()
        try:
            await peer.request()
        except (ConnectionError, EOFError):
            continue
        return peer
