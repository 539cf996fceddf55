"""The S3Client Protocol: the calls the engine makes, typed in and out.

One client speaks for one side (source or destination) with that side's credentials. Every call is
one request, made once: retries, limits and waits belong to the engine's governor. Every call raises
``S3Error`` (by S3's code) or ``CredentialsError``, and lets ``CancelledError`` pass after closing
its connection.

``s3.boto`` implements it on aioboto3 / aiobotocore; another transport joins by implementing the
same Protocol.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from async_s3copy.s3.endpoint import Endpoint
from async_s3copy.s3.values import (
    AS_IT_IS,
    NO_CHECKSUMS,
    ByteRange,
    CompletedPart,
    CopySource,
    ListPage,
    ObjectBody,
    ObjectHead,
    ObjectProperties,
    OpenUpload,
    VersionPage,
    Written,
)


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

    async def put_object_tagging(
        self, bucket: str, key: str, tags: Mapping[str, str], *, version_id: str | None = None
    ) -> None:
        """PutObjectTagging: for tags too long for a header."""
        ...

    async def get_object_acl(
        self, bucket: str, key: str, *, version_id: str | None = None
    ) -> dict[str, str]:
        """GetObjectAcl; returns the grants, as ``ObjectProperties.grants``."""
        ...

    async def list_versions(
        self,
        bucket: str,
        prefix: str,
        *,
        key_marker: str | None = None,
        version_marker: str | None = None,
        max_keys: int = 1_000,
    ) -> VersionPage:
        """ListObjectVersions, one page."""
        ...

    async def get_bucket_versioning(self, bucket: str) -> str:
        """GetBucketVersioning: ``"Enabled"``, ``"Suspended"``, or empty where it never was on."""
        ...

    async def delete_object(self, bucket: str, key: str) -> str | None:
        """DeleteObject, without a version: in a bucket with versioning it writes a delete marker.

        Returns:
            The marker's version; ``None`` where the bucket has no versioning.
        """
        ...

    async def copy_object(
        self,
        bucket: str,
        key: str,
        source: CopySource,
        properties: ObjectProperties = AS_IT_IS,
        *,
        replaces_metadata: bool = False,
        replaces_tags: bool = False,
        if_none_match: bool = False,
    ) -> Written:
        """CopyObject.

        Content headers and user metadata are carried, unless ``replaces_metadata`` writes those of
        ``properties`` instead (all of them: what is not there vanishes); tags likewise, with
        ``replaces_tags``. Every other property is written as given.
        """
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
        self,
        bucket: str,
        key: str,
        upload_id: str,
        part_number: int,
        body: bytes,
        *,
        md5: bytes,
        checksums: Mapping[str, str] = NO_CHECKSUMS,
    ) -> CompletedPart:
        """UploadPart; ``md5`` (raw digest) goes out as Content-MD5: S3 refuses a damaged part.

        ``checksums`` (base64 by algorithm in lower case) must hold the one the upload declared.
        """
        ...

    async def complete_multipart_upload(
        self,
        bucket: str,
        key: str,
        upload_id: str,
        parts: Sequence[CompletedPart],
        *,
        if_none_match: bool = False,
    ) -> Written:
        """CompleteMultipartUpload."""
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
        checksums: Mapping[str, str] = NO_CHECKSUMS,
        if_none_match: bool = False,
    ) -> Written:
        """PutObject with Content-MD5, and checksums as for ``upload_part``."""
        ...

    def get_object(
        self,
        bucket: str,
        key: str,
        *,
        version_id: str | None = None,
        if_match: str = "",
        byte_range: ByteRange | None = None,
        checksums: bool = False,
    ) -> AbstractAsyncContextManager[ObjectBody]:
        """GetObject, with the checksums on request: the body stays readable in the ``async with``.

        With ``checksums``, the head tells those of the whole object, also where a range is read.
        """
        ...
