"""The pipeline: listers -> bounded queue of batches -> workers, in one task group."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from async_s3copy.engine.batches import BatchQueue
from async_s3copy.engine.lister import Lister
from async_s3copy.engine.listing import batches
from async_s3copy.engine.objects import ObjectCopier
from async_s3copy.engine.tasks import task_group
from async_s3copy.engine.transfer import Transfer
from async_s3copy.errors import OutageError, S3CopyError
from async_s3copy.model import Failed, S3Object
from async_s3copy.s3.client import ListPage

_MANY_PERMITS: Final = 32


async def copy_listed(transfer: Transfer, page: ListPage, *, batch_size: int) -> None:
    """Copy every object of a listing.

    Listers wait while the queue is full, so memory does not grow with the number of keys; there is
    one of them, and more while workers have nothing to do. With ``fail_fast`` the first failed
    object cancels the rest; otherwise failures are recorded and the others go on. A listing that
    breaks off lets the objects it found finish, then raises. Whatever a copy raises, instead of
    returning it as an outcome, ends everything at once.

    Args:
        transfer: The operation's shared state.
        page: The listing's first page.
        batch_size: Objects handed over together.

    Raises:
        S3Error: The listing broke off.
        CredentialsError: So did its credentials.
        OutageError: No request succeeds any more.
    """
    pipeline = _Pipeline(transfer, batch_size)
    async with task_group() as group:
        group.start_soon(pipeline.list, page)
        for _ in range(_workers(transfer.options.max_concurrent_requests)):
            group.start_soon(pipeline.work, group.cancel_scope.cancel)
    if pipeline.listing_error is not None:
        raise pipeline.listing_error


async def copy_one(transfer: Transfer, item: S3Object) -> None:
    """Copy a single object and record its outcome."""
    transfer.recorder.listed(1, item.size)
    transfer.recorder.listing_completed()
    transfer.recorder.finished(await ObjectCopier(transfer).copy(item))


def _workers(limit: int) -> int:
    """Return how many workers a limit on requests needs.

    One less than there are permits, where there are many: with as many, a single page of the
    listing would have every following request wait for a permit in turn, for ever.
    """
    return limit - 1 if limit >= _MANY_PERMITS else limit


class _Pipeline:
    def __init__(self, transfer: Transfer, batch_size: int) -> None:
        self._transfer = transfer
        self._batch_size = batch_size
        self._queue = BatchQueue(transfer.options.max_queued_batches)
        self._copier = ObjectCopier(transfer)
        self.listing_error: S3CopyError | None = None

    async def list(self, page: ListPage) -> None:
        lister = Lister(self._transfer, page, wanted=self._wanted_listers)
        try:
            await lister.run(self._queue_up)
            self._transfer.recorder.listing_completed()
        except OutageError:
            raise
        except S3CopyError as error:
            self.listing_error = error
        finally:
            self._queue.close()

    async def _queue_up(self, objects: Sequence[S3Object]) -> None:
        self._transfer.recorder.listed(len(objects), sum(item.size for item in objects))
        for batch in batches(objects, self._batch_size):
            await self._queue.put(batch)

    def _wanted_listers(self, running: int) -> int:
        """Want all listers once workers wait, and one again when the queue fills up."""
        if self._queue.starving:
            return self._transfer.options.max_concurrent_listings
        return 1 if self._queue.half_full else running

    async def work(self, stop: Callable[[], None]) -> None:
        while (item := await self._queue.take()) is not None:
            outcome = await self._copier.copy(item)
            self._transfer.recorder.finished(outcome)
            if isinstance(outcome, Failed) and self._transfer.options.fail_fast:
                stop()
