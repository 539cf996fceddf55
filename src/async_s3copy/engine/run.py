"""One run of a copy: connect, validate, copy, and store checkpoints meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TypeAlias

import anyio

from async_s3copy.engine.connect import connected
from async_s3copy.engine.governor import governed
from async_s3copy.engine.journal import Journal
from async_s3copy.engine.pipeline import copy_listed, copy_one
from async_s3copy.engine.preflight import validate
from async_s3copy.engine.saver import CheckpointSaver
from async_s3copy.engine.shared import Place
from async_s3copy.engine.tasks import task_group
from async_s3copy.engine.transfer import Transfer
from async_s3copy.engine.unfinished import abort_left_uploads
from async_s3copy.engine.versions.pipeline import copy_histories
from async_s3copy.errors import CopyFailedError, RunEndingError, S3CopyError
from async_s3copy.metrics import MetricsRecorder
from async_s3copy.model import S3Object
from async_s3copy.options import CopyOptions
from async_s3copy.s3.account import Account
from async_s3copy.s3.terms import terms_of
from async_s3copy.s3.values import ListPage, VersionPage

Start: TypeAlias = ListPage | VersionPage | S3Object | None
"""What a copy starts from: see ``validate``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyRun:
    """Hold what one run of a copy needs.

    Attributes:
        source: Whose credentials list and read.
        destination: Whose credentials copy and write.
        overwrite: Whether existing destination objects are replaced.
        batch_size: Objects handed over together.
        options: The engine's knobs.
        recorder: Counts everything.
        journal: Knows what is copied where, and what of it is done.
        saver: Stores checkpoints; ``None`` stores none.
    """

    source: Account
    destination: Account
    overwrite: bool
    batch_size: int
    options: CopyOptions
    recorder: MetricsRecorder
    journal: Journal
    saver: CheckpointSaver | None

    async def run(self, copying: Callable[[], object]) -> None:
        """Validate and copy; on leaving, every upload is aborted and every connection closed.

        Args:
            copying: Called when everything is validated, before the first object is copied.

        Raises:
            ValidationError: Source and destination overlap, or the method is impossible.
            S3Error: A bucket, key or permission is missing; nothing was written.
            CredentialsError: One side has no usable credentials; nothing was written.
            CopyFailedError: The listing broke off, nothing succeeded any more, or the credentials
                no longer held.
        """
        async with AsyncExitStack() as stack:
            transfer = await self._open(stack)
            start = await validate(transfer)
            copying()
            await self._copy_saving(transfer, start)

    async def _open(self, stack: AsyncExitStack) -> Transfer:
        mapping = self.journal.scope.mapping
        terms = terms_of(
            self.options,
            (self.source, mapping.source),
            (self.destination, mapping.destination),
        )
        here, there = await stack.enter_async_context(
            connected(
                self.source, self.destination, self.options, self.recorder.unseen_request, terms
            )
        )
        governor = stack.enter_context(
            governed(
                self.options,
                self.recorder,
                source=Place(here.endpoint.url, mapping.source.bucket),
                destination=Place(there.endpoint.url, mapping.destination.bucket),
            )
        )
        return Transfer(
            source=here,
            destination=there,
            mapping=mapping,
            overwrite=self.overwrite,
            options=self.options,
            governor=governor,
            recorder=self.recorder,
            journal=self.journal,
        )

    async def _copy_saving(self, transfer: Transfer, start: Start) -> None:
        if self.saver is None:
            await self._copy(transfer, start)
            return
        try:
            async with task_group() as group:
                group.start_soon(self.saver.run)
                await self._copy(transfer, start)
                group.cancel_scope.cancel()
        finally:
            with anyio.move_on_after(self.options.cleanup_timeout_s, shield=True):
                await self.saver.save(at_once=True)

    async def _copy(self, transfer: Transfer, start: Start) -> None:
        try:
            await abort_left_uploads(transfer, self.recorder.earlier().start_time)
            if isinstance(start, S3Object):
                await copy_one(transfer, start)
            elif self.journal.scope.versions == "all":
                page = start if isinstance(start, VersionPage) else None
                await copy_histories(transfer, page, batch_size=self.batch_size)
            else:
                await copy_listed(transfer, start, batch_size=self.batch_size)
        except RunEndingError as error:
            raise self._broken_off(str(error), error) from error
        except S3CopyError as error:
            reason = f"the listing of {transfer.mapping.source} broke off: {error}"
            raise self._broken_off(reason, error) from error

    def _broken_off(self, reason: str, error: S3CopyError) -> CopyFailedError:
        self.recorder.failed(str(error))
        self.recorder.end()
        metrics, failures = self.recorder.snapshot(), self.recorder.failures
        return CopyFailedError(reason, metrics=metrics, failures=failures)
