"""TransferMetrics and its one writer: rules, schema, invariant, and what observers hear."""

from __future__ import annotations

import json
import logging
from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_s3copy import (
    Copied,
    CopyMethod,
    Failed,
    Observer,
    OperationState,
    Outcome,
    S3Location,
    S3Object,
    Skipped,
    SkipReason,
    TransferMetrics,
    ValidationError,
)
from async_s3copy.metrics import MetricsRecorder
from async_s3copy.model import EarlierRun, Proof
from tests.harness import Log

START = datetime(2024, 1, 1, tzinfo=UTC)
END = START + timedelta(seconds=2.5)
SCHEMA = {
    "operation_id": str,
    "duration_seconds": float,
    "total_files_found": int,
    "files_copied_successfully": int,
    "files_failed": int,
    "total_bytes_transferred": int,
    "errors": list,
}
COUNTS = (
    "total_files_found",
    "files_copied_successfully",
    "files_failed",
    "files_skipped",
    "files_relayed",
    "total_bytes_transferred",
    "requests_sent",
    "requests_retried",
    "requests_throttled",
)


def metrics(**changes: Any) -> TransferMetrics:
    fields: dict[str, Any] = {"operation_id": "id", "start_time": START}
    return TransferMetrics(**(fields | changes))


def outcomes() -> dict[str, Outcome]:
    item = S3Object("my-bucket", "k", 10, START, "0" * 32)
    target = S3Location("other-bucket", "k")
    return {
        "copied": Copied(item, target, "0" * 32, CopyMethod.SERVER_SIDE),
        "relayed": Copied(item, target, "0" * 32, CopyMethod.RELAY),
        "skipped": Skipped(item, target, SkipReason.EXISTS),
        "failed": Failed(item, target, OSError("no")),
    }


def test_the_output_has_the_schemas_keys_first_and_of_its_types() -> None:
    """Exactly the seven keys of the schema lead; the extra ones bear names of their own."""
    output = metrics(end_time=END).to_dict()
    assert list(output)[:7] == list(SCHEMA)
    for name, kind in SCHEMA.items():
        assert type(output[name]) is kind
    assert set(output) - set(SCHEMA) == {
        "files_skipped",
        "files_relayed",
        "requests_sent",
        "requests_retried",
        "requests_throttled",
        "seconds_throttled",
        "request_rate_limit",
        "degradations",
        "proofs",
    }


def test_the_output_tells_the_values() -> None:
    """Every key carries its field's value, and the whole survives JSON."""
    given = {name: number for number, name in enumerate(COUNTS, 1)} | {"total_files_found": 9}
    proofs = {"etag": 1, "none": 2}
    rates = {"seconds_throttled": 1.5, "request_rate_limit": 3_395.5}
    output = metrics(
        end_time=END,
        errors_encountered=["a", "b"],
        degradations={"x": 1},
        proofs=proofs,
        **given,
        **rates,
    ).to_dict()
    assert json.loads(json.dumps(output)) == given | rates | {
        "operation_id": "id",
        "duration_seconds": 2.5,
        "errors": ["a", "b"],
        "degradations": {"x": 1},
        "proofs": proofs,
    }


def test_the_output_is_a_copy() -> None:
    """Changing the dictionary does not change the metrics."""
    source = metrics(errors_encountered=["a"])
    source.to_dict()["errors"].append("b")
    assert source.errors_encountered == ["a"]


def test_metrics_are_a_frozen_snapshot() -> None:
    """Nobody but the recorder writes metrics."""
    with pytest.raises(FrozenInstanceError):
        metrics().files_failed = 1  # type: ignore[misc]


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("value", [-1, 1.0, True, None])
def test_counts_are_non_negative_integers(name: str, value: Any) -> None:
    """File counts, bytes and request counts cannot be negative or anything but integers."""
    with pytest.raises(ValidationError, match="non-negative integer") as caught:
        metrics(**{name: value})
    assert caught.value.name == name


@pytest.mark.parametrize(
    "name, value",
    [
        ("seconds_throttled", -0.1),
        ("seconds_throttled", float("nan")),
        ("seconds_throttled", float("inf")),
        ("request_rate_limit", 0),
        ("request_rate_limit", float("inf")),
    ],
)
def test_times_and_rates_are_finite(name: str, value: float) -> None:
    """Time held back is not negative, and a rate limit lets something through."""
    with pytest.raises(ValidationError) as caught:
        metrics(**{name: value})
    assert caught.value.name == name


