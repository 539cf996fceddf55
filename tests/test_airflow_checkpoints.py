"""Where checkpoints live: come back unchanged, belong to one try, and never end a copy."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import airflow_home  # noqa: F401  # before anything of Airflow

# isort: split
from airflow.sdk.bases.xcom import BaseXCom

from async_s3copy.airflow import checkpoints
from async_s3copy.airflow.checkpoints import (
    CHECKPOINT_KEY,
    CheckpointNotSavedError,
    XComCheckpoints,
)
from tests.airflow_trigger import Instance, MemoryXCom

pytestmark = pytest.mark.stack_b

TASK_RUNNER = "airflow.sdk.execution_time.task_runner"
CHECKPOINT: dict[str, Any] = {
    "version": 1,
    "remaining": [[None, "a\0b"], ["\u202e", None]],
    "uploads": [["k", None], ["l", "id"]],
    "metrics": {"seconds_throttled": 0.125, "degradations": {}},
}

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda each: st.lists(each) | st.dictionaries(st.text(), each),
)


# ------------------------------------------------------------------------------------------- XCom


@settings(max_examples=25, deadline=None)
@given(st.dictionaries(st.text(), PLAIN))
async def test_a_checkpoint_comes_back_from_xcom_unchanged(checkpoint: dict[str, Any]) -> None:
    """Whatever is in it, names that Airflow's serialisation uses itself included."""
    xcom, instance = MemoryXCom(), Instance()
    await XComCheckpoints(instance, xcom).save(checkpoint)
    assert await XComCheckpoints(instance, xcom).load() == checkpoint


async def test_names_that_airflow_reserves_are_stored_like_others() -> None:
    """A key of Airflow's own encoding is no instruction to it."""
    xcom, instance = MemoryXCom(), Instance()
    reserved = {"__classname__": "builtins.dict", "__version__": 1, "__data__": {}, "__var": 1}
    await XComCheckpoints(instance, xcom).save(reserved)
    assert await XComCheckpoints(instance, xcom).load() == reserved


async def test_the_newest_checkpoint_is_loaded() -> None:
    """One takes the place of the one before."""
    store = XComCheckpoints(Instance(), MemoryXCom())
    await store.save({"n": 1})
    await store.save({"n": 2})
    assert await store.load() == {"n": 2}


async def test_a_task_without_a_checkpoint_begins() -> None:
    """Where none was stored, none is found."""
    assert await XComCheckpoints(Instance(), MemoryXCom()).load() is None


async def test_mapped_tasks_have_a_checkpoint_each() -> None:
    """The map index tells them apart; the task's key in XCom is the documented one."""
    xcom = MemoryXCom()
    first, second = Instance(map_index=0), Instance(map_index=1)
    await XComCheckpoints(first, xcom).save({"n": 0})
    await XComCheckpoints(second, xcom).save({"n": 1})
    assert await XComCheckpoints(first, xcom).load() == {"n": 0}
    assert {name[0] for name in xcom.values} == {CHECKPOINT_KEY}


async def test_an_unmapped_task_may_say_none() -> None:
    """No map index is Airflow's -1."""
    xcom = MemoryXCom()
    await XComCheckpoints(Instance(map_index=None), xcom).save(CHECKPOINT)
    (name,) = xcom.values
    assert ("map_index", -1) in name


async def test_another_trys_checkpoint_is_not_taken() -> None:
    """A trigger that ends late may write after the next try has begun, which then starts anew."""
    xcom = MemoryXCom()
    late, next_try = Instance(), Instance()
    await XComCheckpoints(late, xcom).save(CHECKPOINT)
    assert await XComCheckpoints(next_try, xcom).load() is None


@pytest.mark.parametrize("value", [7, "{", "[]", "7", {"try_id": "x"}, '{"checkpoint": {}}'])
async def test_what_we_did_not_write_is_not_taken(value: object) -> None:
    """Somebody else's XCom under the same key is no checkpoint."""
    xcom, instance = MemoryXCom(), Instance()
    where = {"dag_id": "dag", "task_id": "copy", "run_id": "manual__1", "map_index": -1}
    await xcom.aset(CHECKPOINT_KEY, value, **where)
    assert await XComCheckpoints(instance, xcom).load() is None


