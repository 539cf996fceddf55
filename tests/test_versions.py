"""Versions: one by its id, each object pinned to the version listed, or all there are, in order."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from async_s3copy import (
    Copied,
    CopyFailedError,
    Failed,
    NoSuchKeyError,
    ObjectRejectedError,
    SkipReason,
    ValidationError,
)
from async_s3copy.engine.budget import ByteBudget
from async_s3copy.engine.versions import histories as history_limits
from async_s3copy.engine.versions import pipeline as version_pipeline
from async_s3copy.options import MIB
from async_s3copy.s3.values import ObjectHead
from tests.fake_server import Call, Fault, Phase
from tests.fakes import FakeClient
from tests.harness import Log, World, fast_options
from tests.versions_world import (
    Event,
    arrived_histories,
    make,
    source_histories,
    versioned_world,
)

KEYS = ("in/a", "in/a-b", "in/a/b", "in/b", "in/é")
EVENTS = st.lists(
    st.tuples(st.sampled_from(KEYS), st.none() | st.binary(max_size=2)), min_size=1, max_size=40
)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return versioned_world(monkeypatch, page_size=3)


def versions_of(world: World, key: str, bucket: str = "source-bucket") -> list[str]:
    """Version ids of a key, the oldest first."""
    return [each.version_id or "" for each in reversed(world.source.versions[bucket][key])]


# ------------------------------------------------------------------------------------ one version


@pytest.mark.parametrize("method", ["server_side", "relay"])
@pytest.mark.parametrize("size", [5, 6 * MIB])
async def test_a_version_is_copied_by_its_id(world: World, method: str, size: int) -> None:
    """Every read names the version: what was written later does not arrive."""
    make(world, [("in/a", b"1" * size), ("in/a", b"2" * size), ("in/a", None)])
    first = versions_of(world, "in/a")[0]
    log = Log()
    await world.operation(
        "in/a",
        "out/a",
        recursive=False,
        version_id=first,
        observer=log,
        options=fast_options(method=method),
    ).run()
    assert arrived_histories(world) == {"a": [b"1" * size]}
    reads = [c for c in world.source.calls if c.operation in ("HeadObject", "GetObject")]
    assert {call.version_id for call in reads if call.bucket == "source-bucket"} <= {first}
    [copied] = log.outcomes
    assert isinstance(copied, Copied)
    assert copied.source.version_id == first
    assert copied.version_id == versions_of(world, "out/a", "target-bucket")[0]


async def test_null_is_a_version(world: World) -> None:
    """What was written before versioning was enabled has the id "null", and can be copied."""
    del world.source.versioning["source-bucket"]
    world.source.put("source-bucket", "in/a", b"old")
    world.source.set_versioning("source-bucket", "Enabled")
    world.source.put("source-bucket", "in/a", b"new")
    await world.operation("in/a", "out/a", recursive=False, version_id="null").run()
    assert arrived_histories(world) == {"a": [b"old"]}


async def test_a_version_that_an_answer_does_not_name_is_still_the_one_asked_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some servers name no version in the answer to a HEAD."""
    make(world, [("in/a", b"1"), ("in/a", b"2")])
    told = FakeClient.head_object

    async def silent(self: FakeClient, bucket: str, key: str, **named: Any) -> ObjectHead:
        head = await told(self, bucket, key, **named)
        return replace(head, object=replace(head.object, version_id=None))

    monkeypatch.setattr(FakeClient, "head_object", silent)
    first = versions_of(world, "in/a")[0]
    await world.operation("in/a", "out/a", recursive=False, version_id=first).run()
    assert arrived_histories(world) == {"a": [b"1"]}


@pytest.mark.parametrize(
    "version_id, error, sentence",
    [
        ("version-2", ObjectRejectedError, "version 'version-2' is a delete marker"),
        ("version-99", NoSuchKeyError, "there is no version 'version-99'"),
    ],
)
async def test_a_version_without_bytes_is_refused_before_any_write(
    world: World, version_id: str, error: type[Exception], sentence: str
) -> None:
    """A delete marker, and a version that is not there, are named in the error."""
    make(world, [("in/a", b"1"), ("in/a", None)])
    with pytest.raises(error, match=sentence):
        await world.operation("in/a", "out/a", recursive=False, version_id=version_id).run()
    assert arrived_histories(world) == {}


# ------------------------------------------------------------------------------------ pinned ones


