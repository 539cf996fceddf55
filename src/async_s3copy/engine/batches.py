"""BatchQueue: the bounded queue between the listers and the workers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import anyio

from async_s3copy.engine.spans import Span
from async_s3copy.model import S3Object

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Batch(Generic[T]):
    """Objects handed over together; or the histories of as many keys.

    Attributes:
        objects: They; at least one.
        span: The keys of the listing that they are all of; ``None`` where that cannot be told.
    """

    objects: Sequence[T]
    span: Span | None = None


def batches(
    objects: Sequence[S3Object], span: Span | None, batch_size: int
) -> list[Batch[S3Object]]:
    """Cut a page's objects, and its span with them, into batches; the last may be smaller."""
    cut: list[Batch[S3Object]] = []
    after = None if span is None else span.after
    for first in range(0, len(objects), batch_size):
        chosen = objects[first : first + batch_size]
        if span is None:
            cut.append(Batch(chosen))
            continue
        is_last = first + batch_size >= len(objects)
        until = span.until if is_last else chosen[-1].key
        cut.append(Batch(chosen, Span(after, until)))
        after = until
    return cut


def _ignore(span: Span) -> None:
    """Nobody asks how far the workers are."""


class BatchQueue(Generic[T]):
    """Hand batches of objects from the listers to many workers.

    A lister waits while ``max_batches`` whole batches are queued. A worker takes one object at a
    time, so that a single batch keeps all workers busy.

    Args:
        max_batches: How many batches may wait.
        begun: Told of the span of each batch whose objects workers take from now on.
    """

    def __init__(self, max_batches: int, begun: Callable[[Span], object] = _ignore) -> None:
        self._max_batches = max_batches
        self._begun = begun
        self._batches: deque[Batch[T]] = deque()
        self._current: deque[T] = deque()
        self._closed = False
        self._fed = False
        self._workers = _Waiters()
        self._listers = _Waiters()

    @property
    def queued_batches(self) -> int:
        """Batches no worker has touched yet."""
        return len(self._batches)

    @property
    def current(self) -> Iterable[T]:
        """The objects of the batch that workers are taking, those not taken yet."""
        return self._current

    @property
    def starving(self) -> bool:
        """Whether workers wait although there has been something to do."""
        return self._fed and not self._batches and not self._current and bool(self._workers)

    @property
    def half_full(self) -> bool:
        """Whether at least half of the batches that may wait do."""
        return len(self._batches) * 2 >= self._max_batches

    async def put(self, batch: Batch[T]) -> None:
        """Queue a batch; wait while the queue is full."""
        while len(self._batches) >= self._max_batches:
            await self._listers.wait()
        self._fed = True
        self._batches.append(batch)
        self._workers.wake(len(batch.objects))

    def close(self) -> None:
        """Say that no more batches come."""
        self._closed = True
        self._workers.wake(len(self._workers))

    async def take(self) -> T | None:
        """Take the next object; wait for one; ``None`` once the queue is closed and empty.

        Does not yield to the event loop where an object is there.
        """
        current = self._current
        while not current:
            if self._batches:
                self._begin(self._batches.popleft())
                self._listers.wake(1)
            elif self._closed:
                return None
            else:
                await self._workers.wait()
        return current.popleft()

    def _begin(self, batch: Batch[T]) -> None:
        self._current.extend(batch.objects)
        if batch.span is not None:
            self._begun(batch.span)


class _Waiters:
    """Wake as many of those who wait as there is something for, the longest waiting first."""

    def __init__(self) -> None:
        self._events: deque[anyio.Event] = deque()

    def __len__(self) -> int:
        return len(self._events)

    async def wait(self) -> None:
        """Wait to be woken, and look again: somebody else may have been faster."""
        event = anyio.Event()
        self._events.append(event)
        try:
            await event.wait()
        except BaseException:
            if event.is_set():
                self.wake(1)  # woken and cancelled at once: the call goes to the next
            else:
                self._events.remove(event)
            raise

    def wake(self, count: int) -> None:
        """Wake ``count`` of them, if there are so many."""
        for _ in range(min(count, len(self._events))):
            self._events.popleft().set()
