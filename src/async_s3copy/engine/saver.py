"""CheckpointSaver: stores checkpoints, now and then and whenever one must not be missed."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Any, Final

import anyio

from async_s3copy.metrics import MetricsRecorder

_LEAST_GAP_S: Final = 1.0
"""Multipart uploads wait for a checkpoint before they begin. One a second serves them all."""
_NOT_SAVED: Final = (
    "a checkpoint could not be stored: an interrupted copy goes on from an older one"
)


class CheckpointSaver:
    """Store checkpoints one at a time.

    What stores them may fail: that is counted under ``degradations["checkpoints_not_saved"]``,
    logged once, and the copy goes on.

    Args:
        store: Stores one.
        take: Takes the checkpoint to store.
        interval_s: Seconds between two of them.
        recorder: Counts what could not be stored.
    """

    def __init__(
        self,
        store: Callable[[dict[str, Any]], Awaitable[object]],
        take: Callable[[], dict[str, Any]],
        interval_s: float,
        recorder: MetricsRecorder,
    ) -> None:
        self._store = store
        self._take = take
        self._interval_s = interval_s
        self._recorder = recorder
        self._turn = anyio.Lock()
        self._wanted = 0
        self._stored = 0
        self._last_s = -math.inf

    async def run(self) -> None:
        """Store one every ``interval_s`` seconds, for ever."""
        while True:
            await anyio.sleep(max(0.0, self._last_s + self._interval_s - anyio.current_time()))
            await self.save()

    async def save(self, *, at_once: bool = False) -> None:
        """Store a checkpoint taken after this call; calls at the same time share one.

        Args:
            at_once: Do not wait for a second to pass since the one before.
        """
        self._wanted += 1
        number = self._wanted
        async with self._turn:
            if self._stored >= number:
                return
            if not at_once:
                await self._wait_for_gap()
            newest = self._wanted
            await self._store_one()
            self._stored, self._last_s = newest, anyio.current_time()

    async def _wait_for_gap(self) -> None:
        gap_s = min(_LEAST_GAP_S, self._interval_s)
        await anyio.sleep(max(0.0, self._last_s + gap_s - anyio.current_time()))

    async def _store_one(self) -> None:
        try:
            await self._store(self._take())
        except Exception as error:
            # What it says may hold what must not be logged; the kind of error cannot.
            text = f"{_NOT_SAVED} ({type(error).__name__})"
            self._recorder.degraded("checkpoints_not_saved", text)
