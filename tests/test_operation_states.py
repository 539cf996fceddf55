"""The state machine of an operation: every transition there is, and no other; it runs once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import anyio
import pytest

import async_s3copy
from async_s3copy import (
    AccessDeniedError,
    CopyCancelledError,
    CopyFailedError,
    CopyOptions,
    NoSuchBucketError,
    NoSuchKeyError,
    OperationState,
    OperationStateError,
    S3CopyOperation,
    ValidationError,
)
from async_s3copy.operation import TRANSITIONS
from tests.fake_server import OTHER, Call, FakeS3, Fault, Phase
from tests.harness import Log, World, fast_options, outcome_of, settle

S = OperationState
ALLOWED = {
    (S.INITIALIZED, S.VALIDATING),
    (S.VALIDATING, S.COPYING),
    (S.VALIDATING, S.VALIDATION_FAILED),
    (S.COPYING, S.COMPLETED),
    (S.COPYING, S.COPY_FAILED),
}
COMPLETED = [S.VALIDATING, S.COPYING, S.COMPLETED]
VALIDATION_FAILED = [S.VALIDATING, S.VALIDATION_FAILED]
COPY_FAILED = [S.VALIDATING, S.COPYING, S.COPY_FAILED]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World().install(monkeypatch)
    world.source.put("source-bucket", "in/k", b"data")
    return world


def test_the_table_holds_exactly_the_documented_transitions() -> None:
    """INITIALIZED -> VALIDATING -> COPYING -> COMPLETED, and two ways to fail."""
    assert set(TRANSITIONS) == set(S)
    assert {(old, new) for old, news in TRANSITIONS.items() for new in news} == ALLOWED


@pytest.mark.parametrize("old, new", list(product(S, S)))
def test_no_other_transition_is_possible(world: World, old: S, new: S) -> None:
    """The one writer of the state refuses what the table does not hold, and changes nothing."""

    async def main() -> None:
        log = Log()
        operation = world.operation(observer=log)
        operation._state = old
        if (old, new) in ALLOWED:
            operation._enter(new)
            assert (operation.state, log.states) == (new, [new])
        else:
            with pytest.raises(OperationStateError, match=f"from {old} to {new}"):
                operation._enter(new)
            assert (operation.state, log.states) == (old, [])

    asyncio.run(main())


async def test_a_copy_that_works_completes(world: World) -> None:
    """The observer sees the states in order; the last one is the operation's."""
    log = Log()
    operation = world.operation(observer=log)
    assert operation.state is S.INITIALIZED
    metrics = await operation.run()
    assert (log.states, operation.state) == (COMPLETED, S.COMPLETED)
    assert metrics == operation.metrics
    assert metrics.operation_id == operation.operation_id
    assert metrics.end_time is not None
    assert operation.failure_reason is None


Prepare = Callable[[World], dict[str, Any]]


def wrong_parameter(world: World) -> dict[str, Any]:
    return {"batch_size": 0}


def missing_source(world: World) -> dict[str, Any]:
    del world.source.buckets["source-bucket"]
    return {}


def missing_destination(world: World) -> dict[str, Any]:
    del world.source.buckets["target-bucket"]
    return {}


def missing_key(world: World) -> dict[str, Any]:
    return {"source_key": "in/no", "recursive": False}


def denied_listing(world: World) -> dict[str, Any]:
    world.source.denied = {("source", "ListObjectsV2", "source-bucket")}
    return {}


def impossible_method(world: World) -> dict[str, Any]:
    world.destination = FakeS3(OTHER)
    return {"options": fast_options(method="server_side")}


def report_nowhere(world: World) -> dict[str, Any]:
    return {"report": Path("no") / "such" / "directory" / "report.jsonl"}


