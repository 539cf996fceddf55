"""S3CopyOperation: the parameters, the state machine, progress and cancellation of one copy."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias, Union

import anyio
import anyio.lowlevel

from async_s3copy import rules
from async_s3copy.engine.checkpoint import Checkpoint, CopyScope
from async_s3copy.engine.choice import check_range, check_versions, versions_of
from async_s3copy.engine.journal import Journal
from async_s3copy.engine.plan import KeyMapping
from async_s3copy.engine.report import Report
from async_s3copy.engine.run import CopyRun
from async_s3copy.engine.saver import CheckpointSaver
from async_s3copy.engine.spans import Span
from async_s3copy.engine.tasks import task_group
from async_s3copy.errors import (
    CopyCancelledError,
    CopyFailedError,
    OperationStateError,
    ValidationError,
)
from async_s3copy.metrics import MetricsRecorder, TransferMetrics
from async_s3copy.model import OperationState, S3Location
from async_s3copy.observer import Observer
from async_s3copy.options import CopyOptions
from async_s3copy.s3.account import Account, as_account

if TYPE_CHECKING:
    from aioboto3 import Session as Aioboto3Session
    from aiobotocore.session import AioSession

StoreCheckpoint: TypeAlias = Callable[[dict[str, Any]], Awaitable[object]]
AccountLike: TypeAlias = Union[Account, "AioSession", "Aioboto3Session", None]

TRANSITIONS: Final = {
    OperationState.INITIALIZED: (OperationState.VALIDATING,),
    OperationState.VALIDATING: (OperationState.COPYING, OperationState.VALIDATION_FAILED),
    OperationState.COPYING: (OperationState.COMPLETED, OperationState.COPY_FAILED),
    OperationState.COMPLETED: (),
    OperationState.VALIDATION_FAILED: (),
    OperationState.COPY_FAILED: (),
}
"""Every transition there is."""

_CONNECTION_IDS: Final = ("source_aws_conn_id", "dest_aws_conn_id")
_FAILED: Final = {
    OperationState.VALIDATING: OperationState.VALIDATION_FAILED,
    OperationState.COPYING: OperationState.COPY_FAILED,
}


class S3CopyOperation:
    """Run one copy, and watch or cancel it meanwhile.

    The parameters are checked when it runs, in state VALIDATING, before anything is written.

    Args:
        source_bucket: Source bucket name or access-point ARN.
        source_key: Source key, or prefix where ``recursive``; ``None`` for the whole bucket.
        destination_bucket: Destination bucket name or access-point ARN.
        destination_key: Destination key or prefix; ``None`` for the bucket's root. Not recursive,
            a key that ends in ``/`` (or ``None``) receives the last part of the source's name.
        recursive: Copy every key that starts with ``source_key``, and replace that prefix with
            ``destination_key``, byte for byte. Default ``False``: exactly one object.
        source_aws_conn_id: Airflow connection of the source account; only Airflow can resolve it.
        dest_aws_conn_id: Airflow connection of the destination account.
        batch_size: Objects handed to the workers together, 1 to 1,000. Default 100: ten batches a
            listing page.
        overwrite: ``True`` (default) replaces existing objects; ``False`` leaves them alone and
            counts them as skipped.
        source: Whose credentials list and read: an ``Account``, an aioboto3 or aiobotocore
            session, or ``None`` for the default chain.
        destination: Whose credentials copy and write; likewise.
        options: The engine's knobs.
        observer: Is told of progress.
        report: File that receives one JSON line per object; ``None`` writes none. An operation that
            goes on from a checkpoint adds to it.
        start_after: Copy only keys after this one; ``None``, the default, begins with the first.
            Only where ``recursive``.
        up_to: Copy only keys up to this one, itself included; ``None``, the default, goes on to
            the last. With ``start_after`` a half-open range: ranges that meet share no key.
        version_id: Version of the one object to copy; ``None``, the default: the current one.
        pin_versions: Copy each object in the version that a (serial) listing of versions shows.
            Default ``False``: one overwritten meanwhile is read anew. Only where ``recursive``.
        all_versions: Copy all versions, oldest first, and delete markers. Default ``False``.
        resume_from: What ``checkpoint()`` returned in an earlier run of this copy, which may have
            been killed: only what was left is copied. Keeps the operation's id, start and counts.
        on_checkpoint: Stores a checkpoint; awaited every ``checkpoint_interval_s``, before a
            multipart upload is created, and at the end. What it raises is logged by its kind and
            counted as ``degradations["checkpoints_not_saved"]``; the copy goes on.
        checkpoint_interval_s: Seconds between two checkpoints. Default 10: what a killed run has
            copied since the last one is copied again.
    """

    def __init__(
        self,
        source_bucket: str,
        source_key: str | None,
        destination_bucket: str,
        destination_key: str | None,
        *,
        recursive: bool = False,
        source_aws_conn_id: str | None = None,
        dest_aws_conn_id: str | None = None,
        batch_size: int = 100,
        overwrite: bool = True,
        source: AccountLike = None,
        destination: AccountLike = None,
        options: CopyOptions | None = None,
        observer: Observer | None = None,
        report: str | Path | None = None,
        start_after: str | None = None,
        up_to: str | None = None,
        version_id: str | None = None,
        pin_versions: bool = False,
        all_versions: bool = False,
        resume_from: Mapping[str, Any] | None = None,
        on_checkpoint: StoreCheckpoint | None = None,
        checkpoint_interval_s: float = 10.0,
    ) -> None:
        self.source_bucket = source_bucket
        self.source_key = source_key
        self.destination_bucket = destination_bucket
        self.destination_key = destination_key
        self.recursive = recursive
        self.source_aws_conn_id = source_aws_conn_id
        self.dest_aws_conn_id = dest_aws_conn_id
        self.batch_size = batch_size
        self.overwrite = overwrite
        self.start_after = start_after
        self.up_to = up_to
        self.version_id = version_id
        self.pin_versions = pin_versions
        self.all_versions = all_versions
        self.resume_from = resume_from
        self.checkpoint_interval_s = checkpoint_interval_s
        self.options = options or CopyOptions()
        self.operation_id = str(uuid.uuid4())
        self.failure_reason: str | None = None
        self._accounts = (source, destination)
        self._on_checkpoint = on_checkpoint
        self._report = None if report is None else Report(report, append=resume_from is not None)
        observers = tuple(each for each in (self._report, observer) if each is not None)
        self._recorder = MetricsRecorder(
            self.operation_id, observers=observers, max_errors_kept=self.options.max_errors_kept
        )
        self._journal: Journal | None = None
        self._state = OperationState.INITIALIZED
        self._cancel_requested = False
        self._scope: anyio.CancelScope | None = None

    def __repr__(self) -> str:
        return f"<S3CopyOperation {self.operation_id} {self._mapping_text()} {self._state}>"

    @property
    def state(self) -> OperationState:
        """Where the operation is now."""
        return self._state

    @property
    def metrics(self) -> TransferMetrics:
        """A snapshot of the counts as they are now."""
        return self._recorder.snapshot()

    def checkpoint(self) -> dict[str, Any]:
        """Return how far the operation is, as plain JSON of some KiB, for ``resume_from``.

        At any time, also after a failure, a cancellation or the end. Failed objects are in it and
        are tried again; an object whose copy has begun is in it and may be copied twice, which is
        harmless. Beyond 500 failures it stands still, and what is copied after that is copied
        again. Holds keys, no credentials.
        """
        if self._journal is None and self.resume_from is not None:
            return dict(self.resume_from)
        journal = self._journal or Journal(self._scope_of_copy(), self._recorder)
        return journal.checkpoint().to_dict()

    def cancel(self) -> None:
        """Stop the operation: ``run()`` aborts every open upload, then raises CopyCancelledError.

        Call it from the event loop's thread; at once, before or while it runs. Later, it does
        nothing.
        """
        self._cancel_requested = True
        if self._scope is not None:
            self._scope.cancel()

    def check_parameters(self) -> None:
        """Check every parameter against its rule; no I/O.

        Raises:
            ValidationError: The first one that breaks it.
        """
        rules.check_bucket("source_bucket", self.source_bucket)
        rules.check_key("source_key", self.source_key)
        rules.check_bucket("destination_bucket", self.destination_bucket)
        rules.check_key("destination_key", self.destination_key)
        rules.check_bool("recursive", self.recursive)
        rules.check_bool("overwrite", self.overwrite)
        rules.check_int("batch_size", self.batch_size, 1, rules.MAX_BATCH_SIZE)
        if self.source_key is None and not self.recursive:
            raise ValidationError("source_key", None, "name an object unless recursive=True")
        check_range(self.start_after, self.up_to, recursive=self.recursive)
        check_versions(
            self.version_id,
            pin_versions=self.pin_versions,
            all_versions=self.all_versions,
            recursive=self.recursive,
            overwrite=self.overwrite,
        )
        rules.check_seconds("checkpoint_interval_s", self.checkpoint_interval_s)
        if self.resume_from is not None:
            Checkpoint.from_dict(self.resume_from).check_scope(self._scope_of_copy())
        for name, account in zip(_CONNECTION_IDS, self._accounts, strict=True):
            if getattr(self, name) is not None and account is None:
                rule = (
                    "be None outside Airflow, which alone can resolve it: pass source/destination"
                )
                raise ValidationError(name, getattr(self, name), rule)

    async def run(self) -> TransferMetrics:
        """Validate, copy, and return the final metrics; an operation runs once.

        Costs what listing and copying cost (one request per small object), and a few requests to
        validate. Cancelled from outside, it aborts every open upload, closes its connections and
        lets ``CancelledError`` pass.

        Returns:
            The metrics; every object found was copied or skipped.

        Raises:
            ValidationError: A parameter breaks its rule; nothing was written.
            S3Error: A bucket, key or permission is missing; nothing was written.
            CredentialsError: One side has no usable credentials; nothing was written.
            CopyFailedError: Objects failed or the listing broke off; has the metrics.
            CopyCancelledError: ``cancel()`` was called; has the metrics.
            OperationStateError: It ran before.
        """
        if self._state is not OperationState.INITIALIZED:
            raise OperationStateError(
                f"operation {self.operation_id} is {self._state}: it runs once"
            )
        self._recorder.start()
        self._enter(OperationState.VALIDATING)
        self._scope = anyio.CancelScope()
        if self._cancel_requested:
            self._scope.cancel()
        try:
            with self._scope:
                # In a task of its own: a second task.cancel() reaches this task, which only waits,
                # and not the cleanup that the first one has set going.
                async with task_group() as group:
                    group.start_soon(self._validate_and_copy)
            self._raise_unless_complete()
        except BaseException as error:
            self._fail(error)
            raise
        self._recorder.end()
        self._enter(OperationState.COMPLETED)
        return self.metrics

    async def _validate_and_copy(self) -> None:
        # Cancelled before it began: no request is sent.
        await anyio.lowlevel.checkpoint()
        self.check_parameters()
        resumed = self._resumed()
        saver = self._saver()
        journal = Journal(self._scope_of_copy(), self._recorder, resumed=resumed, saver=saver)
        self._journal = journal
        if resumed is not None and resumed.is_complete:
            self._enter(OperationState.COPYING)
            return
        source, destination = self._accounts
        run = CopyRun(
            source=as_account("source", source),
            destination=as_account("destination", destination),
            overwrite=self.overwrite,
            batch_size=self.batch_size,
            options=self.options,
            recorder=self._recorder,
            journal=journal,
            saver=saver,
        )
        with self._report or nullcontext():
            await run.run(lambda: self._enter(OperationState.COPYING))

    def _resumed(self) -> Checkpoint | None:
        if self.resume_from is None:
            return None
        resumed = Checkpoint.from_dict(self.resume_from)
        self._recorder.go_on_from(resumed.earlier)
        self.operation_id = resumed.earlier.operation_id
        return resumed

    def _saver(self) -> CheckpointSaver | None:
        if self._on_checkpoint is None:
            return None
        return CheckpointSaver(
            self._on_checkpoint, self.checkpoint, self.checkpoint_interval_s, self._recorder
        )

    def _raise_unless_complete(self) -> None:
        self._recorder.end()
        metrics, failures = self.metrics, self._recorder.failures
        if self._scope is not None and self._scope.cancelled_caught:
            raise CopyCancelledError("cancelled", metrics=metrics, failures=failures)
        if metrics.files_failed:
            reason = (
                f"{metrics.files_failed:,} of {metrics.total_files_found:,} objects failed to copy "
                f"from {self._mapping_text()}"
            )
            raise CopyFailedError(reason, metrics=metrics, failures=failures)

    def _fail(self, error: BaseException) -> None:
        if isinstance(error, CopyFailedError):
            self.failure_reason = error.reason
        elif isinstance(error, Exception):
            self.failure_reason = str(error)
            self._recorder.failed(str(error))
        else:
            self.failure_reason = "cancelled"
        self._recorder.end()
        self._enter(_FAILED[self._state])

    def _enter(self, state: OperationState) -> None:
        if state not in TRANSITIONS[self._state]:
            raise OperationStateError(f"no transition from {self._state} to {state}")
        self._state = state
        self._recorder.state_changed(state)

    def _scope_of_copy(self) -> CopyScope:
        mapping = KeyMapping(
            S3Location(self.source_bucket, self.source_key),
            S3Location(self.destination_bucket, self.destination_key),
            self.recursive,
        )
        versions = versions_of(pin_versions=self.pin_versions, all_versions=self.all_versions)
        return CopyScope(mapping, Span(self.start_after, self.up_to), versions, self.version_id)

    def _mapping_text(self) -> str:
        mapping = self._scope_of_copy().mapping
        return f"{mapping.source} to {mapping.destination}"
