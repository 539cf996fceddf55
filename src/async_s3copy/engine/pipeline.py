"""The pipeline: listers -> bounded queue of batches -> workers, in one task group."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Sequence
from functools import partial
from typing import Any, Final, Protocol, TypeAlias

from async_s3copy.engine.batches import Batch, BatchQueue, batches
from async_s3copy.engine.lister import Lister
from async_s3copy.engine.objects import ObjectCopier
from async_s3copy.engine.spans import Span
from async_s3copy.engine.tasks import task_group
from async_s3copy.engine.transfer import Transfer
from async_s3copy.engine.unfinished import read_anew
from async_s3copy.engine.versions.listing import VersionLister
from async_s3copy.errors import RunEndingError, S3CopyError
from async_s3copy.model import Failed, Outcome, S3Object
from async_s3copy.s3.listed import size_of
from async_s3copy.s3.values import ListPage, VersionPage

_MANY_PERMITS: Final = 32

Stop: TypeAlias = Callable[[], None]
"""Cancels listing and workers together."""


async def copy_listed(
    transfer: Transfer, page: ListPage | VersionPage | None, *, batch_size: int
) -> None:
    """Copy every object of a listing, after those that earlier runs left unfinished.

    Listers wait while the queue is full, so memory does not grow with the number of keys; there is
    one of them, and more while workers have nothing to do. With ``fail_fast`` the first failed
    object cancels the rest; otherwise failures are recorded and the others go on. A listing that
    breaks off lets the objects it found finish, then raises. Whatever a copy raises, instead of
    returning it as an outcome, ends everything at once.

    Args:
        transfer: The operation's shared state.
        page: The first page of the journal's first range; ``None`` where nothing is to be listed. A
            page of versions has the rest listed so, too, and what is current there copied.
        batch_size: Objects handed over together.

    Raises:
        S3Error: The listing broke off.
        RunEndingError: No request succeeds any more, or the credentials do not hold.
    """
    workers = workers_for(transfer.options.max_concurrent_requests)
    pipeline = _Pipeline(transfer, batch_size, workers)
    await run_stages(transfer, pipeline, partial(pipeline.list, page), workers)


class Stages(Protocol):
    """The two ends of a queue.

    Attributes:
        listing_error: Why the listing broke off; ``None`` where it did not.
    """

    listing_error: S3CopyError | None

    async def work(self, number: int, stop: Stop) -> None:
        """Empty the queue, as one worker of many."""
        ...


async def run_stages(
    transfer: Transfer,
    stages: Stages,
    fill: Callable[[Stop], Coroutine[Any, Any, None]],
    workers: int,
) -> None:
    """Run both ends of a queue to the end, and note that everything has been taken.

    Args:
        transfer: The operation's shared state.
        stages: Has the workers, and tells how the listing ended.
        fill: Lists into the queue; like a worker, it is given what cancels all.
        workers: How many workers there are.

    Raises:
        S3Error: The listing broke off.
        RunEndingError: No object would fare better than the one that met it.
    """
    async with task_group() as group:
        group.start_soon(fill, group.cancel_scope.cancel)
        for number in range(workers):
            group.start_soon(stages.work, number, group.cancel_scope.cancel)
    if stages.listing_error is not None:
        raise stages.listing_error
    if not group.cancel_scope.cancel_called:
        transfer.journal.all_taken()


async def copy_one(transfer: Transfer, item: S3Object) -> None:
    """Copy a single object and record its outcome."""
    transfer.journal.watch(lambda: (item.key,))
    transfer.recorder.listed(1, item.size)
    transfer.recorder.listing_completed()
    outcome = await ObjectCopier(transfer).copy(item)
    transfer.journal.watch(tuple)
    transfer.journal.finished(outcome)
    transfer.recorder.finished(outcome)


def workers_for(limit: int) -> int:
    """Return how many workers a limit on requests needs.

    One less than there are permits, where there are many: with as many, a single page of the
    listing would have every following request wait for a permit in turn, for ever.
    """
    return limit - 1 if limit >= _MANY_PERMITS else limit


class _Pipeline:
    def __init__(self, transfer: Transfer, batch_size: int, workers: int) -> None:
        self._transfer = transfer
        self._journal = transfer.journal
        self._batch_size = batch_size
        self._queue: BatchQueue[S3Object] = BatchQueue(
            transfer.options.max_queued_batches, self._journal.begun
        )
        self._copier = ObjectCopier(transfer)
        self._working: list[S3Object | None] = [None] * workers
        self._journal.watch(self._in_hand)
        self.listing_error: S3CopyError | None = None

    async def list(self, page: ListPage | VersionPage | None, stop: Stop) -> None:
        try:
            await self._queue_unfinished(stop)
            if isinstance(page, ListPage):
                await self._lister(page).run(self._queue_up)
            elif page is not None:
                await VersionLister(self._transfer, page).current(self._queue_up)
            self._transfer.recorder.listing_completed()
        except RunEndingError:
            raise
        except S3CopyError as error:
            self.listing_error = error
        finally:
            self._queue.close()

    def _lister(self, page: ListPage) -> Lister:
        return Lister(
            self._transfer,
            page,
            wanted=self._wanted_listers,
            bounds=self._journal.scope.bounds,
            ranges=self._journal.ranges,
            restarted=self._restarted,
        )

    async def _queue_unfinished(self, stop: Stop) -> None:
        found = await read_anew(self._transfer, self._journal.unfinished)
        objects = [each for each in found if isinstance(each, S3Object)]
        for failed in found:
            if isinstance(failed, Failed):
                self._transfer.recorder.listed(1, 0)
                self._finish(failed, stop)
        await self._queue_all(objects, batches(objects, None, self._batch_size))

    async def _queue_up(self, objects: Sequence[S3Object], span: Span | None) -> None:
        if span is None:
            self._journal.order_lost()
        elif not objects:
            self._journal.begun(span)
        await self._queue_all(objects, batches(objects, span, self._batch_size))

    async def _queue_all(self, objects: Sequence[S3Object], cut: Sequence[Batch[S3Object]]) -> None:
        if objects:
            self._transfer.recorder.listed(len(objects), size_of(objects))
        for batch in cut:
            await self._queue.put(batch)

    def _restarted(self) -> None:
        self._journal.order_lost()
        self._transfer.recorder.forget_earlier()

    def _in_hand(self) -> Iterable[str]:
        """Name the objects of begun batches that are not finished."""
        yield from (item.key for item in self._queue.current)
        yield from (item.key for item in self._working if item is not None)

    def _wanted_listers(self, running: int) -> int:
        """Want all listers once workers wait, and one again when the queue fills up."""
        if self._queue.starving:
            return self._transfer.options.max_concurrent_listings
        return 1 if self._queue.half_full else running

    async def work(self, number: int, stop: Stop) -> None:
        while (item := await self._queue.take()) is not None:
            self._working[number] = item
            outcome = await self._copier.copy(item)
            self._working[number] = None
            self._finish(outcome, stop)

    def _finish(self, outcome: Outcome, stop: Stop) -> None:
        self._journal.finished(outcome)
        self._transfer.recorder.finished(outcome)
        if isinstance(outcome, Failed) and self._transfer.options.fail_fast:
            stop()
