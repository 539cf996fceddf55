"""An operation goes on from a checkpoint: nothing lost, little copied twice, nothing leaked."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from async_s3copy import CopyFailedError, OperationState, TransferMetrics, ValidationError
from async_s3copy.engine import journal
from async_s3copy.errors import CopyCancelledError
from async_s3copy.operation import S3CopyOperation
from async_s3copy.options import MIB
from tests.fake_server import Call, FakeS3, Fault, Phase
from tests.harness import Log, World, fast_options

LARGE = b"x" * (6 * MIB)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """Two buckets of one in-memory server."""
    return World(FakeS3(page_size=7)).install(monkeypatch)


def fill(world: World, count: int, *, data: bytes | None = None) -> list[str]:
    """Put objects with keys that rise; return the keys without their prefix."""
    names = [f"{number:04}" for number in range(count)]
    for name in names:
        world.source.put("source-bucket", f"in/{name}", name.encode() if data is None else data)
    return names


def copies(world: World) -> Counter[str | None]:
    """How often each destination key was written."""
    writes = ("CopyObject", "CompleteMultipartUpload", "PutObject")
    return Counter(call.key for call in world.source.calls if call.operation in writes)


def assert_everything_arrived(world: World) -> None:
    """The destination holds what the source holds, and nothing else."""
    arrived = {k: o.data for k, o in world.destination.buckets["target-bucket"].items()}
    there = {
        "out/" + k.removeprefix("in/"): o.data
        for k, o in world.source.buckets["source-bucket"].items()
    }
    assert arrived == there


async def killed_at(
    world: World, point: int, *, stored: list[dict[str, Any]] | None = None, **more: Any
) -> dict[str, Any]:
    """Run until the server has seen so many points, then vanish; return the checkpoint of then.

    As after ``kill -9``: what is open at that moment stays open, and nothing is stored any more.
    """
    taken: list[dict[str, Any]] = []

    async def store(checkpoint: dict[str, Any]) -> None:
        assert stored is not None
        if not taken:
            stored.append(json.loads(json.dumps(checkpoint)))

    if stored is not None:
        more |= {"on_checkpoint": store, "checkpoint_interval_s": 1e-9}
    # Nothing that hangs is waited for.
    more.setdefault("options", fast_options(cleanup_timeout_s=1e-3))
    operation = world.operation(**more)

    async def hook(call: Call, phase: Phase) -> None:
        if operation.state is OperationState.COPYING and world.source.points >= point:
            if not taken:
                taken.append(json.loads(json.dumps(operation.checkpoint())))
            # Not even the cleanup of a killed process arrives.
            await asyncio.get_running_loop().create_future()

    world.source.hook = hook
    task = asyncio.ensure_future(operation.run())
    for _ in range(50_000):
        if task.done() or taken:
            break
        await asyncio.sleep(0)
    world.source.hook = None
    if task.done():
        return operation.checkpoint()
    uploads = dict(world.source.uploads)
    objects = dict(world.destination.buckets["target-bucket"])
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    world.source.uploads = uploads
    world.destination.buckets["target-bucket"] = objects
    world.source.points = 0
    return taken[0]


async def resumed(world: World, checkpoint: dict[str, Any], **more: Any) -> TransferMetrics:
    return await world.operation(resume_from=checkpoint, **more).run()


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), listings=st.sampled_from([1, 8]))
def test_killed_anywhere_nothing_is_lost_and_little_copied_twice(
    data: st.DataObject, listings: int
) -> None:
    """Killed at any moment, as often as may be: every object is right, the counts are exact."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        world = World(FakeS3(page_size=7)).install(monkeypatch)
        names = fill(world, 60)
        options = fast_options(max_concurrent_listings=listings, cleanup_timeout_s=1e-3)
        more: dict[str, Any] = {"batch_size": 5, "options": options}

        async def main() -> None:
            checkpoint = None
            kills = data.draw(st.lists(st.integers(1, 120), max_size=4))
            for point in kills:
                checkpoint = await killed_at(world, point, resume_from=checkpoint, **more)
            metrics = await world.operation(resume_from=checkpoint, **more).run()
            assert_everything_arrived(world)
            assert metrics.total_files_found == metrics.files_copied_successfully == len(names)
            assert metrics.total_bytes_transferred == 4 * len(names)
            # The checkpoint is of the moment of the kill: four copies are under way, and each of
            # the workers may just begin another one.
            again = sum(count - 1 for count in copies(world).values())
            assert again <= 8 * len(kills)
            world.assert_clean()

        asyncio.run(main())


