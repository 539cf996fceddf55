"""Seed a bucket for demos and tests, and look at one, through a plain aiobotocore client.

On purpose not through this library's own S3 client: what a copy did is judged by another.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

import anyio
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import ClientError

T = TypeVar("T")

REGION: Final = "us-east-1"
LARGE_PART_BYTES: Final = 16 * 1024 * 1024
LARGE_PARTS: Final = 3
_WORKERS: Final = 32
_MAX_SMALL_BYTES: Final = 4_096
_CHUNK_BYTES: Final = 1024 * 1024

# Names that broke one copier or another: in the copy source, in a query string, in XML.
ODD_NAMES: Final = (
    "with space.jpg",
    " leading and trailing ",
    "Grüße aus Köln.jpg",
    "e\u0301 combining.jpg",
    "日本語.jpg",
    "🚀🌍.jpg",
    "1+1=2.jpg",
    "slash%2Fslash.jpg",
    "percent%25.jpg",
    "photo.jpg?versionId=x",
    "a&b;c#d.jpg",
    "'single' and \"double\".jpg",
    "<tag>&amp;.jpg",
    "[red]not red[/red].jpg",
    "~tilde!$()*,:@.jpg",
    "nested/deeply/in/folders/photo.jpg",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedObject:
    """One object to create: its key, size and everything a copy must carry.

    Attributes:
        key: Object key.
        size: Size in bytes; the bytes follow from the key.
        parts: Parts to upload it in; 0 for a single PUT.
        headers: Content headers, as botocore names them (``"CacheControl"``).
        metadata: User metadata.
        tags: Object tags.
    """

    key: str
    size: int
    parts: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)

    def body(self, part: int = 0) -> bytes:
        """Return the bytes of the object, or of one of its parts (from 1)."""
        size = self.size // self.parts if self.parts else self.size
        return random.Random(f"{self.key}/{part}").randbytes(size)  # noqa: S311 - no secret


@dataclass(frozen=True, slots=True)
class Listed:
    """What a listing tells of one object."""

    size: int
    etag: str


@dataclass(frozen=True, slots=True)
class Described:
    """What an object carries besides its bytes."""

    headers: Mapping[str, str]
    metadata: Mapping[str, str]
    tags: Mapping[str, str]


def plan_objects(count: int, prefix: str) -> Sequence[SeedObject]:
    """Plan ``count`` objects: odd keys, empty ones, many plain ones, and one in several parts.

    Args:
        count: Number of objects, at least ``len(ODD_NAMES) + 1``.
        prefix: Prefix of all keys.
    """
    large = SeedObject(
        key=f"{prefix}video/holiday.mp4",
        size=LARGE_PARTS * LARGE_PART_BYTES,
        parts=LARGE_PARTS,
        headers={"ContentType": "video/mp4", "CacheControl": "max-age=3600"},
        metadata={"camera": "x100", "title": "holiday"},
        tags={"kind": "video", "place": "Lake + Mountain"},
    )
    odd = [_rich(f"{prefix}odd/{name}", size=100 + i) for i, name in enumerate(ODD_NAMES)]
    plain = [_plain(prefix, i) for i in range(count - len(odd) - 1)]
    return [large, *odd, *plain]


def _plain(prefix: str, number: int) -> SeedObject:
    key = f"{prefix}{2020 + number % 7}/{number % 12 + 1:02}/img-{number:05}.jpg"
    # Every 50th is empty and every 10th carries everything; the others have a type only.
    size = 0 if number % 50 == 0 else 1 + number * 37 % _MAX_SMALL_BYTES
    if number % 10 == 5:
        return _rich(key, size=size)
    return SeedObject(key=key, size=size, headers={"ContentType": "image/jpeg"})


def _rich(key: str, *, size: int) -> SeedObject:
    return SeedObject(
        key=key,
        size=size,
        headers={
            "ContentType": "image/jpeg",
            "CacheControl": "no-cache",
            "ContentLanguage": "de",
            "ContentDisposition": 'attachment; filename="photo.jpg"',
        },
        metadata={"camera": "x100", "note": "a=b; c & d"},
        tags={"kind": "photo", "project": "A & B = C"},
    )


@asynccontextmanager
async def open_client(
    endpoint_url: str, access_key_id: str, secret_access_key: str
) -> AsyncIterator[Any]:
    """Open a plain aiobotocore S3 client with explicit keys, whatever the environment says."""
    config = AioConfig(
        max_pool_connections=_WORKERS,
        s3={"addressing_style": "path"},
        retries={"total_max_attempts": 3},
    )
    async with get_session().create_client(
        "s3",
        endpoint_url=endpoint_url,
        region_name=REGION,
        aws_access_key_id=access_key_id,
        aws_secret_access_key=secret_access_key,
        config=config,
    ) as client:
        yield client


async def for_each(items: Iterable[T], function: Callable[[T], Awaitable[object]]) -> None:
    """Call a function for each item, several at a time."""
    queue = iter(items)

    async def work() -> None:
        for item in queue:
            await function(item)

    async with anyio.create_task_group() as group:
        for _ in range(_WORKERS):
            group.start_soon(work)


async def seed(client: Any, bucket: str, objects: Sequence[SeedObject]) -> None:
    """Create objects, several at a time."""

    async def create(item: SeedObject) -> None:
        await (_upload if item.parts else _put)(client, bucket, item)

    await for_each(objects, create)


def _properties(item: SeedObject) -> dict[str, Any]:
    tagging = {"Tagging": urlencode(item.tags)} if item.tags else {}
    return {**item.headers, "Metadata": dict(item.metadata), **tagging}


async def _put(client: Any, bucket: str, item: SeedObject) -> None:
    await client.put_object(Bucket=bucket, Key=item.key, Body=item.body(), **_properties(item))


async def _upload(client: Any, bucket: str, item: SeedObject) -> None:
    where = {"Bucket": bucket, "Key": item.key}
    created = await client.create_multipart_upload(**where, **_properties(item))
    where["UploadId"] = created["UploadId"]
    parts = []
    for number in range(1, item.parts + 1):
        part = await client.upload_part(**where, PartNumber=number, Body=item.body(number))
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    await client.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})


async def list_all(client: Any, bucket: str, prefix: str = "") -> dict[str, Listed]:
    """List every key under a prefix."""
    found: dict[str, Listed] = {}
    paginator = client.get_paginator("list_objects_v2")
    async for page in paginator.paginate(Bucket=bucket, Prefix=prefix):
        for item in page.get("Contents", ()):
            found[item["Key"]] = Listed(item["Size"], item["ETag"].strip('"'))
    return found


async def describe(client: Any, bucket: str, key: str) -> Described:
    """Read an object's content headers, metadata and tags."""
    head = await client.head_object(Bucket=bucket, Key=key)
    tagging = await client.get_object_tagging(Bucket=bucket, Key=key)
    names = ("ContentType", "CacheControl", "ContentLanguage", "ContentDisposition")
    return Described(
        headers={name: head[name] for name in names if name in head},
        metadata=head["Metadata"],
        tags={tag["Key"]: tag["Value"] for tag in tagging["TagSet"]},
    )


async def sha256(client: Any, bucket: str, key: str) -> str:
    """Read an object and return its SHA-256."""
    digest = hashlib.sha256()
    answer = await client.get_object(Bucket=bucket, Key=key)
    body = answer["Body"]
    async with body:
        async for chunk in body.iter_chunks(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


async def count_open_uploads(client: Any, bucket: str) -> int:
    """Count the multipart uploads that are neither completed nor aborted."""
    answer = await client.list_multipart_uploads(Bucket=bucket)
    return len(answer.get("Uploads", ()))


async def refusal(client: Any, bucket: str) -> str:
    """Try to list a bucket; return the code it was refused with, or ``""``."""
    try:
        await client.list_objects_v2(Bucket=bucket, MaxKeys=1)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""
