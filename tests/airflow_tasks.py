"""Run an operator as Airflow's task runner does, without its processes: templates, then execute."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests import airflow_home  # noqa: F401  # before anything of Airflow

# isort: split
from airflow.sdk import DAG
from airflow.sdk.bases.operator import ExecutorSafeguard
from airflow.sdk.exceptions import TaskDeferred

from async_s3copy.airflow import S3CopyOperator
from async_s3copy.airflow.checkpoints import CHECKPOINT_KEY

BEGINNING = datetime(2024, 1, 1, tzinfo=UTC)


class StateStore(dict[str, Any]):
    """Airflow's task state store, in memory: it outlives the tries of a task."""

    def __init__(self, checkpoint: dict[str, Any] | None = None) -> None:
        super().__init__({} if checkpoint is None else {CHECKPOINT_KEY: checkpoint})
        self.saved: list[dict[str, Any]] = []

    def set(self, key: str, value: Any) -> None:
        """Store a value."""
        self[key] = value
        self.saved.append(value)

    def delete(self, key: str) -> None:
        """Forget a value."""
        self.pop(key, None)

    @property
    def checkpoint(self) -> dict[str, Any] | None:
        """The stored checkpoint."""
        return self.get(CHECKPOINT_KEY)


@dataclass
class Instance:
    """As much of a task instance as mapping asks for."""

    map_index: int = -1
    xcoms: dict[str, Any] = field(default_factory=dict)
    task: Any = None

    def xcom_pull(self, *, task_ids: str, **_: Any) -> Any:
        """Return what a task returned."""
        return self.xcoms[task_ids]


def dag(**given: Any) -> DAG:
    """Return a DAG to put tasks into."""
    return DAG("copies", schedule=None, start_date=BEGINNING, **given)


def copy_task(*, native: bool = False, **given: Any) -> S3CopyOperator:
    """Return the task of a small valid copy, of its own DAG."""
    defaults: dict[str, Any] = {
        "task_id": "copy",
        "source_bucket": "src-bucket",
        "source_key": "p/",
        "destination_bucket": "dst-bucket",
        "destination_key": "q/",
        "recursive": True,
    }
    with dag(render_template_as_native_obj=native):
        return S3CopyOperator(**(defaults | given))


def rendered(task: S3CopyOperator, **context: Any) -> S3CopyOperator:
    """Render the task's templates, in place."""
    task.render_template_fields(context)  # type: ignore[arg-type]  # what they need of a context
    return task


def call(task: S3CopyOperator, method: Callable[..., Any], *given: Any) -> Any:
    """Call a method of the task as the task runner does."""
    context = contextvars.copy_context()
    context.run(ExecutorSafeguard.tracker.set, task)
    return context.run(method, *given)


def execute(task: S3CopyOperator, store: StateStore | None = None, **context: Any) -> Any:
    """Execute the task; without a store, as in an Airflow that has none."""
    if store is not None:
        context["task_state_store"] = store
    return call(task, task.execute, context)


def complete(task: S3CopyOperator, event: Any, store: StateStore | None = None) -> Any:
    """Hand the task its trigger's event."""
    context = {} if store is None else {"task_state_store": store}
    return call(task, task.execute_complete, context, event)


def deferred(task: S3CopyOperator, *given: Any, **context: Any) -> TaskDeferred:
    """Execute a task that must defer; return what it hands to Airflow."""
    try:
        execute(task, *given, **context)
    except TaskDeferred as deferral:
        return deferral
    raise AssertionError("the task did not defer")


def trigger_kwargs(task: S3CopyOperator, *given: Any, **context: Any) -> dict[str, Any]:
    """Execute a task that must defer; return its trigger's arguments."""
    kwargs: dict[str, Any] = deferred(task, *given, **context).trigger.serialize()[1]
    return kwargs
