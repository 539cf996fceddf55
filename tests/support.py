"""What the tests share: who may do what on the test servers, and how to seed and read buckets.

Everything here goes through a plain aiobotocore client, never through the library under test.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlencode
from uuid import uuid4

import anyio
from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession

from async_s3copy.testing.seaweedfs import Identity

if TYPE_CHECKING:
    from types_aiobotocore_s3.client import S3Client

    from async_s3copy import Account

T = TypeVar("T")

REGION: Final = "us-east-1"
SOURCE_BUCKETS: Final = "src-*"
DESTINATION_BUCKETS: Final = "dst-*"
_ALL: Final = ("Read", "List", "Write", "Tagging")
_SEED_WORKERS: Final = 16
# One for all clients: it keeps botocore's parsed service model, a quarter of a second each.
_SESSION: Final = AioSession()


def _actions(buckets: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{name}:{buckets}" for name in names)


def _identity(
    name: str, *, source: Iterable[str] = (), destination: Iterable[str] = ()
) -> Identity:
    actions = _actions(SOURCE_BUCKETS, *source) + _actions(DESTINATION_BUCKETS, *destination)
    return Identity.generate(name, *actions)


@dataclass(frozen=True, slots=True)
class Identities:
    """The accounts of the SeaweedFS server, over buckets named ``src-...`` and ``dst-...``.

    ``Identity`` tells what each action allows there; note that HeadBucket needs ``Read``.

    Attributes:
        source: Everything in source buckets, nothing elsewhere.
        destination: Everything in destination buckets, nothing elsewhere.
        both: Everything in both.
        copier: Reads and lists source buckets, everything in destination buckets.
        source_read_only: Reads and lists source buckets.
        source_list_only: Lists source buckets.
        source_read_only_no_list: Reads objects of source buckets.
        destination_no_write: Everything in destination buckets but writing.
        destination_write_only: Writes into destination buckets, can neither read nor list them.
        destination_no_tagging: Everything in destination buckets but PutObjectTagging.
        copier_no_write: Reads and lists both.
        stranger: Valid keys without any permission here.
    """

    source: Identity = field(default_factory=lambda: _identity("source", source=_ALL))
    destination: Identity = field(
        default_factory=lambda: _identity("destination", destination=_ALL)
    )
    both: Identity = field(default_factory=lambda: _identity("both", source=_ALL, destination=_ALL))
    copier: Identity = field(
        default_factory=lambda: _identity("copier", source=("Read", "List"), destination=_ALL)
    )
    source_read_only: Identity = field(
        default_factory=lambda: _identity("source-read-only", source=("Read", "List"))
    )
    source_list_only: Identity = field(
        default_factory=lambda: _identity("source-list-only", source=("List",))
    )
    source_read_only_no_list: Identity = field(
        default_factory=lambda: _identity("source-read-only-no-list", source=("Read",))
    )
    destination_no_write: Identity = field(
        default_factory=lambda: _identity(
            "destination-no-write", destination=("Read", "List", "Tagging")
        )
    )
    destination_write_only: Identity = field(
        default_factory=lambda: _identity("destination-write-only", destination=("Write",))
    )
    destination_no_tagging: Identity = field(
        default_factory=lambda: _identity(
            "destination-no-tagging", destination=("Read", "List", "Write")
        )
    )
    copier_no_write: Identity = field(
        default_factory=lambda: _identity(
            "copier-no-write", source=("Read", "List"), destination=("Read", "List")
        )
    )
    stranger: Identity = field(
        default_factory=lambda: Identity.generate("stranger", "Read:nowhere", "List:nowhere")
    )

    def all(self) -> list[Identity]:
        """Return every one of them."""
        return [getattr(self, item.name) for item in fields(self)]


@dataclass(frozen=True, slots=True)
class S3Server:
    """A running test server.

    Attributes:
        endpoint_url: Where it listens.
        admin: May do everything.
        identities: Its accounts; moto accepts them all and checks none of their permissions.
    """

    endpoint_url: str
    admin: Identity
    identities: Identities

    def account(self, identity: Identity) -> Account:
        """Return an identity as the library takes it."""
        from async_s3copy import Account

        return Account(
            access_key_id=identity.access_key_id,
            secret_access_key=identity.secret_access_key,
            region=REGION,
            endpoint_url=self.endpoint_url,
        )

    def client(self, identity: Identity | None = None) -> AbstractAsyncContextManager[S3Client]:
        """Open a plain aiobotocore client; ``None`` for the admin's."""
        return open_client(self.endpoint_url, identity or self.admin)


