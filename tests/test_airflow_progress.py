"""Progress in the task's log: one line in a while, with true numbers, and an end to it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Final

import pytest

from async_s3copy import (
    CopyFailedError,
    OperationState,
    S3Location,
    S3Object,
    Skipped,
    SkipReason,
    TransferMetrics,
)
from async_s3copy.airflow.progress import INTERVAL_S, ProgressLog
from async_s3copy.model import Copied, CopyMethod, Failed
from async_s3copy.options import MIB
from tests.fake_server import Call, Fault, Phase
from tests.harness import World

pytestmark = pytest.mark.stack_b

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TARGET = S3Location("target-bucket", "k")


class Clock:
    """Monotonic seconds that pass when told to."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def progress(clock: Clock) -> ProgressLog:
    return ProgressLog(clock=clock)


def source(size_bytes: int) -> S3Object:
    return S3Object("source-bucket", "k", size_bytes, NOW, "0" * 32)


def copied(progress: ProgressLog, size_bytes: int) -> None:
    """Tell of one copied object, as an operation does."""
    progress.bytes_copied(size_bytes)
    item = source(size_bytes)
    progress.object_finished(Copied(item, TARGET, "0" * 32, CopyMethod.SERVER_SIDE))


def test_a_line_tells_objects_bytes_rates_and_the_time_left(
    progress: ProgressLog, clock: Clock
) -> None:
    """The rates are those since the last line, and the time left is at these rates."""
    progress.objects_listed(40, 40 * MIB)
    progress.listing_completed()
    for _ in range(10):
        copied(progress, MIB)
    clock.now_s += 5
    line = "10 of 40 objects, 10.0 MiB of 40.0 MiB, 2 objects/s, 2.0 MiB/s, ETA 0:00:15"
    assert progress.line() == line


def test_no_time_is_promised_before_the_listing_ends(progress: ProgressLog, clock: Clock) -> None:
    """The total is not known before."""
    progress.objects_listed(1_000, 0)
    copied(progress, 0)
    clock.now_s += 1
    assert progress.line() == "1 of 1,000 objects, 0 B of 0 B, 1 objects/s, 0 B/s, still listing"


def test_a_copy_that_stands_still_promises_nothing(progress: ProgressLog, clock: Clock) -> None:
    """Nothing moved since the last line."""
    progress.objects_listed(1, 3_000)
    progress.listing_completed()
    clock.now_s += 30
    expected = "0 of 1 object, 0 B of 2.9 KiB, 0 objects/s, 0 B/s, ETA unknown"
    assert progress.line() == expected


def test_failed_and_skipped_objects_are_done(progress: ProgressLog, clock: Clock) -> None:
    """Neither of them leaves bytes to wait for; failures are told."""
    progress.objects_listed(2, 8)
    progress.listing_completed()
    progress.object_finished(Skipped(source(5), TARGET, SkipReason.EXISTS))
    progress.object_finished(Failed(source(3), TARGET, RuntimeError("no")))
    clock.now_s += 1
    expected = "2 of 2 objects, 8 B of 8 B, 2 objects/s, 8 B/s, 1 failed, ETA 0:00:00"
    assert progress.line() == expected


def test_parts_told_twice_are_no_progress(progress: ProgressLog, clock: Clock) -> None:
    """An object that is started again cannot be more than complete."""
    progress.objects_listed(1, 10)
    progress.listing_completed()
    progress.bytes_copied(8)
    progress.bytes_copied(8)
    clock.now_s += 1
    assert progress.line().startswith("0 of 1 object, 10 B of 10 B, ")


def test_the_counts_go_on_after_a_resume(
    progress: ProgressLog, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """What earlier runs copied is done, but it is not this run's rate."""
    caplog.set_level(logging.INFO, "async_s3copy")
    earlier = TransferMetrics(
        operation_id="x",
        start_time=NOW,
        total_files_found=5,
        files_copied_successfully=3,
        files_skipped=2,
        total_bytes_transferred=100,
    )
    progress.resumed(earlier)
    progress.objects_listed(1, 10)
    progress.listing_completed()
    assert caplog.messages == ["copy.resumed: 5 objects are copied already"]
    assert progress.line().startswith("5 of 6 objects, 100 B of 110 B, ")


STANDING: Final = "copy.progress: 0 of 1 object, 0 B of 1 B, 0 objects/s, 0 B/s, ETA unknown"


class Lines(logging.Handler):
    """Count the lines that tell of one object standing still; ``third`` is set at three."""

    def __init__(self) -> None:
        super().__init__()
        self.standing = 0
        self.third = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.standing += record.getMessage() == STANDING
        if self.standing == 3:
            self.third.set()


@pytest.fixture
async def lines(caplog: pytest.LogCaptureFixture) -> AsyncIterator[Lines]:
    """Listen to the library's log."""
    caplog.set_level(logging.INFO, "async_s3copy")
    handler = Lines()
    logging.getLogger("async_s3copy").addHandler(handler)
    yield handler
    logging.getLogger("async_s3copy").removeHandler(handler)


async def test_lines_are_written_while_an_operation_stands_still(
    lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They come though nothing happens, and no more of them once the operation has ended."""
    world = World().install(monkeypatch)
    world.source.put("source-bucket", "in/k", b"x")

    async def hold(call: Call, phase: Phase) -> None:
        if call.operation == "CopyObject":
            await lines.third.wait()

    world.source.hook = hold
    progress = ProgressLog(interval_s=1e-3)
    await world.operation(observer=progress).run()
    assert lines.standing >= 3
    assert progress.due_s is None


async def test_an_operation_that_fails_writes_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the end, the timer ends with it."""
    world = World().install(monkeypatch)
    world.source.put("source-bucket", "in/k", b"x")
    world.source.faults.append(Fault("CopyObject", "AccessDenied", 403))
    progress = ProgressLog()
    with pytest.raises(CopyFailedError):
        await world.operation(observer=progress).run()
    assert progress.due_s is None


async def test_half_a_minute_lies_between_two_lines() -> None:
    """A line is due that long after copying began, none before and none after the end."""
    progress = ProgressLog()
    now = asyncio.get_running_loop().time
    due: list[float | None] = []
    before_s = now()
    for state in (OperationState.VALIDATING, OperationState.COPYING, OperationState.COMPLETED):
        progress.state_changed(state)
        due.append(progress.due_s)
    assert due[0] is None
    assert due[1] is not None
    assert before_s <= due[1] - INTERVAL_S <= now()
    assert due[2] is None
