"""The simulator as S3 clients see it: listings, copies, rates and faults."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from async_s3copy.testing.seaweedfs import Identity
from benchmarks.simulator import (
    KEYSPACES,
    FaultKind,
    FaultRule,
    KeySpace,
    Simulator,
    SimulatorConfig,
    simulator,
)
from tests.support import open_client

if TYPE_CHECKING:
    from types_aiobotocore_s3.client import S3Client
    from types_aiobotocore_s3.type_defs import CompletedPartTypeDef

ADMIN = Identity.generate("admin", "Admin")
SOURCE = "src-nonascii-40-1kib"
SPACE = KeySpace.parse(SOURCE)
HUGE = "src-sequential-1-1tib"
HUGE_KEY = "data/key-0000000000"


@pytest.fixture(scope="module")
def running() -> Iterator[Simulator]:
    with simulator(SimulatorConfig()) as sim:
        yield sim


@pytest.fixture
def sim(running: Simulator) -> Iterator[Simulator]:
    """The running simulator, empty, and set back afterwards."""
    running.reset()
    yield running
    running.configure(faults=(), rate_per_s=None, burst=None, latency_ms=0)


@pytest.fixture
async def s3(sim: Simulator) -> AsyncIterator[S3Client]:
    async with open_client(sim.url, ADMIN) as opened:
        yield opened


async def copy(
    s3: S3Client, key: str, *, to: str = "", bucket: str = "dst-a", if_match: str | None = None
) -> None:
    condition = {} if if_match is None else {"CopySourceIfMatch": if_match}
    await s3.copy_object(
        Bucket=bucket,
        Key=to or key.replace("data/", "x/", 1),
        CopySource={"Bucket": SOURCE, "Key": key},
        **condition,  # type: ignore[arg-type]
    )


async def upload_parts(s3: S3Client, numbers: range) -> tuple[str, list[CompletedPartTypeDef]]:
    """Open an upload of the huge object, a quarter of it each part; return its id and parts."""
    upload = (await s3.create_multipart_upload(Bucket="dst-a", Key=HUGE_KEY))["UploadId"]
    parts: list[CompletedPartTypeDef] = []
    for number in numbers:
        copied = await s3.upload_part_copy(
            Bucket="dst-a",
            Key=HUGE_KEY,
            UploadId=upload,
            PartNumber=number,
            CopySource={"Bucket": HUGE, "Key": HUGE_KEY},
            CopySourceRange=f"bytes={(number - 1) << 38}-{(number << 38) - 1}",
        )
        parts.append({"PartNumber": number, "ETag": copied["CopyPartResult"]["ETag"]})
    return upload, parts


# Listing ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KEYSPACES)
async def test_pages_hold_every_key_once(s3: S3Client, name: str) -> None:
    """Both versions of listing, percent-encoded, in order, with their ETags and sizes."""
    bucket = f"src-{name}-234-5b"
    space = KeySpace.parse(bucket)
    for version in ("list_objects_v2", "list_objects"):
        pages = s3.get_paginator(version).paginate(
            Bucket=bucket, PaginationConfig={"PageSize": 100}
        )
        objects = [found async for page in pages for found in page["Contents"]]
        assert [found["Key"] for found in objects] == [space.key(i) for i in range(234)]
        assert {found["Size"] for found in objects} == {5}


async def test_a_listing_starts_after_any_text(s3: S3Client) -> None:
    """As the key space says, within a prefix, and not at all beyond its end."""
    for text in ("", "data/", SPACE.key(7), SPACE.key(7)[:-1], "data/\U0010ffff", "e"):
        page = await s3.list_objects_v2(Bucket=SOURCE, StartAfter=text)
        found = [entry["Key"] for entry in page.get("Contents", [])]
        assert found == [SPACE.key(i) for i in range(SPACE.seek(text), len(SPACE))]
    folder = SPACE.key(7)[:7]
    page = await s3.list_objects_v2(Bucket=SOURCE, Prefix=folder, StartAfter="data/")
    keys = [SPACE.key(i) for i in range(len(SPACE))]
    assert [entry["Key"] for entry in page["Contents"]] == [k for k in keys if k.startswith(folder)]


async def test_a_delimiter_groups_keys(s3: S3Client) -> None:
    """Each common prefix once over all pages, among the keys that have no delimiter."""
    bucket = "src-skew-2000"
    space = KeySpace.parse(bucket)
    expected = set()
    for index in range(2_000):
        head, delimiter, _ = space.key(index).removeprefix("data/").partition("/")
        expected.add("data/" + head + delimiter)
    for version in ("list_objects_v2", "list_objects"):
        pages = s3.get_paginator(version).paginate(
            Bucket=bucket, Prefix="data/", Delimiter="/", PaginationConfig={"PageSize": 7}
        )
        found = []
        async for page in pages:
            found += [entry["Key"] for entry in page.get("Contents", [])]
            found += [entry["Prefix"] for entry in page.get("CommonPrefixes", [])]
        assert sorted(found) == sorted(expected)


async def test_a_destination_lists_what_was_written(s3: S3Client) -> None:
    """Nothing at first, then its keys in order; deleted ones are gone."""
    assert (await s3.list_objects_v2(Bucket="dst-a"))["KeyCount"] == 0
    keys = [SPACE.key(index) for index in (9, 3, 5)]
    for key in keys:
        await copy(s3, key, to=key)
    await s3.delete_object(Bucket="dst-a", Key=keys[2])
    page = await s3.list_objects_v2(Bucket="dst-a")
    assert [entry["Key"] for entry in page["Contents"]] == [SPACE.key(3), SPACE.key(9)]


# Copies and their verification ------------------------------------------------------------------


async def test_a_copy_of_everything_is_complete(s3: S3Client, sim: Simulator) -> None:
    """Every key found, none missing or wrong."""
    for index in range(len(SPACE)):
        await copy(s3, SPACE.key(index))
    result = sim.verify(SOURCE, "data/", "dst-a", "x/")
    assert result.complete
    assert (result.expected, result.found, result.duplicates) == (40, 40, 0)


async def test_verification_finds_what_is_not_right(s3: S3Client, sim: Simulator) -> None:
    """A key that is missing, one with another's bytes, one that belongs nowhere, one twice."""
    for index in range(2, len(SPACE)):
        await copy(s3, SPACE.key(index))
    await copy(s3, SPACE.key(2), to=SPACE.key(1).replace("data/", "x/", 1))
    await copy(s3, SPACE.key(5))
    await copy(s3, SPACE.key(6), to="x/stray")
    result = sim.verify(SOURCE, "data/", "dst-a", "x/")
    assert not result.complete
    assert (result.expected, result.found, result.missing) == (40, 38, 1)
    assert (result.wrong, result.duplicates) == (2, 1)
    assert "x/stray" in result.examples


