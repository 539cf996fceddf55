"""What the neighbour saw, and what it says of each phase of the copies. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.drivers import common

_RARELY: Final = 0.001
_PRECISION_S: Final = 1e-5


@dataclass(frozen=True, slots=True)
class Moments:
    """When what happened, in monotonic seconds.

    Attributes:
        asked: The copies were asked for.
        copying: All of them had copied an object.
        one_ended: One of them had ended.
        all_ended: All of them had.
    """

    asked: float
    copying: float
    one_ended: float
    all_ended: float


@dataclass(frozen=True, slots=True)
class Sightings:
    """What the neighbour saw.

    Attributes:
        late: When each sleep should have ended, and how much later it did, in seconds.
        turns: When each longer turn of the event loop ended, and the CPU time it took.
        busy: When the CPU time of all turns was counted, and what it came to by then.
    """

    late: Sequence[tuple[float, float]]
    turns: Sequence[tuple[float, float]]
    busy: Sequence[tuple[float, float]]

    def figures(self, moments: Moments) -> dict[str, Any]:
        """Return how late it was at the start, flat out, and over all."""
        flat_out = self._late_ms(moments.copying, moments.one_ended)
        turns_ms = self._turns_ms(moments.copying, moments.one_ended)
        busy_ms = 1_000 * self._busy_s(moments.copying, moments.one_ended)
        return {
            "starting_s": moments.copying - moments.asked,
            "work_s": moments.one_ended - moments.copying,
            "starting_late_ms": max(self._late_ms(moments.asked, moments.copying), default=0.0),
            "loop_late_ms": common.percentiles(flat_out),
            "whole_late_ms": common.percentiles(self._late_ms(moments.asked, moments.all_ended)),
            "starting_turn_ms": max(self._turns_ms(moments.asked, moments.copying), default=0.0),
            "turn_late_ms": {
                "p99_9": lateness(turns_ms, busy_ms, _RARELY),
                "max": max(turns_ms, default=0.0),
            },
            "wakes": len(flat_out),
        }

    def _late_ms(self, begin: float, end: float) -> list[float]:
        return [1_000 * late for due, late in self.late if begin <= due < end]

    def _turns_ms(self, begin: float, end: float) -> list[float]:
        return [1_000 * cpu_s for ended, cpu_s in self.turns if begin <= ended < end]

    def _busy_s(self, begin: float, end: float) -> float:
        counts = [cpu_s for counted, cpu_s in self.busy if begin <= counted < end]
        return counts[-1] - counts[0] if counts else 0.0


def lateness(turns: Sequence[float], busy: float, share: float) -> float:
    """Return how late sleepers are at most, but for a share of them, from turns of an event loop.

    A sleeper is late by what is left of the turn in which its time comes.

    Args:
        turns: CPU time of each longer turn.
        busy: CPU time of all turns, in the same unit; a sleeper's time comes at any moment of it.
        share: Of the sleepers, such as 0.001.
    """
    low, high = 0.0, max(turns, default=0.0)
    while high - low > _PRECISION_S:
        middle = (low + high) / 2
        beyond = sum(turn - middle for turn in turns if turn > middle)
        low, high = (middle, high) if beyond > share * busy else (low, middle)
    return high
