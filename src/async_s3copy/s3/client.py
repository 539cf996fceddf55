"""The S3Client Protocol: the calls the engine makes, typed in and out.

One client speaks for one side (source or destination) with that side's credentials. Every call is
one request, made once: retries, limits and waits belong to the engine's governor. Every call raises
``S3Error`` (by S3's code) or ``CredentialsError``, and lets ``CancelledError`` pass after closing
its connection.

``s3.boto`` implements it on aioboto3 / aiobotocore; another transport joins by implementing the
same Protocol.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Protocol

from async_s3copy.model import S3Object
from async_s3copy.s3.endpoint import Endpoint


@dataclass(frozen=True, slots=True)
class ListPage:
    """One page of a listing.

    Attributes:
        objects: The objects, in the server's order; at most 1,000.
        next_token: Continuation token of the next page; ``None`` on the last.
        truncated: Whether more keys follow, token or not.
    """

    objects: Sequence[S3Object]
    next_token: str | None
    truncated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectProperties:
    """What a copy carries besides the bytes, as raw header values.

    Attributes:
        headers: Content headers by lowercase name: content-type, -encoding, -language,
            -disposition, cache-control, expires.
        metadata: User metadata without the ``x-amz-meta-`` prefix.
        tags: Object tags; empty when there are none or they have not been read.
        storage_class: Storage class to write with; empty leaves it to the destination.
    """

    headers: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    storage_class: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectHead:
    """What HEAD (or the head of a GET) tells of an object.

    Attributes:
        object: The object, its ``metadata`` filled in.
        properties: Headers, metadata and storage class; tags are not part of a HEAD.
        content_length: Bytes the answer is about: the object's, or its one part's or range's.
        tag_count: Number of tags; ``None`` when the server does not say.
        part_count: Number of parts, told only where a part number was asked for; else ``None``.
        etag_is_md5: False where the encryption makes the ETag opaque (SSE-KMS, SSE-C).
        checksums: Full-object checksums, base64, by algorithm in lower case (``"sha256"``); told
            only where asked for and where the object has them.
    """

    object: S3Object
    properties: ObjectProperties = ObjectProperties()
    content_length: int = 0
    tag_count: int | None = None
    part_count: int | None = None
    etag_is_md5: bool = True
    checksums: Mapping[str, str] = field(default_factory=dict)


class CopySource(NamedTuple):
    """The source of a server-side copy, pinned to what was listed.

    Attributes:
        bucket: Source bucket name or access-point ARN.
        key: Source key, unencoded.
        version_id: Version to copy; ``None`` for the current one.
        if_match: Sent as ``x-amz-copy-source-if-match``; empty sends no condition.
    """

    bucket: str
    key: str
    version_id: str | None = None
    if_match: str = ""


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes ``first`` to ``last``, both included, as HTTP counts them."""

    first: int
    last: int

    @property
    def size(self) -> int:
        """Number of bytes."""
        return self.last - self.first + 1

    def __str__(self) -> str:
        return f"bytes={self.first}-{self.last}"


@dataclass(frozen=True, slots=True)
class CompletedPart:
    """A part that S3 holds: its number (from 1) and the ETag S3 gave it."""

    number: int
    etag: str


@dataclass(frozen=True, slots=True)
class OpenUpload:
    """A multipart upload that is neither completed nor aborted.

    Attributes:
        key: Key that it is for.
        upload_id: Its id.
        initiated: When it began; 1970 where the server does not say.
    """

    key: str
    upload_id: str
    initiated: datetime


@dataclass(frozen=True, slots=True)
class ObjectBody:
    """A response body while its connection is open.

    Attributes:
        head: What the response's headers say of the object.
        size: Bytes this response carries: the whole object, or the range that was asked for.
        chunks: The bytes, in order; raises ``S3ConnectionError`` when fewer arrive than promised.
    """

    head: ObjectHead
    size: int
    chunks: AsyncIterator[bytes]


class S3Client(Protocol):
    """The calls the engine makes, for one side."""

    @property
    def endpoint(self) -> Endpoint:
        """Where requests go."""
        ...

    @property
    def reports_tag_count(self) -> bool:
        """Whether this server is known to send ``x-amz-tagging-count``; False until it is known."""
        ...

    async def list_page(
        self,
        bucket: str,
        prefix: str,
        *,
        token: str | None = None,
        start_after: str | None = None,
        max_keys: int = 1_000,
    ) -> ListPage:
        """ListObjectsV2, one page."""
        ...

    async def head_object(
        self,
        bucket: str,
        key: str,
        *,
        version_id: str | None = None,
        part_number: int | None = None,
        checksums: bool = False,
    ) -> ObjectHead:
        """HeadObject, of the whole object or one of its parts, with its checksums on request."""
        ...

    async def get_object_tagging(
        self, bucket: str, key: str, *, version_id: str | None = None
    ) -> dict[str, str]:
        """GetObjectTagging."""
        ...

    async def put_object_tagging(self, bucket: str, key: str, tags: Mapping[str, str]) -> None:
        """PutObjectTagging: for tags too long for a header."""
        ...

    async def copy_object(
        self,
        bucket: str,
        key: str,
        source: CopySource,
        *,
        storage_class: str = "",
        if_none_match: bool = False,
    ) -> str:
        """CopyObject, carrying headers, metadata and tags; returns the new ETag, unquoted."""
        ...

    async def create_multipart_upload(
        self, bucket: str, key: str, properties: ObjectProperties
    ) -> str:
        """CreateMultipartUpload; returns the upload id."""
        ...

    async def copy_part(
        self,
        bucket: str,
        key: str,
        upload_id: str,
        part_number: int,
        *,
        source: CopySource,
        byte_range: ByteRange,
    ) -> CompletedPart:
        """UploadPartCopy."""
        ...

    async def upload_part(
        self, bucket: str, key: str, upload_id: str, part_number: int, body: bytes, *, md5: bytes
    ) -> CompletedPart:
        """UploadPart; ``md5`` (raw digest) goes out as Content-MD5: S3 refuses a damaged part."""
        ...

    async def complete_multipart_upload(
        self,
        bucket: str,
        key: str,
        upload_id: str,
        parts: Sequence[CompletedPart],
        *,
        if_none_match: bool = False,
    ) -> str:
        """CompleteMultipartUpload; returns the new ETag, unquoted."""
        ...

    async def abort_multipart_upload(self, bucket: str, key: str, upload_id: str) -> None:
        """AbortMultipartUpload."""
        ...

    async def count_parts(self, bucket: str, key: str, upload_id: str) -> int:
        """ListParts, first page: how many parts an upload holds (NoSuchUploadError: none)."""
        ...

    async def list_uploads(self, bucket: str, key: str) -> Sequence[OpenUpload]:
        """ListMultipartUploads: the open uploads of one key, not of keys that start with it.

        One request, unless there are more than a hundred: the one call that may need several.
        """
        ...

    async def put_object(
        self,
        bucket: str,
        key: str,
        body: bytes,
        properties: ObjectProperties,
        *,
        md5: bytes,
        if_none_match: bool = False,
    ) -> str:
        """PutObject with Content-MD5; returns the new ETag, unquoted."""
        ...

    def get_object(
        self,
        bucket: str,
        key: str,
        *,
        version_id: str | None = None,
        if_match: str = "",
        byte_range: ByteRange | None = None,
    ) -> AbstractAsyncContextManager[ObjectBody]:
        """GetObject: the body stays readable inside the ``async with``."""
        ...
