"""S3CopyTrigger: a copy inside Airflow's triggerer, which starts again from its arguments alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import anyio.to_thread
from airflow.triggers.base import BaseTrigger, TriggerEvent

from async_s3copy.airflow.checkpoints import CheckpointStore, XComCheckpoints
from async_s3copy.airflow.loading import loaded_attempt
from async_s3copy.airflow.payload import CopyPayload

CLASS_PATH: Final = "async_s3copy.airflow.triggers.S3CopyTrigger"
"""Stored in Airflow's database with every deferred task: public API."""


class S3CopyTrigger(BaseTrigger):
    """Copy while the task is deferred, and fire one event when it has ended.

    Whatever ends a triggerer, the copy goes on in another: from the checkpoint of this try, which
    is stored in XCom every ``checkpoint_interval_s``. Two of them may overlap for seconds; what
    both copy is copied twice, and the same.

    ===========================================  =================================================
    what happens                                 what becomes of the copy
    ===========================================  =================================================
    the user marks the task, or clears it        stops, uploads aborted, last checkpoint stored
    ``defer(timeout=)`` passes                   the same
    the triggerer ends (SIGTERM)                 stops, uploads aborted; goes on elsewhere from the
                                                 checkpoint stored last: by then the triggerer has
                                                 stopped to take any
    the triggerer dies, another one takes over   goes on there; the uploads left open are aborted
    ``deadline`` passes                          stops, uploads aborted; event ``"timeout"`` with
                                                 the checkpoint
    an error                                     event ``"error"`` with the checkpoint
    ===========================================  =================================================

    There is no ``on_kill`` and no ``cleanup``, because nothing remains for them to do. Airflow
    awaits them after ``run()``, whose cancellation has been passed on only when the operation had
    aborted its uploads and closed its connections; and both are also awaited where the copy goes
    on elsewhere, whose uploads, and the objects at the destination, are not theirs to touch.

    Args:
        payload: The fields of ``CopyPayload``, by name.

    Raises:
        TypeError: A field is missing, or unknown. Values are checked by ``run()``.
    """

    def __init__(self, **payload: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's has no annotations
        self.payload = CopyPayload(**payload)

    def __repr__(self) -> str:
        # Airflow's own shows every argument, a checkpoint's keys among them.
        return f"<S3CopyTrigger {self.payload!r}>"

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path, and arguments from which an equal trigger can be made."""
        return CLASS_PATH, self.payload.to_kwargs()

    def checkpoints(self) -> CheckpointStore | None:
        """Return where the checkpoints of this try are kept.

        ``None`` where nothing is known of the task: ``dag.test()`` runs triggers like that.
        """
        return None if self.task_instance is None else XComCheckpoints(self.task_instance)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Copy, then yield the event: ``events.parse_event`` reads it.

        Everything is closed before. Cancelled, it aborts every open upload, closes its
        connections, and lets ``CancelledError`` pass.
        """
        attempt = await anyio.to_thread.run_sync(loaded_attempt)
        event = await attempt(self.payload, self.checkpoints()).to_its_end()
        yield CopyEndedEvent(payload=event.to_dict())


class CopyEndedEvent(TriggerEvent):
    """The event, without its checkpoint in the line that the triggerer logs of it."""

    def __repr__(self) -> str:
        shown = {name: each for name, each in self.payload.items() if name != "checkpoint"}
        return f"TriggerEvent<{shown!r}>"