async def test_pinned_objects_arrive_as_they_were_listed(world: World) -> None:
    """Overwritten or deleted between listing and copy: the version listed arrives, without 412."""
    make(world, [("in/a", b"old"), ("in/a", b"seen"), ("in/b", b"b"), ("in/c", None)])
    changed = False

    async def change(call: Call, phase: Phase) -> None:
        nonlocal changed
        if call.operation == "CopyObject" and not changed:
            changed = True
            make(world, [("in/a", b"later"), ("in/b", None)])

    world.source.hook = change
    metrics = await world.operation(pin_versions=True).run()
    assert arrived_histories(world) == {"a": [b"seen"], "b": [b"b"]}
    assert changed
    assert metrics.total_files_found == 2
    assert metrics.requests_retried == 0
    assert not world.source.made("HeadObject")


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(EVENTS, st.integers(1, 7), st.sampled_from([1, 3, 100]))
def test_pinning_copies_exactly_what_is_current(
    events: list[Event], page_size: int, batch_size: int
) -> None:
    """Whatever the histories, and however they are cut into pages: each key's last object."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        world = versioned_world(monkeypatch, page_size=page_size)
        make(world, events)
        asyncio.run(world.operation(pin_versions=True, batch_size=batch_size).run())
        current = {k: v[-1:] for k, v in source_histories(world).items() if v[-1] is not None}
        assert arrived_histories(world) == current


async def test_a_pinned_range_holds_its_keys_only(world: World) -> None:
    """start_after and up_to bound a listing of versions, too."""
    make(world, [(f"in/{n}", b"%d" % n) for n in range(9) for _ in range(n % 3 + 1)])
    await world.operation(pin_versions=True, start_after="in/2", up_to="in/6").run()
    assert sorted(arrived_histories(world)) == ["3", "4", "5", "6"]


async def test_keys_without_an_object_are_listed_once(world: World) -> None:
    """A checkpoint goes on behind a stretch of deleted keys, not before it."""
    make(world, [("in/0", b"0")] + [(f"in/{n}", None) for n in range(1, 9)])
    operation = world.operation(pin_versions=True)
    left: list[list[str | None]] = []

    async def look(call: Call, phase: Phase) -> None:
        if call.operation == "ListObjectVersions" and call.token == "in/5":
            left[:] = operation.checkpoint()["remaining"]

    world.source.hook = look
    await operation.run()
    assert left[-1] == ["in/5", None]


# ------------------------------------------------------------------------------------ all of them


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(
    events=EVENTS,
    page_size=st.integers(1, 7),
    batch_size=st.sampled_from([1, 3, 100]),
    method=st.sampled_from(["server_side", "relay"]),
)
def test_the_destinations_history_becomes_the_sources(
    events: list[Event], page_size: int, batch_size: int, method: str
) -> None:
    """Any history, with ties in its times: each key's versions and delete markers, in order."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        world = versioned_world(monkeypatch, page_size=page_size)
        make(world, events)
        options = fast_options(method=method)
        run = world.operation(all_versions=True, batch_size=batch_size, options=options).run()
        metrics = asyncio.run(run)
        assert arrived_histories(world) == source_histories(world)
        assert metrics.total_files_found == metrics.files_copied_successfully == len(events)
        assert metrics.total_bytes_transferred == sum(len(data or b"") for _, data in events)
        assert metrics.degradations == {}


async def test_one_keys_history_is_copied_without_its_neighbours(world: World) -> None:
    """Not recursive: all versions of the one key, none of the keys it is a prefix of."""
    make(world, [("in/a", b"1"), ("in/ab", b"x"), ("in/a", None), ("in/a", b"2"), ("in/ab", b"y")])
    metrics = await world.operation("in/a", "out/k", recursive=False, all_versions=True).run()
    assert arrived_histories(world) == {"k": [b"1", None, b"2"]}
    assert metrics.files_copied_successfully == 3


async def test_a_key_without_versions_is_no_such_key(world: World) -> None:
    """A key that only others start with is missing, and said to be so before any write."""
    make(world, [("in/ab", b"x")])
    with pytest.raises(NoSuchKeyError, match="no version"):
        await world.operation("in/a", "out/k", recursive=False, all_versions=True).run()


async def test_large_versions_travel_in_parts(world: World) -> None:
    """Multipart copies keep their place in the order."""
    large = b"x" * (6 * MIB)
    make(world, [("in/a", b"1"), ("in/a", large), ("in/a", b"2")])
    await world.operation(all_versions=True).run()
    assert arrived_histories(world) == {"a": [b"1", large, b"2"]}
    world.assert_clean()


