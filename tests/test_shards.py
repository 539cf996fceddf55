"""``split_prefix``: ranges that hold every key once; one range where a server lists otherwise."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from async_s3copy import (
    AccessDeniedError,
    InvalidResponseError,
    NoSuchBucketError,
    OperationState,
    ValidationError,
    split_prefix,
)
from async_s3copy.engine.sampling import LEAST_PROBES
from async_s3copy.errors import S3Error
from tests.fake_server import AWS, OTHER, Call, FakeS3, Fault, Phase
from tests.fakes import FakeClient
from tests.harness import World, fast_options
from tests.hostile_keys import MOTO, keys_for
from tests.listings import by_folder, ignoring, refusing, unordered
from tests.real import Place, for_each, place_on, quick
from tests.support import S3Server

Ranges = list[dict[str, Any]]
KEYS = st.text(st.sampled_from("ab/-é~"), min_size=1, max_size=5)
UNDIVIDED = [{"start_after": None, "up_to": None}]


def fake(monkeypatch: pytest.MonkeyPatch, server: FakeS3, keys: Sequence[str] = ()) -> World:
    for key in keys:
        server.put("source-bucket", key, b"x")
    return World(server).install(monkeypatch)


async def split(prefix: str, shards: int, bucket: str = "source-bucket", **more: Any) -> Ranges:
    options = more.pop("options", fast_options())
    ranges = await split_prefix(f"s3://{bucket}/{prefix}", shards, options=options, **more)
    return [dict(span) for span in ranges]


def in_range(key: str, span: dict[str, str | None]) -> bool:
    after, up_to = span["start_after"], span["up_to"]
    return (after is None or key > after) and (up_to is None or key <= up_to)


def numbered(count: int, prefix: str = "in/") -> list[str]:
    return [f"{prefix}{number:05}" for number in range(count)]


async def test_ranges_meet_at_keys_and_hold_about_as_many_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They begin with ``None`` and end with ``None``, and one ends where the next begins."""
    world = fake(monkeypatch, FakeS3(), numbered(4_000))
    assert await split("in/", 4) == [
        {"start_after": None, "up_to": "in/00999"},
        {"start_after": "in/00999", "up_to": "in/01999"},
        {"start_after": "in/01999", "up_to": "in/02999"},
        {"start_after": "in/02999", "up_to": None},
    ]
    world.assert_clean()


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    keys=st.sets(KEYS, max_size=40),
    later=st.sets(KEYS, max_size=10),
    shards=st.integers(1, 9),
    page_size=st.integers(1, 12),
)
async def test_every_key_is_in_exactly_one_range(
    monkeypatch: pytest.MonkeyPatch,
    keys: set[str],
    later: set[str],
    shards: int,
    page_size: int,
) -> None:
    """Those that were there, and those that come later."""
    fake(monkeypatch, FakeS3(AWS, page_size=page_size), [f"in/{key}" for key in keys])
    ranges = await split("in/", shards)
    assert 1 <= len(ranges) <= shards
    for key in (f"in/{key}" for key in keys | later):
        assert sum(in_range(key, span) for span in ranges) == 1


async def test_shards_copied_one_by_one_copy_every_object_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A range is what ``S3CopyOperation`` takes."""
    world = fake(monkeypatch, FakeS3(page_size=9), numbered(100))
    copied = 0
    for span in await split("in/", 7):
        operation = world.operation(**span)
        copied += (await operation.run()).files_copied_successfully
        assert operation.state is OperationState.COMPLETED
    assert copied == 100
    assert len(world.destination.buckets["target-bucket"]) == 100
    assert world.source.counts()["CopyObject"] == 100


async def test_the_cost_is_bounded_whatever_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """1,000 pages of keys are judged by 160."""
    world = fake(monkeypatch, FakeS3(page_size=2), numbered(2_000))
    assert len(await split("in/", 3)) == 3
    assert world.source.counts().total() <= LEAST_PROBES


async def test_an_empty_prefix_and_a_single_shard_are_one_range_for_one_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The request proves that the prefix can be listed."""
    world = fake(monkeypatch, FakeS3(), numbered(100))
    assert await split("none/", 5) == UNDIVIDED
    assert await split("in/", 1) == UNDIVIDED
    assert world.source.counts() == {"ListObjectsV2": 2}


