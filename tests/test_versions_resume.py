"""A copy of all versions goes on from a checkpoint: no history is lost, and none is doubled."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from async_s3copy import (
    Copied,
    CopyCancelledError,
    CopyFailedError,
    S3CopyOperation,
    SkipReason,
    TransferMetrics,
    ValidationError,
)
from async_s3copy.engine.versions.arrived import arrived_versions, is_copy
from async_s3copy.model import S3Object
from tests.fake_reads import FakeReads
from tests.fake_server import Call, Fault, Phase
from tests.fake_store import Stored
from tests.harness import Log, World, fast_options, outcome_of
from tests.versions_world import (
    Event,
    arrived_histories,
    killed_at,
    make,
    source_histories,
    versioned_world,
)

KEYS = tuple(f"in/{name}" for name in ("a", "a-b", "a/b", "b", "c", "d", "é", "z"))
EVENTS = st.lists(
    st.tuples(st.sampled_from(KEYS), st.none() | st.binary(max_size=1)), min_size=1, max_size=40
)
WHEN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return versioned_world(monkeypatch, page_size=3)


async def resumed(world: World, checkpoint: dict[str, Any], **more: Any) -> TransferMetrics:
    return await world.operation(all_versions=True, resume_from=checkpoint, **more).run()


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(
    events=EVENTS,
    kills=st.lists(st.integers(1, 60), max_size=4),
    page_size=st.integers(1, 7),
    batch_size=st.sampled_from([1, 3, 100]),
    keeps_first=st.booleans(),
)
def test_killed_anywhere_each_history_arrives_once(
    events: list[Event],
    kills: list[int],
    page_size: int,
    batch_size: int,
    keeps_first: bool,
) -> None:
    """Killed as often as may be: every key's history is the source's, the counts are exact.

    Also where the checkpoint is older than what has been copied since.
    """
    with pytest.MonkeyPatch.context() as monkeypatch:
        world = versioned_world(monkeypatch, page_size=page_size)
        make(world, events)
        options = fast_options(cleanup_timeout_s=1e-3)

        async def main() -> TransferMetrics:
            checkpoint = None
            for point in kills:
                taken = await killed_at(
                    world, point, resume_from=checkpoint, batch_size=batch_size, options=options
                )
                checkpoint = checkpoint if keeps_first and checkpoint else taken
            return await world.operation(
                all_versions=True, resume_from=checkpoint, batch_size=batch_size, options=options
            ).run()

        metrics = asyncio.run(main())
        assert arrived_histories(world) == source_histories(world)
        assert metrics.total_files_found == metrics.files_copied_successfully == len(events)
        assert metrics.total_bytes_transferred == sum(len(data or b"") for _, data in events)
        assert metrics.degradations == {}


async def test_a_history_that_stopped_half_way_goes_on_there(world: World) -> None:
    """What has arrived is not copied again, and is told with the version ids it has."""
    make(world, [("in/a", b"%d" % n) for n in range(6)])
    checkpoint = await killed_at(world, 12)
    arrived = arrived_histories(world)["a"]
    assert 0 < len(arrived) < 6
    world.source.calls.clear()
    log = Log()
    metrics = await resumed(world, checkpoint, observer=log)
    assert len(world.source.made("CopyObject")) == 6 - len(arrived)
    assert arrived_histories(world) == source_histories(world)
    there = [each.version_id for each in reversed(world.source.versions["target-bucket"]["out/a"])]
    assert [each.version_id for each in log.outcomes if isinstance(each, Copied)] == there
    assert metrics.files_copied_successfully == 6


async def test_one_key_goes_on_as_well(world: World) -> None:
    """Not recursive: the key's history is not doubled."""
    make(world, [("in/a", b"%d" % n) for n in range(6)])
    one: dict[str, Any] = {"source_key": "in/a", "destination_key": "out/k", "recursive": False}
    checkpoint = await killed_at(world, 17, **one)
    assert 0 < len(arrived_histories(world)["k"]) < 6
    metrics = await resumed(world, checkpoint, **one)
    assert arrived_histories(world)["k"] == source_histories(world)["a"]
    assert metrics.total_files_found == metrics.files_copied_successfully == 6


