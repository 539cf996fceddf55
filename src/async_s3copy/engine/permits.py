"""Permits: how many requests may be in flight, first come, first served."""

from __future__ import annotations

import asyncio
from collections import OrderedDict


class Permits:
    """Bound how many tasks hold a permit at once.

    Taking a free permit never yields to the event loop: a limiter that always does would cost each
    request a turn of the loop. Strictly first come, first served, and nothing is lost when a
    waiting task is cancelled.

    Args:
        limit: Permits there are.
    """

    __slots__ = ("_limit", "_waiting", "held")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting: OrderedDict[asyncio.Future[None], None] = OrderedDict()
        self.held = 0

    @property
    def limit(self) -> int:
        """Permits there are; more may be held for a while after the limit was lowered."""
        return self._limit

    @limit.setter
    def limit(self, limit: int) -> None:
        self._limit = limit
        self._serve()

    @property
    def waiting(self) -> int:
        """Tasks that wait for a permit."""
        return len(self._waiting)

    def take(self) -> bool:
        """Take a permit if one is free; tell whether it was taken.

        Nobody is overtaken: a permit given back goes to the first who waits at once.
        """
        if self.held < self._limit:
            self.held += 1
            return True
        return False

    async def acquire(self) -> None:
        """Take a permit, and wait for it if need be; cancelled while waiting, nothing is held."""
        if self.take():
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[turn] = None
        try:
            await turn
        except BaseException:
            if turn.done() and not turn.cancelled():
                # Served, and cancelled before it could run again: the next one gets it.
                self.release()
            else:
                self._waiting.pop(turn, None)
            raise

    def release(self) -> None:
        """Give a permit back."""
        self.held -= 1
        if self._waiting:
            self._serve()

    def _serve(self) -> None:
        while self._waiting and self.held < self._limit:
            turn, _ = self._waiting.popitem(last=False)
            if not turn.done():
                self.held += 1
                turn.set_result(None)