async def test_relayed_bytes_are_verified_by_their_md5(s3: S3Client, sim: Simulator) -> None:
    """The right ones are found; others of the same length are wrong."""
    for index in range(2):
        read = await s3.get_object(Bucket=SOURCE, Key=SPACE.key(index))
        body = await read["Body"].read()
        assert hashlib.md5(body).hexdigest() == read["ETag"].strip('"')
        await s3.put_object(Bucket="dst-a", Key=SPACE.key(index), Body=body)
    await s3.put_object(Bucket="dst-a", Key=SPACE.key(1), Body=bytes(1_024))
    result = sim.verify(SOURCE, "data/", "dst-a", "data/")
    assert (result.found, result.wrong, result.missing) == (1, 1, 38)


async def test_conditions_are_honoured(s3: S3Client, sim: Simulator) -> None:
    """A copy of another ETag, or onto an object that must not exist, is refused and not made."""
    with pytest.raises(ClientError, match="PreconditionFailed"):
        await copy(s3, SPACE.key(0), if_match='"00"')
    assert sim.verify(SOURCE, "data/", "dst-a", "x/").found == 0
    listed = (await s3.list_objects_v2(Bucket=SOURCE, MaxKeys=1))["Contents"][0]
    await copy(s3, SPACE.key(0), to="x/a", if_match=listed["ETag"])
    with pytest.raises(ClientError, match="PreconditionFailed"):
        await s3.put_object(Bucket="dst-a", Key="x/a", Body=b"", IfNoneMatch="*")
    assert (await s3.head_object(Bucket="dst-a", Key="x/a"))["ETag"] == listed["ETag"]


async def test_what_does_not_exist_is_refused(s3: S3Client) -> None:
    """Objects and buckets by their S3 codes, and writing into a source."""
    with pytest.raises(ClientError, match="NoSuchKey"):
        await copy(s3, "data/nothing")
    with pytest.raises(ClientError, match="NoSuchBucket"):
        await s3.list_objects_v2(Bucket="elsewhere")
    with pytest.raises(ClientError, match="AccessDenied"):
        await copy(s3, SPACE.key(0), bucket=SOURCE)


@pytest.mark.parametrize("numbers, complete", [(range(1, 5), True), (range(1, 4), False)])
async def test_parts_make_an_object(
    s3: S3Client, sim: Simulator, numbers: range, complete: bool
) -> None:
    """A huge one by part copies; one that lacks its last quarter is wrong."""
    upload, parts = await upload_parts(s3, numbers)
    await s3.complete_multipart_upload(
        Bucket="dst-a", Key=HUGE_KEY, UploadId=upload, MultipartUpload={"Parts": parts}
    )
    result = sim.verify(HUGE, "data/", "dst-a", "data/")
    assert (result.complete, result.wrong) == (complete, 0 if complete else 1)
    assert sim.counters()["uploads_open"] == 0


async def test_an_open_upload_is_seen(s3: S3Client, sim: Simulator) -> None:
    """In its bucket's list, with its parts, and in the counters; it is no object."""
    upload, parts = await upload_parts(s3, range(1, 3))
    listed = await s3.list_parts(Bucket="dst-a", Key=HUGE_KEY, UploadId=upload)
    assert [part["ETag"] for part in listed["Parts"]] == [part["ETag"] for part in parts]
    uploads = (await s3.list_multipart_uploads(Bucket="dst-a"))["Uploads"]
    assert [(found["Key"], found["UploadId"]) for found in uploads] == [(HUGE_KEY, upload)]
    assert sim.counters()["uploads_open"] == 1
    assert sim.verify(HUGE, "data/", "dst-a", "data/").missing == 1


