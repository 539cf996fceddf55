"""The pipeline: lister -> bounded queue of batches -> workers, in one task group."""

from __future__ import annotations

from collections.abc import Callable

from async_s3copy.engine.batches import BatchQueue
from async_s3copy.engine.listing import batches, pages
from async_s3copy.engine.objects import ObjectCopier
from async_s3copy.engine.tasks import task_group
from async_s3copy.engine.transfer import Transfer
from async_s3copy.errors import S3CopyError
from async_s3copy.model import Failed, S3Object
from async_s3copy.s3.client import ListPage


async def copy_listed(transfer: Transfer, page: ListPage, *, batch_size: int) -> None:
    """Copy every object of a listing.

    The lister waits while the queue is full, so memory does not grow with the number of keys. With
    ``fail_fast`` the first failed object cancels the rest; otherwise failures are recorded and the
    others go on. A listing that breaks off lets the objects it found finish, then raises.

    Args:
        transfer: The operation's shared state.
        page: The listing's first page.
        batch_size: Objects handed over together.

    Raises:
        S3Error: The listing broke off.
        CredentialsError: So did its credentials.
    """
    pipeline = _Pipeline(transfer, batch_size)
    async with task_group() as group:
        group.start_soon(pipeline.list, page)
        for _ in range(transfer.options.max_concurrent_requests):
            group.start_soon(pipeline.work, group.cancel_scope.cancel)
    if pipeline.listing_error is not None:
        raise pipeline.listing_error


async def copy_one(transfer: Transfer, item: S3Object) -> None:
    """Copy a single object and record its outcome."""
    transfer.recorder.listed(1, item.size)
    transfer.recorder.listing_completed()
    transfer.recorder.finished(await ObjectCopier(transfer).copy(item))


class _Pipeline:
    def __init__(self, transfer: Transfer, batch_size: int) -> None:
        self._transfer = transfer
        self._batch_size = batch_size
        self._queue = BatchQueue(transfer.options.max_queued_batches)
        self._copier = ObjectCopier(transfer)
        self.listing_error: S3CopyError | None = None

    async def list(self, page: ListPage) -> None:
        recorder = self._transfer.recorder
        try:
            async for listed in pages(self._transfer, page):
                recorder.listed(len(listed.objects), sum(o.size for o in listed.objects))
                for batch in batches(listed, self._batch_size):
                    await self._queue.put(batch)
            recorder.listing_completed()
        except S3CopyError as error:
            self.listing_error = error
        finally:
            self._queue.close()

    async def work(self, stop: Callable[[], None]) -> None:
        while (item := await self._queue.take()) is not None:
            outcome = await self._copier.copy(item)
            self._transfer.recorder.finished(outcome)
            if isinstance(outcome, Failed) and self._transfer.options.fail_fast:
                stop()
