"""Turns: answers that arrive together wake their tasks a few at a time."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import Final, TypeVar
from weakref import WeakKeyDictionary

T = TypeVar("T")

# What a task does between two answers takes a tenth of a millisecond: a millisecond a turn.
_TASKS_A_TURN: Final = 12


class Turns:
    """Give results to futures, so many per turn of the event loop.

    A server whose answers take the same time answers hundreds of requests at once. Woken together,
    their tasks would all run before anything else: a timer of some other task in the same loop,
    due meanwhile, would be late by their sum.

    All of a loop's copies share one: each with its own would take a millisecond of every turn.
    """

    __slots__ = ("__weakref__", "_results", "_scheduled")

    def __init__(self) -> None:
        self._results: deque[tuple[asyncio.Future[object], object]] = deque()
        self._scheduled = False

    def give(self, future: asyncio.Future[T], result: T) -> None:
        """Set a future's result in one of the next turns; a future done meanwhile is left alone."""
        self._results.append((future, result))  # type: ignore[arg-type]  # a future of its own type
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        results = self._results
        for _ in range(min(_TASKS_A_TURN, len(results))):
            future, result = results.popleft()
            if not future.done():
                future.set_result(result)
        self._scheduled = bool(results)
        if results:
            asyncio.get_running_loop().call_soon(self._turn)


# Idle, it does not refer to its event loop, so that it goes when the loop goes.
_BY_LOOP: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, Turns]] = WeakKeyDictionary()
_LOCK: Final = threading.Lock()  # event loops run in several threads


def turns_of_this_loop() -> Turns:
    """Return what all connections of the running event loop share."""
    loop = asyncio.get_running_loop()
    with _LOCK:
        return _BY_LOOP.setdefault(loop, Turns())