async def test_a_failing_save_says_why_and_not_what() -> None:
    """What Airflow says of a value it cannot store may quote it: only the kind of error is told."""
    xcom = MemoryXCom()
    xcom.failing = TypeError("Failed to serialise {'pending': ['some-key']}")
    with pytest.raises(CheckpointNotSavedError) as caught:
        await XComCheckpoints(Instance(), xcom).save(CHECKPOINT)
    assert str(caught.value) == "XCom did not take the checkpoint: TypeError"
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


async def test_a_failing_load_begins_anew(caplog: pytest.LogCaptureFixture) -> None:
    """Without its checkpoint a copy is slower, not wrong; the log has the kind of error."""
    xcom = MemoryXCom()
    xcom.failing = RuntimeError("some-key")
    assert await XComCheckpoints(Instance(), xcom).load() is None
    assert caplog.messages == ["checkpoint.not_loaded: RuntimeError"]


async def test_a_cancelled_save_waits_for_its_answer() -> None:
    """In Airflow 3.1 an answer nobody awaits is taken for the next one, another trigger's maybe."""
    xcom, instance = MemoryXCom(), Instance()
    asked, answered = asyncio.Event(), asyncio.Event()

    async def hold(_: str) -> None:
        asked.set()
        await answered.wait()

    xcom.before = hold
    task = asyncio.create_task(XComCheckpoints(instance, xcom).save(CHECKPOINT))
    await asked.wait()
    task.cancel("why")
    await anyio.lowlevel.checkpoint()
    assert not task.done()
    answered.set()
    with pytest.raises(asyncio.CancelledError, match="why"):
        await task
    xcom.before = None
    assert await XComCheckpoints(instance, xcom).load() == CHECKPOINT


