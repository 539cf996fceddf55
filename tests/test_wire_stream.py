"""Streams of the wire: bodies read as they arrive, by readers fast, slow and gone."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from async_s3copy.s3.wire.body import HIGH_WATER_BYTES, LOW_WATER_BYTES, BodyStream
from async_s3copy.s3.wire.http import (
    ConnectionLostError,
    MalformedResponseError,
    ReadTimeoutError,
    StreamedResponse,
)
from async_s3copy.s3.wire.patience import patience
from async_s3copy.s3.wire.pool import Pool
from tests.raw_server import OK, Peer, RawServer, raw_server
from tests.wire_pools import (
    GET_REQUEST,
    Timers,
    on_both_loops,
    pool_to,
    read_all,
    served,
    settle,
    until,
)

pytestmark = pytest.mark.stack_b

MIB = 1024 * 1024


@asynccontextmanager
async def streaming(
    server: RawServer, pool: Pool, answer: bytes
) -> AsyncIterator[tuple[StreamedResponse, Peer]]:
    """Stream a request that is answered this far."""
    accepting = asyncio.create_task(server.answer(answer))
    async with pool.stream(GET_REQUEST) as response:
        yield response, await accepting


SIX = b"HTTP/1.1 206 Partial\r\nContent-Length: 6\r\n\r\n"


@on_both_loops
async def test_a_stream_is_read_as_it_arrives() -> None:
    """The head is there before the body, each piece before the next; then it is used again."""
    async with raw_server() as server, pool_to(server) as pool:
        async with streaming(server, pool, SIX) as (response, peer):
            assert (response.status, response.content_length) == (206, 6)
            for piece in (b"abc", b"def"):
                await peer.send(piece)
                assert await anext(response.chunks) == piece
            assert await read_all(response) == b""
        assert (pool.statistics().idle, pool.statistics().open) == (1, 1)


@on_both_loops
async def test_a_stream_that_was_all_there_is_used_again() -> None:
    """A body left unread closes nothing if it had arrived: nothing else is to come."""
    async with raw_server() as server, pool_to(server) as pool:
        async with streaming(server, pool, SIX + b"abcdef"):
            pass
        assert pool.statistics().idle == 1


@on_both_loops
async def test_a_stream_left_early_is_closed() -> None:
    """Leaving a body before its end closes the connection, and ends its iterator."""
    async with raw_server() as server, pool_to(server) as pool:
        async with streaming(server, pool, SIX + b"abc") as (response, peer):
            assert await anext(response.chunks) == b"abc"
        assert pool.statistics().open == 0
        assert await peer.gone() == b""
        with pytest.raises(ConnectionLostError, match="left"):
            await anext(response.chunks)


@on_both_loops
async def test_an_error_in_the_block_closes_the_stream() -> None:
    """An exception of the reader's passes, and the connection does not survive it."""
    async with raw_server() as server, pool_to(server) as pool:
        with pytest.raises(ZeroDivisionError):
            async with streaming(server, pool, SIX + b"abcdef"):
                raise ZeroDivisionError
        assert pool.statistics().open == 0


