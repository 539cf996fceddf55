"""The pool of the wire: who gets which connection, to which address, and what is left."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from async_s3copy.s3.wire.http import ConnectError, ConnectionLostError
from async_s3copy.s3.wire.patience import patience
from async_s3copy.s3.wire.pool import MAX_IDLE_S, Pool, PoolStatistics
from async_s3copy.s3.wire.route import Origin
from tests.raw_server import OK, certificate, raw_server, server_context
from tests.wire_busy import Network, busy, idle, numbered, sending, swallows
from tests.wire_pools import (
    GET_REQUEST,
    Timers,
    on_both_loops,
    pool_to,
    settle,
    until,
)

pytestmark = pytest.mark.stack_b

Tls = tuple[ssl.SSLContext | None, ssl.SSLContext | None]

BODY = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n"


# Whose turn it is.


@on_both_loops
async def test_the_last_used_connection_is_used_first() -> None:
    """Connections are taken last in, first out, so that those beyond the need grow old."""
    async with raw_server() as server, pool_to(server) as pool:
        peers = await idle(server, pool, 3)
        for _ in range(2):
            task = sending(pool)
            await peers[2].answer(numbered(2))
            assert (await task).body == b"2"
        assert pool.statistics() == PoolStatistics(
            open=3, idle=3, in_use=0, waiting=0, opened=3, reused=2, replayed=0
        )


@on_both_loops
async def test_requests_beyond_the_bound_wait_in_order() -> None:
    """No more connections than allowed; who waits longest is served first, on a used one."""
    async with raw_server() as server, pool_to(server, max_connections=2) as pool:
        (first, one), (second, two) = await busy(server, pool, 2)
        waiting = [sending(pool) for _ in range(3)]
        await settle()
        assert pool.statistics() == PoolStatistics(
            open=2, idle=0, in_use=2, waiting=3, opened=2, reused=0, replayed=0
        )
        await second.send(OK)
        for number in (1, 2, 3):
            await second.answer(numbered(number))
        await first.send(OK)
        assert [(await task).body for task in (one, two, *waiting)] == [
            b"ok",
            b"ok",
            b"1",
            b"2",
            b"3",
        ]
        assert pool.statistics().opened == 2


@on_both_loops
async def test_a_freed_slot_wakes_who_waits() -> None:
    """When a connection ends instead of coming back, the next in line opens another."""
    async with raw_server() as server, pool_to(server, max_connections=1) as pool:
        [(peer, task)] = await busy(server, pool, 1)
        waiting = sending(pool)
        await settle()
        peer.close()
        with pytest.raises(ConnectionLostError):
            await task
        await (await server.accept()).answer(OK)
        assert (await waiting).status == 200


@on_both_loops
async def test_who_is_cancelled_while_waiting_is_passed_over() -> None:
    """A cancelled wait leaves the line; the next in it gets the connection."""
    async with raw_server() as server, pool_to(server, max_connections=1) as pool:
        [(peer, task)] = await busy(server, pool, 1)
        cancelled, patient = sending(pool), sending(pool)
        await settle()
        cancelled.cancel()
        await peer.send(OK)
        await peer.answer(OK)
        assert (await patient).status == (await task).status == 200
        assert cancelled.cancelled()
        assert pool.statistics().idle == 1


@on_both_loops
async def test_a_request_in_flight_that_is_cancelled_closes_its_connection() -> None:
    """A cancelled request raises at once, its connection closes, its slot is free."""
    async with raw_server() as server, pool_to(server, max_connections=1) as pool:
        [(peer, task)] = await busy(server, pool, 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert pool.statistics().open == 0
        assert await peer.gone() == b""
        again = sending(pool)
        await (await server.accept()).answer(OK)
        assert (await again).status == 200


@on_both_loops
async def test_a_cancel_scope_ends_a_request() -> None:
    """anyio's cancellation, which strikes again at every await, leaves nothing behind either."""
    async with raw_server() as server, pool_to(server, max_connections=1) as pool:
        async with anyio.create_task_group() as group:
            group.start_soon(pool.send, GET_REQUEST)
            group.start_soon(pool.send, GET_REQUEST)
            peer = await server.accept()
            await peer.request()
            group.cancel_scope.cancel()
        assert pool.statistics().open == pool.statistics().waiting == 0
        assert await peer.gone() == b""


# Idle connections.


@on_both_loops
async def test_an_idle_connection_the_server_closes_leaves_at_once() -> None:
    """A closed idle connection is not offered to a request, whose bytes it would lose."""
    async with raw_server() as server, pool_to(server, max_connections=2) as pool:
        first, second = await idle(server, pool, 2)
        second.close()
        await until(lambda: pool.statistics().open == 1)
        task = sending(pool)
        await first.answer(OK)
        assert (await task).status == 200
        assert pool.statistics().replayed == 0


