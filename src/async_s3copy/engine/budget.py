"""ByteBudget: a bound on bytes held in memory, first come, first served."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio


class ByteBudget:
    """Bound the bytes that many tasks hold at once.

    Strictly first come, first served: a large request is never overtaken by small ones, so it
    cannot starve, and parts reserved in order are served in order.

    Args:
        total_bytes: The bound.
    """

    def __init__(self, total_bytes: int) -> None:
        self._total = total_bytes
        self._free = total_bytes
        self._waiting: deque[tuple[int, anyio.Event]] = deque()

    @property
    def used_bytes(self) -> int:
        """Bytes reserved now."""
        return self._total - self._free

    @asynccontextmanager
    async def holding(self, size_bytes: int) -> AsyncIterator[None]:
        """Reserve bytes for the time of a block."""
        await self.reserve(size_bytes)
        try:
            yield
        finally:
            self.release(size_bytes)

    async def reserve(self, size_bytes: int) -> None:
        """Wait until the bytes are free and every earlier request has been served.

        Cancelled while waiting, nothing stays reserved.

        Raises:
            ValueError: More than the budget; the planner refuses such parts before.
        """
        if size_bytes > self._total:
            raise ValueError(f"{size_bytes:,} bytes never fit a budget of {self._total:,}")
        if not self._waiting and size_bytes <= self._free:
            self._free -= size_bytes
            return
        entry = (size_bytes, anyio.Event())
        self._waiting.append(entry)
        try:
            await entry[1].wait()
        except BaseException:
            if entry[1].is_set():
                self.release(size_bytes)
            else:
                self._waiting.remove(entry)
                self._serve()
            raise

    def release(self, size_bytes: int) -> None:
        """Give bytes back."""
        self._free += size_bytes
        self._serve()

    def _serve(self) -> None:
        while self._waiting and self._waiting[0][0] <= self._free:
            size_bytes, served = self._waiting.popleft()
            self._free -= size_bytes
            served.set()
