"""CopyAttempt: one run of a copy from its connections to its event, on a triggerer or a worker."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime

from async_s3copy.airflow.checkpoints import CheckpointStore
from async_s3copy.airflow.connections import resolve_account
from async_s3copy.airflow.events import CopyEnded, CopyEvent, CopySucceeded, EndStatus
from async_s3copy.airflow.payload import CopyPayload
from async_s3copy.airflow.progress import ProgressLog
from async_s3copy.errors import CopyCancelledError, CopyFailedError, S3CopyError
from async_s3copy.metrics import TransferMetrics
from async_s3copy.model import OperationState
from async_s3copy.operation import S3CopyOperation
from async_s3copy.s3.account import Account

logger = logging.getLogger("async_s3copy")


class CopyAttempt:
    """Run the copy of a payload; whatever becomes of it is an event.

    Args:
        payload: What to copy, by when, and from which checkpoint on.
        checkpoints: Where this try keeps its checkpoints; ``None`` keeps none.
    """

    def __init__(self, payload: CopyPayload, checkpoints: CheckpointStore | None) -> None:
        self._payload = payload
        self._checkpoints = checkpoints
        self._resume_from = payload.resume_from
        self._operation: S3CopyOperation | None = None

    async def to_its_end(self) -> CopyEvent:
        """Run the copy once; every end but a cancellation becomes an event.

        Everything is closed when it returns. Cancelled, it aborts every open upload, closes its
        connections, and lets ``CancelledError`` pass; ``ended`` then tells how far it came.
        """
        try:
            metrics = await self._copy()
        except CopyCancelledError as stopped:
            return self.ended("timeout", _timeout_text(self._payload.deadline, stopped.metrics))
        except CopyFailedError as failed:
            failures = tuple(str(each) for each in failed.failures)
            return self.ended("error", failed.reason, failures)
        except S3CopyError as error:
            return self.ended("error", str(error))
        except Exception as error:
            logger.exception("copy.broke_off")
            text = f"the copy broke off with {type(error).__name__}: see the log"
            return self.ended("error", text)
        return CopySucceeded(metrics=metrics.to_dict())

    def ended(self, status: EndStatus, message: str, failures: tuple[str, ...] = ()) -> CopyEnded:
        """Return the event of an end before time, with what was done and the checkpoint.

        Args:
            status: Why it ended.
            message: The same in a sentence.
            failures: The first failed objects.
        """
        operation = self._operation
        if operation is None or operation.state is OperationState.VALIDATION_FAILED:
            # Nothing was done: the next try begins where this one did.
            checkpoint = self._resume_from
        else:
            checkpoint = operation.checkpoint()
        return CopyEnded(
            status=status,
            state=OperationState.VALIDATION_FAILED if operation is None else operation.state,
            message=message,
            failures=failures,
            metrics=None if operation is None else operation.metrics.to_dict(),
            checkpoint=checkpoint,
        )

    async def _copy(self) -> TransferMetrics:
        self._payload.check()
        self._resume_from = await self._last_checkpoint()
        # Both in this task and before any other: Airflow answers synchronous questions only here.
        source = await self._account("source_aws_conn_id", self._payload.source_aws_conn_id)
        destination = await self._account("dest_aws_conn_id", self._payload.dest_aws_conn_id)
        self._operation = operation = self._payload.operation(
            source,
            destination,
            on_checkpoint=None if self._checkpoints is None else self._checkpoints.save,
            observer=ProgressLog(),
            resume_from=self._resume_from,
        )
        with _cancelled_at(self._payload.deadline, operation):
            return await operation.run()

    async def _account(self, name: str, conn_id: str | None) -> Account:
        return await resolve_account(
            conn_id,
            name=name,
            region_name=self._payload.region_name,
            verify=self._payload.verify,
            botocore_config=self._payload.botocore_config,
        )

    async def _last_checkpoint(self) -> Mapping[str, object] | None:
        """Return the newest checkpoint that belongs to this copy: of this try, or of the last."""
        of_this_try = None if self._checkpoints is None else await self._checkpoints.load()
        for checkpoint in (of_this_try, self._payload.resume_from):
            if checkpoint is None:
                continue
            if self._payload.accepts(checkpoint):
                return checkpoint
            logger.warning("checkpoint.ignored: it belongs to another copy, or another version")
        return None


@contextmanager
def _cancelled_at(deadline: float | None, operation: S3CopyOperation) -> Iterator[None]:
    """Cancel the operation when the deadline passes during a block; or before, if it has."""
    if deadline is None:
        yield
        return
    left_s = deadline - time.time()
    if left_s <= 0:
        operation.cancel()
    timer = asyncio.get_running_loop().call_later(max(0.0, left_s), operation.cancel)
    try:
        yield
    finally:
        timer.cancel()


def _timeout_text(deadline: float | None, metrics: TransferMetrics) -> str:
    when = "" if deadline is None else f", {datetime.fromtimestamp(deadline, UTC):%F %T} UTC"
    return (
        f"the copy did not end by its deadline{when}: {metrics.files_copied_successfully:,} of "
        f"{metrics.total_files_found:,} objects found by then are copied"
    )
