"""Pacer: requests set off evenly at a rate, first come, first served, with one timer for all."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

TICK_S: Final = 0.002
"""Requests that wait set off in batches this far apart: a timer for each would cost more."""
CREDIT_S: Final = 0.025
"""Time that is made up for after a pause: so late the loop may be; no burst is larger."""


class Pacer:
    """Let requests pass at a rate.

    Args:
        rate: Returns the requests per second allowed at a time; ``None`` for any number.
        clock: Returns the time in seconds; monotonic.
    """

    __slots__ = ("_clock", "_next", "_rate", "_timer", "_waiting")

    def __init__(self, rate: Callable[[float], float | None], clock: Callable[[], float]) -> None:
        self._rate = rate
        self._clock = clock
        self._next = 0.0
        self._waiting: OrderedDict[asyncio.Future[None], None] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> int:
        """Requests that wait for their turn."""
        return len(self._waiting)

    def admit(self) -> bool:
        """Take a turn if it is due and nobody waits; tell whether it was taken."""
        return not self._waiting and self._due(self._clock())

    async def turn(self) -> None:
        """Wait for a turn; cancelled meanwhile, it does not delay the others."""
        if self.admit():
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[turn] = None
        self._arm()
        try:
            await turn
        except BaseException:
            self._waiting.pop(turn, None)
            if not self._waiting:
                self._disarm()
            raise

    def _due(self, now: float) -> bool:
        rate = self._rate(now)
        if rate is None:
            return True
        if self._next > now:
            # The rate may have risen since: never wait longer than one interval of it.
            self._next = min(self._next, now + 1 / rate)
            return False
        self._next = max(self._next, now - CREDIT_S) + 1 / rate
        return True

    def _arm(self) -> None:
        if self._timer is None:
            wait_s = max(self._next - self._clock(), TICK_S)
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._tick)

    def _disarm(self) -> None:
        # An armed timer holds on to its event loop.
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        self._timer = None
        now = self._clock()
        while self._waiting and self._due(now):
            turn, _ = self._waiting.popitem(last=False)
            if not turn.done():
                turn.set_result(None)
        if self._waiting:
            self._arm()
