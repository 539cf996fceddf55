"""Cancel an operation at every await point of every task it has.

A run is repeated, cancelled at its first suspension, its second, and so on, until a run ends before
it is struck. Every task that the operation starts is counted, whatever starts it: the engine, the
HTTP client, anyio's threads. Tasks of a server in the same event loop are not.
"""

from __future__ import annotations

import asyncio
import random
import types
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Literal, TypeVar, get_args

T = TypeVar("T")
Main = Callable[[], Coroutine[Any, Any, Any]]
Moment = Literal["pending", "completed"]


@dataclass(frozen=True)
class Strike:
    """When to cancel.

    Attributes:
        at: At which suspension, from 1, counted over all tasks; 0 never cancels.
        moment: As soon as a task suspends (``"pending"``); or when that which it awaits has
            completed, but the task has not gone on yet (``"completed"``).
        again_after: Cancel a second time so many suspensions later; 0 does not.
    """

    at: int = 0
    moment: Moment = "pending"
    again_after: int = 0


@dataclass
class Struck:
    """One run, over.

    Attributes:
        strike: When it was to be cancelled.
        cancel: How; returns whether that was in time.
        task: The task it ran in.
        points: Suspensions there were.
        strikes: Cancellations that reached the task while it ran.
        tasks: Every task the run has had.
    """

    strike: Strike
    cancel: Callable[[], bool] | None = None
    task: asyncio.Task[Any] = field(init=False)
    points: int = 0
    strikes: int = 0
    tasks: list[asyncio.Task[Any]] = field(default_factory=list)

    @property
    def was_struck(self) -> bool:
        """Whether the run was cancelled before it ended."""
        return self.strikes > 0

    def suspended(self, awaited: Any) -> None:
        """Count a suspension, and strike if it is the one."""
        self.points += 1
        strike = self.strike
        if strike.at and self.points in (strike.at, strike.at + strike.again_after):
            if strike.moment == "completed" and awaited is not None:
                # Added before the task's own callback, so it runs before that.
                awaited.add_done_callback(lambda _: self._cancel())
            else:
                self._cancel()

    def _cancel(self) -> None:
        cancel = self.cancel or self.task.cancel
        self.strikes += cancel()


_RUN: ContextVar[Struck | None] = ContextVar("run", default=None)


@types.coroutine
def _counted(run: Struck, coroutine: Coroutine[Any, Any, T]) -> Generator[Any, Any, T]:
    """Run a coroutine, and tell of each of its suspensions."""
    thrown: BaseException | None = None
    while True:
        try:
            awaited = coroutine.throw(thrown) if thrown else coroutine.send(None)
        except StopIteration as stop:
            result: T = stop.value
            return result
        thrown = None
        run.suspended(awaited)
        try:
            yield awaited
        except BaseException as error:
            thrown = error


async def _watched(run: Struck, coroutine: Coroutine[Any, Any, T]) -> T:
    # anyio asks for a coroutine's state, which a generator does not have.
    return await _counted(run, coroutine)


@contextmanager
def _counting_tasks() -> Iterator[None]:
    """Count the suspensions of every task that is started within a run, directly or not."""
    loop = asyncio.get_running_loop()

    def make(
        loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], **more: Any
    ) -> asyncio.Task[Any]:
        run = _RUN.get()
        if run is None:
            return asyncio.Task(coroutine, loop=loop, **more)
        task = asyncio.Task(_watched(run, coroutine), loop=loop, **more)
        run.tasks.append(task)
        return task

    before = loop.get_task_factory()
    loop.set_task_factory(make)  # type: ignore[arg-type]
    try:
        yield
    finally:
        loop.set_task_factory(before)


async def struck_by(strike: Strike, main: Main, cancel: Callable[[], bool] | None = None) -> Struck:
    """Run a coroutine in a task of its own, cancel it there, and wait for its end.

    Args:
        strike: When to cancel.
        main: Makes the coroutine.
        cancel: Cancels it, and returns whether that was in time; ``None`` cancels the task.
    """
    run = Struck(strike, cancel)
    with _counting_tasks():
        token = _RUN.set(run)
        try:
            run.task = asyncio.create_task(main())
        finally:
            _RUN.reset(token)
        await asyncio.wait([run.task])
    return run


async def every_strike(
    main: Main, moment: Moment = "pending", cancel: Callable[[], bool] | None = None
) -> AsyncIterator[Struck]:
    """Run again and again, cancelled one suspension later each time; ends with a run to the end."""
    for at in count(1):
        run = await struck_by(Strike(at, moment), main, cancel)
        yield run
        if run.points < at:
            return


async def every_second_strike(main: Main, moment: Moment = "pending") -> AsyncIterator[Struck]:
    """Do the same with every second cancellation that can follow each first one."""
    for at in count(1):
        for again_after in count(1):
            run = await struck_by(Strike(at, moment, again_after), main)
            yield run
            if run.points < at:
                return
            if run.points < at + again_after:
                break


async def some_second_strikes(main: Main, seed: int, times: int) -> AsyncIterator[Struck]:
    """Cancel twice at so many pairs of suspensions, which a seed picks among all."""
    whole = await struck_by(Strike(), main)
    choose = random.Random(seed)
    for _ in range(times):
        at = choose.randint(1, whole.points)
        moment = choose.choice(get_args(Moment))
        yield await struck_by(Strike(at, moment, choose.randint(1, 12)), main)