async def test_failed_histories_are_tried_again_and_counted_once(world: World) -> None:
    """A key that failed in its middle goes on behind what arrived; earlier counts leave it out."""
    make(world, [("in/a", b"1"), ("in/a", None), ("in/a", b"3"), ("in/b", b"b")])
    world.source.faults = [Fault("DeleteObject", "AccessDenied", 403, times=99)]
    operation = world.operation(all_versions=True)
    with pytest.raises(CopyFailedError):
        await operation.run()
    assert arrived_histories(world) == {"a": [b"1"], "b": [b"b"]}
    checkpoint = json.loads(json.dumps(operation.checkpoint()))
    assert checkpoint["failed"] == ["in/a"]
    assert checkpoint["metrics"]["files_copied_successfully"] == 1
    world.source.faults = []
    metrics = await resumed(world, checkpoint)
    assert arrived_histories(world) == source_histories(world)
    assert (metrics.total_files_found, metrics.files_copied_successfully) == (4, 4)
    assert metrics.total_bytes_transferred == 3
    assert sum(metrics.proofs.values()) == 4


async def test_versions_from_before_the_operation_are_none_of_its_own(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the destination held before stays below, and is not taken for an arrival."""
    make(world, [("out/a", b"1"), ("out/a", b"old")], bucket="target-bucket")
    old = {each.version_id for each in world.source.versions["target-bucket"]["out/a"]}
    told = FakeReads._object

    def told_old(self: FakeReads, bucket: str, key: str, stored: Stored) -> S3Object:
        found = told(self, bucket, key, stored)
        if bucket == "target-bucket" and stored.version_id in old:
            object.__setattr__(found, "last_modified", found.last_modified - timedelta(days=1))
        return found

    monkeypatch.setattr(FakeReads, "_object", told_old)
    make(world, [("in/a", b"%d" % n) for n in range(1, 6)])
    checkpoint = await killed_at(world, 12)
    metrics = await resumed(world, checkpoint)
    assert arrived_histories(world)["a"] == [b"1", b"old", *source_histories(world)["a"]]
    assert metrics.degradations == {}


async def test_a_history_that_does_not_match_is_copied_whole_and_counted(world: World) -> None:
    """Somebody else wrote to the key meanwhile: nothing is lost, what comes twice is counted."""
    make(world, [("in/a", b"%d" % n) for n in range(6)])
    checkpoint = await killed_at(world, 12)
    make(world, [("out/a", b"somebody else's")], bucket="target-bucket")
    metrics = await resumed(world, checkpoint)
    assert arrived_histories(world)["a"][-6:] == source_histories(world)["a"]
    assert metrics.degradations == {"versions_repeated": 1}


async def test_a_destination_that_may_not_be_listed_is_said_to_be_unchecked(world: World) -> None:
    """Nothing is lost: versions come twice at most, and a count says that they may."""
    make(world, [("in/a", b"%d" % n) for n in range(6)])
    checkpoint = await killed_at(world, 12)
    world.source.denied.add(("destination", "ListObjectVersions", "target-bucket"))
    metrics = await resumed(world, checkpoint)
    assert arrived_histories(world)["a"][-6:] == source_histories(world)["a"]
    assert metrics.degradations == {"versions_unchecked": 1}


async def test_a_key_deleted_with_all_its_versions_is_forgotten(world: World) -> None:
    """A key that is gone from the source when the next run looks is neither failed nor pending."""
    make(world, [("in/a", b"1"), ("in/a", b"2")])
    checkpoint = await killed_at(world, 6)
    assert checkpoint["pending"] == ["in/a"]
    del world.source.versions["source-bucket"]["in/a"]
    del world.source.buckets["source-bucket"]["in/a"]
    operation = world.operation(all_versions=True, resume_from=checkpoint)
    metrics = await operation.run()
    assert metrics.total_files_found == 0
    assert operation.checkpoint()["pending"] == []


@pytest.mark.parametrize("operation", ["CopyObject", "DeleteObject", "PutObject"])
async def test_a_write_whose_answer_was_lost_makes_one_version(
    world: World, operation: str
) -> None:
    """Carried out, not answered, sent again: the destination's history is looked at first."""
    make(world, [("in/a", b"1"), ("in/a", b"1"), ("in/a", None), ("in/a", b"1"), ("in/b", b"b")])
    faults = [Fault(operation, "InternalError", 500, after=True, key="out/a") for _ in range(2)]
    world.source.faults = faults
    method = "relay" if operation == "PutObject" else "server_side"
    metrics = await world.operation(all_versions=True, options=fast_options(method=method)).run()
    assert sum(fault.times for fault in faults) < 2
    assert arrived_histories(world) == source_histories(world)
    assert metrics.files_copied_successfully == 5
    assert metrics.requests_sent == len(world.source.calls)


async def test_a_write_that_was_not_carried_out_is_repeated(world: World) -> None:
    """An equal version is there, but it is accounted for: the second one is still written."""
    make(world, [("in/a", b"1"), ("in/a", b"1"), ("in/a", b"1")])
    seen = 0

    async def fail_second(call: Call, phase: Phase) -> None:
        nonlocal seen
        if (call.operation, phase) == ("CopyObject", "before"):
            seen += 1
            if seen == 2:
                raise call.error("InternalError", 500)

    world.source.hook = fail_second
    metrics = await world.operation(all_versions=True).run()
    assert metrics.requests_sent == len(world.source.calls), "the look is one, too"
    assert arrived_histories(world) == {"a": [b"1", b"1", b"1"]}


@pytest.mark.parametrize(
    "before, after",
    [
        ({"all_versions": True}, {}),
        ({}, {"all_versions": True}),
        ({"pin_versions": True}, {}),
        ({"pin_versions": True}, {"all_versions": True}),
        ({"version_id": "a", "recursive": False}, {"recursive": False}),
        ({"version_id": "a", "recursive": False}, {"version_id": "b", "recursive": False}),
    ],
)
async def test_a_checkpoint_belongs_to_one_choice_of_versions(
    world: World, before: dict[str, Any], after: dict[str, Any]
) -> None:
    """What an operation of other versions left is refused, before any request."""
    checkpoint = world.operation(**before).checkpoint()
    with pytest.raises(ValidationError, match="checkpoint of this copy"):
        await world.operation(resume_from=checkpoint, **after).run()
    assert world.source.calls == []


async def test_a_pinned_copy_goes_on(world: World) -> None:
    """The objects that were under way are pinned anew; nothing is lost."""
    make(world, [(f"in/{n:02}", b"%d" % v) for n in range(20) for v in range(2)])
    operation = world.operation(pin_versions=True)
    cut = asyncio.get_running_loop().create_future()

    async def hook(call: Call, phase: Phase) -> None:
        if len(world.source.made("CopyObject")) > 9 and not cut.done():
            cut.set_result(operation.checkpoint())
            operation.cancel()

    world.source.hook = hook
    with pytest.raises(CopyFailedError):
        await operation.run()
    world.source.hook = None
    checkpoint = cut.result()
    assert checkpoint["versions"] == "pinned"
    assert checkpoint["pending"]
    log = Log()
    await world.operation(pin_versions=True, resume_from=checkpoint, observer=log).run()
    assert all(each.source.version_id for each in log.outcomes)
    current = {key: versions[-1] for key, versions in source_histories(world).items()}
    assert {key: versions[-1] for key, versions in arrived_histories(world).items()} == current


# -------------------------------------------------------------------------------------- matching


def version(size: int, etag: str, *, marker: bool = False, storage_class: str = "") -> S3Object:
    return S3Object.reported(
        "b", "k", size, WHEN, etag, storage_class=storage_class, delete_marker=marker
    )


ONE, TWO = version(1, "1" * 32), version(1, "2" * 32)
PARTS, OTHER_PARTS = version(9, f"{'3' * 32}-2"), version(9, f"{'4' * 32}-3")
MARKER = version(0, "", marker=True)
COLD = version(1, "5" * 32, storage_class="GLACIER")


@pytest.mark.parametrize(
    "source, there, equal",
    [
        (ONE, ONE, True),
        (ONE, TWO, False),
        (ONE, version(2, "1" * 32), False),
        (PARTS, OTHER_PARTS, True),
        (PARTS, version(8, PARTS.etag), False),
        (MARKER, MARKER, True),
        (MARKER, version(0, "1" * 32), False),
        (version(0, "1" * 32), MARKER, False),
    ],
)
def test_what_passes_for_a_copy(source: S3Object, there: S3Object, equal: bool) -> None:
    """Sizes are equal, and so are MD5s where both ETags are one; markers equal markers."""
    assert is_copy(source, there) == equal


@pytest.mark.parametrize(
    "source, there, places",
    [
        ([ONE, TWO], [], []),
        ([ONE, TWO], [ONE], [0]),
        ([ONE, TWO], [ONE, TWO], [0, 1]),
        ([ONE, MARKER, ONE], [ONE, MARKER], [0, 1]),
        ([ONE, TWO], [TWO], None),
        ([ONE], [ONE, ONE], None),
        ([], [ONE], None),
        ([COLD, ONE, TWO], [ONE], [1]),
        ([COLD, ONE, COLD, TWO], [ONE, TWO], [1, 3]),
        ([ONE, COLD], [ONE], [0]),
    ],
)
def test_what_has_arrived_is_the_beginning_of_a_history(
    source: list[S3Object], there: list[S3Object], places: list[int] | None
) -> None:
    """One by one from the oldest; only what may have been left out may be missing."""
    found = arrived_versions(
        source, there, may_be_missing=lambda each: each.storage_class == "GLACIER"
    )
    assert (None if found is None else list(found)) == places


async def test_what_was_skipped_as_archived_stays_skipped(world: World) -> None:
    """Restored meanwhile, it would come after newer versions: the next run leaves it out, too."""
    cold = world.source.put("source-bucket", "in/a", b"cold")
    properties = cold.properties.__class__(storage_class="GLACIER")
    world.source.change(
        "source-bucket",
        "in/a",
        cold,
        Stored(cold.data, cold.etag, properties, version_id=cold.version_id),
    )
    make(world, [("in/a", b"2"), ("in/a", None), ("in/a", b"4")])
    operation = world.operation(all_versions=True)
    checkpoint = operation.checkpoint()
    make(world, [("out/a", b"2"), ("out/a", None)], bucket="target-bucket")
    log = Log()
    options = fast_options(archived="skip")
    await resumed(world, checkpoint, observer=log, options=options)
    assert arrived_histories(world)["a"] == [b"2", None, b"4"]
    assert getattr(log.outcomes[0], "reason", None) is SkipReason.ARCHIVED


@pytest.mark.parametrize("method", ["server_side", "relay"])
async def test_cancelled_anywhere_nothing_is_left_and_the_rest_goes_on(
    monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """At each request: no task, upload or byte is left; the next run completes the histories."""
    events: list[Event] = [
        ("in/a", b"1"),
        ("in/a", None),
        ("in/a", b"3"),
        ("in/b", b"b"),
        ("in/b", b"c"),
    ]
    point, finished = 0, False
    while not finished:
        point += 1
        world = versioned_world(monkeypatch, page_size=2)
        make(world, events)
        options = fast_options(method=method)
        operation = world.operation(all_versions=True, options=options)

        async def cancel(
            call: Call,
            phase: Phase,
            world: World = world,
            operation: S3CopyOperation = operation,
            point: int = point,
        ) -> None:
            if world.source.points == point:
                operation.cancel()

        world.source.hook = cancel
        ended = await outcome_of(operation.run())
        finished = not isinstance(ended, CopyCancelledError)
        world.assert_clean()
        world.source.hook = None
        metrics = await resumed(world, operation.checkpoint(), options=options)
        assert arrived_histories(world) == source_histories(world)
        assert metrics.files_copied_successfully == len(events)
    assert point > 20
