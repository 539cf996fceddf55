"""Mixed sources of the simulator, and the audit: a judge that is itself judged."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from async_s3copy.testing.seaweedfs import Identity
from benchmarks.simulator import Audit, Simulator, SimulatorConfig, simulator
from benchmarks.simulator.mixed import Mix, MixedBucket
from tests.support import open_client

if TYPE_CHECKING:
    from types_aiobotocore_s3.client import S3Client

ADMIN = Identity.generate("admin", "Admin")
SOURCE = "src-hex-300-100b-mix4-1000b-400b"
BUCKET = MixedBucket(SOURCE.encode())
KEYS = [BUCKET.key_bytes(index).decode() for index in range(300)]
DESTINATION = "dst-worn-a"


def is_large(key: str) -> bool:
    return BUCKET.content_of(key.encode()).size_bytes == 1_000


LARGE = next(key for key in KEYS if is_large(key))
TAGGED = next(key for key in KEYS if BUCKET.tags(key.encode()))
SMALL = next(key for key in KEYS if not is_large(key) and not BUCKET.tags(key.encode()))


@pytest.fixture(scope="module")
def running() -> Iterator[Simulator]:
    with simulator(SimulatorConfig()) as sim:
        yield sim


@pytest.fixture
def sim(running: Simulator) -> Simulator:
    """The running simulator, empty."""
    running.reset()
    return running


@pytest.fixture
async def s3(sim: Simulator) -> AsyncIterator[S3Client]:
    async with open_client(sim.url, ADMIN) as opened:
        yield opened


def audit(sim: Simulator) -> Audit:
    return sim.audit(SOURCE, "data/", DESTINATION, "x/")


def target(key: str) -> str:
    return key.replace("data/", "x/", 1)


async def read(s3: S3Client, key: str, bucket: str = SOURCE) -> Any:
    answer = await s3.get_object(Bucket=bucket, Key=key)
    async with answer["Body"] as stream:
        return answer, await stream.read()


async def copy(s3: S3Client, key: str, to: str, **given: Any) -> None:
    await s3.copy_object(
        Bucket=DESTINATION, Key=to, CopySource={"Bucket": SOURCE, "Key": key}, **given
    )


async def put_parts(s3: S3Client, key: str, sizes: list[int], body: bytes, **given: Any) -> None:
    """Upload a body in parts of these sizes."""
    upload = await s3.create_multipart_upload(Bucket=DESTINATION, Key=target(key), **given)
    where: Any = {"Bucket": DESTINATION, "Key": target(key), "UploadId": upload["UploadId"]}
    parts: list[Any] = []
    for number, size in enumerate(sizes, start=1):
        piece, body = body[:size], body[size:]
        part = await s3.upload_part(**where, PartNumber=number, Body=piece)
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    await s3.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})


def worn(key: str) -> dict[str, Any]:
    """Return an object's properties as a write's parameters."""
    lines = BUCKET.properties(key.encode()).decode().split("\r\n")
    values = dict(line.split(": ", 1) for line in lines if line)
    return {
        "ContentType": values["content-type"],
        "CacheControl": values["cache-control"],
        "Metadata": {"name": values["x-amz-meta-name"]},
        "Tagging": BUCKET.tags(key.encode()).decode(),
    }


async def test_one_of_so_many_is_large_and_has_the_etag_of_its_parts(s3: S3Client) -> None:
    """Listed, read and asked for by part, an object is the same; about one in four is large."""
    page = await s3.list_objects_v2(Bucket=SOURCE)
    sizes = {entry["Key"]: entry["Size"] for entry in page["Contents"]}
    assert sizes == {key: 1_000 if is_large(key) else 100 for key in KEYS}
    assert 40 <= sum(map(is_large, KEYS)) <= 110
    answer, body = await read(s3, LARGE)
    pieces = [body[start : start + 400] for start in range(0, 1_000, 400)]
    joined = b"".join(hashlib.md5(piece).digest() for piece in pieces)
    assert answer["ETag"] == f'"{hashlib.md5(joined).hexdigest()}-3"'
    part = await s3.head_object(Bucket=SOURCE, Key=LARGE, PartNumber=3)
    assert (part["ContentLength"], part["PartsCount"]) == (200, 3)


async def test_a_copy_is_right_with_its_properties(sim: Simulator, s3: S3Client) -> None:
    """However it was made: at once, in parts, from parts, through the client."""
    await copy(s3, TAGGED, target(TAGGED))
    await copy(s3, SMALL, target(SMALL), MetadataDirective="REPLACE", **_untagged(SMALL))
    _, body = await read(s3, LARGE)
    await put_parts(s3, LARGE, [300, 300, 400], body, **worn(LARGE))
    found = audit(sim)
    assert found.right == {target(key) for key in (TAGGED, SMALL, LARGE)}
    assert (found.wrong, found.expected, found.writes) == ({}, 300, 3)


@pytest.mark.parametrize(
    "what", ["bytes", "order", "properties", "tags", "another", "place", "part"]
)
async def test_whatever_is_wrong_is_seen(sim: Simulator, s3: S3Client, what: str) -> None:
    """Other bytes, parts in another order, other properties, another object, a key outside."""
    _, body = await read(s3, LARGE)
    given = worn(LARGE)
    if what == "bytes":
        await put_parts(s3, LARGE, [500, 500], body[:-1] + b"!", **given)
    elif what == "order":
        await put_parts(s3, LARGE, [400, 600], body[400:] + body[:400], **given)
    elif what == "properties":
        await put_parts(s3, LARGE, [1_000], body, **(given | {"CacheControl": "no-store"}))
    elif what == "tags":
        await copy(s3, TAGGED, target(TAGGED), TaggingDirective="REPLACE", Tagging="a=b")
    elif what == "another":
        await copy(s3, SMALL, target(TAGGED))
    elif what == "place":
        await copy(s3, SMALL, "elsewhere")
    else:
        await put_parts(s3, LARGE, [400, 400], body, **given)
    found = audit(sim)
    assert not found.right
    assert len(found.wrong) == 1


async def test_tags_that_are_put_afterwards_count(sim: Simulator, s3: S3Client) -> None:
    """An object without its tags is wrong until it has them."""
    _, body = await read(s3, TAGGED)
    await s3.put_object(Bucket=DESTINATION, Key=target(TAGGED), Body=body, **_untagged(TAGGED))
    assert set(audit(sim).wrong) == {target(TAGGED)}
    name, _, value = BUCKET.tags(TAGGED.encode()).decode().partition("=")
    tagging: Any = {"TagSet": [{"Key": name, "Value": value}]}
    await s3.put_object_tagging(Bucket=DESTINATION, Key=target(TAGGED), Tagging=tagging)
    assert audit(sim).right == {target(TAGGED)}


@pytest.mark.parametrize(
    "name", ["src-hex-9-mix4", "src-hex-9-1kib-mix0-1mib-1mib", "x-mix4-1b-1b"]
)
def test_a_name_that_asks_for_no_mix_is_refused(name: str) -> None:
    """With the form that it should have."""
    with pytest.raises(ValueError, match="bucket"):
        MixedBucket(name.encode())


def test_a_mix_is_read_off_a_name() -> None:
    """Which keys, one of how many is large, how large, and in parts of what size."""
    assert Mix.parse(SOURCE) == ("src-hex-300-100b", 4, 1_000, 400)


def _untagged(key: str) -> dict[str, Any]:
    return {name: value for name, value in worn(key).items() if name != "Tagging"}
