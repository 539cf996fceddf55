"""The rate a server allows, found by its refusals. Pure: the time comes in as a number.

Nothing is held back until the server refuses requests (SlowDown). What it served in the moments
before is then what it allows, wherever that was limited by its refusals: the rate is set a little
below, and rises again, slowly near the known limit and ever faster beyond it, until the next
refusal. `docs/explanation/governor.md` has the reasons and the figures.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

SLOT_S: Final = 0.05
"""Answers are counted in slots of this length."""
SLOTS: Final = 200
"""Slots kept: ten seconds."""
SHORTEST_WINDOW_S: Final = 0.25
"""A rate is measured over a quarter of a second at least: five slots."""
ENOUGH: Final = 16
"""Answers from which a rate is measured, where the slots hold as many."""
KEPT: Final = 0.97
"""Share of the measured limit that is used after a cut: what 3 % buys is a server that recovers."""
TOLERATED: Final = 0.005
"""Share of refused requests that is no reason to slow down: half of what may be refused at all."""
FIRST_EVIDENCE: Final = 5
"""Refusals within ten seconds that make a limit; fewer are stray, and only tried again."""
LOWEST_RATE: Final = 1.0
"""Requests per second that are always allowed: to find out that a server has recovered."""
STARTUP_GROWTH_PER_S: Final = 4.0
"""Factor per second by which a rate grows that was not measured at the limit."""
STEEPNESS: Final = 1 / 4_000
"""Of the cubic growth: back at the limit after 5 s, 1.6 % above after 9 s, doubled after 21 s."""
SLOWEST_STRETCH: Final = 2.0
"""The growth of small limits is slower, up to this factor: each probe costs a refusal."""
FORGET_S: Final = 60.0
"""A limit without refusals for so long is forgotten."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A limit found, and what to make of it.

    Attributes:
        at: When, in seconds of any clock.
        limit: Requests per second the server was found to allow.
        steady: Whether it is the server's limit. Otherwise it is only what was asked of the
            server, which may allow far more: the rate grows fast.
    """

    at: float
    limit: float
    steady: bool

    def rate(self, now: float) -> float | None:
        """Return the requests per second allowed at a time; ``None`` once the cut is forgotten."""
        age_s = (now - self.at) / self._stretch
        if age_s > FORGET_S:
            return None
        if not self.steady:
            return self.limit * KEPT * math.pow(STARTUP_GROWTH_PER_S, age_s)
        recovery_s = math.cbrt((1 - KEPT) / STEEPNESS)
        return self.limit * (1 + STEEPNESS * math.pow(age_s - recovery_s, 3))

    @property
    def _stretch(self) -> float:
        return min(SLOWEST_STRETCH, max(1.0, 20.0 / self.limit)) if self.steady else 1.0


@dataclass(frozen=True, slots=True)
class Observed:
    """What a server did in the moments before a refusal.

    Attributes:
        rate: Requests served per second.
        count: Requests served while the rate was measured.
        refusing: Whether it refused requests all the time: what it served is what it can.
        waiting: Whether requests were waiting for their turn: what was sent is what was allowed.
    """

    rate: float
    count: int
    refusing: bool
    waiting: bool


def cut(now: float, observed: Observed, before: Cut | None) -> Cut:
    """Decide what a refusal means for the rate.

    Args:
        now: The time.
        observed: What the server did in the moments before.
        before: The cut in force; ``None`` when nothing was held back.
    """
    current = None if before is None else before.rate(now)
    if before is None or current is None:
        return Cut(now, max(observed.rate, LOWEST_RATE), steady=False)
    # At most halved at once: a single poor measurement must not stop everything.
    measured = max(min(observed.rate, current), current / 2, LOWEST_RATE)
    if observed.count < ENOUGH or not (observed.refusing or observed.waiting):
        return Cut(now, measured, steady=False)
    if observed.refusing or before.steady:
        return Cut(now, measured, steady=True)
    # The rate has grown fast until now, so what was served lags behind it: hold, and measure then.
    return Cut(now, current, steady=True)


class Counts:
    """Count events by time, ten seconds back."""

    __slots__ = ("_by_slot", "_first", "_slot")

    def __init__(self) -> None:
        self._by_slot = [0] * SLOTS
        self._slot = self._first = -SLOTS

    def add(self, now: float) -> None:
        """Count an event."""
        slot = int(now / SLOT_S)
        if slot != self._slot:
            self._roll(slot)
        self._by_slot[slot % SLOTS] += 1

    def lately(self, now: float, seconds: float) -> int:
        """Return the events of the last seconds, to the slot."""
        self._roll(int(now / SLOT_S))
        slots = range(self._slot - round(seconds / SLOT_S) + 1, self._slot + 1)
        return sum(self._by_slot[slot % SLOTS] for slot in slots)

    def in_every_slot(self, now: float, seconds: float) -> bool:
        """Tell whether each slot of the last seconds, the current one apart, has an event."""
        self._roll(int(now / SLOT_S))
        slots = range(self._slot - round(seconds / SLOT_S), self._slot)
        return all(self._by_slot[slot % SLOTS] for slot in slots)

    def rate(self, now: float) -> tuple[float, int]:
        """Return the rate lately, and the events it was measured by.

        Measured over a quarter of a second, or as long as it takes to find enough events.
        """
        self._roll(int(now / SLOT_S))
        count, elapsed_s = 0, SLOT_S
        for slot in range(self._slot, max(self._first, self._slot - SLOTS + 1) - 1, -1):
            count += self._by_slot[slot % SLOTS]
            elapsed_s = max(SLOT_S, now - slot * SLOT_S)
            if elapsed_s >= SHORTEST_WINDOW_S and count >= ENOUGH:
                break
        return count / elapsed_s, count

    def clear(self) -> None:
        """Forget all events."""
        self._by_slot = [0] * SLOTS

    def _roll(self, slot: int) -> None:
        if slot - self._slot >= SLOTS:
            self.clear()
            self._first = slot
        for passed in range(max(self._slot, slot - SLOTS) + 1, slot + 1):
            self._by_slot[passed % SLOTS] = 0
        self._slot = slot


class RateFinder:
    """Find the rate at which a server serves, and stay just below.

    Attributes:
        generation: Counts the cuts. A request carries the one it was sent in, so that the many
            refusals of one overload are one cut.
        found: The last cut; ``None`` while nothing is held back.
    """

    __slots__ = ("_refused", "_served", "_strikes", "found", "generation")

    def __init__(self) -> None:
        self.generation = 0
        self.found: Cut | None = None
        self._served = Counts()
        self._refused = Counts()
        self._strikes = Counts()

    def served(self, now: float) -> None:
        """Learn of a request that was not refused."""
        self._served.add(now)

    def refused(self, now: float, generation: int, *, waiting: bool) -> bool:
        """Learn of a refusal, and tell whether it lowered the rate.

        Args:
            now: The time of the answer.
            generation: The one in which the request was sent.
            waiting: Whether requests are waiting for their turn.
        """
        self._refused.add(now)
        if generation != self.generation:
            return False
        self._strikes.add(now)
        if not self._is_evident(now):
            return False
        rate, count = self._served.rate(now)
        refusing = self._refused.in_every_slot(now, SHORTEST_WINDOW_S)
        self.found = cut(now, Observed(rate, count, refusing, waiting), self.found)
        self.generation += 1
        self._strikes.clear()
        return True

    def rate(self, now: float) -> float | None:
        """Return the requests per second allowed now; ``None`` for any number."""
        if self.found is None:
            return None
        rate = self.found.rate(now)
        if rate is None:
            self.found = None
        return rate

    def _is_evident(self, now: float) -> bool:
        if self.rate(now) is None and self._strikes.lately(now, SLOTS * SLOT_S) < FIRST_EVIDENCE:
            return False
        strikes = self._strikes.lately(now, 1.0)
        return strikes > TOLERATED * (strikes + self._served.lately(now, 1.0))
