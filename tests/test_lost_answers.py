"""Answers that do not arrive: what was carried out is recognised, what is open is closed."""

from __future__ import annotations

import logging

import anyio
import pytest

from async_s3copy import CopyFailedError, S3CopyOperation, TransferMetrics
from async_s3copy.options import MIB
from tests.fake_server import AWS, OTHER, Call, FakeS3, Fault, Phase
from tests.harness import World, fast_options, outcome_of

LARGE = bytes(11 * MIB)
LOST = ["ReadTimeout", "InternalError", "InvalidResponse"]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World().install(monkeypatch)
    world.source.put("source-bucket", "in/k", LARGE)
    return world


def a_copy(world: World, method: str = "server_side", *, overwrite: bool = True) -> S3CopyOperation:
    return world.operation(overwrite=overwrite, options=fast_options(method=method))


async def failure(operation: S3CopyOperation) -> CopyFailedError:
    with pytest.raises(CopyFailedError) as caught:
        await operation.run()
    return caught.value


def arrived(world: World, key: str = "out/k") -> bytes | None:
    stored = world.source.buckets["target-bucket"].get(key)
    return stored.data if stored else None


def open_uploads(metrics: TransferMetrics) -> int:
    return metrics.degradations.get("uploads_left_open", 0)


@pytest.mark.parametrize("method", ["server_side", "relay"])
@pytest.mark.parametrize("overwrite", [True, False])
@pytest.mark.parametrize("code", LOST)
async def test_a_completion_whose_answer_was_lost_is_recognised(
    world: World, code: str, overwrite: bool, method: str
) -> None:
    """The retry finds no upload; the object it made is there: copied, and nothing to abort."""
    world.source.faults = [Fault("CompleteMultipartUpload", code, after=True)]
    metrics = await a_copy(world, method, overwrite=overwrite).run()
    assert metrics.files_copied_successfully == 1
    assert arrived(world) == LARGE
    assert world.source.counts()["CompleteMultipartUpload"] == 2
    assert open_uploads(metrics) == 0
    world.assert_clean()


async def test_a_completion_that_never_answers_but_worked_is_recognised(world: World) -> None:
    """All attempts' answers lost: the object tells that the first one was carried out."""

    async def lose(call: Call, phase: Phase) -> None:
        attempts = len(world.source.made("CompleteMultipartUpload"))
        if call.operation == "CompleteMultipartUpload" and (phase == "after" or attempts > 1):
            raise call.error("ReadTimeout")

    world.source.hook = lose
    metrics = await a_copy(world).run()
    assert metrics.files_copied_successfully == 1
    assert world.source.counts()["CompleteMultipartUpload"] == 4
    world.assert_clean()


async def test_a_completion_with_a_single_attempt_is_looked_into_as_well(world: World) -> None:
    """The one attempt there is was lost, and worked: recognised without a retry."""
    world.source.faults = [Fault("CompleteMultipartUpload", "ReadTimeout", after=True)]
    options = fast_options(method="server_side", max_attempts=1)
    metrics = await world.operation(options=options).run()
    assert metrics.files_copied_successfully == 1
    assert world.source.counts()["CompleteMultipartUpload"] == 1
    world.assert_clean()


async def test_a_completion_that_failed_is_not_taken_for_one(world: World) -> None:
    """An upload that is gone without having become this object is a failure."""
    world.source.put("target-bucket", "out/k", b"somebody else's")

    async def vanish(call: Call, phase: Phase) -> None:
        if call.operation == "CompleteMultipartUpload" and phase == "before":
            world.source.uploads.clear()

    world.source.hook = vanish
    world.source.faults = [Fault("CompleteMultipartUpload", "InternalError", 500)]
    error = await failure(a_copy(world))
    assert [each.code for each in error.failures] == ["NoSuchUpload"]
    assert arrived(world) == b"somebody else's"
    world.assert_clean()


async def test_a_refused_completion_is_a_failure_and_aborted(world: World) -> None:
    """A clear refusal is not looked into: the upload is aborted."""
    world.source.faults = [Fault("CompleteMultipartUpload", "InvalidPart", 400)]
    error = await failure(a_copy(world))
    assert [each.code for each in error.failures] == ["InvalidPart"]
    assert world.source.counts()["AbortMultipartUpload"] == 1
    world.assert_clean()


async def test_an_equal_object_from_before_hides_no_open_upload(world: World) -> None:
    """The same object was there already, and Complete fails for good: its upload is aborted."""
    await a_copy(world).run()
    world.source.faults = [Fault("CompleteMultipartUpload", "InternalError", 500, times=99)]
    second = a_copy(world)
    await outcome_of(second.run())
    assert arrived(world) == LARGE
    assert open_uploads(second.metrics) == 0
    world.assert_clean()


