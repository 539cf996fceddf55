"""The trigger, run as the triggerer runs it: every end, and everything closed before its event."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from tests import airflow_home  # before anything of Airflow

# isort: split
from airflow.triggers.base import TriggerEvent

from async_s3copy import Account, OperationState, S3CopyOperation
from async_s3copy.airflow.checkpoints import XComCheckpoints
from async_s3copy.airflow.events import CopyEnded, CopySucceeded
from async_s3copy.airflow.triggers import CopyEndedEvent, S3CopyTrigger
from tests import gate as gates
from tests.airflow_connections import define_account
from tests.airflow_trigger import (
    USER_ACTION,
    Instance,
    MemoryXCom,
    Running,
    TriggerOfTask,
    as_stored,
    fire,
)
from tests.real import LARGE, PART, Place, place_on
from tests.support import S3Server, list_keys, list_open_uploads, seed

pytestmark = pytest.mark.stack_b

SMALL = {f"in/{n:02}": b"x" * n for n in range(20)}
PARTS = {"multipart_threshold_bytes": PART, "part_size_bytes": PART, "retry_base_s": 1e-3}


@pytest.fixture
async def place(seaweedfs: S3Server, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    """Small objects, and a connection for each of two accounts: ``theirs`` and ``ours``."""
    async with place_on(seaweedfs) as made:
        await seed(made.admin, made.buckets.source, SMALL)
        who = seaweedfs.identities
        define_account(monkeypatch, "theirs", seaweedfs, who.source)
        define_account(monkeypatch, "ours", seaweedfs, who.copier)
        yield made


def arguments(place: Place, **changes: Any) -> dict[str, Any]:
    """Return the arguments of a copy of all objects, as stored by Airflow."""
    usual: dict[str, Any] = {
        "source_bucket": place.buckets.source,
        "source_key": "in/",
        "destination_bucket": place.buckets.destination,
        "destination_key": "out/",
        "source_aws_conn_id": "theirs",
        "dest_aws_conn_id": "ours",
        "recursive": True,
        "checkpoint_interval_s": 1e-3,
        "options": PARTS,
    }
    return as_stored(usual | changes)


def copied(objects: dict[str, bytes]) -> dict[str, bytes]:
    """Return objects under the names they have at the destination."""
    return {f"out/{key.removeprefix('in/')}": body for key, body in objects.items()}


def ended(event: object) -> CopyEnded:
    """Return the event of a copy that did not succeed."""
    assert isinstance(event, CopyEnded)
    return event


# --------------------------------------------------------------------------------------- its ends


async def test_a_copy_across_accounts_ends_in_one_event(place: Place) -> None:
    """The objects are there, and the event has the metrics output schema."""
    event = await fire(S3CopyTrigger(**arguments(place)))
    assert isinstance(event, CopySucceeded)
    assert event.metrics["files_copied_successfully"] == len(SMALL)
    assert event.metrics["total_bytes_transferred"] == sum(map(len, SMALL.values()))
    assert await place.bodies() == copied(SMALL)


async def test_everything_is_closed_before_the_event(place: Place) -> None:
    """A trigger that lingers after its event is cancelled as if by the user: none does."""
    before = asyncio.all_tasks()
    stream = S3CopyTrigger(**arguments(place)).run()
    event = await anext(stream)
    assert isinstance(event, TriggerEvent)
    assert asyncio.all_tasks() == before
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


async def test_two_runs_of_one_trigger_may_overlap(place: Place) -> None:
    """Airflow may start a trigger where another still runs: both end, and everything is right."""
    trigger = S3CopyTrigger(**arguments(place))
    first, second = Running.start(trigger), Running.start(trigger)
    for event in (await first.task, await second.task):
        assert isinstance(event, CopySucceeded)
    assert await place.bodies() == copied(SMALL)


async def test_failed_objects_are_named(
    place: Place, monkeypatch: pytest.MonkeyPatch, seaweedfs: S3Server
) -> None:
    """The event has the count, the first failures with S3's code, and where to go on."""
    define_account(monkeypatch, "ours", seaweedfs, seaweedfs.identities.copier_no_write)
    event = ended(await fire(S3CopyTrigger(**arguments(place))))
    assert (event.status, event.state) == ("error", OperationState.COPY_FAILED)
    assert event.message.startswith("20 of 20 objects failed to copy from ")
    assert len(event.failures) == 10
    assert all("AccessDenied" in each and "/in/" in each for each in event.failures)
    assert event.checkpoint is not None
    assert sorted(event.checkpoint["failed"]) == sorted(SMALL)