@pytest.mark.parametrize(
    "prepare, kind",
    [
        (wrong_parameter, ValidationError),
        (missing_source, NoSuchBucketError),
        (missing_destination, NoSuchBucketError),
        (missing_key, NoSuchKeyError),
        (denied_listing, AccessDeniedError),
        (impossible_method, ValidationError),
        (report_nowhere, ValidationError),
    ],
)
async def test_what_is_wrong_before_the_first_write_fails_the_validation(
    world: World, prepare: Prepare, kind: type[Exception]
) -> None:
    """VALIDATION_FAILED, the error itself, its text as the reason, and nothing written."""
    log = Log()
    operation = world.operation(observer=log, **prepare(world))
    with pytest.raises(kind) as caught:
        await operation.run()
    assert (log.states, operation.state) == (VALIDATION_FAILED, S.VALIDATION_FAILED)
    assert operation.failure_reason == str(caught.value)
    assert operation.metrics.errors_encountered == [str(caught.value)]
    assert operation.metrics.end_time is not None
    written = ("CopyObject", "PutObject", "CreateMultipartUpload")
    assert not any(server.counts()[name] for server in (world.source,) for name in written)
    world.assert_clean()


async def test_a_missing_destination_names_the_destination(world: World) -> None:
    """The error says which bucket, and on which side."""
    del world.source.buckets["target-bucket"]
    with pytest.raises(NoSuchBucketError, match=r"s3://target-bucket \[destination\]"):
        await world.operation().run()


async def test_failed_objects_fail_the_copy(world: World) -> None:
    """COPY_FAILED, with the metrics in the error and the reason on the operation."""
    world.source.faults = [Fault("CopyObject", "InvalidRequest", 400)]
    log = Log()
    operation = world.operation(observer=log)
    with pytest.raises(CopyFailedError) as caught:
        await operation.run()
    assert (log.states, operation.state) == (COPY_FAILED, S.COPY_FAILED)
    assert operation.failure_reason == caught.value.reason
    assert caught.value.metrics == operation.metrics


@pytest.mark.parametrize("works", [True, False])
async def test_an_operation_runs_once(world: World, works: bool) -> None:
    """A second run is refused, after success and after failure, and changes nothing."""
    operation = world.operation(batch_size=100 if works else 0)
    await outcome_of(operation.run())
    state, calls = operation.state, len(world.source.calls)
    with pytest.raises(OperationStateError, match=f"is {state}: it runs once"):
        await operation.run()
    assert (operation.state, len(world.source.calls)) == (state, calls)


async def test_an_operation_does_not_run_twice_at_once(world: World) -> None:
    """While it runs, a second run is refused and the first goes on."""
    operation = world.operation()
    task = asyncio.create_task(operation.run())
    await settle(lambda: operation.state is S.VALIDATING)
    with pytest.raises(OperationStateError):
        await operation.run()
    assert (await task).files_copied_successfully == 1


def test_an_operation_may_be_built_before_the_loop_runs(world: World) -> None:
    """Parameters are data: programs build operations where no event loop is running yet."""
    operation = world.operation()
    assert operation.state is S.INITIALIZED
    assert asyncio.run(operation.run()).files_copied_successfully == 1


async def test_cancelled_before_it_runs_it_copies_nothing(world: World) -> None:
    """``cancel()`` counts from the start: run() raises at once, without a request."""
    log = Log()
    operation = world.operation(observer=log)
    operation.cancel()
    with pytest.raises(CopyCancelledError) as caught:
        await operation.run()
    assert (log.states, operation.failure_reason) == (VALIDATION_FAILED, "cancelled")
    assert caught.value.metrics.total_files_found == 0
    assert world.source.calls == []
    world.assert_clean()


