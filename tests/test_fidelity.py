"""What arrives is what was there, and the way it travelled makes no difference to it."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Final
from urllib.parse import urlencode

import pytest

from async_s3copy import Copied, Skipped, SkipReason, copy
from async_s3copy.s3.opening import open_boto_client
from async_s3copy.s3.values import ObjectProperties
from tests.real import LARGE, PART, WAYS, Place, Watch, by_way, place_on, quick
from tests.support import S3Server, Stored, put_multipart, put_object, seed

pytestmark = pytest.mark.stack_b

HEADERS: Final = {
    "content-type": "application/x-thing; charset=utf-8",
    "content-encoding": "gzip",
    "content-language": "de-CH, en",
    "content-disposition": "attachment; filename=\"a b.bin\"; filename*=UTF-8''%e2%82%ac",
    "cache-control": "max-age=31, private",
    "expires": "Thu, 01 Dec 2044 16:00:00 GMT",
}
METADATA: Final = {"camera": "x100", "note": "a=b; c & d", "dashed-name": "1"}
TAGS: Final = {"kind": "photo", "project": "A + B = C", "umlaut": "Grüße", "empty": ""}
# Ten tags, the most there can be, of letters beyond ASCII: 3 KiB and more when url-encoded.
LONG_TAGS: Final = {f"{number}-{'ä' * 20}": "語" * 20 for number in range(10)}
RICH: Final = Stored(headers=HEADERS, metadata=METADATA, tags=TAGS, storage_class="STANDARD_IA")


@pytest.fixture
async def place(seaweedfs: S3Server) -> AsyncIterator[Place]:
    """A fresh bucket pair on SeaweedFS."""
    async with place_on(seaweedfs) as made:
        yield made


@pytest.fixture
async def moto_place(moto: S3Server) -> AsyncIterator[Place]:
    """A fresh bucket pair on moto."""
    async with place_on(moto) as made:
        yield made


def carried(stored: Stored) -> Stored:
    """Leave out the ETag, which depends on the layout in parts."""
    return replace(stored, etag="")


@pytest.mark.parametrize(
    "way, size", [*((way, 1) for way in WAYS), ("single", 0), ("relay_put", 0)]
)
async def test_everything_an_object_carries_arrives(place: Place, way: str, size: int) -> None:
    """Content headers, metadata, tags and storage class arrive by all four ways, empty or not."""
    await put_object(place.admin, place.buckets.source, "k", replace(RICH, body=b"x" * size))
    watch = Watch()
    await place.operation(options=by_way(way), observer=watch).run()
    assert carried(await place.stored("k")) == replace(RICH, body=b"x" * size)
    assert [bool(o.parts) for o in watch.outcomes if isinstance(o, Copied)] == [
        way.endswith("multipart")
    ]


@pytest.mark.parametrize("method", ["server_side", "relay"])
async def test_the_threshold_changes_nothing_but_the_parts(place: Place, method: str) -> None:
    """One byte below the threshold and just at it: the same headers, metadata, tags and class."""
    below, at = b"x" * (PART - 1), b"y" * PART
    objects = {"below": replace(RICH, body=below), "at": replace(RICH, body=at)}
    await seed(place.admin, place.buckets.source, objects)
    watch = Watch()
    await place.operation(options=quick(method=method), observer=watch).run()
    for key, stored in objects.items():
        assert carried(await place.stored(key)) == stored
    parts = {o.source.key: o.parts for o in watch.outcomes if isinstance(o, Copied)}
    assert parts == {"below": 0, "at": 1}


@pytest.mark.parametrize("method", ["server_side", "relay"])
async def test_large_objects_arrive_whole(place: Place, method: str) -> None:
    """An object of several parts, the last one odd, arrives with every byte in its place."""
    body = b"".join(bytes([number]) * PART for number in range(3))[:LARGE]
    await put_object(place.admin, place.buckets.source, "big", replace(RICH, body=body))
    watch = Watch()
    metrics = await place.operation(options=quick(method=method), observer=watch).run()
    assert carried(await place.stored("big")) == replace(RICH, body=body)
    assert metrics.total_bytes_transferred == watch.copied_bytes == LARGE
    assert [o.parts for o in watch.outcomes if isinstance(o, Copied)] == [3]


async def test_a_relay_repeats_the_layout_of_the_source(place: Place) -> None:
    """Relayed, an object uploaded in uniform parts keeps its ETag, whatever part size is set."""
    parts = [b"a" * (PART + 7), b"b" * (PART + 7), b"c" * 9]
    etag = await put_multipart(place.admin, place.buckets.source, "big", parts, RICH)
    await place.operation(options=quick(method="relay")).run()
    arrived = await place.stored("big")
    assert arrived.etag == etag
    assert arrived.body == b"".join(parts)


@pytest.mark.parametrize("way", WAYS)
async def test_tags_too_long_for_a_header_arrive(place: Place, way: str) -> None:
    """Tags of more than 2 KiB url-encoded are written by a request of their own."""
    assert len(urlencode(LONG_TAGS)) > 2_048
    bucket = place.buckets.source
    await put_object(place.admin, bucket, "k", b"x")
    tag_set = [{"Key": name, "Value": value} for name, value in LONG_TAGS.items()]
    await place.admin.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": tag_set})  # type: ignore[typeddict-item]
    await place.operation(options=by_way(way)).run()
    assert (await place.stored("k")).tags == LONG_TAGS


@pytest.mark.parametrize("way", WAYS)
async def test_moto_gets_everything_too(moto_place: Place, way: str) -> None:
    """Another server, the same result by all four ways."""
    tags = {"kind": "photo", "project": "A + B = C", "empty": ""}
    metadata = {**METADATA, "empty": ""}
    stored = replace(RICH, body=b"x" * 10, tags=tags, metadata=metadata)
    await put_object(moto_place.admin, moto_place.buckets.source, "k", stored)
    await moto_place.operation(options=by_way(way)).run()
    arrived = carried(await moto_place.stored("k"))
    assert arrived == carried(await moto_place.stored("k", "source"))
    assert (arrived.tags, arrived.metadata) == (tags, metadata)


@pytest.mark.parametrize("way", WAYS)
async def test_metadata_beyond_ascii_arrives_unchanged(place: Place, way: str) -> None:
    """Metadata that botocore refuses to send, raw UTF-8, arrives; RFC 2047 words stay encoded."""
    values = {"raw": "Grüße aus 東京", "encoded": "=?UTF-8?B?R3LDvMOfZQ==?="}
    async with open_boto_client(place.admin_account, "source", quick()) as raw:
        await raw.put_object(
            place.buckets.source,
            "k",
            b"x",
            ObjectProperties(metadata=values),
            md5=hashlib.md5(b"x").digest(),
        )
    seeded = (await place.stored("k", "source")).metadata
    assert seeded == values
    await place.operation(options=by_way(way)).run()
    assert (await place.stored("k")).metadata == values


async def test_empty_objects_and_markers_are_objects(moto_place: Place) -> None:
    """Zero-byte objects and ``x/`` markers are copied like any other."""
    objects = {"empty": b"", "folder/": b"", "folder/empty": b"", "full": b"x"}
    await seed(moto_place.admin, moto_place.buckets.source, objects)
    for method in ("server_side", "relay"):
        await moto_place.operation(None, f"{method}/", options=quick(method=method)).run()
        found = {k: v for k, v in (await moto_place.bodies()).items() if k.startswith(method)}
        assert found == {f"{method}/{key}": body for key, body in objects.items()}


async def test_a_prefix_is_a_string_not_a_folder(place: Place) -> None:
    """``logs/2026`` also matches ``logs/20261``, and is replaced byte for byte."""
    keys = ["logs/2026", "logs/2026/01", "logs/20261", "logs/2025", "logs/202", "xlogs/2026"]
    await seed(place.admin, place.buckets.source, {key: key.encode() for key in keys})
    await copy(
        place.url("source", "logs/2026"),
        place.url("destination", "old"),
        source=place.admin_account,
        destination=place.admin_account,
        recursive=True,
    )
    assert await place.bodies() == {
        "old": b"logs/2026",
        "old/01": b"logs/2026/01",
        "old1": b"logs/20261",
    }


@pytest.mark.parametrize("tail", ["", "/"])
async def test_a_url_without_a_key_is_the_whole_bucket(place: Place, tail: str) -> None:
    """``s3://bucket`` and ``s3://bucket/`` copy every key as it is."""
    objects = {"a": b"1", "b/c": b"2", "z": b"3"}
    await seed(place.admin, place.buckets.source, objects)
    metrics = await copy(
        f"s3://{place.buckets.source}{tail}",
        f"s3://{place.buckets.destination}{tail}",
        source=place.admin_account,
        destination=place.admin_account,
        recursive=True,
    )
    assert await place.bodies() == objects
    assert metrics.total_files_found == 3


