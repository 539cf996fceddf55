"""One connection of the wire, on real sockets: what it sends, what it takes for an answer."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import threading
from collections.abc import Iterator

import pytest

from async_s3copy.s3.wire.http import (
    ConnectionLostError,
    MalformedResponseError,
    Request,
)
from tests.raw_server import GET, OK, RawServer, raw_server
from tests.wire_pools import (
    GET_REQUEST,
    on_both_loops,
    pool_to,
    put,
    served,
    settle,
    until,
)

pytestmark = pytest.mark.stack_b

MIB = 1024 * 1024
HEAD_REQUEST = Request("HEAD", b"HEAD /bucket/key HTTP/1.1\r\nHost: test\r\n\r\n")
GUARDED_REQUEST = Request("GET", GET, replayable=False)
CLOSING = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
REFUSED = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\n\r\nbad"


# Requests.


@pytest.mark.parametrize("size", [0, 1, 64 * 1024, 64 * 1024 + 1, 9 * MIB])
@on_both_loops
async def test_the_request_arrives_as_it_is(size: int) -> None:
    """Head and body of any size arrive byte for byte, and the connection is used again."""
    body = hashlib.shake_128(b"seed").digest(size)
    async with raw_server() as server, pool_to(server) as pool:
        assert await served(server, pool, put(body), OK) == b"ok"
        again = asyncio.create_task(pool.send(put(body[:9])))
        await server.peers[0].answer(OK)
        assert (await again).status == 200
        assert pool.statistics().opened == 1


@on_both_loops
async def test_an_answer_before_the_body_is_sent() -> None:
    """A refusal of a large body is delivered though the body is not all sent; then it ends."""
    body = bytes(64 * MIB)
    async with raw_server() as server, pool_to(server) as pool:
        sending = asyncio.create_task(pool.send(put(body)))
        peer = await server.accept()
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.send(REFUSED)
        response = await sending
        assert (response.status, response.body) == (400, b"bad")
        assert pool.statistics().open == 0
        assert len(await peer.gone()) < len(body)


@pytest.fixture
def hangs_up() -> Iterator[RawServer]:
    """A server in a thread that reads a little, refuses, and closes with the rest unread."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            connection, _ = listener.accept()
            with connection:
                if not connection.recv(256 * 1024):
                    return
                connection.sendall(REFUSED)

    thread = threading.Thread(target=serve)
    thread.start()
    server = RawServer()
    server.port = listener.getsockname()[1]
    try:
        yield server
    finally:
        # A connection that sends nothing is the word to end.
        with socket.create_connection(("127.0.0.1", server.port)):
            pass
        thread.join()
        listener.close()


@on_both_loops
async def test_the_last_words_of_a_server_that_hangs_up(
    hangs_up: RawServer, caplog: pytest.LogCaptureFixture
) -> None:
    """A refusal is delivered, and nothing logged, though a reset comes right behind it."""
    async with pool_to(hangs_up) as pool:
        for _ in range(20):
            response = await pool.send(put(bytes(16 * MIB)))
            assert (response.status, response.body) == (400, b"bad")
        assert pool.statistics().open == 0
    assert not caplog.records


@on_both_loops
async def test_an_interim_answer_to_a_body() -> None:
    """A 100 Continue in the middle of a large body does not stop it."""
    body = bytes(8 * MIB)
    async with raw_server() as server, pool_to(server) as pool:
        sending = asyncio.create_task(pool.send(put(body)))
        peer = await server.accept()
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert await peer.reader.readexactly(len(body)) == body
        await peer.send(OK)
        assert (await sending).status == 200


# Answers.