async def test_what_is_done_is_not_asked_for_again(world: World) -> None:
    """The second run lists from where the first one was and copies only the rest."""
    fill(world, 70)
    checkpoint = await killed_at(world, 90)
    done = len(world.destination.buckets["target-bucket"])
    assert done > 20
    world.source.calls.clear()
    metrics = await resumed(world, checkpoint)
    assert_everything_arrived(world)
    pending = len(checkpoint["pending"])
    assert len(world.source.made("CopyObject")) <= 70 - done + pending
    assert len(world.source.made("HeadObject")) == pending
    assert len(world.source.made("ListObjectsV2")) <= 2 + (70 - done + pending) // 7 + 1
    assert metrics.requests_sent > len(world.source.calls), "those of the first run count, too"


async def test_keeps_its_name_and_its_beginning(world: World) -> None:
    """Across runs it is one operation: one id, one start."""
    fill(world, 30)
    checkpoint = await killed_at(world, 40)
    operation, log = world.operation(resume_from=checkpoint), Log()
    metrics = await operation.run()
    assert log.states == []
    assert metrics.operation_id == operation.operation_id == checkpoint["operation_id"]
    assert metrics.start_time == datetime.fromisoformat(checkpoint["start_time"])


async def test_failures_are_remembered_and_alone_tried_again(world: World) -> None:
    """After a run with failures the next one copies these objects, and lists nothing."""
    fill(world, 40)
    world.source.faults = [
        Fault("CopyObject", "AccessDenied", 403, key=f"out/{n:04}", times=9) for n in (3, 30)
    ]
    operation = world.operation()
    with pytest.raises(CopyFailedError) as caught:
        await operation.run()
    assert caught.value.metrics.files_failed == 2
    checkpoint = operation.checkpoint()
    assert checkpoint["failed"] == ["in/0003", "in/0030"]
    assert checkpoint["remaining"] == []
    world.source.faults, world.source.calls = [], []
    metrics = await resumed(world, checkpoint)
    assert_everything_arrived(world)
    assert [call.key for call in world.source.made("CopyObject")] == ["out/0003", "out/0030"]
    assert (metrics.files_copied_successfully, metrics.files_failed) == (40, 0)
    assert metrics.errors_encountered == []


async def test_a_failure_that_stays_is_still_remembered(world: World) -> None:
    """An object that fails in every run is in every checkpoint, and counted once."""
    fill(world, 10)
    world.source.faults = [Fault("CopyObject", "AccessDenied", 403, key="out/0004", times=99)]
    checkpoint = None
    for _ in range(3):
        operation = world.operation(resume_from=checkpoint)
        with pytest.raises(CopyFailedError) as caught:
            await operation.run()
        checkpoint = operation.checkpoint()
        assert checkpoint["failed"] == ["in/0004"]
        metrics = caught.value.metrics
        assert (metrics.total_files_found, metrics.files_failed) == (10, 1)