@pytest.mark.parametrize("code", LOST)
@pytest.mark.parametrize(
    "method, operation", [("server_side", "CopyObject"), ("relay", "PutObject")]
)
async def test_a_412_that_our_own_lost_write_caused_is_no_conflict(
    world: World, method: str, operation: str, code: str
) -> None:
    """overwrite=False: the first attempt worked, the retry is refused: copied, not skipped."""
    world.source.put("source-bucket", "in/k", b"small")
    world.source.faults = [Fault(operation, code, after=True)]
    metrics = await a_copy(world, method, overwrite=False).run()
    assert (metrics.files_copied_successfully, metrics.files_skipped) == (1, 0)
    assert arrived(world) == b"small"
    assert world.source.counts()[operation] == 2


async def test_a_412_after_a_lost_answer_may_be_somebody_elses(world: World) -> None:
    """overwrite=False: another object is there, so ours was never written: skipped, not failed."""
    world.source.put("source-bucket", "in/k", b"small")

    async def slip_in(call: Call, phase: Phase) -> None:
        if call.operation == "CopyObject" and phase == "before":
            world.source.put("target-bucket", "out/k", b"somebody else's")

    world.source.faults = [Fault("CopyObject", "ReadTimeout")]
    world.source.hook = slip_in
    metrics = await a_copy(world, overwrite=False).run()
    assert (metrics.files_copied_successfully, metrics.files_skipped) == (0, 1)
    assert arrived(world) == b"somebody else's"


async def test_a_412_after_a_lost_answer_with_an_opaque_etag_is_not_claimed(world: World) -> None:
    """A multipart source's ETag cannot prove the copy: skipped rather than claimed, not failed."""
    world.source.put_parts("source-bucket", "in/k", [b"a", b"b"])
    world.source.faults = [Fault("CopyObject", "ReadTimeout", after=True)]
    metrics = await a_copy(world, overwrite=False).run()
    assert metrics.files_failed == 0
    assert arrived(world) == b"ab"


@pytest.mark.parametrize("code, status", [("InternalError", 500), ("InvalidRequest", 400)])
@pytest.mark.parametrize("method", ["server_side", "relay"])
async def test_a_failing_create_opens_nothing(
    world: World, method: str, code: str, status: int
) -> None:
    """No upload id, nothing to abort, no part sent."""
    world.source.faults = [Fault("CreateMultipartUpload", code, status, times=99)]
    error = await failure(a_copy(world, method))
    assert [each.code for each in error.failures] == [code]
    counts = world.source.counts()
    assert counts["AbortMultipartUpload"] == counts["UploadPart"] == counts["UploadPartCopy"] == 0
    world.assert_clean()


@pytest.mark.parametrize(
    "method, part", [("server_side", "UploadPartCopy"), ("relay", "UploadPart")]
)
async def test_a_failing_part_aborts_the_upload_and_stops_the_others(
    world: World, method: str, part: str
) -> None:
    """One part fails for good: no Complete, the upload is gone, everything given back."""
    world.source.faults = [Fault(part, "InternalError", 500, times=99)]
    error = await failure(a_copy(world, method))
    assert [each.code for each in error.failures] == ["InternalError"]
    assert world.source.counts()["CompleteMultipartUpload"] == 0
    assert open_uploads(error.metrics) == 0
    world.assert_clean()


@pytest.mark.parametrize(
    "method, part", [("server_side", "UploadPartCopy"), ("relay", "UploadPart")]
)
@pytest.mark.parametrize("code", [*LOST, "SlowDown", "BadDigest"])
async def test_a_part_whose_answer_was_lost_is_sent_again(
    world: World, method: str, part: str, code: str
) -> None:
    """Parts may be sent twice: the second one replaces the first."""
    world.source.faults = [Fault(part, code, times=2, after=True)]
    metrics = await a_copy(world, method).run()
    assert arrived(world) == LARGE
    assert world.source.counts()[part] == 5
    assert metrics.requests_retried == 2


async def test_an_abort_is_repeated_until_the_upload_is_gone(world: World) -> None:
    """Parts in flight may survive an abort: S3 is asked, and the abort sent again."""
    world.source.ignores_abort_times = 3
    world.source.faults = [Fault("UploadPartCopy", "InvalidRequest", 400)]
    error = await failure(a_copy(world))
    assert world.source.counts()["AbortMultipartUpload"] == 4
    assert world.source.counts()["ListParts"] == 4
    assert open_uploads(error.metrics) == 0
    world.assert_clean()