async def test_parts_must_be_there_and_in_order(s3: S3Client) -> None:
    """Neither a part that was never sent nor one before another completes an upload."""
    upload, parts = await upload_parts(s3, range(1, 3))
    missing: CompletedPartTypeDef = {"PartNumber": 3, "ETag": parts[0]["ETag"]}
    for chosen, code in ((parts[::-1], "InvalidPartOrder"), ([*parts, missing], "InvalidPart")):
        with pytest.raises(ClientError, match=code):
            await s3.complete_multipart_upload(
                Bucket="dst-a", Key=HUGE_KEY, UploadId=upload, MultipartUpload={"Parts": chosen}
            )


async def test_an_aborted_upload_is_gone(s3: S3Client, sim: Simulator) -> None:
    """No object came of it, and its id means nothing any more."""
    upload = (await s3.create_multipart_upload(Bucket="dst-a", Key="x"))["UploadId"]
    await s3.abort_multipart_upload(Bucket="dst-a", Key="x", UploadId=upload)
    assert sim.counters()["uploads_open"] == 0
    with pytest.raises(ClientError, match="NoSuchUpload"):
        await s3.list_parts(Bucket="dst-a", Key="x", UploadId=upload)


async def test_ranges_and_parts_are_read(s3: S3Client) -> None:
    """A range of an object, and what HEAD says of one part of a huge one."""
    whole = await (await s3.get_object(Bucket=SOURCE, Key=SPACE.key(0)))["Body"].read()
    got = await s3.get_object(Bucket=SOURCE, Key=SPACE.key(0), Range="bytes=-30")
    assert await got["Body"].read() == whole[-30:]
    head = await s3.head_object(Bucket=HUGE, Key=HUGE_KEY, PartNumber=1)
    assert (head["PartsCount"], head["ContentLength"]) == (8_192, 1 << 27)


# Rates and faults -------------------------------------------------------------------------------


async def test_above_the_rate_is_slow_down(s3: S3Client, sim: Simulator) -> None:
    """Five go through, the sixth is refused and counted; without the limit all go on."""
    sim.configure(rate_per_s=0.001, burst=5)
    for index in range(5):
        await copy(s3, SPACE.key(index))
    with pytest.raises(ClientError, match="SlowDown") as refused:
        await copy(s3, SPACE.key(5))
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    assert sim.counters()["refused"] == {"CopyObject": 1}
    tenths = sim.series()
    assert sum(tenth["accepted"] for tenth in tenths) == 5
    assert sum(tenth["refused"] for tenth in tenths) == 1
    sim.configure(rate_per_s=None)
    await copy(s3, SPACE.key(5))


@pytest.mark.parametrize(
    "kind, code", [("500", "InternalError"), ("503", "SlowDown"), ("error-in-200", "InternalError")]
)
async def test_a_refusing_fault_does_nothing(
    s3: S3Client, sim: Simulator, kind: FaultKind, code: str
) -> None:
    """The client sees the error, and the object is not there."""
    sim.configure(faults=(FaultRule(operation="CopyObject", kind=kind, limit=1),))
    with pytest.raises(ClientError, match=code):
        await copy(s3, SPACE.key(0))
    assert sim.verify(SOURCE, "data/", "dst-a", "x/").found == 0
    assert sim.counters()["faults"] == {kind: 1}
    await copy(s3, SPACE.key(0))
    assert sim.verify(SOURCE, "data/", "dst-a", "x/").found == 1


@pytest.mark.parametrize("kind, found", [("reset", 0), ("truncated", 1)])
async def test_a_broken_connection(
    s3: S3Client, sim: Simulator, kind: FaultKind, found: int
) -> None:
    """A reset comes before anything is done; half an answer after it."""
    sim.configure(faults=(FaultRule(operation="*", kind=kind),))
    # The HTTP library tries once more by itself, so all of them go wrong.
    with pytest.raises(BotoCoreError):
        await copy(s3, SPACE.key(0))
    assert sim.verify(SOURCE, "data/", "dst-a", "x/").found == found


async def test_counters_begin_at_zero_again(s3: S3Client, sim: Simulator) -> None:
    """After a reset; before, they tell requests by name, bytes and connections."""
    await copy(s3, SPACE.key(0))
    before = sim.counters()
    assert before["requests"] == {"CopyObject": 1}
    assert before["in_flight_peak"] == before["connections_now"] == 1
    assert min(before["bytes_received"], before["bytes_sent"]) > 0
    sim.reset()
    after = sim.counters()
    assert (after["requests"], after["bytes_sent"], sim.series()) == ({}, 0, [])
    assert sim.verify(SOURCE, "data/", "dst-a", "x/").found == 0
