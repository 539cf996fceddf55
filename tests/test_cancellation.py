"""Cancelled at chosen points: what may be in flight meanwhile, and what the cleanup is spared.

``test_every_await.py`` cancels everywhere; here a server's answer decides when.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from async_s3copy import CopyCancelledError, S3CopyOperation, TransferMetrics
from async_s3copy.options import MIB
from tests.fake_server import OTHER, Call, FakeS3, Fault, Phase, Stored
from tests.harness import World, fast_options, outcome_of

LARGE = bytes(11 * MIB)
Prepare = Callable[[World], S3CopyOperation]


def multipart(world: World) -> S3CopyOperation:
    """One object of three parts, copied inside S3; in the caller's own task."""
    world.source.put("source-bucket", "in/k", LARGE)
    return world.operation("in/k", "out/k", recursive=False)


def multipart_guarded(world: World) -> S3CopyOperation:
    """The same on a server that must be asked before each write."""
    world.source = world.destination = FakeS3(OTHER)
    world.source.put("source-bucket", "in/k", LARGE)
    return world.operation("in/k", "out/k", recursive=False, overwrite=False)


def several(world: World) -> S3CopyOperation:
    """Two large objects and some small ones, by workers."""
    for n in range(2):
        world.source.put("source-bucket", f"in/large{n}", LARGE[: 6 * MIB])
    for n in range(3):
        world.source.put("source-bucket", f"in/small{n}", b"x")
    return world.operation()


def relay_put(world: World) -> S3CopyOperation:
    """Small objects through this process."""
    for n in range(2):
        world.source.put("source-bucket", f"in/{n}", b"x" * 100)
    return world.operation(options=fast_options(method="relay"))


def relay_multipart(world: World) -> S3CopyOperation:
    """One object of three parts through this process, two parts in memory at most."""
    world.source.put("source-bucket", "in/k", LARGE)
    options = fast_options(method="relay", relay_memory_bytes=10 * MIB)
    return world.operation("in/k", "out/k", recursive=False, options=options)


def listing(world: World) -> S3CopyOperation:
    """Many pages, workers at work."""
    world.source.page_size = 3
    for n in range(10):
        world.source.put("source-bucket", f"in/{n}", b"x")
    return world.operation(batch_size=2, options=fast_options(max_queued_batches=1))


RUNS: list[Prepare] = [
    multipart,
    multipart_guarded,
    several,
    relay_put,
    relay_multipart,
    listing,
]
HOWS = ["operation", "task"]


@dataclass
class Cancelled:
    """What a cancelled run left."""

    found: Any
    task: asyncio.Task[TransferMetrics]
    operation: S3CopyOperation
    reached: bool


Condition = Callable[[Call, Phase, int], bool]


def at_point(point: int) -> Condition:
    return lambda call, phase, n: n == point


async def run_and_cancel(world: World, prepare: Prepare, at: Condition, how: str) -> Cancelled:
    """Run, and cancel at every point the condition picks."""
    operation = prepare(world)
    reached = False

    async def cancel(call: Call, phase: Phase) -> None:
        nonlocal reached
        if at(call, phase, world.source.points):
            reached = True
            operation.cancel() if how == "operation" else task.cancel()

    world.source.hook = cancel
    task = asyncio.create_task(operation.run())
    found = await outcome_of(task)
    return Cancelled(found, task, operation, reached)


def assert_cancelled(run: Cancelled, how: str) -> None:
    assert run.reached
    if how == "operation":
        assert isinstance(run.found, CopyCancelledError)
        assert run.operation.metrics == run.found.metrics
    else:
        assert run.task.cancelled()
    metrics = run.operation.metrics
    done = metrics.files_copied_successfully + metrics.files_failed + metrics.files_skipped
    assert metrics.total_files_found == done
    assert metrics.files_failed == 0
    assert run.operation.failure_reason == "cancelled"


def assert_whole(world: World, expected: dict[str, Stored]) -> None:
    """Whatever arrived before the cancellation arrived whole."""
    for key, stored in world.destination.buckets["target-bucket"].items():
        assert stored.data == expected["in/" + key.removeprefix("out/")].data


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World().install(monkeypatch)


