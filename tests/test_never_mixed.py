"""Half old, half new, or somebody else's overwritten: impossible in any of the four ways."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pytest

from async_s3copy import Copied, CopyFailedError, Skipped, SkipReason
from async_s3copy.options import CopyOptions
from tests.fake_server import AWS, OTHER, Call, Condition, FakeS3, Phase
from tests.harness import Log, World, outcome_of
from tests.test_preserve_ways import WAYS, WRITES
from tests.test_preserve_ways import by_way as of_any_size

OLD, NEW = b"old!", b"new!"
BIG_OLD, BIG_NEW = b"o" * 11, b"n" * 11
# The first request that reads or copies bytes, by way.
MOVES: Final = {
    "single": "CopyObject",
    "multipart": "UploadPartCopy",
    "relay_put": "GetObject",
    "relay_multipart": "GetObject",
}


@pytest.fixture(
    params=[(AWS, True), (OTHER, True), (OTHER, False)], ids=["aws", "other", "unpinned"]
)
def world(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> World:
    """AWS, another server, and one that ignores If-Match and copy-source-if-match."""
    url, honours = request.param
    world = World(FakeS3(url)).install(monkeypatch)
    world.source.honours_pins = honours
    return world


def by_way(way: str, **given: Any) -> CopyOptions:
    """Options that send eleven bytes one of the four ways, in three parts where there are parts.

    S3's smallest part has 5 MiB; the server in memory takes any.
    """
    options = of_any_size(way, **given)
    for name in ("part_size_bytes", "relay_part_size_bytes"):
        object.__setattr__(options, name, 5)
    return options


def overwrite_before(
    world: World, operation: str, number: int, act: Callable[[int], object]
) -> None:
    """Change the source just before the n-th call of an operation, and of every n-th after."""
    seen = 0

    async def strike(call: Call, phase: Phase) -> None:
        nonlocal seen
        if phase == "before" and call.operation == operation:
            seen += 1
            if seen % number == 0:
                act(seen)

    world.source.hook = strike


def sizes(way: str) -> tuple[bytes, bytes]:
    return (BIG_OLD, BIG_NEW) if way.endswith("multipart") else (OLD, NEW)


def put(world: World, data: bytes) -> None:
    world.source.put("source-bucket", "in/k", data)


@pytest.mark.parametrize("way", WAYS)
async def test_overwritten_before_the_first_byte_the_new_object_arrives(
    world: World, way: str
) -> None:
    """Same size, other bytes, once: the whole new one, and the outcome names its ETag."""
    old, new = sizes(way)
    put(world, old)
    done = False

    def once(_: int) -> None:
        nonlocal done
        if not done:
            done = True
            put(world, new)

    overwrite_before(world, MOVES[way], 1, once)
    log = Log()
    metrics = await world.operation(options=by_way(way), observer=log).run()
    assert world.source.buckets["target-bucket"]["out/k"].data == new
    (copied,) = log.outcomes
    assert isinstance(copied, Copied)
    assert copied.source.etag.strip('"') == world.source.buckets["source-bucket"]["in/k"].etag
    assert metrics.files_copied_successfully == 1
    world.assert_clean()


@pytest.mark.parametrize("way", ["multipart", "relay_multipart"])
async def test_overwritten_between_two_parts_the_new_object_arrives_whole(
    world: World, way: str
) -> None:
    """Once, after the first part: the second part must not join the first."""
    put(world, BIG_OLD)
    done = False

    def once(seen: int) -> None:
        nonlocal done
        if seen >= 2 and not done:
            done = True
            put(world, BIG_NEW)

    overwrite_before(world, MOVES[way], 1, once)
    options = by_way(way, max_concurrent_requests=1)
    await world.operation(options=options).run()
    assert world.source.buckets["target-bucket"]["out/k"].data == BIG_NEW
    world.assert_clean()


@pytest.mark.parametrize("way", WAYS)
async def test_overwritten_again_and_again_nothing_mixed_arrives(world: World, way: str) -> None:
    """Before every request that moves bytes: a failure as SourceChanged, or one whole version."""
    small, _ = sizes(way)
    put(world, small)
    written = {small}

    def anew(seen: int) -> None:
        data = bytes([seen % 251]) * len(small)
        written.add(data)
        put(world, data)

    overwrite_before(world, MOVES[way], 1, anew)
    options = by_way(way, max_concurrent_requests=1)
    ended = await outcome_of(world.operation(options=options).run())
    arrived = world.source.buckets["target-bucket"].get("out/k")
    if isinstance(ended, CopyFailedError):
        assert [failure.code for failure in ended.failures] == ["SourceChanged"]
        assert arrived is None
    else:
        # Where no pin holds, one CopyObject is whole by itself, whichever version it saw.
        assert (way, world.source.honours_pins) == ("single", False)
        assert arrived is not None
        assert arrived.data in written
    world.assert_clean()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("condition", ["honoured", "ignored", "rejected"])
async def test_what_is_there_before_the_copy_is_never_overwritten(
    world: World, way: str, condition: Condition
) -> None:
    """overwrite=False: skipped and untouched, whatever the server makes of If-None-Match."""
    if world.source.endpoint.is_aws and condition != "honoured":
        condition = "honoured"
    world.source.conditions = dict.fromkeys(("copy", "put", "complete"), condition)
    put(world, sizes(way)[0])
    world.source.put("target-bucket", "out/k", b"somebody else's")
    log = Log()
    await world.operation(overwrite=False, options=by_way(way), observer=log).run()
    (skipped,) = log.outcomes
    assert isinstance(skipped, Skipped)
    assert skipped.reason is SkipReason.EXISTS
    assert world.source.buckets["target-bucket"]["out/k"].data == b"somebody else's"
    world.assert_clean()


@pytest.mark.parametrize("way", WAYS)
async def test_what_slips_in_before_the_write_is_never_overwritten(
    monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """Written by another between our look and our write, or Complete: theirs stays, whole."""
    world = World().install(monkeypatch)
    put(world, sizes(way)[0])
    write = "CompleteMultipartUpload" if way.endswith("multipart") else WRITES[way]

    async def slip_in(call: Call, phase: Phase) -> None:
        if phase == "before" and call.operation == write:
            world.source.put("target-bucket", "out/k", b"somebody else's")

    world.source.hook = slip_in
    metrics = await world.operation(overwrite=False, options=by_way(way)).run()
    assert (metrics.files_skipped, metrics.files_copied_successfully) == (1, 0)
    assert world.source.buckets["target-bucket"]["out/k"].data == b"somebody else's"
    world.assert_clean()


@pytest.mark.parametrize("way", WAYS)
async def test_a_deleted_source_fails_and_nothing_is_written(world: World, way: str) -> None:
    """Gone between the listing and the first byte: NoSuchKey, no object, no open upload."""
    put(world, sizes(way)[0])
    overwrite_before(
        world, MOVES[way], 1, lambda _: world.source.buckets["source-bucket"].pop("in/k", None)
    )
    with pytest.raises(CopyFailedError) as caught:
        await world.operation(options=by_way(way)).run()
    assert [failure.code for failure in caught.value.failures] == ["NoSuchKey"]
    assert "out/k" not in world.source.buckets["target-bucket"]
    world.assert_clean()