@pytest.mark.parametrize("how", ["operation", "task"])
@pytest.mark.parametrize(
    "operation_name, states",
    [("ListObjectsV2", VALIDATION_FAILED), ("CopyObject", COPY_FAILED)],
)
async def test_cancelled_while_it_runs_it_ends_as_failed(
    world: World, how: str, operation_name: str, states: list[S]
) -> None:
    """In VALIDATING and in COPYING; by ``cancel()`` or from outside; the reason is the same."""
    log = Log()
    operation = world.operation(observer=log)

    async def wait(call: Call, phase: Phase) -> None:
        if call.operation == operation_name:
            await anyio.sleep_forever()

    world.source.hook = wait
    task = asyncio.create_task(operation.run())
    await settle(lambda: bool(world.source.made(operation_name)) and world.source.in_flight == 1)
    operation.cancel() if how == "operation" else task.cancel()
    found = await outcome_of(task)
    kind = CopyCancelledError if how == "operation" else asyncio.CancelledError
    assert isinstance(found, kind)
    assert (log.states, operation.state) == (states, states[-1])
    assert operation.failure_reason == "cancelled"
    assert operation.metrics.end_time is not None
    world.assert_clean()


async def test_cancelling_a_finished_operation_does_nothing(world: World) -> None:
    """Too late is not wrong."""
    operation = world.operation()
    await operation.run()
    operation.cancel()
    operation.cancel()
    assert operation.state is S.COMPLETED


PARAMETERS: dict[str, Any] = {
    "source_bucket": "source-bucket",
    "source_key": "in/",
    "destination_bucket": "target-bucket",
    "destination_key": "out/",
    "recursive": True,
}


@pytest.mark.parametrize(
    "name, value",
    [
        ("source_bucket", "Bad_Bucket"),
        ("source_bucket", ""),
        ("source_key", ""),
        ("source_key", "x" * 1_025),
        ("destination_bucket", "ab"),
        ("destination_key", ""),
        ("recursive", "true"),
        ("overwrite", "if_changed"),
        ("overwrite", None),
        ("batch_size", 0),
        ("batch_size", 1_001),
        ("batch_size", True),
        ("source_aws_conn_id", "aws_default"),
        ("dest_aws_conn_id", "aws_default"),
        ("dest_aws_conn_id", ""),
    ],
)
async def test_each_wrong_parameter_is_named(world: World, name: str, value: Any) -> None:
    """Checked when it runs, before any request; the error names the field as it was written."""
    operation = S3CopyOperation(**PARAMETERS | {name: value})
    with pytest.raises(ValidationError) as caught:
        await operation.run()
    assert caught.value.name == name
    assert operation.state is S.VALIDATION_FAILED
    assert world.source.calls == []


async def test_the_whole_bucket_needs_recursive(world: World) -> None:
    """``None`` names no single object."""
    with pytest.raises(ValidationError, match="unless recursive=True"):
        await S3CopyOperation(**PARAMETERS | {"source_key": None, "recursive": False}).run()


@pytest.mark.parametrize("name", ["source", "destination"])
async def test_a_wrong_session_is_named(world: World, name: str) -> None:
    """What is neither account nor session is refused under its parameter's name."""
    with pytest.raises(ValidationError) as caught:
        await S3CopyOperation(**PARAMETERS | {name: "profile"}).run()
    assert caught.value.name == name


async def test_overlap_is_refused_before_the_first_request(world: World) -> None:
    """Source and destination in one place of one bucket: nothing is even listed."""
    given = PARAMETERS | {"destination_bucket": "source-bucket", "destination_key": "in/x/"}
    with pytest.raises(ValidationError, match="the copy would never end"):
        await S3CopyOperation(**given).run()
    assert world.source.calls == []


async def test_copy_is_the_same_by_urls(world: World) -> None:
    """``copy`` parses its URLs under their own names and runs one operation."""
    metrics = await async_s3copy.copy(
        "s3://source-bucket/in/",
        "s3://target-bucket/out/",
        recursive=True,
        method="relay",
        max_concurrent_requests=2,
        fail_fast=True,
        options=CopyOptions(max_queued_batches=3),
    )
    assert metrics.files_relayed == 1
    options = world.transfers[0].options
    assert (options.method, options.max_concurrent_requests) == ("relay", 2)
    assert (options.fail_fast, options.max_queued_batches) == (True, 3)
    with pytest.raises(ValidationError, match="destination_url"):
        await async_s3copy.copy("s3://source-bucket/in/", "target-bucket/out/")
