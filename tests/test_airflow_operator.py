"""The operator: what its parameters mean, what it defers, and what it makes of the event."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from tests import airflow_home  # noqa: F401  # before anything of Airflow

# isort: split
from airflow.sdk import task as task_decorator
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowTaskTimeout,
    TaskDeferralError,
    TaskDeferralTimeout,
)
from airflow.serialization.serialized_objects import DagSerialization

from async_s3copy import Account, CopyOptions
from async_s3copy.airflow import S3CopyOperator
from async_s3copy.airflow.checkpoints import CHECKPOINT_KEY, XComCheckpoints
from async_s3copy.airflow.events import CopyEnded, CopySucceeded
from async_s3copy.airflow.payload import CopyPayload
from async_s3copy.metrics import MetricsRecorder
from async_s3copy.model import OperationState
from tests.airflow_tasks import (
    Instance,
    StateStore,
    complete,
    copy_task,
    dag,
    deferred,
    trigger_kwargs,
)

pytestmark = pytest.mark.stack_b

BOUNDS = {"start_after", "up_to"}
METRICS = MetricsRecorder("an-operation").snapshot().to_dict()


def checkpoint_of(task: S3CopyOperator) -> dict[str, Any]:
    """Return the checkpoint of a task's copy before it has begun."""
    payload = CopyPayload(**trigger_kwargs(task))
    return payload.operation(Account(), Account()).checkpoint()


# -------------------------------------------------------------------------------------- deferral


def test_what_is_deferred_is_the_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The trigger has the copy's parameters, its deadline is the timeout's end, and Airflow's own
    limit comes a minute later."""
    monkeypatch.setattr("time.time", lambda: 1_700_000_000.0)
    task = copy_task(
        deferrable=True,
        timeout=timedelta(hours=1),
        checkpoint_interval_s=4,
        verify=False,
        botocore_config={"max_pool_connections": 3},
    )
    deferral = deferred(task)
    path, kwargs = deferral.trigger.serialize()
    assert path == "async_s3copy.airflow.triggers.S3CopyTrigger"
    assert deferral.method_name == "execute_complete"
    assert deferral.timeout == timedelta(seconds=3660)
    assert json.loads(json.dumps(kwargs)) == kwargs
    assert kwargs["deadline"] == 1_700_003_600.0
    assert kwargs["checkpoint_interval_s"] == 4
    assert (kwargs["verify"], kwargs["botocore_config"]) == (False, {"max_pool_connections": 3})
    assert kwargs["resume_from"] is None


def test_without_a_timeout_nothing_ends_the_copy() -> None:
    """Neither the trigger nor Airflow has a limit then."""
    deferral = deferred(copy_task(deferrable=True))
    assert deferral.timeout is None
    assert deferral.trigger.serialize()[1]["deadline"] is None


@pytest.mark.parametrize(
    "change, resume, goes_on",
    [
        ({}, True, True),
        ({}, "True", True),
        ({}, False, False),
        ({"source_key": "another/"}, True, False),
        ({"destination_bucket": "another-bucket"}, True, False),
        ({"up_to": "p/m"}, True, False),
    ],
)
def test_a_try_goes_on_from_the_last_one_s_checkpoint_of_the_same_copy(
    change: dict[str, Any], resume: bool | str, goes_on: bool
) -> None:
    """A checkpoint of another copy is no reason to fail, and ``resume=False`` begins anew."""
    checkpoint = checkpoint_of(copy_task(deferrable=True))
    task = copy_task(deferrable=True, resume=resume, **change)
    kwargs = trigger_kwargs(task, StateStore(checkpoint))
    assert kwargs["resume_from"] == (checkpoint if goes_on else None)


# ------------------------------------------------------------------------------------- the event


def ended(status: Any = "error", **given: Any) -> dict[str, Any]:
    """Return an event of a copy that ended before its time."""
    defaults: dict[str, Any] = {"state": OperationState.COPY_FAILED, "message": "it broke"}
    return CopyEnded(status=status, **(defaults | given)).to_dict()


def test_a_success_returns_the_metrics_and_forgets_the_checkpoint() -> None:
    """XCom gets the metrics output schema; the same task run again begins anew."""
    store = StateStore({"some": "checkpoint"})
    assert complete(copy_task(), CopySucceeded(metrics=METRICS).to_dict(), store) == METRICS
    assert store.checkpoint is None


def test_a_failure_raises_with_count_and_first_failures_and_keeps_the_checkpoint() -> None:
    """A retry can be told what went wrong, and where to go on."""
    metrics = {**METRICS, "files_failed": 40}
    event = ended(
        message="40 of 50 objects failed to copy",
        failures=["s3://b/a: AccessDenied", "s3://b/c: SlowDown"],
        metrics=metrics,
        checkpoint={"version": 1},
    )
    store = StateStore()
    with pytest.raises(AirflowException) as failed:
        complete(copy_task(), event, store)
    assert str(failed.value).splitlines() == [
        "40 of 50 objects failed to copy",
        "  s3://b/a: AccessDenied",
        "  s3://b/c: SlowDown",
        "  ... and 38 more",
    ]
    assert not isinstance(failed.value, AirflowFailException)
    assert store.checkpoint == {"version": 1}


def test_a_timeout_raises_airflow_s_own_and_keeps_the_checkpoint() -> None:
    """It is told apart from failures, and retried."""
    store = StateStore()
    with pytest.raises(AirflowTaskTimeout, match="out of time"):
        complete(copy_task(), ended("timeout", message="out of time", checkpoint={"v": 1}), store)
    assert store.checkpoint == {"v": 1}


def test_an_end_without_a_checkpoint_leaves_the_one_before() -> None:
    """A try that could not even begin does not cost what earlier ones have done."""
    store = StateStore({"v": 0})
    with pytest.raises(AirflowException, match="it broke"):
        complete(copy_task(), ended(), store)
    assert store.checkpoint == {"v": 0}


@pytest.mark.parametrize(
    "event",
    [None, {}, {"status": "done"}, {"status": "success"}, "success", {"status": "error"}],
    ids=repr,
)
def test_an_event_that_says_nothing_known_fails_the_task(event: Any) -> None:
    """It never passes silently."""
    store = StateStore({"v": 0})
    with pytest.raises(AirflowException, match="the trigger's event is not understood: event"):
        complete(copy_task(), event, store)
    assert store.checkpoint == {"v": 0}


def test_before_airflow_3_3_there_is_no_store_and_all_else_works() -> None:
    """A context without ``task_state_store`` neither fails a success nor hides a failure."""
    assert trigger_kwargs(copy_task(deferrable=True))["resume_from"] is None
    assert complete(copy_task(), CopySucceeded(metrics=METRICS).to_dict()) == METRICS
    with pytest.raises(AirflowException, match="it broke"):
        complete(copy_task(), ended(checkpoint={"v": 1}))


# ----------------------------------------------------------------------------------- in a DAG


def test_a_dag_with_copies_is_serialised_and_read_back() -> None:
    """Airflow's scheduler knows the tasks, their templates and the link from the serialised DAG."""
    with dag() as copies:
        S3CopyOperator(task_id="one", source_key="s3://a-bucket/k", destination_key="s3://b-bucket")

        @task_decorator
        def ranges() -> list[dict[str, Any]]:
            return []

        S3CopyOperator.partial(
            task_id="many",
            source_key="s3://a-bucket/p/",
            destination_key="s3://b-bucket/p/",
            options=CopyOptions(max_attempts=3),
        ).expand_kwargs(ranges())
    again = DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(copies))))
    for task_id in ("one", "many"):
        task = again.get_task(task_id)
        assert task.task_type == "S3CopyOperator"
        assert tuple(task.template_fields) == S3CopyOperator.template_fields
    assert getattr(again.get_task("one"), "source_key", None) == "s3://a-bucket/k"
    (link,) = again.get_task("one").operator_extra_links
    assert (link.name, link.xcom_key) == ("Destination in S3", "_link_S3DestinationLink")