@pytest.mark.parametrize("side", ["source", "dest"])
async def test_a_missing_connection_is_named_and_nothing_takes_its_place(
    place: Place, side: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Valid keys in the environment do not copy in the place of a connection that is not there."""
    who = place.server.admin
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", who.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", who.secret_access_key)
    name = f"{side}_aws_conn_id"
    event = ended(await fire(S3CopyTrigger(**arguments(place, **{name: "nowhere"}))))
    assert (event.status, event.state) == ("error", OperationState.VALIDATION_FAILED)
    assert event.message == f"{name}='nowhere' must be an Airflow connection that exists"
    assert event.metrics is None
    assert await place.bodies() == {}


async def test_a_missing_bucket_is_named(place: Place) -> None:
    """Nothing was written, so the next try begins from the beginning."""
    event = ended(await fire(S3CopyTrigger(**arguments(place, source_bucket="src-not-there"))))
    assert (event.status, event.state) == ("error", OperationState.VALIDATION_FAILED)
    assert "src-not-there" in event.message
    assert event.checkpoint is None


async def test_a_bad_parameter_is_an_error_and_no_exception(place: Place) -> None:
    """Arguments that no operator checked end in an event as well."""
    event = ended(await fire(S3CopyTrigger(**arguments(place, batch_size=0))))
    assert event.state is OperationState.VALIDATION_FAILED
    assert event.message == "batch_size=0 must be between 1 and 1,000"


async def test_an_unexpected_error_is_logged_and_not_quoted(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The log has the traceback; the event, which is stored, has the kind of error alone."""

    async def run(_: S3CopyOperation) -> None:
        raise ZeroDivisionError("some secret")

    monkeypatch.setattr(S3CopyOperation, "run", run)
    event = ended(await fire(S3CopyTrigger(**arguments(place))))
    assert "ZeroDivisionError" in event.message
    assert "secret" not in event.message
    (record,) = [each for each in caplog.records if each.message == "copy.broke_off"]
    assert record.exc_info is not None


# ---------------------------------------------------------------------------------- cancellations


@pytest.fixture
def gate(place: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[gates.Gate]:
    """Let both accounts go through a gate that holds back the parts of multipart copies."""
    made = gates.Gate(place.server.endpoint_url, r"PUT .*partNumber=")
    who = place.server.identities
    with gates.standing(made) as url:
        define_account(monkeypatch, "theirs", place.server, who.source, endpoint_url=url)
        define_account(monkeypatch, "ours", place.server, who.copier, endpoint_url=url)
        yield made


async def part_has_come(gate: gates.Gate) -> None:
    """Wait until a part is on its way."""
    (event,) = gate.arrived.values()
    loop = asyncio.get_running_loop()
    assert await loop.run_in_executor(None, event.wait, gates.HOLD_S)


@pytest.mark.parametrize("message", [None, USER_ACTION])
async def test_cancelled_it_leaves_no_upload_and_passes_the_cancellation_on(
    place: Place, gate: gates.Gate, message: str | None
) -> None:
    """Its reason reaches the triggerer unchanged, which tells a user's action by it."""
    await seed(place.admin, place.buckets.source, {"in/large": bytes(LARGE)})
    xcom, instance = MemoryXCom(), Instance()
    running = Running.start(TriggerOfTask(**arguments(place)).keep_in(xcom, instance))
    await part_has_come(gate)
    assert await list_open_uploads(place.admin, place.buckets.destination) == ["out/large"]
    error = await running.cancelled(message)
    assert error.args == (() if message is None else (message,))
    assert await list_open_uploads(place.admin, place.buckets.destination) == []
    stored = await XComCheckpoints(instance, xcom).load()
    assert stored is not None
    assert stored["uploads"] == []
    assert "in/large" in stored["pending"]


async def test_cancelled_before_it_began_it_asks_nothing(place: Place) -> None:
    """A trigger that is cancelled at once leaves no trace."""
    running = Running.start(S3CopyTrigger(**arguments(place)))
    await running.cancelled()
    assert await place.bodies() == {}


# --------------------------------------------------------------------------------------- deadline


async def test_a_deadline_that_passed_copies_nothing(place: Place) -> None:
    """A trigger that starts again after its time ends at once, and keeps the checkpoint it had."""
    half = checkpoint(place, done=10)
    event = ended(await fire(S3CopyTrigger(**arguments(place, deadline=1.0, resume_from=half))))
    assert event.status == "timeout"
    assert event.message.startswith(
        "the copy did not end by its deadline, 1970-01-01 00:00:01 UTC: "
    )
    assert event.checkpoint == half
    assert await place.bodies() == {}


async def test_a_deadline_ends_a_copy_in_good_order(
    place: Place, gate: gates.Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The upload is aborted, and the event has what was done and where to go on."""
    await seed(place.admin, place.buckets.source, {"in/large": bytes(LARGE)})
    deadline = Deadline(monkeypatch)
    running = Running.start(S3CopyTrigger(**arguments(place, deadline=time.time() + 3_600)))
    await part_has_come(gate)
    while len(await list_keys(place.admin, place.buckets.destination)) < len(SMALL):
        pass
    deadline.passes()
    event = ended(await running.task)
    assert (event.status, event.state) == ("timeout", OperationState.COPY_FAILED)
    assert event.metrics is not None
    assert event.checkpoint is not None
    # What has arrived may not have been answered yet.
    copied, pending = event.metrics["files_copied_successfully"], event.checkpoint["pending"]
    assert copied > 0
    assert "in/large" in pending
    assert copied + len(pending) == len(SMALL) + 1
    assert event.message.endswith(f": {copied} of {copied} objects found by then are copied")
    assert await list_open_uploads(place.admin, place.buckets.destination) == []


class Deadline:
    """Hold the timer of a deadline until the test lets it pass."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        loop = asyncio.get_running_loop()
        self._call_later = loop.call_later
        self._timers: list[tuple[float, Callable[..., object]]] = []
        patch.setattr(loop, "call_later", self._hold)

    def _hold(self, delay_s: float, callback: Any, *given: Any, **more: Any) -> Any:
        if isinstance(getattr(callback, "__self__", None), S3CopyOperation):
            self._timers.append((delay_s, callback))
        return self._call_later(delay_s, callback, *given, **more)

    def passes(self) -> None:
        ((delay_s, callback),) = self._timers
        assert 3_500 < delay_s <= 3_600
        callback()


# ----------------------------------------------------------------------------------------- resume


def checkpoint(place: Place, *, done: int) -> dict[str, Any]:
    """Return what an earlier run would have stored that had copied the first objects."""
    payload = S3CopyTrigger(**arguments(place)).payload
    made = payload.operation(Account(), Account()).checkpoint()
    made["remaining"] = [[sorted(SMALL)[done - 1], None]]
    made["metrics"]["files_copied_successfully"] = done
    return made


def rest(done: int) -> dict[str, bytes]:
    """Return what is left after the first objects, as it is at the destination."""
    return copied({key: SMALL[key] for key in sorted(SMALL)[done:]})


async def test_a_retry_goes_on_where_the_last_try_ended(place: Place) -> None:
    """Only the rest is copied, and the metrics count all of it."""
    event = await fire(S3CopyTrigger(**arguments(place, resume_from=checkpoint(place, done=15))))
    assert isinstance(event, CopySucceeded)
    assert event.metrics["files_copied_successfully"] == len(SMALL)
    assert await place.bodies() == rest(15)


async def test_after_a_crash_the_checkpoint_of_this_try_counts(place: Place) -> None:
    """What was stored in XCom is newer than what the try began with."""
    xcom, instance = MemoryXCom(), Instance()
    await XComCheckpoints(instance, xcom).save(checkpoint(place, done=15))
    trigger = TriggerOfTask(**arguments(place, resume_from=checkpoint(place, done=5)))
    event = await fire(trigger.keep_in(xcom, instance))
    assert isinstance(event, CopySucceeded)
    assert await place.bodies() == rest(15)


async def test_a_checkpoint_of_another_try_does_not_count(place: Place) -> None:
    """After a clear, a dying trigger's late checkpoint leaves nothing out."""
    xcom = MemoryXCom()
    await XComCheckpoints(Instance(), xcom).save(checkpoint(place, done=15))
    await fire(TriggerOfTask(**arguments(place)).keep_in(xcom, Instance()))
    assert await place.bodies() == copied(SMALL)


async def test_a_checkpoint_of_another_copy_is_ignored(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    """A task whose parameters were changed between two tries copies everything."""
    other = {**checkpoint(place, done=15), "destination": "s3://elsewhere/"}
    await fire(S3CopyTrigger(**arguments(place, resume_from=other)))
    assert await place.bodies() == copied(SMALL)
    assert any(each.startswith("checkpoint.ignored: ") for each in caplog.messages)


async def test_an_error_keeps_the_newest_checkpoint(place: Place) -> None:
    """A try that could not even begin hands on what the try before it had reached."""
    xcom, instance, half = MemoryXCom(), Instance(), checkpoint(place, done=10)
    await XComCheckpoints(instance, xcom).save(half)
    trigger = TriggerOfTask(**arguments(place, dest_aws_conn_id="nowhere"))
    event = ended(await fire(trigger.keep_in(xcom, instance)))
    assert event.checkpoint == half


async def test_the_last_checkpoint_says_that_all_is_done(place: Place) -> None:
    """A triggerer that dies between the end and its event copies nothing again."""
    xcom, instance = MemoryXCom(), Instance()
    await fire(TriggerOfTask(**arguments(place)).keep_in(xcom, instance))
    await place.admin.delete_object(Bucket=place.buckets.destination, Key="out/00")
    again = await fire(TriggerOfTask(**arguments(place)).keep_in(xcom, instance))
    assert isinstance(again, CopySucceeded)
    assert again.metrics["files_copied_successfully"] == len(SMALL)
    assert "out/00" not in await place.bodies()


async def test_an_xcom_that_fails_stops_no_copy(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    """Every object arrives; the metrics count what could not be stored, the log names no key."""
    xcom = MemoryXCom()
    xcom.failing = RuntimeError("in/00")
    event = await fire(TriggerOfTask(**arguments(place)).keep_in(xcom, Instance()))
    assert isinstance(event, CopySucceeded)
    assert event.metrics["degradations"]["checkpoints_not_saved"] >= 1
    assert await place.bodies() == copied(SMALL)
    assert "in/00" not in caplog.text


async def test_checkpoints_are_kept_where_the_task_is_known() -> None:
    """``dag.test()`` runs triggers without a task instance, which then go without."""
    trigger = S3CopyTrigger(
        source_bucket="source-bucket",
        source_key=None,
        destination_bucket="target-bucket",
        destination_key=None,
        source_aws_conn_id=None,
        dest_aws_conn_id=None,
    )
    assert trigger.checkpoints() is None
    trigger.task_instance = Instance()  # type: ignore[assignment]  # what is read of one
    assert isinstance(trigger.checkpoints(), XComCheckpoints)


# ----------------------------------------------------------------------------------- no secrets


async def test_no_credential_leaves_the_process(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the arguments, nor XCom, nor the event, nor the log of a failed copy holds one."""
    caplog.set_level(logging.DEBUG)
    xcom, given = MemoryXCom(), arguments(place, options={**PARTS, "method": "server_side"})
    trigger = TriggerOfTask(**given | {"dest_aws_conn_id": "theirs"})
    event = ended(await fire(trigger.keep_in(xcom, Instance())))
    everything = f"{trigger!r} {trigger.serialize()} {xcom.values} {event} {caplog.text}"
    who = place.server.identities
    for identity in (who.source, who.copier):
        assert identity.secret_access_key not in everything
        assert identity.access_key_id not in everything


def test_the_triggerer_logs_the_event_without_its_checkpoint() -> None:
    """Airflow logs each event: a line of a hundred keys is none of its business."""
    payload = {"status": "error", "message": "why", "checkpoint": '{"pending": ["some-key"]}'}
    text = repr(CopyEndedEvent(payload=payload))
    assert text == "TriggerEvent<{'status': 'error', 'message': 'why'}>"


def test_the_event_is_stored_as_any_trigger_event() -> None:
    """Airflow reads events back by their declared type."""
    stored = CopyEndedEvent(payload={"status": "success", "metrics": {}}).model_dump()
    again = TriggerEvent(**stored)  # type: ignore[no-untyped-call]
    assert again.payload == {"status": "success", "metrics": {}}


# -------------------------------------------------------------------------------- a good neighbour

_LOADED = """
import sys
import airflow.triggers.base
before = set(sys.modules)
import async_s3copy.airflow.triggers
print(*sorted({name for name in set(sys.modules) - before}))
"""


def test_the_triggerer_loads_no_engine_on_its_loop() -> None:
    """Airflow imports a trigger's module on the loop: S3, the engine and boto3 are loaded later."""
    done = subprocess.run(
        [sys.executable, "-c", _LOADED],
        env=airflow_home.settings(airflow_home.HOME),
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    loaded = done.stdout.split()
    assert "async_s3copy.airflow.payload" in loaded
    heavy = ("boto", "aiobotocore", "async_s3copy.operation", "airflow.providers.amazon")
    assert [name for name in loaded if name.startswith(heavy)] == []
