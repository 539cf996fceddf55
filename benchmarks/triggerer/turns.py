"""Turns of the event loop, by the CPU time they take: what a busy machine does not change."""

from __future__ import annotations

import asyncio
import selectors
import time
from typing import Any, Final

_KEPT_S: Final = 0.001


class TurnWatch:
    """Note the turns of an event loop from now on, each between two looks at its selector.

    Args:
        loop: One of asyncio's own.

    Attributes:
        longer: When each turn of more than a millisecond ended, and the CPU time it took.
        busy_s: CPU time of all turns.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.longer: list[tuple[float, float]] = []
        self.busy_s = 0.0
        self._began_s: float | None = None
        # asyncio has no public way to see its turns.
        selector: selectors.BaseSelector = loop._selector  # type: ignore[attr-defined]
        self._select = selector.select
        selector.select = self._noted  # type: ignore[method-assign]

    def _noted(self, timeout: float | None = None) -> Any:
        if self._began_s is not None:
            took_s = time.thread_time() - self._began_s
            self.busy_s += took_s
            if took_s > _KEPT_S:
                self.longer.append((time.monotonic(), took_s))
        try:
            return self._select(timeout)
        finally:
            self._began_s = time.thread_time()