@pytest.mark.parametrize(
    "destination, expected",
    [("there/", "there/name.txt"), ("there", "there"), (None, "name.txt")],
)
async def test_one_object_lands_where_the_key_says(
    place: Place, destination: str | None, expected: str
) -> None:
    """Not recursive, a destination that ends in ``/`` receives the source's last name part."""
    await seed(place.admin, place.buckets.source, {"a/b/name.txt": b"x", "a/b/name.txt2": b"y"})
    operation = place.operation("a/b/name.txt", destination, recursive=False)
    metrics = await operation.run()
    assert await place.bodies() == {expected: b"x"}
    assert metrics.total_files_found == 1


async def test_an_empty_prefix_copies_nothing_and_succeeds(place: Place) -> None:
    """A prefix without keys is no error: found, copied and failed are zero."""
    metrics = await place.operation("nothing/here").run()
    assert (metrics.total_files_found, metrics.files_failed) == (0, 0)


async def test_the_marker_of_the_prefix_itself_has_no_key_at_the_root(moto_place: Place) -> None:
    """``p/`` copied to the bucket's root would have an empty key: it is skipped, and said so."""
    await seed(moto_place.admin, moto_place.buckets.source, {"p/": b"", "p/x": b"1"})
    watch = Watch()
    metrics = await moto_place.operation("p/", None, observer=watch).run()
    assert await moto_place.bodies() == {"x": b"1"}
    assert metrics.files_skipped == 1
    assert [o.reason for o in watch.outcomes if isinstance(o, Skipped)] == [SkipReason.ROOT_MARKER]
