"""When answers are due: latencies as configured, and the answers that wait for theirs."""

from __future__ import annotations

import heapq
import math
from random import Random
from typing import Final, Generic, TypeVar

Item = TypeVar("Item")

_TICKS_PER_S: Final = 4_000


class Latency:
    """Draws of one kind of latency.

    Args:
        median_ms: Fixed, or the median of a log-normal distribution.
        sigma: Of the log-normal distribution; 0: fixed.
        random: Where its chance comes from.
    """

    def __init__(self, median_ms: float, sigma: float, random: Random) -> None:
        self._median_s = median_ms / 1_000
        self._sigma = sigma
        self._random = random

    def draw_s(self) -> float:
        """Return the latency of one request."""
        if not self._sigma or not self._median_s:
            return self._median_s
        return self._median_s * math.exp(self._random.gauss(0.0, self._sigma))


class Wheel(Generic[Item]):
    """Items that wait for their time, kept by quarters of a millisecond.

    A timer each would cost more than the requests themselves. Items of one tick come out in the
    order they went in.
    """

    def __init__(self) -> None:
        self._slots: dict[int, list[Item]] = {}
        self._ticks: list[int] = []

    def add(self, due_s: float, not_before: int, item: Item) -> int:
        """Let an item wait; return its tick: not early, and never before ``not_before``."""
        tick = max(math.ceil(due_s * _TICKS_PER_S), not_before)
        slot = self._slots.get(tick)
        if slot is None:
            self._slots[tick] = [item]
            heapq.heappush(self._ticks, tick)
        else:
            slot.append(item)
        return tick

    def release(self, now_s: float) -> list[Item]:
        """Take the items that are due, earliest first."""
        now = int(now_s * _TICKS_PER_S)
        due: list[Item] = []
        while self._ticks and self._ticks[0] <= now:
            due += self._slots.pop(heapq.heappop(self._ticks))
        return due

    def wait_s(self, now_s: float) -> float | None:
        """Return how long until the next item is due; None: there is none."""
        if not self._ticks:
            return None
        return max(0.0, self._ticks[0] / _TICKS_PER_S - now_s)