async def test_different_keys_are_copied_at_the_same_time_and_one_key_never(world: World) -> None:
    """As many requests as allowed are in flight, never two for one key."""
    make(world, [(f"in/{n}", b"%d" % v) for n in range(8) for v in range(4)])
    most = 0

    async def look(call: Call, phase: Phase) -> None:
        nonlocal most
        flying = {key: n for key, n in world.source.flying.items() if key and n}
        most = max(most, len(flying))
        assert set(flying.values()) <= {1}

    world.source.hook = look
    await world.operation(all_versions=True, batch_size=4).run()
    assert most >= 3
    assert world.source.most_in_flight == 4


@pytest.mark.parametrize("status, words", [("", "never been enabled"), ("Suspended", "suspended")])
async def test_a_destination_that_keeps_no_versions_is_refused(
    world: World, status: str, words: str
) -> None:
    """Without versioning each version would replace the one before: nothing is written."""
    make(world, [("in/a", b"1"), ("in/a", b"2")])
    world.source.versioning["target-bucket"] = status
    with pytest.raises(ValidationError, match=words):
        await world.operation(all_versions=True).run()
    assert not world.source.made("CopyObject")


async def test_where_versioning_may_not_be_asked_for_the_first_write_tells(world: World) -> None:
    """It ends the run, with the reason, before a second version could replace the first."""
    make(world, [("in/a", b"1"), ("in/a", b"2")])
    world.source.versioning["target-bucket"] = ""
    world.source.denied.add(("destination", "GetBucketVersioning", "target-bucket"))
    with pytest.raises(CopyFailedError, match="keeps no versions"):
        await world.operation(all_versions=True).run()
    assert len(world.source.made("CopyObject")) == 1


async def test_versioning_that_may_not_be_asked_for_is_no_obstacle(world: World) -> None:
    """Where the destination keeps versions, not being allowed to ask changes nothing."""
    make(world, [("in/a", b"1"), ("in/a", b"2")])
    world.source.denied.add(("destination", "GetBucketVersioning", "target-bucket"))
    await world.operation(all_versions=True).run()
    assert arrived_histories(world) == source_histories(world)


async def test_nothing_is_copied_past_a_version_that_failed(world: World) -> None:
    """The newer versions of that key fail as well, with a code of their own; other keys go on."""
    make(world, [("in/a", b"1"), ("in/a", b"2"), ("in/a", None), ("in/b", b"b")])
    world.source.faults = [Fault("CopyObject", "AccessDenied", 403, key="out/a", times=99)]
    log = Log()
    with pytest.raises(CopyFailedError) as caught:
        await world.operation(all_versions=True, observer=log).run()
    failed = [each for each in log.outcomes if isinstance(each, Failed)]
    assert [each.code for each in failed] == [
        "AccessDenied",
        "OlderVersionFailed",
        "OlderVersionFailed",
    ]
    assert [each.source.delete_marker for each in failed] == [False, False, True]
    assert arrived_histories(world) == {"b": [b"b"]}
    assert caught.value.metrics.files_failed == 3


async def test_archived_versions_are_skipped_where_that_is_wanted(world: World) -> None:
    """The rest of the key's history arrives, in its order."""
    make(world, [("in/a", b"1"), ("in/b", b"b")])
    world.source.archived = {"in/a"}
    log = Log()
    await world.operation(
        all_versions=True, observer=log, options=fast_options(archived="skip")
    ).run()
    reasons = [getattr(each, "reason", None) for each in log.outcomes]
    assert Counter(reasons) == {SkipReason.ARCHIVED: 1, None: 1}
    assert arrived_histories(world) == {"b": [b"b"]}


