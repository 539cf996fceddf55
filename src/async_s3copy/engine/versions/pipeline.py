"""The pipeline of ``all_versions``: histories instead of objects, else as ``engine.pipeline``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Final

from async_s3copy.engine.batches import Batch, BatchQueue
from async_s3copy.engine.budget import ByteBudget
from async_s3copy.engine.pipeline import Stop, run_stages, workers_for
from async_s3copy.engine.spans import Span
from async_s3copy.engine.transfer import Transfer
from async_s3copy.engine.unfinished import CLOCKS_APART, target_of, unread
from async_s3copy.engine.versions.arrivals import Arrivals
from async_s3copy.engine.versions.copying import HistoryCopier, failed_once
from async_s3copy.engine.versions.histories import MAX_VERSIONS, History
from async_s3copy.engine.versions.listing import VersionLister, key_versions
from async_s3copy.errors import RunEndingError, S3CopyError, S3Error
from async_s3copy.model import Failed, Outcome, S3Location
from async_s3copy.s3.values import VersionPage

_MAX_HELD: Final = 5 * MAX_VERSIONS
"""Versions that are queued or copied, over all keys together: about 20 MiB."""


async def copy_histories(transfer: Transfer, page: VersionPage | None, *, batch_size: int) -> None:
    """Copy every version of every key, each key's oldest first, different keys at the same time.

    Keys are taken in order, after those that earlier runs left unfinished. Outcomes are told key
    by key, when a key's last version is done. Failures end a run as in ``copy_listed``.

    Args:
        transfer: The operation's shared state.
        page: The first page of the journal's first range; ``None`` where nothing is to be listed.
        batch_size: Versions handed over together; one key's are never divided.

    Raises:
        S3Error: The listing broke off.
        RunEndingError: No request succeeds any more, the credentials do not hold, or the
            destination keeps no versions.
    """
    workers = workers_for(transfer.options.max_concurrent_requests)
    pipeline = _HistoryPipeline(transfer, batch_size, workers)
    await run_stages(transfer, pipeline, partial(pipeline.list, page), workers)


class _HistoryPipeline:
    def __init__(self, transfer: Transfer, batch_size: int, workers: int) -> None:
        self._transfer = transfer
        self._journal = transfer.journal
        self._batch_size = batch_size
        self._queue: BatchQueue[History] = BatchQueue(
            transfer.options.max_queued_batches, self._journal.begun
        )
        # A budget counts whatever it is given: here versions.
        self._held = ByteBudget(_MAX_HELD)
        self._copier = HistoryCopier(transfer)
        self._working: list[History | None] = [None] * workers
        self._journal.watch(self._in_hand)
        self._arrivals = self._earlier_arrivals()
        self.listing_error: S3CopyError | None = None

    def _earlier_arrivals(self) -> Arrivals | None:
        if not self._journal.goes_on:
            return None
        started = self._transfer.recorder.earlier().start_time
        return Arrivals(self._transfer, started - CLOCKS_APART)

    async def list(self, page: VersionPage | None, stop: Stop) -> None:
        try:
            await self._queue_unfinished(stop)
            if page is not None:
                await VersionLister(self._transfer, page).histories(self._queue_up)
            self._transfer.recorder.listing_completed()
        except RunEndingError:
            raise
        except S3CopyError as error:
            self.listing_error = error
        finally:
            self._queue.close()

    async def _queue_unfinished(self, stop: Stop) -> None:
        for key in self._journal.unfinished:
            try:
                found = await key_versions(
                    self._transfer, S3Location(self._transfer.mapping.source.bucket, key)
                )
            except S3Error as error:
                target = target_of(self._transfer, key)
                failed = Failed(unread(self._transfer, key), target, error)
                self._transfer.recorder.listed(1, 0)
                self._finish([failed], stop)
                continue
            if not found:
                self._journal.gone(key)
            for history in found:
                known = await self._with_arrivals(history)
                await self._queue_all([Batch([known])])

    async def _with_arrivals(self, history: History) -> History:
        return history if self._arrivals is None else await self._arrivals.of(history)

    async def _queue_up(self, histories: Sequence[History], span: Span) -> None:
        if self._arrivals is not None:
            histories = await self._arrivals.beside(histories, span)
        if not histories:
            self._journal.begun(span)
        await self._queue_all(_cut(histories, span, self._batch_size))

    async def _queue_all(self, cut: Iterable[Batch[History]]) -> None:
        for batch in cut:
            await self._held.reserve(_held(batch.objects))
            size = sum(each.size for history in batch.objects for each in history.versions)
            self._transfer.recorder.listed(_held(batch.objects), size)
            await self._queue.put(batch)

    def _in_hand(self) -> Iterable[str]:
        """Name the keys of begun batches that are not finished."""
        yield from (each.key for each in self._queue.current)
        yield from (each.key for each in self._working if each is not None)

    async def work(self, number: int, stop: Stop) -> None:
        while (history := await self._queue.take()) is not None:
            self._working[number] = history
            outcomes = await self._copier.copy(history)
            self._working[number] = None
            self._finish(outcomes, stop)
            self._held.release(_held([history]))

    def _finish(self, outcomes: Sequence[Outcome], stop: Stop) -> None:
        """Account for all versions of a key at once: a checkpoint knows of keys only."""
        for outcome in outcomes:
            self._transfer.recorder.finished(outcome)
        failed = failed_once(outcomes)
        if failed is not None:
            self._journal.counted_again(outcomes)
        self._journal.finished(failed or outcomes[-1])
        if failed is not None and self._transfer.options.fail_fast:
            stop()


def _cut(histories: Sequence[History], span: Span, batch_size: int) -> Iterator[Batch[History]]:
    """Cut a page's histories, and its span with them, into batches of so many versions."""
    chosen: list[History] = []
    after, versions = span.after, 0
    for history in histories:
        versions += len(history.versions)
        if chosen and versions > batch_size:
            yield Batch(chosen, Span(after, chosen[-1].key))
            after, chosen, versions = chosen[-1].key, [], len(history.versions)
        chosen.append(history)
    if chosen:
        yield Batch(chosen, Span(after, span.until))


def _held(histories: Sequence[History]) -> int:
    """Return how many versions are held; as many are found, of a key with too many only one."""
    return sum(len(each.versions) for each in histories)