@pytest.mark.parametrize("chunked", [False, True])
@on_both_loops
async def test_a_stream_cut_short_is_an_error(chunked: bool) -> None:
    """What had arrived is read, then the loss is raised: never a short body as a whole one."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n" if chunked else SIX
    async with raw_server() as server, pool_to(server) as pool:
        async with streaming(server, pool, head + b"abc") as (response, peer):
            assert response.content_length == (None if chunked else 6)
            peer.close()
            assert await anext(response.chunks) == b"abc"
            with pytest.raises(ConnectionLostError, match="in the middle"):
                await anext(response.chunks)
        assert pool.statistics().open == 0


@on_both_loops
async def test_a_stream_without_a_length_ends_with_its_connection() -> None:
    """A streamed body without a length is complete where the server closes the connection."""
    async with raw_server() as server, pool_to(server) as pool:
        answer = b"HTTP/1.1 200 OK\r\n\r\nabc"
        async with streaming(server, pool, answer) as (response, peer):
            assert response.content_length is None
            peer.close()
            assert await read_all(response) == b"abc"
        assert pool.statistics().open == 0


@on_both_loops
async def test_a_stream_turned_malformed_is_an_error() -> None:
    """Broken framing in the middle of a body reaches its reader."""
    async with raw_server() as server, pool_to(server) as pool:
        answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
        async with streaming(server, pool, answer) as (response, peer):
            assert await anext(response.chunks) == b"abc"
            await peer.send(b"broken\r\n")
            with pytest.raises(MalformedResponseError):
                await anext(response.chunks)


@on_both_loops
async def test_a_stream_on_a_dead_connection_is_replayed() -> None:
    """A stream begins anew on a fresh connection when the kept-alive one was dead."""
    async with raw_server() as server, pool_to(server) as pool:
        await served(server, pool, GET_REQUEST, OK)
        first = server.peers[0]
        accepting = asyncio.create_task(server.answer(SIX + b"abcdef"))
        closing = asyncio.create_task(closed_after_request(first))
        async with pool.stream(GET_REQUEST) as response:
            assert await read_all(response) == b"abcdef"
        await accepting
        await closing
        assert pool.statistics().replayed == 1


async def closed_after_request(peer: Peer) -> None:
    await peer.request()
    peer.close()


@on_both_loops
async def test_a_slow_reader_holds_the_server_back() -> None:
    """A body larger than memory should hold arrives whole, at most the bound being held."""
    body = hashlib.shake_128(b"seed").digest(24 * MIB)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    async with raw_server() as server, pool_to(server) as pool:
        async with streaming(server, pool, head) as (response, peer):
            sending = asyncio.create_task(peer.send(body))
            stream = response.chunks
            assert isinstance(stream, BodyStream)
            await until(lambda: stream.full)
            await settle()
            assert HIGH_WATER_BYTES <= stream._buffered_bytes <= HIGH_WATER_BYTES + MIB // 4
            received = await read_all(response)
            await sending
        assert received == body
        assert pool.statistics().idle == 1


@on_both_loops
async def test_a_reader_that_waits_is_not_the_servers_silence() -> None:
    """While the reader holds the server back no timeout runs, however long that takes."""
    timers = Timers()
    limits = patience(30)
    body = bytes(2 * MIB)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    async with (
        raw_server() as server,
        pool_to(server, read_timeout_s=30, call_later=timers.call_later) as pool,
        streaming(server, pool, head) as (response, peer),
    ):
        sending = asyncio.create_task(peer.send(body))
        stream = response.chunks
        assert isinstance(stream, BodyStream)
        await until(lambda: stream.full)
        timers.tick(2 * limits.total_ticks)
        assert await read_all(response) == body
        await sending


@on_both_loops
async def test_a_stream_that_falls_silent_times_out() -> None:
    """A server silent in the middle of a body is given the read timeout, no more."""
    timers = Timers()
    async with (
        raw_server() as server,
        pool_to(server, read_timeout_s=30, call_later=timers.call_later) as pool,
        streaming(server, pool, SIX + b"abc") as (response, _),
    ):
        assert await anext(response.chunks) == b"abc"
        timers.tick(patience(30).silent_ticks)
        with pytest.raises(ReadTimeoutError):
            await anext(response.chunks)


@on_both_loops
async def test_two_readers_of_one_body_are_refused() -> None:
    """A second reader, who would steal pieces of the first, is told so."""
    async with (
        raw_server() as server,
        pool_to(server) as pool,
        streaming(server, pool, SIX) as (response, peer),
    ):
        first = asyncio.create_task(read_all(response))
        await settle()
        with pytest.raises(RuntimeError, match="one reader"):
            await anext(response.chunks)
        await peer.send(b"abcdef")
        assert await first == b"abcdef"


@on_both_loops
async def test_a_stream_resumes_at_the_low_mark_only() -> None:
    """The sender goes on once half of what was held has been read, and not after the end."""
    resumed: list[int] = []
    stream = BodyStream(asyncio.get_running_loop(), lambda: resumed.append(stream._buffered_bytes))
    stream.push([b"x" * (LOW_WATER_BYTES // 4)] * 8)
    assert stream.full
    for _ in range(3):
        await anext(stream)
    assert not resumed
    await anext(stream)
    assert resumed == [LOW_WATER_BYTES]
    stream.push([b"x" * LOW_WATER_BYTES])
    stream.end()
    assert sum([len(piece) async for piece in stream]) == 2 * LOW_WATER_BYTES
    assert len(resumed) == 1
