"""The reference client's calls that only read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from async_s3copy.s3 import boto_answers as answers
from async_s3copy.s3 import boto_requests as params
from async_s3copy.s3 import uploads
from async_s3copy.s3.boto_body import body_chunks
from async_s3copy.s3.boto_calls import BotoCalls
from async_s3copy.s3.boto_document import kept_answer
from async_s3copy.s3.values import (
    ByteRange,
    ListPage,
    ObjectBody,
    ObjectHead,
    OpenUpload,
    VersionPage,
)
from async_s3copy.s3.versioned import asking_for
from async_s3copy.s3.wire.pages import version_page


class BotoReads(BotoCalls):
    """Read buckets, objects and open uploads."""

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
        page = await self._call(
            "ListObjectsV2",
            bucket,
            Prefix=prefix,
            MaxKeys=max_keys,
            **params.given(ContinuationToken=token, StartAfter=start_after),
        )
        return answers.list_page(bucket, self.side, page)

    async def head_object(
        self,
        bucket: str,
        key: str,
        *,
        version_id: str | None = None,
        part_number: int | None = None,
        checksums: bool = False,
    ) -> ObjectHead:
        """HeadObject."""
        with asking_for(version_id):
            answer = await self._call(
                "HeadObject",
                bucket,
                key,
                **params.given(
                    VersionId=version_id,
                    PartNumber=part_number,
                    ChecksumMode="ENABLED" if checksums else None,
                ),
            )
            return self._head(bucket, key, answer)

    async def get_object_tagging(
        self, bucket: str, key: str, *, version_id: str | None = None
    ) -> dict[str, str]:
        """GetObjectTagging."""
        with asking_for(version_id):
            answer = await self._call(
                "GetObjectTagging",
                bucket,
                key,
                **params.given(VersionId=version_id),
            )
            return answers.tags(answer, self.side, bucket, key)

    async def get_object_acl(
        self, bucket: str, key: str, *, version_id: str | None = None
    ) -> dict[str, str]:
        """GetObjectAcl."""
        with asking_for(version_id):
            answer = await self._call(
                "GetObjectAcl", bucket, key, **params.given(VersionId=version_id)
            )
            return answers.grants(answer, self.side, bucket, key)

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
        with kept_answer() as kept:
            await self._call(
                "ListObjectVersions",
                bucket,
                Prefix=prefix,
                MaxKeys=max_keys,
                EncodingType="url",
                **params.given(KeyMarker=key_marker, VersionIdMarker=version_marker),
            )
        # botocore's own reading of it puts versions and delete markers into two lists.
        return version_page(kept.response(), self.side, bucket, prefix)

    async def get_bucket_versioning(self, bucket: str) -> str:
        """GetBucketVersioning."""
        answer = await self._call("GetBucketVersioning", bucket)
        return str(answer.get("Status") or "")

    async def count_parts(self, bucket: str, key: str, upload_id: str) -> int:
        """ListParts, first page."""
        answer = await self._call("ListParts", bucket, key, UploadId=upload_id)
        return len(answer.get("Parts", ()))

    async def list_uploads(self, bucket: str, key: str) -> list[OpenUpload]:
        """ListMultipartUploads, the pages that hold uploads of the key."""

        async def read(marker: uploads.Marker) -> uploads.UploadPage:
            return await self.upload_page(bucket, key, marker)

        return await uploads.uploads_of(key, read, side=self.side, bucket=bucket)

    async def upload_page(
        self, bucket: str, key: str, marker: uploads.Marker
    ) -> uploads.UploadPage:
        """ListMultipartUploads, one page."""
        answer = await self._call(
            uploads.OPERATION,
            bucket,
            Prefix=key,
            MaxUploads=uploads.PAGE_UPLOADS,
            # Not every key can be spelled in XML; botocore asks for it in other listings only.
            EncodingType="url",
            **params.given(KeyMarker=marker.key, UploadIdMarker=marker.upload_id),
        )
        return answers.upload_page(bucket, self.side, answer)

    @asynccontextmanager
    async def get_object(
        self,
        bucket: str,
        key: str,
        *,
        version_id: str | None = None,
        if_match: str = "",
        byte_range: ByteRange | None = None,
        checksums: bool = False,
    ) -> AsyncIterator[ObjectBody]:
        """GetObject."""
        with asking_for(version_id):
            answer = await self._call(
                "GetObject",
                bucket,
                key,
                # Raw, because botocore would hash the body a second time for its own parameter.
                headers={"x-amz-checksum-mode": "ENABLED"} if checksums else None,
                **params.given(
                    VersionId=version_id,
                    IfMatch=if_match or None,
                    Range=None if byte_range is None else str(byte_range),
                ),
            )
        stream = answer["Body"]
        try:
            size = answer.get("ContentLength", 0)
            chunks = body_chunks(stream, size, self.side, bucket, key)
            yield ObjectBody(self._head(bucket, key, answer), size, chunks)
        finally:
            stream.close()

    def _head(self, bucket: str, key: str, answer: Mapping[str, Any]) -> ObjectHead:
        head = answers.object_head(bucket, key, answer)
        self._saw_tag_count = self._saw_tag_count or head.tag_count is not None
        return head