@pytest.mark.parametrize("second", HOWS)
@pytest.mark.parametrize("first", HOWS)
@pytest.mark.parametrize("prepare", [multipart, several, relay_multipart])
@pytest.mark.parametrize("phase", ["before", "after"])
async def test_a_second_cancellation_does_not_interrupt_the_cleanup(
    world: World, prepare: Prepare, phase: Phase, first: str, second: str
) -> None:
    """Cancelled while parts are in flight, and again while the upload is being aborted."""
    operation = prepare(world)
    cancelled = {"UploadPartCopy": first, "UploadPart": first, "AbortMultipartUpload": second}

    async def cancel(call: Call, at: Phase) -> None:
        how = cancelled.get(call.operation)
        if how is not None and at == phase:
            operation.cancel() if how == "operation" else task.cancel()

    world.source.hook = cancel
    task = asyncio.create_task(operation.run())
    found = await outcome_of(task)
    assert task.cancelled() or isinstance(found, CopyCancelledError)
    assert world.source.made("AbortMultipartUpload")
    assert "uploads_left_open" not in operation.metrics.degradations
    world.assert_clean()


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("prepare", [multipart, several, relay_multipart])
async def test_parts_in_flight_end_before_the_abort(
    world: World, prepare: Prepare, how: str
) -> None:
    """A part that arrives after the abort would be stored, and billed, for ever."""
    parts = ("UploadPartCopy", "UploadPart")
    log: list[tuple[str, str | None]] = []

    def at(call: Call, phase: Phase, n: int) -> bool:
        if call.operation == "AbortMultipartUpload" and phase == "before":
            assert world.source.flying[call.key] == 1
        log.append((call.operation, call.key))
        return call.operation in parts and phase == "after"

    run = await run_and_cancel(world, prepare, at, how)
    assert_cancelled(run, how)
    aborted = [key for operation, key in log if operation == "AbortMultipartUpload"]
    assert aborted
    for key in aborted:
        of_key = [operation for operation, of in log if of == key]
        assert not set(of_key[of_key.index("AbortMultipartUpload") :]) & set(parts)
    world.assert_clean()


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("prepare", [multipart, relay_multipart, several])
async def test_a_complete_in_flight_is_never_met_by_an_abort(
    world: World, prepare: Prepare, how: str
) -> None:
    """Cancelled while CompleteMultipartUpload is in flight, its answer is waited for."""

    def at(call: Call, phase: Phase, n: int) -> bool:
        return call.operation == "CompleteMultipartUpload" and phase == "before"

    run = await run_and_cancel(world, prepare, at, how)
    assert run.reached
    completed = {call.key for call in world.source.made("CompleteMultipartUpload")}
    assert not completed & {call.key for call in world.source.made("AbortMultipartUpload")}
    assert completed <= world.source.buckets["target-bucket"].keys()
    world.assert_clean()


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("operation_name", ["CreateMultipartUpload", "CompleteMultipartUpload"])
@pytest.mark.parametrize("prepare", [multipart, relay_multipart, several])
async def test_a_failing_answer_does_not_swallow_the_cancellation(
    world: World, prepare: Prepare, operation_name: str, how: str
) -> None:
    """Cancelled while Create or Complete is in flight, and S3 answers 500: still cancelled."""
    world.source.faults = [Fault(operation_name, "InternalError", 500)]

    def at(call: Call, phase: Phase, n: int) -> bool:
        first = len(world.source.made(operation_name)) == 1
        return call.operation == operation_name and phase == "before" and first

    run = await run_and_cancel(world, prepare, at, how)
    assert_cancelled(run, how)
    world.assert_clean()


@pytest.mark.parametrize("how", HOWS)
async def test_an_abort_that_needs_retries_survives_a_cancellation(world: World, how: str) -> None:
    """The cleanup has the governor's retries, too."""
    world.source.faults = [Fault("AbortMultipartUpload", "SlowDown", 503, times=3)]
    run = await run_and_cancel(
        world, multipart, lambda call, phase, n: call.operation == "UploadPartCopy", how
    )
    assert_cancelled(run, how)
    assert len(world.source.made("AbortMultipartUpload")) == 4
    world.assert_clean()


@pytest.mark.parametrize("how", HOWS)
async def test_a_cleanup_is_bounded_in_time(world: World, how: str) -> None:
    """A server that does not answer the abort is left after ``cleanup_timeout_s``, and told of."""
    world.source.put("source-bucket", "in/k", LARGE)
    options = fast_options(cleanup_timeout_s=1e-3)
    operation = world.operation("in/k", "out/k", recursive=False, options=options)

    async def hook(call: Call, phase: Phase) -> None:
        if call.operation == "AbortMultipartUpload":
            await asyncio.Event().wait()
        if call.operation == "UploadPartCopy":
            operation.cancel() if how == "operation" else task.cancel()

    world.source.hook = hook
    task = asyncio.create_task(operation.run())
    await outcome_of(task)
    assert operation.metrics.degradations["uploads_left_open"] == 1
    assert len(world.source.uploads) == 1
    world.source.uploads.clear()
    world.assert_clean()


async def test_other_copies_in_the_same_loop_go_on(world: World) -> None:
    """Cancelling one of two concurrent operations does not touch the other."""
    world.source.put("source-bucket", "in/k", LARGE)
    one = world.operation("in/k", "out/one", recursive=False)
    other = world.operation("in/k", "out/other", recursive=False)

    async def hook(call: Call, phase: Phase) -> None:
        if call.operation == "UploadPartCopy" and call.key == "out/one":
            one.cancel()

    world.source.hook = hook
    tasks = [asyncio.create_task(operation.run()) for operation in (one, other)]
    first, second = [await outcome_of(task) for task in tasks]
    assert isinstance(first, CopyCancelledError)
    assert second.files_copied_successfully == 1
    assert world.source.buckets["target-bucket"].keys() == {"out/other"}
    world.assert_clean()