async def test_requests_share_the_limits_of_listings(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more are in flight than ``max_concurrent_listings`` allows, and no fewer."""
    world = fake(monkeypatch, FakeS3(page_size=5), numbered(2_000))
    options = fast_options(max_concurrent_requests=50, max_concurrent_listings=3)
    await split("in/", 10, options=options)
    assert world.source.most_in_flight == 3


@pytest.mark.parametrize(
    "odd, reason",
    [
        (unordered(OTHER, 50), "the server lists keys out of order"),
        (unordered(AWS, 50), "the server lists keys out of order"),
        (ignoring(OTHER, 50), "the server ignores start-after"),
        (ignoring(AWS, 50), "the server ignores start-after"),
        (refusing(OTHER, 50), "the server refuses start-after"),
        (by_folder(OTHER, 50), "the server sorts folders by their names, other than S3"),
    ],
    ids=["unordered", "unordered-aws", "ignoring", "ignoring-aws", "refusing", "folders"],
)
async def test_a_server_that_lists_otherwise_gives_one_range_and_one_warning(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    odd: FakeS3,
    reason: str,
) -> None:
    """A range that loses keys would be worse than none."""
    world = fake(monkeypatch, odd, [*numbered(200), *numbered(200, "in/folder/")])
    with caplog.at_level(logging.WARNING, "async_s3copy"):
        assert await split("in/", 4) == UNDIVIDED
    (record,) = caplog.records
    sentence = f"split_prefix.undivided: {reason}: s3://source-bucket/in/ stays one range"
    assert record.getMessage() == sentence
    assert world.source.counts().total() < 40
    world.assert_clean()


@pytest.mark.parametrize("odd", [unordered, ignoring, refusing, by_folder])
async def test_a_few_keys_are_enough_to_tell_a_server_that_lists_otherwise(
    monkeypatch: pytest.MonkeyPatch, odd: Callable[[str, int], FakeS3]
) -> None:
    """One page that looks right is no proof: a server other than S3 is asked for half of it."""
    keys = ["in/a", "in/a-b", "in/a/c", "in/d"]
    fake(monkeypatch, odd(OTHER, 50), keys)
    assert await split("in/", 4) == UNDIVIDED


async def test_a_directory_bucket_is_one_range(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its listing has no order; that a few keys come in one is chance."""
    server = FakeS3()
    bucket = "express--euw1-az1--x-s3"
    server.buckets[bucket] = {}
    server.put(bucket, "in/a", b"x")
    server.put(bucket, "in/b", b"x")
    fake(monkeypatch, server)
    assert await split("in/", 2, bucket) == UNDIVIDED
    assert "directory buckets list in no order" in caplog.text


@pytest.mark.parametrize(
    "url, shards, sentence",
    [
        ("s3://source-bucket/in/", 0, "shards=0 must be between 1 and 1,000"),
        ("s3://source-bucket/in/", 1_001, "shards=1001 must be between 1 and 1,000"),
        ("s3://source-bucket/in/", True, "shards=True must be an integer between 1 and 1,000"),
        ("https://source-bucket/in/", 2, "source_url='https://source-bucket/in/' must"),
        ("s3://Source/in/", 2, "must"),
    ],
)
async def test_a_bad_parameter_is_an_error_before_any_request(
    monkeypatch: pytest.MonkeyPatch, url: str, shards: int, sentence: str
) -> None:
    """It names the parameter, the value and the rule."""
    world = fake(monkeypatch, FakeS3())
    with pytest.raises(ValidationError) as caught:
        await split_prefix(url, shards)
    assert str(caught.value).startswith(sentence) or sentence in str(caught.value)
    assert world.source.calls == []


async def test_a_source_that_is_no_account_is_an_error() -> None:
    """As for a copy."""
    with pytest.raises(ValidationError, match="source="):
        await split_prefix("s3://source-bucket/in/", 2, source=object())


async def test_a_prefix_that_cannot_be_listed_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing bucket, a refusal, and a listing of something else are told as they are."""
    world = fake(monkeypatch, FakeS3(page_size=5), numbered(100))
    with pytest.raises(NoSuchBucketError):
        await split("in/", 2, "no-such-bucket")
    world.source.denied.add(("source", "ListObjectsV2", "source-bucket"))
    with pytest.raises(AccessDeniedError):
        await split("in/", 2)
    world.source.denied.clear()
    world.source.faults.append(Fault("ListObjectsV2", "InternalError", 500, times=100))
    with pytest.raises(S3Error, match="InternalError"):
        await split("in/", 2)
    world.assert_clean()


async def test_a_listing_that_ignores_the_prefix_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Cuts outside the prefix would make ranges without a key."""
    server = FakeS3()
    fake(monkeypatch, server, numbered(10, "other/"))

    async def list_all(self: FakeClient, bucket: str, prefix: str, **more: Any) -> object:
        return await genuine(self, bucket, "", **more)

    genuine = FakeClient.list_page
    monkeypatch.setattr(FakeClient, "list_page", list_all)
    with pytest.raises(InvalidResponseError, match="ignores the prefix: it names 'other/00000'"):
        await split("in/", 2)


async def test_a_request_that_fails_once_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """The governor passes every request, and owns the retries."""
    world = fake(monkeypatch, FakeS3(page_size=5), numbered(100))
    world.source.faults.append(Fault("ListObjectsV2", "SlowDown", 503, times=2))
    assert len(await split("in/", 2)) == 2


async def test_a_cancellation_ends_the_requests_and_closes_the_client(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing is left in flight, however far it was."""
    world = fake(monkeypatch, FakeS3(page_size=5), numbered(500))
    closed: list[bool] = []
    from async_s3copy.s3 import opening

    genuine = opening.open_client

    @asynccontextmanager
    async def open_client(*args: Any, **more: Any) -> AsyncIterator[Any]:
        async with genuine(*args, **more) as client:
            try:
                yield client
            finally:
                closed.append(True)

    monkeypatch.setattr("async_s3copy.s3.opening.open_client", open_client)
    with anyio.CancelScope() as scope:

        async def hook(call: Call, phase: Phase) -> None:
            if len(world.source.calls) > 10:
                scope.cancel()
                await anyio.sleep_forever()

        world.source.hook = hook
        await split("in/", 9)
    assert scope.cancelled_caught
    assert closed
    world.assert_clean()


async def seeded(place: Place, keys: Sequence[str]) -> None:
    async def put(key: str) -> None:
        await place.admin.put_object(Bucket=place.buckets.source, Key=key, Body=key.encode())

    await for_each(keys, put)


@pytest.mark.stack_b
async def test_real_shards_together_copy_every_hostile_key_once(moto: S3Server) -> None:
    """Ranges end at keys that exist, whatever these are made of: the server is told them."""
    async with place_on(moto) as place:
        keys = sorted(f"p/{key}" for key in keys_for(MOTO) if len(key.encode()) < 1_000)
        await seeded(place, keys)
        source = place.admin_account
        ranges = await split_prefix(place.url("source", "p/"), 6, source=source, options=quick())
        given: list[dict[str, Any]] = [dict(span) for span in ranges]
        copied = [
            (await place.operation("p/", "c/", **span).run()).files_copied_successfully
            for span in given
        ]
        assert sum(copied) == len(keys)
        assert sorted(await place.bodies()) == ["c/" + key[2:] for key in keys]
    assert len(ranges) == 6


async def test_a_server_of_folders_is_found_out(
    seaweedfs: S3Server, caplog: pytest.LogCaptureFixture
) -> None:
    """SeaweedFS sorts folders by their names; without folders it sorts as S3 does."""
    async with place_on(seaweedfs) as place:
        await seeded(place, [*numbered(60, "flat/"), "deep/a/b", "deep/c/d"])
        source = place.admin_account
        flat = await split_prefix(place.url("source", "flat/"), 3, source=source, options=quick())
        deep = await split_prefix(place.url("source", "deep/"), 3, source=source, options=quick())
    assert [span["up_to"] for span in flat] == ["flat/00019", "flat/00039", None]
    assert deep == UNDIVIDED
    assert "sorts folders by their names" in caplog.text
