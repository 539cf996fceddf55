"""A Create whose answer is lost: the upload it opened is found and aborted, and no other one is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from async_s3copy import CopyFailedError, S3CopyOperation
from async_s3copy.s3.values import AS_IT_IS
from tests.fake_server import Call, Fault, Phase
from tests.fake_store import StoredUpload
from tests.harness import World, outcome_of
from tests.test_preserve_ways import by_way

BODY = b"body"
METHODS = pytest.mark.parametrize("method", ["server_side", "relay"])
LOST = ["ReadTimeout", "InternalError", "InvalidResponse"]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World().install(monkeypatch)
    world.source.put("source-bucket", "in/k", BODY)
    return world


def a_copy(world: World, method: str, **given: Any) -> S3CopyOperation:
    way = "multipart" if method == "server_side" else "relay_multipart"
    return world.operation(options=by_way(way), **given)


def foreign(world: World, name: str, age: timedelta, key: str = "out/k") -> None:
    began = datetime.now(UTC) - age
    upload = StoredUpload("target-bucket", key, AS_IT_IS, initiated=began)
    world.source.uploads[name] = upload


@METHODS
@pytest.mark.parametrize("code", LOST)
async def test_an_upload_whose_name_was_lost_is_aborted(
    world: World, method: str, code: str
) -> None:
    """Create carried out twice, answered once: one object, no open upload, one more listing."""
    world.source.faults = [Fault("CreateMultipartUpload", code, after=True)]
    metrics = await a_copy(world, method).run()
    assert world.source.buckets["target-bucket"]["out/k"].data == BODY
    assert world.source.counts()["CreateMultipartUpload"] == 2
    assert world.source.counts()["ListMultipartUploads"] == 1
    assert metrics.degradations == {}
    world.assert_clean()


@METHODS
async def test_no_answer_at_all_leaves_nothing_open_either(world: World, method: str) -> None:
    """Every attempt of Create was carried out and none answered: all uploads are aborted."""
    world.source.faults = [Fault("CreateMultipartUpload", "ReadTimeout", after=True, times=99)]
    with pytest.raises(CopyFailedError):
        await a_copy(world, method).run()
    assert world.source.counts()["CreateMultipartUpload"] == 4
    world.assert_clean()


async def test_a_usual_upload_lists_nothing(world: World) -> None:
    """No answer lost, or a Create that was throttled: not one request more."""
    world.source.faults = [Fault("CreateMultipartUpload", "SlowDown", 503, times=2)]
    await a_copy(world, "server_side").run()
    assert world.source.counts()["ListMultipartUploads"] == 0
    world.assert_clean()


@METHODS
async def test_foreign_uploads_are_left_alone(world: World, method: str) -> None:
    """Older uploads of the key, and uploads of other keys that begin with it, stay."""
    foreign(world, "older", timedelta(minutes=1))
    foreign(world, "of another key", timedelta(), "out/k2")
    world.source.faults = [Fault("CreateMultipartUpload", "ReadTimeout", after=True)]
    await a_copy(world, method).run()
    assert set(world.source.uploads) == {"older", "of another key"}


@METHODS
@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("ahead", [timedelta(hours=-1), timedelta(hours=1)])
async def test_clocks_that_differ_do_not_matter(
    world: World, method: str, fails: bool, ahead: timedelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server's clock is an hour off: the stray is aborted, completed or not; others stay."""
    foreign(world, "older", timedelta(minutes=1) - ahead)
    plain = world.source.new_upload

    def new_upload(*args: Any) -> str:
        name = plain(*args)
        world.source.uploads[name].initiated = datetime.now(UTC) + ahead
        return name

    monkeypatch.setattr(world.source, "new_upload", new_upload)
    world.source.faults = [Fault("CreateMultipartUpload", "ReadTimeout", after=True)]
    if fails:
        part = "UploadPartCopy" if method == "server_side" else "UploadPart"
        world.source.faults.append(Fault(part, "InvalidRequest", 400))
    await outcome_of(a_copy(world, method).run())
    assert set(world.source.uploads) == {"older"}


@METHODS
async def test_they_are_aborted_after_a_failure_too(world: World, method: str) -> None:
    """The copy fails at a part: both uploads go."""
    part = "UploadPartCopy" if method == "server_side" else "UploadPart"
    world.source.faults = [
        Fault("CreateMultipartUpload", "ReadTimeout", after=True),
        Fault(part, "InvalidRequest", 400),
    ]
    with pytest.raises(CopyFailedError):
        await a_copy(world, method).run()
    world.assert_clean()


async def test_an_upload_that_cannot_be_looked_for_is_counted(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Without s3:ListBucketMultipartUploads: the object arrives, and the doubt is told."""
    world.source.denied = {("destination", "ListMultipartUploads", "target-bucket")}
    world.source.faults = [Fault("CreateMultipartUpload", "ReadTimeout", after=True)]
    metrics = await a_copy(world, "server_side").run()
    assert metrics.files_copied_successfully == 1
    assert metrics.degradations == {"uploads_left_open": 1}
    assert "the answer to its creation was lost" in caplog.text


async def test_a_server_that_tells_no_dates_is_not_guessed_about(world: World) -> None:
    """Uploads without a date: none is aborted but the one with a name; the doubt is counted."""
    foreign(world, "undated", datetime.now(UTC) - datetime(1970, 1, 1, tzinfo=UTC))
    world.source.faults = [Fault("CreateMultipartUpload", "ReadTimeout")]
    metrics = await a_copy(world, "server_side").run()
    assert set(world.source.uploads) == {"undated"}
    assert metrics.degradations == {"uploads_left_open": 1}


async def test_a_checkpoint_names_the_upload_and_the_stray(world: World) -> None:
    """Killed while the parts are copied: the next run knows of both, the named and the other."""
    seen: list[Any] = []

    async def look(call: Call, phase: Phase) -> None:
        if call.operation == "UploadPartCopy" and phase == "before":
            seen.append(world.transfers[0].journal.uploads)

    world.source.hook = look
    world.source.faults = [Fault("CreateMultipartUpload", "ReadTimeout", after=True)]
    await a_copy(world, "server_side").run()
    named = {upload.upload_id for upload in seen[0]}
    assert named == {None, "upload-2"}
    assert world.transfers[0].journal.uploads == ()
    world.assert_clean()


async def test_what_cannot_be_aborted_stays_in_the_journal(world: World) -> None:
    """The stray may not be aborted: told by name, and left to who goes on from the checkpoint."""
    world.source.denied = {("destination", "AbortMultipartUpload", "target-bucket")}
    world.source.faults = [Fault("CreateMultipartUpload", "ReadTimeout", after=True)]
    operation = a_copy(world, "server_side")
    await outcome_of(operation.run())
    assert operation.metrics.degradations == {"uploads_left_open": 1}
    (left,) = world.transfers[0].journal.uploads
    assert (left.key, left.upload_id) == ("out/k", None)
