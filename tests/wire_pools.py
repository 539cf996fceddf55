"""Pools for tests of the wire: on a raw server, with a clock and timers in the test's hands."""

from __future__ import annotations

import asyncio
import functools
import inspect
import ssl
import types
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import pytest
import uvloop

from async_s3copy.s3.wire.http import Request, StreamedResponse
from async_s3copy.s3.wire.pool import Pool
from async_s3copy.s3.wire.route import Origin
from tests.raw_server import GET, RawServer

T = TypeVar("T")

GET_REQUEST = Request("GET", GET)
LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


def on_both_loops(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an async test on asyncio's own loop and on uvloop.

    It fails as well when a task is left, or when the loop has something to complain about.
    """

    def run(loop: str, **arguments: Any) -> None:
        with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
            runner.run(_watched(test(**arguments)))

    signature = inspect.signature(test)
    loop = inspect.Parameter("loop", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    functools.update_wrapper(run, test)
    del run.__dict__["__wrapped__"]
    run.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[*signature.parameters.values(), loop]
    )
    both: Callable[..., None] = pytest.mark.parametrize("loop", list(LOOPS))(run)
    return both


async def _watched(test: Coroutine[Any, Any, None]) -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, what: complaints.append(what))
    await test
    await settle()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert not complaints


class Timers:
    """A clock that stands still until it is moved, and timers that the test fires."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.pending: list[Timer] = []

    def clock(self) -> float:
        return self.now_s

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        timer = Timer(self.pending, delay_s, callback)
        self.pending.append(timer)
        return timer

    def tick(self, times: int = 1) -> None:
        """Fire what is pending, so many times."""
        for _ in range(times):
            for timer in tuple(self.pending):
                self.pending.remove(timer)
                timer.callback()


class Timer:
    """A timer that fires when the test says so."""

    def __init__(self, pending: list[Timer], delay_s: float, callback: Callable[[], None]) -> None:
        self.pending = pending
        self.delay_s = delay_s
        self.callback = callback

    def cancel(self) -> None:
        if self in self.pending:
            self.pending.remove(self)


@asynccontextmanager
async def pool_to(
    server: RawServer, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None, **changes: Any
) -> AsyncIterator[Pool]:
    """Open a pool of up to four connections to a raw server, and close it."""
    settings: dict[str, Any] = {
        "max_connections": 4,
        "connect_timeout_s": 5.0,
        "read_timeout_s": 5.0,
    }
    origin = Origin("https" if tls else "http", host, server.port)
    pool = Pool(origin, tls=tls, **(settings | changes))
    try:
        yield pool
    finally:
        await pool.aclose()


def put(body: bytes, *, replayable: bool = True) -> Request:
    head = b"PUT /bucket/key HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n" % len(body)
    return Request("PUT", head, body, replayable=replayable)


async def served(server: RawServer, pool: Pool, request: Request, answer: bytes) -> bytes:
    """Send on a new connection, answer, and return the body of the response."""
    sending = asyncio.create_task(pool.send(request))
    peer = await server.accept()
    assert await peer.request() == request.head + request.body
    await peer.send(answer)
    return (await sending).body


async def read_all(response: StreamedResponse) -> bytes:
    return b"".join([chunk async for chunk in response.chunks])


async def settle() -> None:
    """Let callbacks that are due run."""
    for _ in range(10):
        await asyncio.sleep(0)


async def until(condition: Callable[[], bool]) -> None:
    """Let the event loop run until a condition holds."""
    for _ in range(1_000_000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("the condition never held")


class Interruption:
    """Cancel a coroutine's task at the n-th point where it suspends.

    Args:
        at: Which point, from 1.
        completed: Cancel when that which is awaited there has completed, but the task has not yet
            gone on; otherwise as soon as it suspends.
    """

    def __init__(self, at: int, *, completed: bool) -> None:
        self.at = at
        self.completed = completed
        self.points = 0

    @property
    def struck(self) -> bool:
        """Whether there was such a point."""
        return self.points >= self.at

    @types.coroutine
    def run(self, coroutine: Coroutine[Any, Any, T]) -> Generator[Any, Any, T]:
        """Run the coroutine, for the task that awaits this."""
        task = asyncio.current_task()
        assert task is not None
        throw: BaseException | None = None
        while True:
            try:
                awaited = coroutine.throw(throw) if throw else coroutine.send(None)
            except StopIteration as stop:
                result: T = stop.value
                return result
            throw = None
            self.points += 1
            if self.points == self.at:
                self._strike(task, awaited)
            try:
                yield awaited
            except BaseException as error:
                throw = error

    def _strike(self, task: asyncio.Task[Any], awaited: Any) -> None:
        if self.completed and awaited is not None:
            # Added before the task's own callback, so it runs before that.
            awaited.add_done_callback(lambda _: task.cancel())
        else:
            task.cancel()
