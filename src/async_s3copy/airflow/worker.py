"""WorkerCopy: a copy in a worker's own process, which signals end in good order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import anyio

from async_s3copy.airflow import checkpoints
from async_s3copy.airflow.attempt import CopyAttempt
from async_s3copy.airflow.events import CopyEvent
from async_s3copy.airflow.signals import HeldSignals

if TYPE_CHECKING:
    from async_s3copy.airflow.payload import CopyPayload

_STOPPED: Final = "the task was ended on the worker while it copied; its open uploads are aborted"


class WorkerCopy:
    """Run one copy to its end on this worker, with the engine that the trigger runs.

    Args:
        payload: What to copy.
        context: The task's context: its ``task_state_store``, where there is one, receives the
            checkpoints while the copy runs, so that even a killed worker's next try goes on.
    """

    def __init__(self, payload: CopyPayload, context: Mapping[str, Any]) -> None:
        has_store = context.get("task_state_store") is not None
        self._attempt = CopyAttempt(payload, _WorkerCheckpoints(context) if has_store else None)
        self._is_stopped = False
        self._cancel: Callable[[], object] | None = None

    def run(self) -> CopyEvent:
        """Copy, and return how it ended; every connection is closed then.

        Raises:
            BaseException: What Airflow's handler of a signal raises: ``AirflowTaskTimeout`` after
                ``execution_timeout``, ``KeyboardInterrupt``. The copy was stopped before.
        """
        with HeldSignals(self.stop):
            return asyncio.run(self._copy())

    def stop(self) -> None:
        """Ask the copy to stop; from a signal handler or another thread, and more than once."""
        self._is_stopped = True
        if self._cancel is not None:
            # The loop may have ended just now: then there is nothing to stop.
            with suppress(RuntimeError):
                self._cancel()

    async def _copy(self) -> CopyEvent:
        with anyio.CancelScope() as scope:
            loop = asyncio.get_running_loop()
            # A handler runs between any two instructions: only the loop may change what is its own.
            self._cancel = partial(loop.call_soon_threadsafe, scope.cancel)
            if self._is_stopped:
                scope.cancel()
            return await self._attempt.to_its_end()
        return self._attempt.ended("error", _STOPPED)


class _WorkerCheckpoints:
    """Keep the checkpoints of a running copy where the next try finds them."""

    def __init__(self, context: Mapping[str, Any]) -> None:
        self._context = context

    async def load(self) -> dict[str, Any] | None:
        """Return nothing: a worker's run goes on from the payload's checkpoint, or begins."""
        return None

    async def save(self, checkpoint: Mapping[str, Any]) -> None:
        """Store one, in a thread."""
        await checkpoints.astore(self._context, checkpoint)