async def test_a_key_with_too_many_versions_fails_as_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit bounds memory: such a key is named with its number of versions, others go on."""
    monkeypatch.setattr("async_s3copy.engine.versions.histories.MAX_VERSIONS", 5)
    make(world, [("in/a", b"%d" % n) for n in range(8)] + [("in/b", b"%d" % n) for n in range(5)])
    log = Log()
    with pytest.raises(CopyFailedError, match="8 versions") as caught:
        await world.operation(all_versions=True, observer=log).run()
    assert caught.value.metrics.files_failed == 1
    assert [each.code for each in log.outcomes if isinstance(each, Failed)] == ["TooManyVersions"]
    assert arrived_histories(world) == {"b": [b"%d" % n for n in range(5)]}


async def test_memory_is_bounded_over_all_keys(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Queued and copied versions together stay below their bound, however fast the listing is."""
    monkeypatch.setattr(version_pipeline, "_MAX_HELD", 8)
    make(world, [(f"in/{n:03}", b"%d" % v) for n in range(30) for v in range(4)])
    most = 0

    class Watched(ByteBudget):
        async def reserve(self, size_bytes: int) -> None:
            nonlocal most
            await super().reserve(size_bytes)
            most = max(most, self.used_bytes)

    monkeypatch.setattr(version_pipeline, "ByteBudget", Watched)
    await world.operation(all_versions=True, batch_size=4).run()
    assert most == 8
    assert arrived_histories(world) == source_histories(world)


async def test_fail_fast_stops_at_the_first_failed_history(world: World) -> None:
    """No key is begun once one has failed."""
    make(world, [(f"in/{n:03}", b"%d" % v) for n in range(50) for v in range(2)])
    world.source.faults = [Fault("CopyObject", "AccessDenied", 403, key="out/000", times=99)]
    with pytest.raises(CopyFailedError) as caught:
        await world.operation(all_versions=True, options=fast_options(fail_fast=True)).run()
    assert caught.value.metrics.files_failed == 2
    assert caught.value.metrics.files_copied_successfully < 90
    world.assert_clean()


async def test_the_report_maps_version_ids(world: World, tmp_path: Path) -> None:
    """Each line has both ids; a delete marker is named as one."""
    make(world, [("in/a", b"1"), ("in/a", None), ("in/a", b"2")])
    report = tmp_path / "report.jsonl"
    await world.operation(all_versions=True, report=report).run()
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    assert [line["source_version_id"] for line in lines] == versions_of(world, "in/a")
    assert [line["destination_version_id"] for line in lines] == versions_of(
        world, "out/a", "target-bucket"
    )
    assert [line.get("delete_marker", False) for line in lines] == [False, True, False]
    assert [line["etag_kept"] for line in lines] == [True, False, True]
    assert [line["size"] for line in lines] == [1, 0, 1]


@pytest.mark.parametrize("key", [None, "out/"])
async def test_a_root_marker_has_no_place_at_the_root(world: World, key: str | None) -> None:
    """The prefix's own marker is skipped where it maps to no key, delete markers included."""
    make(world, [("in/", b""), ("in/", None), ("in/a", b"1")])
    metrics = await world.operation("in/", key, all_versions=True).run()
    skipped = 2 if key is None else 0
    assert (metrics.files_skipped, metrics.files_copied_successfully) == (skipped, 3 - skipped)


@pytest.mark.parametrize(
    "given, sentence",
    [
        ({"version_id": "v", "recursive": True}, "version_id='v' must be None"),
        ({"version_id": "", "recursive": False}, "non-empty"),
        ({"version_id": 7, "recursive": False}, "non-empty"),
        ({"version_id": "v", "recursive": False, "all_versions": True}, "version_id='v' must be"),
        ({"pin_versions": True, "recursive": False}, "pin_versions=True must be False"),
        ({"pin_versions": True, "all_versions": True}, "pin_versions=True must be False"),
        ({"pin_versions": "yes"}, "pin_versions='yes' must be True or False"),
        ({"all_versions": 1}, "all_versions=1 must be True or False"),
        ({"all_versions": True, "overwrite": False}, "overwrite=False"),
    ],
)
async def test_choices_that_contradict_each_other_are_refused(
    world: World, given: dict[str, Any], sentence: str
) -> None:
    """One sentence says what is wrong, before any request."""
    with pytest.raises(ValidationError, match=sentence):
        await world.operation(**given).run()
    assert world.source.calls == []


async def test_an_ordinary_copy_is_not_pinned_to_versions(world: World) -> None:
    """By default no request names a version: that would need permissions of its own."""
    make(world, [("in/a", b"1"), ("in/b", b"2")])
    for method in ("server_side", "relay"):
        await world.operation(options=fast_options(method=method)).run()
        await world.operation(
            "in/a", "out/one", recursive=False, options=fast_options(method=method)
        ).run()
    assert {call.version_id for call in world.source.calls} == {None}
    assert history_limits.MAX_VERSIONS == 10_000