@pytest.mark.parametrize("limit", ["_GRACE_S", "_SAVE_TIMEOUT_S"])
async def test_no_answer_holds_nobody_up_for_ever(
    limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A save without an answer ends: soon when it is cancelled, later when it is not."""
    monkeypatch.setattr(checkpoints, limit, 0.0)
    xcom, asked = MemoryXCom(), asyncio.Event()

    async def never(_: str) -> None:
        asked.set()
        await asyncio.Event().wait()

    xcom.before = never
    task = asyncio.create_task(XComCheckpoints(Instance(), xcom).save(CHECKPOINT))
    await asked.wait()
    if limit == "_GRACE_S":
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    else:
        with pytest.raises(CheckpointNotSavedError, match="TimeoutError"):
            await task


class Comms:
    """The triggerer's end of the line to its supervisor."""

    def __init__(self) -> None:
        self._reader_task: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def close(self) -> None:
        self._reader_task.cancel()


@pytest.fixture
async def comms(monkeypatch: pytest.MonkeyPatch) -> Comms:
    """Let Airflow's line to its supervisor be open."""
    made = Comms()
    monkeypatch.setitem(sys.modules, TASK_RUNNER, SimpleNamespace(SUPERVISOR_COMMS=made))
    return made


async def test_an_ending_triggerer_is_not_asked(comms: Comms) -> None:
    """On SIGTERM Airflow stops reading answers first: a request would be awaited in vain."""
    xcom = MemoryXCom()
    store = XComCheckpoints(Instance(), xcom)
    await store.save({"n": 1})
    comms.close()
    with pytest.raises(CheckpointNotSavedError):
        await store.save({"n": 2})
    xcom.before = None
    assert len(xcom.values) == 1
    assert await store.load() is None


async def test_a_request_on_its_way_when_the_triggerer_ends_is_not_saved(comms: Comms) -> None:
    """The answer's reader cancels whoever waits for it: that is an error, and no cancellation."""
    xcom = MemoryXCom()

    async def end(_: str) -> None:
        comms.close()
        raise asyncio.CancelledError("Reader loop exited")

    xcom.before = end
    with pytest.raises(CheckpointNotSavedError):
        await XComCheckpoints(Instance(), xcom).save(CHECKPOINT)


def test_airflow_names_its_reader_as_it_is_looked_for() -> None:
    """The one private name relied upon: without it an ending triggerer waits for nothing."""
    from airflow.jobs.triggerer_job_runner import TriggerCommsDecoder

    assert "_reader_task" in TriggerCommsDecoder.__annotations__


class BlockingXCom:
    """XCom as Airflow 3.1 has it: its requests block."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.threads: list[int] = []

    def set(self, key: str, value: Any, **_: Any) -> None:
        self.threads.append(threading.get_ident())
        self.values[key] = value

    def get_one(self, key: str, **_: Any) -> Any:
        self.threads.append(threading.get_ident())
        return self.values.get(key)


async def test_blocking_requests_are_made_in_a_thread() -> None:
    """Where XCom has no asynchronous requests, the loop goes on meanwhile all the same."""
    xcom, instance = BlockingXCom(), Instance()
    await XComCheckpoints(instance, xcom).save(CHECKPOINT)
    assert await XComCheckpoints(instance, xcom).load() == CHECKPOINT
    assert len(xcom.threads) == 2
    assert threading.get_ident() not in xcom.threads


async def test_a_backend_of_the_users_own_is_asked_in_a_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A backend that stores values elsewhere blocks in Airflow's asynchronous requests, too."""
    blocking = BlockingXCom()

    class Elsewhere(BaseXCom):
        @staticmethod
        def serialize_value(value: Any, **_: Any) -> str:
            raise AssertionError("would block the loop")

    monkeypatch.setattr(Elsewhere, "set", blocking.set)
    await XComCheckpoints(Instance(), Elsewhere).save(CHECKPOINT)
    assert len(blocking.threads) == 1
    assert threading.get_ident() not in blocking.threads


# ------------------------------------------------------------------------------ task state store


class StateStore:
    """The task state store, and a failure of it."""

    def __init__(self, failing: Exception | None = None) -> None:
        self.values: dict[str, Any] = {}
        self.failing = failing

    def _pass(self) -> None:
        if self.failing is not None:
            raise self.failing

    def get(self, key: str) -> Any:
        self._pass()
        return self.values.get(key)

    def set(self, key: str, value: Any) -> None:
        self._pass()
        self.values[key] = value

    def delete(self, key: str) -> None:
        self._pass()
        self.values.pop(key, None)


def context(store: StateStore) -> dict[str, Any]:
    """Return a task's context."""
    return {"task_state_store": store}


def test_a_retry_finds_what_the_try_before_it_left() -> None:
    """Stored, loaded, cleared."""
    task = context(StateStore())
    assert checkpoints.load(task) is None
    assert checkpoints.store(task, CHECKPOINT)
    assert checkpoints.load(task) == CHECKPOINT
    assert checkpoints.clear(task)
    assert checkpoints.load(task) is None


def test_copies_of_one_task_have_a_checkpoint_each() -> None:
    """Another key is another checkpoint."""
    task = context(StateStore())
    checkpoints.store(task, {"n": 1})
    checkpoints.store(task, {"n": 2}, key="other")
    assert checkpoints.load(task) == {"n": 1}
    assert checkpoints.load(task, key="other") == {"n": 2}
    checkpoints.clear(task, key="other")
    assert checkpoints.load(task) == {"n": 1}


async def test_storing_does_not_block_the_workers_loop() -> None:
    """A copy on the worker goes on while its checkpoint is stored."""
    threads: list[int] = []

    class Store(StateStore):
        def set(self, key: str, value: Any) -> None:
            threads.append(threading.get_ident())
            super().set(key, value)

    task = context(Store())
    assert await checkpoints.astore(task, CHECKPOINT)
    assert checkpoints.load(task) == CHECKPOINT
    assert threads != [threading.get_ident()]


Use = Callable[[Mapping[str, Any]], object]
USES: dict[str, Use] = {
    "loaded": checkpoints.load,
    "stored": lambda task: checkpoints.store(task, CHECKPOINT),
    "deleted": checkpoints.clear,
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_an_airflow_without_the_store_goes_without(
    use: Use, caplog: pytest.LogCaptureFixture
) -> None:
    """Before Airflow 3.3 nothing is stored, and nothing said."""
    assert not use({})
    assert caplog.messages == []


@pytest.mark.parametrize("done, use", USES.items(), ids=USES)
def test_a_failing_store_fails_no_task(
    done: str, use: Use, caplog: pytest.LogCaptureFixture
) -> None:
    """The log tells the kind of error, and nothing of what was to be stored."""
    assert not use(context(StateStore(RuntimeError("some-key"))))
    assert caplog.messages == [f"checkpoint.not_{done}: RuntimeError"]
    assert caplog.records[0].levelno == logging.WARNING


def test_what_is_no_mapping_is_no_checkpoint() -> None:
    """Somebody else's value under the same key is left alone."""
    store = StateStore()
    store.values[CHECKPOINT_KEY] = "text"
    assert checkpoints.load(context(store)) is None