@dataclass(frozen=True, slots=True)
class Buckets:
    """An empty source and an empty destination bucket, made for one test."""

    source: str
    destination: str

    @classmethod
    def fresh(cls) -> Buckets:
        """Return names that no other test uses."""
        unique = uuid4().hex[:16]
        return cls(f"src-{unique}", f"dst-{unique}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """An object to seed, or as it was found.

    Attributes:
        body: Its bytes.
        headers: Content headers by lowercase name, such as ``"content-type"``.
        metadata: User metadata.
        tags: Object tags.
        storage_class: Storage class; empty for the default.
        etag: ETag without quotes; empty in an object to seed.
    """

    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    storage_class: str = ""
    etag: str = ""


_HEADERS: Final = {
    "content-type": "ContentType",
    "content-encoding": "ContentEncoding",
    "content-language": "ContentLanguage",
    "content-disposition": "ContentDisposition",
    "cache-control": "CacheControl",
    "expires": "Expires",
}


@asynccontextmanager
async def open_client(endpoint_url: str, identity: Identity) -> AsyncIterator[S3Client]:
    """Open a path-style client that asks once and does not retry."""
    config = AioConfig(
        max_pool_connections=_SEED_WORKERS,
        s3={"addressing_style": "path"},
        retries={"total_max_attempts": 1},
    )
    async with _SESSION.create_client(
        "s3",
        endpoint_url=endpoint_url,
        region_name=REGION,
        aws_access_key_id=identity.access_key_id,
        aws_secret_access_key=identity.secret_access_key,
        config=config,
    ) as client:
        yield client


async def seed(client: S3Client, bucket: str, objects: Mapping[str, Stored | bytes]) -> None:
    """Put objects, sixteen at a time."""

    async def put(item: tuple[str, Stored | bytes]) -> None:
        key, stored = item
        await put_object(client, bucket, key, stored)

    await _for_each(objects.items(), put)


async def put_object(client: S3Client, bucket: str, key: str, stored: Stored | bytes) -> str:
    """Put one object; return its ETag without quotes."""
    if isinstance(stored, bytes):
        stored = Stored(body=stored)
    answer = await client.put_object(
        Bucket=bucket, Key=key, Body=stored.body, **_properties(stored)
    )
    return answer["ETag"].strip('"')


async def put_multipart(
    client: S3Client, bucket: str, key: str, parts: Iterable[bytes], stored: Stored | None = None
) -> str:
    """Upload one object in the given parts, its body left aside; return its ETag without quotes."""
    created = await client.create_multipart_upload(
        Bucket=bucket, Key=key, **_properties(stored or Stored())
    )
    upload_id = created["UploadId"]
    done: list[Any] = []
    for number, body in enumerate(parts, start=1):
        part = await client.upload_part(
            Bucket=bucket, Key=key, UploadId=upload_id, PartNumber=number, Body=body
        )
        done.append({"PartNumber": number, "ETag": part["ETag"]})
    answer = await client.complete_multipart_upload(
        Bucket=bucket, Key=key, UploadId=upload_id, MultipartUpload={"Parts": done}
    )
    return answer["ETag"].strip('"')


async def read_object(client: S3Client, bucket: str, key: str) -> Stored:
    """Read an object with all that a copy must carry."""
    answer = await client.get_object(Bucket=bucket, Key=key)
    async with answer["Body"] as stream:
        body = await stream.read()
    sent = answer["ResponseMetadata"]["HTTPHeaders"]
    return Stored(
        body=body,
        headers={name: sent[name] for name in _HEADERS if name in sent},
        metadata=answer["Metadata"],
        tags=await read_tags(client, bucket, key),
        storage_class=sent.get("x-amz-storage-class", ""),
        etag=answer["ETag"].strip('"'),
    )


async def read_tags(client: S3Client, bucket: str, key: str) -> dict[str, str]:
    """Read an object's tags."""
    tagging = await client.get_object_tagging(Bucket=bucket, Key=key)
    return {tag["Key"]: tag["Value"] for tag in tagging["TagSet"]}


async def list_keys(client: S3Client, bucket: str, prefix: str = "") -> list[str]:
    """List every key, in the server's order."""
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return [item["Key"] async for page in pages for item in page.get("Contents", ())]


async def list_open_uploads(client: S3Client, bucket: str) -> list[str]:
    """List the keys of multipart uploads that are neither completed nor aborted."""
    pages = client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket)
    return [item["Key"] async for page in pages for item in page.get("Uploads", ())]


async def make_buckets(client: S3Client) -> Buckets:
    """Create a fresh pair of buckets."""
    buckets = Buckets.fresh()
    await client.create_bucket(Bucket=buckets.source)
    await client.create_bucket(Bucket=buckets.destination)
    return buckets


def _properties(stored: Stored) -> dict[str, Any]:
    given: dict[str, Any] = {_HEADERS[name]: value for name, value in stored.headers.items()}
    if stored.tags:
        given["Tagging"] = urlencode(stored.tags)
    if stored.storage_class:
        given["StorageClass"] = stored.storage_class
    return {**given, "Metadata": dict(stored.metadata)}


async def _for_each(items: Iterable[T], function: Callable[[T], Awaitable[object]]) -> None:
    queue = iter(items)

    async def work() -> None:
        for item in queue:
            await function(item)

    async with anyio.create_task_group() as group:
        for _ in range(_SEED_WORKERS):
            group.start_soon(work)