@on_both_loops
async def test_an_old_idle_connection_is_not_used_again() -> None:
    """A connection idle for longer than servers keep one is closed rather than tried."""
    timers = Timers()
    async with raw_server() as server, pool_to(server, clock=timers.clock) as pool:
        first, second = await idle(server, pool, 2)
        timers.now_s += MAX_IDLE_S - 0.1
        task = sending(pool)
        await second.answer(OK)
        await task
        timers.now_s += 0.2
        task = sending(pool)
        await second.answer(OK)
        await task
        timers.now_s += MAX_IDLE_S + 0.1
        task = sending(pool)
        await (await server.accept()).answer(OK)
        await task
        assert await first.gone() == await second.gone() == b""
        assert pool.statistics().open == 1


@on_both_loops
async def test_the_sweeper_closes_old_connections_and_rests() -> None:
    """While requests are in flight old idle connections are closed; afterwards no timer runs."""
    timers = Timers()
    async with (
        raw_server() as server,
        pool_to(server, clock=timers.clock, call_later=timers.call_later, read_timeout_s=8) as pool,
    ):
        first, second = await idle(server, pool, 2)
        timers.tick()
        assert not timers.pending
        task = sending(pool)
        await second.request()
        assert [timer.delay_s for timer in timers.pending] == [patience(8).tick_s] == [1]
        timers.now_s += MAX_IDLE_S + 1
        timers.tick()
        assert await first.gone() == b""
        assert pool.statistics().open == 1
        await second.send(OK)
        await task
        timers.tick()
        assert not timers.pending


# The end.


@pytest.fixture(params=["http", "https"])
def tls(request: pytest.FixtureRequest, tmp_path: Path) -> Tls:
    """Settings of both ends for plain HTTP, and for TLS."""
    if request.param == "http":
        return None, None
    pem = certificate(tmp_path, "localhost")
    return server_context(pem), ssl.create_default_context(cafile=str(pem))


@on_both_loops
async def test_closing_ends_everything(tls: Tls) -> None:
    """Idle, busy, waiting and half-open connections all end with the pool, over TLS as well."""
    theirs, ours = tls
    async with raw_server(theirs) as server:
        network = Network(server)
        async with pool_to(
            server, host="localhost", tls=ours, max_connections=3, connect=network.connect
        ) as pool:
            (spare, kept), (peer, in_flight) = await busy(server, pool, 2)
            await spare.send(OK)
            await kept
            network.default = swallows
            again, opening = sending(pool), sending(pool)
            await until(lambda: len(network.dialled) == 3)
            waiting = sending(pool)
            await settle()
            assert pool.statistics() == PoolStatistics(
                open=3, idle=0, in_use=3, waiting=1, opened=2, reused=1, replayed=0
            )
            await spare.answer(OK)
            await again
            await settle()
            await pool.aclose()
            assert pool.statistics().open == pool.statistics().waiting == 0
        assert await spare.gone() == GET_REQUEST.head
        assert await peer.gone() == b""
        for task, error in (
            (in_flight, ConnectionLostError),
            (opening, ConnectError),
            (waiting, ConnectionLostError),
        ):
            with pytest.raises(error):
                await task


@on_both_loops
async def test_a_closed_pool_sends_nothing() -> None:
    """After its end, and after a second end, a pool refuses requests in a sentence."""
    async with raw_server() as server, pool_to(server) as pool:
        await idle(server, pool, 1)
        await pool.aclose()
        await pool.aclose()
        with pytest.raises(ConnectError, match=r"the pool is closed\.$"):
            await pool.send(GET_REQUEST)


@on_both_loops
async def test_a_stream_does_not_outlive_its_pool() -> None:
    """Closing the pool ends a body that is being read, without waiting for its reader."""
    async with raw_server() as server, pool_to(server) as pool:
        answering = asyncio.create_task(server.answer(BODY + b"abc"))
        async with pool.stream(GET_REQUEST) as response:
            await answering
            assert await anext(response.chunks) == b"abc"
            await pool.aclose()
            with pytest.raises(ConnectionLostError):
                await anext(response.chunks)


async def test_https_needs_settings() -> None:
    """A pool for https without TLS settings is refused, rather than speaking plain HTTP."""
    with pytest.raises(ValueError, match="tls is None; host:443 speaks https"):
        Pool(
            Origin("https", "host", 443),
            tls=None,
            max_connections=1,
            connect_timeout_s=1,
            read_timeout_s=1,
        )