async def test_an_upload_that_cannot_be_aborted_is_counted(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """It is asked a few times, then counted and said where it is; the object's own error stays."""
    world.source.ignores_abort_times = 99
    world.source.faults = [Fault("UploadPartCopy", "InvalidRequest", 400)]
    error = await failure(a_copy(world))
    assert [each.code for each in error.failures] == ["InvalidRequest"]
    assert open_uploads(error.metrics) == 1
    assert world.source.counts()["AbortMultipartUpload"] == 5
    (warning,) = (record for record in caplog.records if record.levelno == logging.WARNING)
    assert "upload-1 of s3://target-bucket/out/k could not be aborted" in warning.getMessage()


async def test_a_denied_abort_is_counted(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Without s3:AbortMultipartUpload the upload stays, and the metrics and the log say so."""
    world.source.denied = {("destination", "AbortMultipartUpload", "target-bucket")}
    world.source.faults = [Fault("UploadPartCopy", "InvalidRequest", 400)]
    error = await failure(a_copy(world))
    assert open_uploads(error.metrics) == 1
    assert world.source.counts()["AbortMultipartUpload"] == 1
    assert "s3:AbortMultipartUpload" in caplog.text
    assert len(world.source.uploads) == 1


async def test_an_abort_is_trusted_where_nobody_may_look(world: World) -> None:
    """Without s3:ListMultipartUploadParts one abort has to do."""
    world.source.denied = {("destination", "ListParts", "target-bucket")}
    world.source.faults = [Fault("UploadPartCopy", "InvalidRequest", 400)]
    error = await failure(a_copy(world))
    assert world.source.counts()["AbortMultipartUpload"] == 1
    assert open_uploads(error.metrics) == 0
    world.assert_clean()


@pytest.mark.parametrize("url", [AWS, OTHER])
async def test_damaged_bytes_never_become_an_object(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relay that reads other bytes than the ETag tells of completes nothing."""
    world = World(FakeS3(url)).install(monkeypatch)
    for key, size in (("in/large", 11 * MIB), ("in/small", 10)):
        world.source.put("source-bucket", key, bytes(size))

    async def damage(call: Call, phase: Phase) -> None:
        world.source.damages["GetObject"] = int(len(world.source.made("GetObject")) <= 4)

    world.source.hook = damage
    error = await failure(a_copy(world, "relay"))
    assert {each.code for each in error.failures} == {"IntegrityMismatch"}
    assert "as the source says" in str(error)
    assert arrived(world, "out/large") is None
    world.assert_clean()


@pytest.mark.parametrize("url", [AWS, OTHER])
async def test_parts_of_different_sizes_are_no_damage(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first part's size explains the number of parts, but not the ETag: read twice, copied."""
    world = World(FakeS3(url)).install(monkeypatch)
    parts = [bytes(size * MIB) for size in (5, 7, 2)]
    world.source.put_parts("source-bucket", "in/k", parts)
    metrics = await a_copy(world, "relay").run()
    assert metrics.degradations == {"verified_by_size": 1}
    assert arrived(world, "out/k") == b"".join(parts)
    world.assert_clean()


async def test_parts_read_out_of_order_are_proven_in_order(world: World) -> None:
    """The first part arrives last, and the whole object still hashes to its ETag."""
    world.source.put("source-bucket", "in/k", b"first" * MIB + b"second" * MIB)
    others, read = 2, anyio.Event()

    async def hold_back(call: Call, phase: Phase) -> None:
        nonlocal others
        if call.operation != "GetObject" or phase == "before":
            return
        if call.first_byte == 0:
            await read.wait()
        else:
            others -= 1
            if not others:
                read.set()

    world.source.hook = hold_back
    metrics = await a_copy(world, "relay").run()
    assert arrived(world) == b"first" * MIB + b"second" * MIB
    assert metrics.degradations == {}
    world.assert_clean()


@pytest.mark.parametrize("code", LOST)
async def test_a_lost_single_copy_is_sent_again(world: World, code: str) -> None:
    """CopyObject may be sent twice: one object, one outcome, one retry."""
    world.source.put("source-bucket", "in/k", b"small")
    world.source.faults = [Fault("CopyObject", code, after=True)]
    metrics = await a_copy(world).run()
    assert (metrics.files_copied_successfully, metrics.requests_retried) == (1, 1)
    assert arrived(world) == b"small"