@pytest.mark.parametrize("end", [START, START - timedelta(microseconds=1)])
def test_the_start_is_before_the_end(end: datetime) -> None:
    """An operation that ends when it began did not happen."""
    with pytest.raises(ValidationError, match="be after start_time"):
        metrics(end_time=end)


def test_an_operation_has_an_id() -> None:
    """Metrics without their operation cannot be found again."""
    with pytest.raises(ValidationError, match="operation_id"):
        metrics(operation_id="")


@given(*[st.integers(0, 5)] * 4)
def test_found_is_copied_failed_and_skipped(
    found: int, copied: int, failed: int, skipped: int
) -> None:
    """While running, no more is done than was found; at the end, exactly as much."""
    counts = {
        "total_files_found": found,
        "files_copied_successfully": copied,
        "files_failed": failed,
        "files_skipped": skipped,
    }
    done = copied + failed + skipped
    for end, legal in ((None, done <= found), (END, done == found)):
        if legal:
            assert metrics(end_time=end, **counts).total_files_found == found
        else:
            with pytest.raises(ValidationError, match="copied \\+ failed \\+ skipped"):
                metrics(end_time=end, **counts)


def test_the_duration_runs_until_the_end() -> None:
    """While the operation runs, the duration is the time since its start."""
    started = datetime.now(UTC) - timedelta(hours=1)
    assert 3_600 <= metrics(start_time=started).duration_seconds < 3_660
    assert metrics(end_time=END).duration_seconds == 2.5


def test_the_recorder_counts_each_outcome_once() -> None:
    """Copied, relayed, skipped and failed objects land in their own counts."""
    log = Log()
    recorder = MetricsRecorder("id", observers=(log,))
    recorder.listed(4, 40)
    told = list(outcomes().values())
    for outcome in told:
        recorder.finished(outcome)
    recorder.end()
    counted = recorder.snapshot()
    assert (counted.total_files_found, counted.files_copied_successfully) == (4, 2)
    assert (counted.files_skipped, counted.files_failed, counted.files_relayed) == (1, 1, 1)
    assert counted.total_bytes_transferred == 20
    assert counted.errors_encountered == ["copy s3://my-bucket/k -> s3://other-bucket/k: no"]
    assert log.outcomes == told
    assert log.listed == 4


def test_the_recorder_counts_requests() -> None:
    """Retried requests are sent ones, throttled answers are counted apart."""
    recorder = MetricsRecorder("id")
    recorder.request(retry=False)
    recorder.request(retry=True)
    recorder.throttled()
    counted = recorder.snapshot()
    assert counted.requests_sent == 2
    assert counted.requests_retried == 1
    assert counted.requests_throttled == 1


def test_the_recorder_tells_what_was_held_back() -> None:
    """Seconds add up, the last known limit stays, and the first time is one notice."""
    log = Log()
    recorder = MetricsRecorder("id", observers=(log,))
    for seconds, rate in ((1.0, 500.0), (0.5, 480.0), (0.25, None)):
        recorder.held_back(seconds, rate)
    counted = recorder.snapshot()
    assert (counted.seconds_throttled, counted.request_rate_limit) == (1.75, 480.0)
    assert len(log.notices) == 1


def test_a_snapshot_does_not_move() -> None:
    """What comes later changes no snapshot taken before."""
    recorder = MetricsRecorder("id")
    before = recorder.snapshot()
    recorder.listed(1, 1)
    recorder.degraded("x", "why")
    recorder.failed("error")
    assert before.total_files_found == 0
    assert before.errors_encountered == []
    assert before.degradations == {}


def test_copied_objects_are_counted_by_their_proof() -> None:
    """Each copied object has one proof, whatever earlier runs proved; the names are plain text."""
    recorder = MetricsRecorder("id")
    recorder.go_on_from(EarlierRun(operation_id="id", start_time=START, proofs={"size": 4}))
    recorder.listed(5, 50)
    copied = outcomes()["copied"]
    assert isinstance(copied, Copied)
    for proof in (Proof.ETAG, Proof.SIZE, Proof.ETAG, Proof.NONE):
        recorder.finished(replace(copied, proof=proof))
    recorder.finished(outcomes()["failed"])
    assert recorder.snapshot().proofs == {"etag": 2, "size": 5, "none": 1}
    assert {type(name) for name in recorder.snapshot().proofs} == {str}
    assert recorder.earlier().proofs == recorder.snapshot().proofs
    recorder.forget_earlier()
    assert recorder.snapshot().proofs == {"etag": 2, "size": 1, "none": 1}