@pytest.mark.parametrize(
    "request_, answer, body",
    [
        (GET_REQUEST, OK, b"ok"),
        (GET_REQUEST, b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK, b"ok"),
        (
            GET_REQUEST,
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3;a=b\r\n \n<\r\n2\r\na>\r\n0\r\nX-T: 1\r\n\r\n",
            b" \n<a>",
        ),
        (GET_REQUEST, b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (GET_REQUEST, b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", b""),
        (HEAD_REQUEST, b"HTTP/1.1 200 OK\r\nContent-Length: 123456789\r\n\r\n", b""),
        (HEAD_REQUEST, b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n", b""),
    ],
)
@on_both_loops
async def test_an_answer_leaves_the_connection_in_step(
    request_: Request, answer: bytes, body: bytes
) -> None:
    """After an answer of any framing the next one on the same connection is the right one."""
    async with raw_server() as server, pool_to(server) as pool:
        assert await served(server, pool, request_, answer) == body
        again = asyncio.create_task(pool.send(GET_REQUEST))
        await server.peers[0].answer(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext")
        assert (await again).body == b"next"
        assert pool.statistics().opened == 1


@on_both_loops
async def test_a_large_answer_arrives_whole() -> None:
    """An answer far larger than one read is put together in order."""
    body = hashlib.shake_128(b"seed").digest(3 * MIB)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    async with raw_server() as server, pool_to(server) as pool:
        assert await served(server, pool, GET_REQUEST, head + body) == body


@on_both_loops
async def test_an_answer_that_ends_with_its_connection() -> None:
    """A body without a length ends where the server closes the connection."""
    async with raw_server() as server, pool_to(server) as pool:
        sending = asyncio.create_task(pool.send(GET_REQUEST))
        peer = await server.accept()
        await peer.answer(b"HTTP/1.1 200 OK\r\n\r\nun")
        await peer.send(b"til")
        peer.close()
        assert (await sending).body == b"until"
        assert pool.statistics().open == 0


@pytest.mark.parametrize("answer", [CLOSING, b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"])
@on_both_loops
async def test_a_connection_the_server_will_close_is_closed(answer: bytes) -> None:
    """After ``Connection: close``, said or implied, the connection is not used again."""
    async with raw_server() as server, pool_to(server) as pool:
        assert await served(server, pool, GET_REQUEST, answer) == b"ok"
        assert pool.statistics().open == 0
        assert await server.peers[0].gone() == b""


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n" + b"x" * 101,
    ],
)
@on_both_loops
async def test_what_is_no_answer_closes_the_connection(answer: bytes) -> None:
    """Garbage, ambiguity and more than is wanted end the request and the connection."""
    async with raw_server() as server, pool_to(server, max_body_bytes=100) as pool:
        with pytest.raises(MalformedResponseError):
            await served(server, pool, GET_REQUEST, answer)
        assert pool.statistics().open == 0
        assert await server.peers[0].gone() == b""


@pytest.mark.parametrize("excess", [b"\r\n", OK, b"x"])
@pytest.mark.parametrize("late", [False, True])
@on_both_loops
async def test_bytes_nobody_asked_for_close_the_connection(excess: bytes, late: bool) -> None:
    """An idle connection that receives anything is out of step, and closed at once."""
    async with raw_server() as server, pool_to(server) as pool:
        assert await served(server, pool, GET_REQUEST, OK if late else OK + excess) == b"ok"
        if late:
            await server.peers[0].send(excess)
        elif excess == b"\r\n":
            # Behind an answer an empty line is harmless, and the parser passes it over.
            return
        await until(lambda: pool.statistics().open == 0)
        assert await server.peers[0].gone() == b""


# Lost connections.


@pytest.mark.parametrize("reset", [False, True])
@on_both_loops
async def test_a_dead_kept_alive_connection_is_replaced(reset: bool) -> None:
    """A request whose reused connection dies without a byte is sent once more, on a new one."""
    async with raw_server() as server, pool_to(server) as pool:
        await served(server, pool, GET_REQUEST, OK)
        first = server.peers[0]
        again = asyncio.create_task(pool.send(GET_REQUEST))
        await first.request()
        first.reset() if reset else first.close()
        second = await server.accept()
        await second.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nnew")
        assert (await again).body == b"new"
        statistics = pool.statistics()
        assert (statistics.opened, statistics.replayed, statistics.open) == (2, 1, 1)


@on_both_loops
async def test_a_request_is_replayed_once() -> None:
    """When the new connection dies as well, the request fails."""
    async with raw_server() as server, pool_to(server) as pool:
        await served(server, pool, GET_REQUEST, OK)
        again = asyncio.create_task(pool.send(GET_REQUEST))
        await server.peers[0].request()
        server.peers[0].close()
        second = await server.accept()
        await second.request()
        second.close()
        with pytest.raises(ConnectionLostError, match="before it answered"):
            await again
        assert (pool.statistics().opened, pool.statistics().open) == (2, 0)


@on_both_loops
async def test_a_guarded_request_is_not_replayed() -> None:
    """A request that might be answered otherwise the second time is not sent twice unseen."""
    async with raw_server() as server, pool_to(server) as pool:
        await served(server, pool, GET_REQUEST, OK)
        again = asyncio.create_task(pool.send(GUARDED_REQUEST))
        await server.peers[0].request()
        server.peers[0].close()
        with pytest.raises(ConnectionLostError):
            await again
        assert (pool.statistics().opened, pool.statistics().replayed) == (1, 0)


@on_both_loops
async def test_a_new_connection_that_dies_is_no_stale_one() -> None:
    """A request on its connection's first exchange is not replayed: the server is in trouble."""
    async with raw_server() as server, pool_to(server) as pool:
        sending = asyncio.create_task(pool.send(GET_REQUEST))
        peer = await server.accept()
        await peer.request()
        peer.close()
        with pytest.raises(ConnectionLostError, match="before it answered"):
            await sending
        assert pool.statistics().opened == 1


@pytest.mark.parametrize("partial", [b"H", OK[:-1], b"HTTP/1.1 100 Continue\r\n\r\n"])
@pytest.mark.parametrize("reset", [False, True])
@on_both_loops
async def test_half_an_answer_is_none(partial: bytes, reset: bool) -> None:
    """An answer cut short is an error, never a response, and never replayed."""
    async with raw_server() as server, pool_to(server) as pool:
        await served(server, pool, GET_REQUEST, OK)
        again = asyncio.create_task(pool.send(GET_REQUEST))
        first = server.peers[0]
        await first.answer(partial)
        if reset:
            # An RST may overtake what was sent before it.
            await until(lambda: pool.statistics().in_use == 1)
            await settle()
        first.reset() if reset else first.close()
        with pytest.raises(ConnectionLostError, match=r"in the middle of its answer"):
            await again
        assert pool.statistics().replayed == 0
