"""S3CopyOperation: the parameters, the state machine, progress and cancellation of one copy."""

from __future__ import annotations

import gc
import importlib
import sys
import uuid
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias, Union

import anyio
import anyio.lowlevel
import anyio.to_thread

from async_s3copy import rules
from async_s3copy.engine.governor import governed
from async_s3copy.engine.pipeline import copy_listed, copy_one
from async_s3copy.engine.plan import KeyMapping
from async_s3copy.engine.preflight import validate
from async_s3copy.engine.report import Report
from async_s3copy.engine.shared import Place
from async_s3copy.engine.tasks import task_group
from async_s3copy.engine.transfer import Transfer
from async_s3copy.errors import (
    CopyCancelledError,
    CopyFailedError,
    OperationStateError,
    OutageError,
    S3CopyError,
    ValidationError,
)
from async_s3copy.metrics import MetricsRecorder, TransferMetrics
from async_s3copy.model import OperationState, S3Location, S3Object
from async_s3copy.observer import Observer
from async_s3copy.options import CopyOptions
from async_s3copy.s3.account import Account, as_account
from async_s3copy.s3.client import ListPage

if TYPE_CHECKING:
    from aioboto3 import Session as Aioboto3Session
    from aiobotocore.session import AioSession

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

_OPENING: Final = "async_s3copy.s3.opening"
_FAILED: Final = {
    OperationState.VALIDATING: OperationState.VALIDATION_FAILED,
    OperationState.COPYING: OperationState.COPY_FAILED,
}


async def _client_opener() -> Any:
    """Return ``open_client``, loading botocore on first use: importing the library does not.

    That takes half a second, so it happens in a thread: a shared event loop goes on meanwhile.
    """
    module: Any = sys.modules.get(_OPENING)
    if module is None:
        module = await anyio.to_thread.run_sync(importlib.import_module, _OPENING)
    return module.open_client


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
        report: File that receives one JSON line per object; ``None`` writes none.
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
        self.options = options or CopyOptions()
        self.operation_id = str(uuid.uuid4())
        self.failure_reason: str | None = None
        self._accounts = (source, destination)
        self._report = None if report is None else Report(report)
        observers = tuple(each for each in (self._report, observer) if each is not None)
        self._recorder = MetricsRecorder(
            self.operation_id, observers=observers, max_errors_kept=self.options.max_errors_kept
        )
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
        for name in ("source_aws_conn_id", "dest_aws_conn_id"):
            if getattr(self, name) is not None:
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
        async with AsyncExitStack() as stack:
            if self._report is not None:
                stack.enter_context(self._report)
            transfer = await self._open(stack)
            start = await validate(transfer)
            self._enter(OperationState.COPYING)
            await self._copy(transfer, start)

    async def _open(self, stack: AsyncExitStack) -> Transfer:
        is_first = _OPENING not in sys.modules
        open_client = await _client_opener()
        source, destination = self._accounts
        reader, writer = as_account("source", source), as_account("destination", destination)
        resent = self._recorder.resent
        here = await stack.enter_async_context(open_client(reader, "source", self.options, resent))
        there = await stack.enter_async_context(
            open_client(writer, "destination", self.options, resent)
        )
        if is_first:
            # botocore and its model of S3 are 90,000 objects, and make a full collection due, which
            # stops the loop for 50 ms: better now than in the middle of the copying.
            gc.collect()
        governor = stack.enter_context(
            governed(
                self.options,
                self._recorder,
                source=Place(here.endpoint.url, self.source_bucket),
                destination=Place(there.endpoint.url, self.destination_bucket),
            )
        )
        return Transfer(
            source=here,
            destination=there,
            mapping=self._mapping(),
            overwrite=self.overwrite,
            options=self.options,
            governor=governor,
            recorder=self._recorder,
        )

    async def _copy(self, transfer: Transfer, start: ListPage | S3Object) -> None:
        try:
            if isinstance(start, S3Object):
                await copy_one(transfer, start)
            else:
                await copy_listed(transfer, start, batch_size=self.batch_size)
        except OutageError as error:
            raise self._broken_off(str(error), error) from error
        except S3CopyError as error:
            reason = f"the listing of {self._mapping().source} broke off: {error}"
            raise self._broken_off(reason, error) from error

    def _broken_off(self, reason: str, error: S3CopyError) -> CopyFailedError:
        self._recorder.failed(str(error))
        self._recorder.end()
        return CopyFailedError(reason, metrics=self.metrics, failures=self._recorder.failures)

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

    def _mapping(self) -> KeyMapping:
        return KeyMapping(
            S3Location(self.source_bucket, self.source_key),
            S3Location(self.destination_bucket, self.destination_key),
            self.recursive,
        )

    def _mapping_text(self) -> str:
        mapping = self._mapping()
        return f"{mapping.source} to {mapping.destination}"
