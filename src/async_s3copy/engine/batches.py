"""BatchQueue: the bounded queue between the lister and the workers."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import anyio

from async_s3copy.model import S3Object


class BatchQueue:
    """Hand batches of objects from one lister to many workers.

    The lister waits while ``max_batches`` whole batches are queued. A worker takes one object at a
    time, so that a single batch keeps all workers busy.

    Args:
        max_batches: How many batches may wait.
    """

    def __init__(self, max_batches: int) -> None:
        self._max_batches = max_batches
        self._batches: deque[Sequence[S3Object]] = deque()
        self._current: deque[S3Object] = deque()
        self._closed = False
        self._filled = anyio.Event()
        self._drained = anyio.Event()

    @property
    def queued_batches(self) -> int:
        """Batches no worker has touched yet."""
        return len(self._batches)

    async def put(self, batch: Sequence[S3Object]) -> None:
        """Queue a batch; wait while the queue is full."""
        while len(self._batches) >= self._max_batches:
            self._drained = anyio.Event()
            await self._drained.wait()
        self._batches.append(batch)
        self._wake_workers()

    def close(self) -> None:
        """Say that no more batches come."""
        self._closed = True
        self._wake_workers()

    async def take(self) -> S3Object | None:
        """Take the next object; wait for one; ``None`` once the queue is closed and empty."""
        while not self._current:
            if self._batches:
                self._current.extend(self._batches.popleft())
                self._drained.set()
            elif self._closed:
                return None
            else:
                await self._filled.wait()
        return self._current.popleft()

    def _wake_workers(self) -> None:
        self._filled.set()
        self._filled = anyio.Event()