async def test_beyond_its_memory_of_failures_a_checkpoint_stands_still(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When more objects fail than it can name, all that follows is copied again: none is lost."""
    monkeypatch.setattr(journal, "MAX_FAILED_KEYS", 5)
    fill(world, 60)
    world.source.faults = [
        Fault("CopyObject", "AccessDenied", 403, key=f"out/{n:04}") for n in range(0, 60, 3)
    ]
    operation = world.operation(batch_size=5)
    with pytest.raises(CopyFailedError):
        await operation.run()
    checkpoint = operation.checkpoint()
    assert len(checkpoint["failed"]) == 5
    assert checkpoint["remaining"] != []
    metrics = await resumed(world, checkpoint)
    assert_everything_arrived(world)
    assert metrics.total_files_found == metrics.files_copied_successfully == 60


async def test_fail_fast_leaves_the_rest_to_the_next_run(world: World) -> None:
    """What a run gave up at its first failure is copied by the one that goes on."""
    fill(world, 50)
    world.source.faults = [Fault("CopyObject", "AccessDenied", 403, key="out/0011")]
    operation = world.operation(options=fast_options(fail_fast=True))
    with pytest.raises(CopyFailedError):
        await operation.run()
    metrics = await resumed(world, operation.checkpoint())
    assert_everything_arrived(world)
    assert metrics.total_files_found == metrics.files_copied_successfully == 50


async def test_a_listing_that_breaks_off_is_taken_up(world: World) -> None:
    """The pages that could not be read are read by the next run."""
    fill(world, 50)
    operation = world.operation()

    async def hook(call: Call, phase: Phase) -> None:
        if call.operation == "ListObjectsV2" and len(copies(world)) > 10:
            raise call.error("AccessDenied", 403)

    world.source.hook = hook
    with pytest.raises(CopyFailedError, match="broke off"):
        await operation.run()
    world.source.hook = None
    metrics = await resumed(world, operation.checkpoint())
    assert_everything_arrived(world)
    assert metrics.total_files_found == 50


async def test_a_cancelled_operation_can_go_on(world: World) -> None:
    """``cancel()`` leaves a checkpoint of everything that was not done."""
    fill(world, 40)
    operation = world.operation()

    async def hook(call: Call, phase: Phase) -> None:
        if len(copies(world)) == 20:
            operation.cancel()

    world.source.hook = hook
    with pytest.raises(CopyCancelledError):
        await operation.run()
    world.source.hook = None
    metrics = await resumed(world, operation.checkpoint())
    assert_everything_arrived(world)
    assert metrics.total_files_found == metrics.files_copied_successfully == 40
    assert "not_attempted" not in metrics.degradations


async def test_a_complete_copy_costs_nothing(world: World) -> None:
    """Going on where nothing is left sends no request and says what had been done."""
    fill(world, 10)
    operation = world.operation()
    await operation.run()
    world.source.calls.clear()
    metrics = await resumed(world, operation.checkpoint())
    assert world.source.calls == []
    assert metrics.files_copied_successfully == metrics.total_files_found == 10


async def test_a_single_object(world: World) -> None:
    """A copy of one object is pending until it is done; then nothing is left."""
    world.source.put("source-bucket", "one", b"1")
    world.source.faults = [Fault("CopyObject", "AccessDenied", 403)]
    single: dict[str, Any] = {"source_key": "one", "destination_key": "two", "recursive": False}
    operation = world.operation(**single)
    assert operation.checkpoint()["pending"] == ["one"]
    with pytest.raises(CopyFailedError):
        await operation.run()
    assert operation.checkpoint()["failed"] == ["one"]
    again = world.operation(**single, resume_from=operation.checkpoint())
    metrics = await again.run()
    assert (metrics.total_files_found, metrics.files_copied_successfully) == (1, 1)
    assert again.checkpoint()["pending"] == again.checkpoint()["failed"] == []


async def test_a_pending_object_that_is_gone_is_forgotten(world: World) -> None:
    """An object deleted meanwhile is no failure: a listing would not name it either."""
    fill(world, 30)
    checkpoint = await killed_at(world, 40)
    gone = checkpoint["pending"][0]
    del world.source.buckets["source-bucket"][gone]
    world.destination.buckets["target-bucket"].pop("out/" + gone.removeprefix("in/"), None)
    operation = world.operation(resume_from=checkpoint)
    metrics = await operation.run()
    assert_everything_arrived(world)
    assert metrics.files_failed == 0
    assert operation.checkpoint()["pending"] == []


async def test_a_pending_object_that_cannot_be_read_has_failed(world: World) -> None:
    """It is reported by key and code, and stays in the checkpoint."""
    fill(world, 30)
    checkpoint = await killed_at(world, 40)
    unreadable = checkpoint["pending"][0]
    world.source.faults = [Fault("HeadObject", "AccessDenied", 403, key=unreadable)]
    operation = world.operation(resume_from=checkpoint)
    with pytest.raises(CopyFailedError) as caught:
        await operation.run()
    [failure] = caught.value.failures
    assert (failure.source.key, failure.code) == (unreadable, "AccessDenied")
    assert operation.checkpoint()["failed"] == [unreadable]


@pytest.mark.parametrize("point", range(4, 40, 3))
async def test_uploads_a_killed_run_left_are_aborted(world: World, point: int) -> None:
    """Wherever in a multipart copy it was killed, the next run leaves no upload open."""
    fill(world, 3, data=LARGE)
    kept: list[dict[str, Any]] = []
    await killed_at(world, point, stored=kept)
    await world.operation(resume_from=kept[-1] if kept else None).run()
    assert_everything_arrived(world)
    world.assert_clean()


async def test_an_upload_is_stored_before_it_exists(world: World) -> None:
    """When CreateMultipartUpload goes out, a checkpoint that names its key has been stored."""
    fill(world, 3, data=LARGE)
    named: set[str] = set()

    async def keep(checkpoint: dict[str, Any]) -> None:
        await asyncio.sleep(0)
        named.update(key for key, _ in checkpoint["uploads"])

    async def hook(call: Call, phase: Phase) -> None:
        if call.operation == "CreateMultipartUpload":
            assert call.key in named

    world.source.hook = hook
    await world.operation(on_checkpoint=keep, checkpoint_interval_s=1e-9).run()
    assert named == {f"out/{n:04}" for n in range(3)}


async def test_a_checkpoint_names_an_upload_once_and_while_it_is_open(world: World) -> None:
    """First by its key, then by its id, and no more once it is complete."""
    fill(world, 1, data=LARGE)
    operation, seen = world.operation(), []

    async def hook(call: Call, phase: Phase) -> None:
        seen.append(operation.checkpoint()["uploads"])

    world.source.hook = hook
    await operation.run()
    assert [names for names, _ in itertools.groupby(seen)] == [
        [],
        [["out/0000", None]],
        [["out/0000", "upload-1"]],
    ]
    assert operation.checkpoint()["uploads"] == []


async def test_an_upload_whose_creation_was_not_answered_is_looked_for(world: World) -> None:
    """The next run finds by the key what this one could not know of."""
    fill(world, 2, data=LARGE)
    world.source.faults = [
        Fault("CreateMultipartUpload", "InternalError", 500, key="out/0000", times=9, after=True),
        Fault("CreateMultipartUpload", "AccessDenied", 403, key="out/0001"),
        # This run looks for them itself, in vain.
        Fault("ListMultipartUploads", "AccessDenied", 403),
    ]
    operation = world.operation()
    with pytest.raises(CopyFailedError):
        await operation.run()
    checkpoint = operation.checkpoint()
    assert len(world.source.uploads) == 4, "one for each attempt"
    assert checkpoint["uploads"] == [["out/0000", None]], "the refused one does not exist"
    world.source.faults = []
    again = world.operation(resume_from=checkpoint)
    await again.run()
    assert_everything_arrived(world)
    world.assert_clean()
    assert again.checkpoint()["uploads"] == []


async def test_only_its_own_uploads_are_aborted(world: World) -> None:
    """Uploads of other keys, and those begun before the operation, are left alone."""
    fill(world, 3, data=LARGE)
    checkpoint = await killed_at(world, 1)
    checkpoint["uploads"] = [["out/0001", None]]
    make = world.source.new_upload
    properties = next(iter(world.source.buckets["source-bucket"].values())).properties
    other = make("target-bucket", "out/0001-other", properties)
    old = make("target-bucket", "out/0001", properties)
    ours = make("target-bucket", "out/0001", properties)
    started = datetime.fromisoformat(checkpoint["start_time"])
    world.source.uploads[old].initiated = started - timedelta(hours=1)
    world.source.uploads[ours].initiated = datetime.now(UTC)
    await resumed(world, checkpoint)
    assert set(world.source.uploads) == {other, old}


async def test_an_upload_that_was_aborted_is_forgotten(world: World) -> None:
    """Also one of a key that is not copied again."""
    fill(world, 2)
    checkpoint = await killed_at(world, 1)
    properties = next(iter(world.source.buckets["source-bucket"].values())).properties
    left = world.source.new_upload("target-bucket", "out/elsewhere", properties)
    checkpoint["uploads"] = [["out/elsewhere", left]]
    operation = world.operation(resume_from=checkpoint)
    await operation.run()
    world.assert_clean()
    assert operation.checkpoint()["uploads"] == []


async def test_an_upload_that_cannot_be_aborted_is_told_and_tried_again(world: World) -> None:
    """It is counted, and named in the checkpoint of the next run."""
    fill(world, 2)
    checkpoint = await killed_at(world, 1)
    checkpoint["uploads"] = [["out/elsewhere", "upload-9"], ["out/unknown", None]]
    world.source.faults = [
        Fault("AbortMultipartUpload", "AccessDenied", 403),
        Fault("ListMultipartUploads", "AccessDenied", 403),
    ]
    operation = world.operation(resume_from=checkpoint)
    metrics = await operation.run()
    assert metrics.degradations["uploads_left_open"] == 2
    assert operation.checkpoint()["uploads"] == checkpoint["uploads"]


@pytest.mark.parametrize("how", ["ignores_start_after", "lists_unordered", "sorts_folders"])
@pytest.mark.parametrize("listings", [1, 8])
async def test_servers_that_cannot_go_on_from_a_key(world: World, how: str, listings: int) -> None:
    """Everything is listed and copied again rather than a key lost, and counted once."""
    world.source.endpoint = world.destination.endpoint = FakeS3("http://127.0.0.1:8333").endpoint
    setattr(world.source, how, True)
    for number in range(40):
        world.source.put("source-bucket", f"in/{number % 4}/{number:02}", b"x")
        world.source.put("source-bucket", f"in/{number % 4}-{number:02}", b"x")
    options = fast_options(max_concurrent_listings=listings)
    checkpoint = await killed_at(world, 60, options=options)
    metrics = await resumed(world, checkpoint, options=options)
    assert_everything_arrived(world)
    assert metrics.total_files_found == metrics.files_copied_successfully
    # What was pending is copied first, before the listing is known to begin anew.
    again = len(checkpoint["pending"]) if checkpoint["remaining"] != [[None, None]] else 0
    assert 80 <= metrics.files_copied_successfully <= 80 + again


async def test_a_listing_in_no_order_has_no_ranges(world: World) -> None:
    """While it lists, such an operation can only be begun anew, and its counts say so."""
    world.source.endpoint = world.destination.endpoint = FakeS3("http://127.0.0.1:8333").endpoint
    world.source.lists_unordered = True
    fill(world, 80)
    checkpoint = await killed_at(world, 150)
    assert checkpoint["remaining"] == [[None, None]]
    assert checkpoint["pending"] == []
    assert checkpoint["metrics"]["files_copied_successfully"] == 0
    assert checkpoint["metrics"]["requests_sent"] > 0


async def test_a_range_without_a_key_is_done_while_others_are_not(world: World) -> None:
    """That it holds nothing is known when its page has come, not only in the end."""
    fill(world, 60)
    whole = world.operation().checkpoint()
    ranges = {"remaining": [["in/00041", "in/00049"], ["in/0009", None]]}
    checkpoint = await killed_at(world, 60, resume_from=whole | ranges)
    assert len(checkpoint["remaining"]) == 1
    assert checkpoint["remaining"][0][0] > "in/0009"


async def test_a_shard_without_a_key_is_done(world: World) -> None:
    """A shard that holds nothing leaves nothing."""
    fill(world, 10)
    operation = world.operation(start_after="in/00041", up_to="in/00049")
    metrics = await operation.run()
    assert metrics.total_files_found == 0
    assert operation.checkpoint()["remaining"] == []


async def test_out_of_order_failures_alone_are_left_in_the_end(world: World) -> None:
    """A listing in no order has no ranges; once all of it was taken, its failures are known."""
    world.source.endpoint = world.destination.endpoint = FakeS3("http://127.0.0.1:8333").endpoint
    world.source.lists_unordered = True
    fill(world, 80)
    world.source.faults = [Fault("CopyObject", "AccessDenied", 403, key="out/0033")]
    operation = world.operation()
    with pytest.raises(CopyFailedError):
        await operation.run()
    checkpoint = operation.checkpoint()
    assert (checkpoint["remaining"], checkpoint["failed"]) == ([], ["in/0033"])
    world.source.calls.clear()
    metrics = await resumed(world, checkpoint)
    assert_everything_arrived(world)
    assert [call.key for call in world.source.made("CopyObject")] == ["out/0033"]
    assert metrics.total_files_found == metrics.files_copied_successfully == 80


@pytest.mark.parametrize(
    "change, rule",
    [
        ({"source_key": "other/"}, "checkpoint of this copy"),
        ({"destination_key": None}, "checkpoint of this copy"),
        ({"start_after": "in/0003"}, "checkpoint of this copy"),
        ({"resume_from": {"version": 1}}, "missing or malformed"),
        ({"resume_from": "text"}, "what checkpoint"),
        ({"checkpoint_interval_s": 0}, "checkpoint_interval_s"),
        ({"start_after": "", "resume_from": None}, "start_after"),
        ({"start_after": "b", "up_to": "b", "resume_from": None}, "greater than start_after"),
        ({"up_to": "b", "recursive": False, "resume_from": None}, "recursive=True"),
    ],
)
async def test_bad_parameters_are_refused(world: World, change: dict[str, Any], rule: str) -> None:
    """One sentence says what is wrong, before any request."""
    fill(world, 3)
    given = {"resume_from": world.operation().checkpoint()} | change
    with pytest.raises(ValidationError, match=rule):
        await world.operation(**given).run()
    assert world.source.calls == []


async def test_shards_that_meet_share_no_key(world: World) -> None:
    """Half-open ranges of keys: together they copy every object once."""
    fill(world, 50)
    cuts = [None, "in/0009", "in/0020zzz", "in/0044", None]
    found = 0
    for after, until in itertools.pairwise(cuts):
        metrics = await world.operation(start_after=after, up_to=until).run()
        found += metrics.total_files_found
    assert_everything_arrived(world)
    assert found == 50
    assert set(copies(world).values()) == {1}


async def test_the_report_goes_on(world: World, tmp_path: Path) -> None:
    """A resumed operation adds to the report instead of replacing it."""
    fill(world, 10)
    world.source.faults = [Fault("CopyObject", "AccessDenied", 403, key="out/0004")]
    report = tmp_path / "report.jsonl"
    operation = world.operation(report=report)
    with pytest.raises(CopyFailedError):
        await operation.run()
    await resumed(world, operation.checkpoint(), report=report)
    outcomes = Counter(json.loads(line)["outcome"] for line in report.read_text().splitlines())
    assert outcomes == {"copied": 10, "failed": 1}


async def test_the_last_checkpoint_is_of_the_end(world: World) -> None:
    """However a copy ends, the checkpoint stored last is the final one."""
    fill(world, 30)
    kept: list[dict[str, Any]] = []

    async def keep(checkpoint: dict[str, Any]) -> None:
        kept.append(checkpoint)

    def ends(change: Callable[[S3CopyOperation], None]) -> S3CopyOperation:
        operation = world.operation(on_checkpoint=keep)
        change(operation)
        return operation

    operation = ends(lambda _: None)
    await operation.run()
    assert kept[-1] == operation.checkpoint()
    assert kept[-1]["remaining"] == []
    world.source.faults = [Fault("CopyObject", "AccessDenied", 403, key="out/0007")]
    operation = ends(lambda _: None)
    with pytest.raises(CopyFailedError):
        await operation.run()
    assert kept[-1] == operation.checkpoint()
    assert kept[-1]["failed"] == ["in/0007"]
