"""The pool of the wire under any order of events: its bookkeeping stays true."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from async_s3copy.s3.wire.http import Response, WireError
from async_s3copy.s3.wire.pool import Pool
from tests.raw_server import OK, Peer, RawServer, raw_server
from tests.wire_busy import sending
from tests.wire_pools import GET_REQUEST, LOOPS, pool_to, settle

pytestmark = pytest.mark.stack_b

Tasks = list[asyncio.Task[Response]]
MAX_CONNECTIONS = 2


def answer_and_close(peer: Peer) -> None:
    peer.writer.write(OK)
    peer.close()


DEEDS: dict[str, Callable[[Peer], None]] = {
    "answer": lambda peer: peer.writer.write(OK),
    "answer and close": answer_and_close,
    "say half": lambda peer: peer.writer.write(OK[:20]),
    "say rubbish": lambda peer: peer.writer.write(b"rubbish\r\n"),
    "close": lambda peer: peer.close(),
    "reset": lambda peer: peer.reset(),
}
EVENTS = st.tuples(
    st.sampled_from(["send", "send", "send", "cancel", "answer", *DEEDS]), st.integers(0, 20)
)


def happen(event: str, index: int, server: RawServer, pool: Pool, tasks: Tasks) -> None:
    """Let one thing happen to the pool."""
    if event == "send":
        tasks.append(sending(pool))
    elif event == "cancel":
        if tasks:
            tasks[index % len(tasks)].cancel()
    elif server.peers:
        peer = server.peers[index % len(server.peers)]
        if not peer.writer.is_closing():
            DEEDS[event](peer)


def check(pool: Pool) -> None:
    """Check what is always true."""
    now = pool.statistics()
    assert 0 <= now.idle <= now.open <= MAX_CONNECTIONS
    assert now.in_use == now.open - now.idle
    if now.waiting:
        assert (now.idle, now.open) == (0, MAX_CONNECTIONS)


async def serve_all(server: RawServer) -> None:
    """Answer every request from now on."""

    async def serve(peer: Peer) -> None:
        with suppress(ConnectionError, EOFError):
            while not peer.writer.is_closing():
                await peer.answer()

    async with asyncio.TaskGroup() as group:
        for peer in server.peers:
            group.create_task(serve(peer))
        seen = len(server.peers)
        while True:
            peer = await server.accept()
            # Those accepted before are in the queue as well.
            seen -= 1
            if seen < 0:
                group.create_task(serve(peer))


async def play(events: list[tuple[str, int]]) -> None:
    """Let events happen one after the other, then let everything come to its end."""
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, what: complaints.append(what))
    tasks: Tasks = []
    async with raw_server() as server, pool_to(server, max_connections=MAX_CONNECTIONS) as pool:
        for event, index in events:
            happen(event, index, server, pool, tasks)
            await settle()
            check(pool)
        serving = asyncio.create_task(serve_all(server))
        outcomes = [await outcome(task) for task in tasks]
        assert all(isinstance(each, Response | WireError | None) for each in outcomes)
        assert (pool.statistics().in_use, pool.statistics().waiting) == (0, 0)
        assert (await pool.send(GET_REQUEST)).status == 200
        serving.cancel()
        await asyncio.wait([serving])
    assert not complaints


async def outcome(task: asyncio.Task[Response]) -> Response | BaseException | None:
    await asyncio.wait([task])
    return None if task.cancelled() else task.exception() or task.result()


@pytest.mark.parametrize("loop", list(LOOPS))
@settings(max_examples=60, deadline=None)
@given(events=st.lists(EVENTS, max_size=25))
def test_the_books_balance_whatever_happens(loop: str, events: list[tuple[str, int]]) -> None:
    """In any order of requests, cancellations, answers and losses no slot or turn is lost.

    Every request ends, by an answer, an error or its cancellation, and a last one is answered.
    """
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(play(events))