SHARDS: list[Mapping[str, str | None]] = [
    {"start_after": None, "up_to": "p/{{ 7 * 7 }}"},
    {"start_after": "p/{{ 7 * 7 }}", "up_to": None},
]


@pytest.mark.parametrize("index", [0, 1])
def test_a_mapped_task_copies_its_own_key_range(index: int) -> None:
    """``expand_kwargs`` takes what ``split_prefix`` returns, and renders no key: whoever can write
    into the bucket could read connections otherwise."""
    with dag() as copies:

        @task_decorator
        def ranges() -> list[Mapping[str, str | None]]:
            return SHARDS

        mapped = S3CopyOperator.partial(
            task_id="copy",
            source_key="s3://a-bucket/p/",
            destination_key="s3://b-bucket/{{ ds }}/",
            recursive=True,
            deferrable=True,
        ).expand_kwargs(ranges())
    instance = Instance(map_index=index, xcoms={"ranges": SHARDS})
    run = SimpleNamespace(conf={})
    context = {"ti": instance, "ds": "2024-05-06", "dag": copies, "dag_run": run}
    mapped.render_template_fields(context)  # type: ignore[arg-type]  # what it needs of a context
    kwargs = trigger_kwargs(instance.task, ti=instance)
    assert {name: kwargs[name] for name in BOUNDS} == SHARDS[index]
    assert kwargs["destination_key"] == "2024-05-06/"


# --------------------------------------------------------------------- a trigger without an event


class XComs:
    """Airflow's XCom, in memory."""

    def __init__(self, *rows: dict[str, Any]) -> None:
        self.rows = rows

    async def aget_one(self, **where: Any) -> Any:
        """Return the value of a row."""
        return next((row["value"] for row in self.rows if row["where"] == where), None)


@pytest.mark.parametrize(
    "error, raised",
    [("Trigger timeout", TaskDeferralTimeout), ("Trigger failure", TaskDeferralError)],
)
@pytest.mark.parametrize("has_checkpoint", [True, False])
def test_a_trigger_that_sent_no_event_leaves_its_checkpoint(
    error: str,
    raised: type[Exception],
    has_checkpoint: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is in XCom, which the next try's beginning clears: the store keeps what was done."""
    instance = SimpleNamespace(id="try", dag_id="d", task_id="t", run_id="r", map_index=-1)
    where = {"key": CHECKPOINT_KEY, "dag_id": "d", "task_id": "t", "run_id": "r", "map_index": -1}
    value = json.dumps({"try_id": "try", "checkpoint": {"version": 1}})
    rows = [{"where": where, "value": value}] if has_checkpoint else []
    monkeypatch.setattr(XComCheckpoints.__init__, "__defaults__", (XComs(*rows),))
    store = StateStore()
    context: Any = {"ti": instance, "task_state_store": store}
    with pytest.raises(raised):
        copy_task().resume_execution("__fail__", {"error": error}, context)
    assert store.checkpoint == ({"version": 1} if has_checkpoint else None)


def test_a_trigger_that_sent_its_event_resumes_with_it() -> None:
    """Every other resumption is Airflow's own."""
    event = CopySucceeded(metrics=METRICS).to_dict()
    context: Any = {}
    task = copy_task()
    assert task.resume_execution("execute_complete", {"event": event}, context) == METRICS
