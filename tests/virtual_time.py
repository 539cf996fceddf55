"""An event loop whose time is a number: it jumps to the next timer instead of waiting for it.

A minute of a simulated server takes as long as its requests take to compute, and is the same
minute on every machine.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _NoWaiting(selectors.DefaultSelector):
    """Never wait: hand the time that would have been waited to the loop."""

    elapse: Callable[[float], None]

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        assert ready or timeout is not None, "every task waits for something that never comes"
        if timeout and not ready:
            self.elapse(timeout)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time, which begins at 1,000 seconds."""

    def __init__(self) -> None:
        self._now = 1_000.0
        selector = _NoWaiting()
        selector.elapse = self._elapse
        super().__init__(selector)

    def time(self) -> float:
        return self._now

    def _elapse(self, seconds: float) -> None:
        self._now += seconds


def run(main: Callable[[VirtualLoop], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine in virtual time, from begin to end."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, VirtualLoop)
        return runner.run(main(loop))


async def pause(seconds: float) -> None:
    """Let virtual time pass."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    over = loop.create_future()
    timer = loop.call_later(seconds, over.set_result, None)
    try:
        await over
    finally:
        timer.cancel()
