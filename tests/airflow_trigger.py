"""Triggers for tests: run as Airflow's triggerer runs them, their task's XCom kept in memory.

Import it after ``tests.airflow_home``.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID, uuid4

from airflow.models.trigger import Trigger
from airflow.sdk.serde import deserialize, serialize
from airflow.serialization.decoders import smart_decode_trigger_kwargs

from async_s3copy.airflow.checkpoints import CheckpointStore, XComCheckpoints
from async_s3copy.airflow.events import CopyEvent, parse_event
from async_s3copy.airflow.triggers import S3CopyTrigger

USER_ACTION: Final = "__airflow_user_action__"
"""What Airflow's triggerer cancels with when a user marks or clears the task."""


@dataclass
class Instance:
    """What a trigger reads of its task instance."""

    id: UUID = field(default_factory=uuid4)
    dag_id: str = "dag"
    task_id: str = "copy"
    run_id: str = "manual__1"
    map_index: int | None = -1


class MemoryXCom:
    """Airflow's XCom without a database: values go through Airflow's own serialisation.

    Attributes:
        values: What is stored, by everything that names it.
        failing: Raised by every request, where it is not ``None``.
        before: Awaited before each request.
    """

    def __init__(self) -> None:
        self.values: dict[tuple[object, ...], Any] = {}
        self.failing: Exception | None = None
        self.before: Callable[[str], Awaitable[object]] | None = None

    async def aset(self, key: str, value: Any, **where: Any) -> None:
        await self._pass("aset")
        text = json.dumps(serialize(value))
        if "\\u0000" in text.replace("\\\\", ""):
            raise ValueError("PostgreSQL refuses U+0000")
        self.values[self._name(key, where)] = text

    async def aget_one(self, key: str, **where: Any) -> Any:
        await self._pass("aget_one")
        text = self.values.get(self._name(key, where))
        return None if text is None else deserialize(json.loads(text))

    async def _pass(self, request: str) -> None:
        if self.before is not None:
            await self.before(request)
        if self.failing is not None:
            raise self.failing

    @staticmethod
    def _name(key: str, where: Mapping[str, Any]) -> tuple[object, ...]:
        assert where.keys() == {"dag_id", "task_id", "run_id", "map_index"}
        return (key, *sorted(where.items()))


class TriggerOfTask(S3CopyTrigger):
    """The trigger with the checkpoints of a task in memory, as the triggerer hands it a task."""

    def keep_in(self, xcom: MemoryXCom, instance: Instance) -> TriggerOfTask:
        self._checkpoints = XComCheckpoints(instance, xcom)
        return self

    def checkpoints(self) -> CheckpointStore | None:
        return self._checkpoints


def as_stored(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return a trigger's arguments as the triggerer reads them back from the database."""
    stored = Trigger.encrypt_kwargs(dict(arguments))
    return {
        name: smart_decode_trigger_kwargs(value)  # type: ignore[no-untyped-call]
        for name, value in Trigger._decrypt_kwargs(stored).items()
    }


async def fire(trigger: S3CopyTrigger) -> CopyEvent:
    """Run a trigger to its end; return its one event as ``execute_complete`` reads it."""
    events = [event async for event in trigger.run()]
    (event,) = events
    # Stored in the task instance until a worker takes it up again.
    return parse_event(deserialize(json.loads(json.dumps(serialize(event.payload)))))


@dataclass
class Running:
    """A trigger that runs in a task, as the triggerer runs it."""

    task: asyncio.Task[CopyEvent]

    @classmethod
    def start(cls, trigger: S3CopyTrigger) -> Running:
        return cls(asyncio.create_task(fire(trigger)))

    async def cancelled(self, message: str | None = None) -> asyncio.CancelledError:
        """Cancel it again and again, as the triggerer does; return what it raised."""
        while not self.task.done():
            self.task.cancel(message) if message is not None else self.task.cancel()
            await asyncio.wait((self.task,), timeout=0.05)
        try:
            await self.task
        except asyncio.CancelledError as error:
            return error
        raise AssertionError("it ended by itself")