def test_objects_never_tried_leave_the_total() -> None:
    """At the end, found objects that were not attempted are told apart, so that sums hold."""
    recorder = MetricsRecorder("id")
    recorder.listed(5, 50)
    recorder.finished(outcomes()["copied"])
    recorder.end()
    ended = recorder.snapshot()
    assert ended.total_files_found == 1
    assert ended.degradations == {"not_attempted": 4}


def test_a_complete_operation_has_nothing_untried() -> None:
    """Without untried objects there is no such entry."""
    recorder = MetricsRecorder("id")
    recorder.listed(1, 10)
    recorder.finished(outcomes()["copied"])
    recorder.end()
    assert recorder.snapshot().degradations == {}


def test_the_end_is_fixed_once_and_after_the_start() -> None:
    """A clock that stands still still gives a legal snapshot; a second end changes nothing."""
    times = iter([START, START, START, END])
    recorder = MetricsRecorder("id", now=lambda: next(times))
    recorder.start()
    recorder.end()
    recorder.end()
    assert recorder.snapshot().end_time == START + timedelta(microseconds=1)


def test_kept_errors_are_bounded() -> None:
    """Memory does not grow with failures: the first ones are kept, all are counted and told."""
    log = Log()
    recorder = MetricsRecorder("id", observers=(log,), max_errors_kept=2)
    recorder.listed(5, 50)
    for _ in range(5):
        recorder.finished(outcomes()["failed"])
    counted = recorder.snapshot()
    assert len(counted.errors_encountered) == len(recorder.failures) == 2
    assert counted.files_failed == len(log.outcomes) == 5


def test_a_failing_observer_is_logged_once_and_heard_no_more(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An observer's bug disturbs neither the copy nor the other observers."""

    class Broken(Observer):
        calls = 0

        def objects_listed(self, count: int, size_bytes: int) -> None:
            self.calls += 1
            raise RuntimeError("an observer's bug")

    broken, log = Broken(), Log()
    recorder = MetricsRecorder("id", observers=(broken, log))
    recorder.listed(1, 1)
    recorder.listed(1, 1)
    assert broken.calls == 1
    assert log.listed == 2
    (record,) = caplog.records
    assert record.getMessage() == "observer.failed"
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None


def test_a_degradation_warns_once_and_counts_all(caplog: pytest.LogCaptureFixture) -> None:
    """Each kind is one warning and one notice, with the number of objects in the metrics."""
    log = Log()
    recorder = MetricsRecorder("id", observers=(log,))
    for _ in range(3):
        recorder.degraded("storage_class", "unknown class")
    recorder.degraded("other", "something else")
    assert recorder.snapshot().degradations == {"storage_class": 3, "other": 1}
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
    assert log.notices == ["unknown class", "something else"]


def test_the_recorder_tells_progress_and_states() -> None:
    """Every hook of an observer is fed."""
    log = Log()
    recorder = MetricsRecorder("id", observers=(log,))
    recorder.state_changed(OperationState.COPYING)
    recorder.bytes_copied(7)
    recorder.listing_completed()
    recorder.notice("event", "text")
    recorder.notice("event", "text again")
    assert log.states == [OperationState.COPYING]
    assert (log.bytes, log.listing_ended, log.notices) == (7, 1, ["text"])


def test_an_observer_that_overrides_nothing_hears_everything() -> None:
    """Every hook has a default: a subclass overrides only what it needs."""
    recorder = MetricsRecorder("id", observers=(Observer(),))
    recorder.listed(1, 1)
    recorder.listing_completed()
    recorder.bytes_copied(1)
    recorder.finished(outcomes()["copied"])
    recorder.notice("event", "text")
    recorder.state_changed(OperationState.COMPLETED)
    recorder.bytes_copied(1)
    assert recorder.snapshot().files_copied_successfully == 1
