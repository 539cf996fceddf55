"""The reference client: the S3Client Protocol on aioboto3 / aiobotocore.

It takes any configuration botocore understands. Content headers and user metadata are read from and
written to the wire as raw header values, so that what botocore would refuse or rewrite (an Expires
that is no date, metadata beyond ASCII) arrives unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from async_s3copy.s3 import boto_answers as answers
from async_s3copy.s3 import boto_requests as params
from async_s3copy.s3.boto_reads import BotoReads
from async_s3copy.s3.property_headers import (
    checksum_headers,
    copy_headers,
    create_headers,
    put_headers,
)
from async_s3copy.s3.values import (
    AS_IT_IS,
    NO_CHECKSUMS,
    ByteRange,
    CompletedPart,
    CopySource,
    ObjectProperties,
    Written,
)
from async_s3copy.s3.versioned import asking_for


class BotoClient(BotoReads):
    """Speak to S3 through an entered aiobotocore client; arguments as for ``BotoCalls``."""

    async def put_object_tagging(
        self, bucket: str, key: str, tags: Mapping[str, str], *, version_id: str | None = None
    ) -> None:
        """PutObjectTagging."""
        with asking_for(version_id):
            tag_set = [{"Key": name, "Value": value} for name, value in tags.items()]
            await self._call(
                "PutObjectTagging",
                bucket,
                key,
                Tagging={"TagSet": tag_set},
                **params.given(VersionId=version_id),
            )

    async def delete_object(self, bucket: str, key: str) -> str | None:
        """DeleteObject, without a version."""
        answer = await self._call("DeleteObject", bucket, key)
        return answers.headers(answer).get("x-amz-version-id") or None

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
        """CopyObject."""
        headers = copy_headers(
            properties, replaces_metadata=replaces_metadata, replaces_tags=replaces_tags
        )
        answer = await self._call(
            "CopyObject",
            bucket,
            key,
            headers=headers | params.if_none_match_header(if_none_match),
            source_bucket=source.bucket,
            **params.copy_source(source),
        )
        return self._written(answer, "CopyObject", bucket, key, result="CopyObjectResult")

    async def create_multipart_upload(
        self, bucket: str, key: str, properties: ObjectProperties
    ) -> str:
        """CreateMultipartUpload."""
        answer = await self._call(
            "CreateMultipartUpload",
            bucket,
            key,
            headers=create_headers(properties),
        )
        return answers.upload_id(answer, self.side, bucket, key)

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
        answer = await self._call(
            "UploadPartCopy",
            bucket,
            key,
            UploadId=upload_id,
            PartNumber=part_number,
            CopySourceRange=str(byte_range),
            source_bucket=source.bucket,
            **params.copy_source(source),
        )
        told = answer.get("CopyPartResult") or {}
        etag = answers.etag(told, "UploadPartCopy", self.side, bucket, key)
        return CompletedPart(part_number, etag, answers.part_checksums(told))

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
        """UploadPart."""
        answer = await self._call(
            "UploadPart",
            bucket,
            key,
            headers=checksum_headers(checksums),
            UploadId=upload_id,
            PartNumber=part_number,
            **params.body_parameters(body, md5),
        )
        etag = answers.etag(answer, "UploadPart", self.side, bucket, key)
        return CompletedPart(part_number, etag, answers.part_checksums(answer))

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
        answer = await self._call(
            "CompleteMultipartUpload",
            bucket,
            key,
            headers=params.if_none_match_header(if_none_match),
            UploadId=upload_id,
            MultipartUpload={"Parts": [params.completed_part(part) for part in parts]},
        )
        return self._written(answer, "CompleteMultipartUpload", bucket, key)

    async def abort_multipart_upload(self, bucket: str, key: str, upload_id: str) -> None:
        """AbortMultipartUpload."""
        await self._call(
            "AbortMultipartUpload",
            bucket,
            key,
            UploadId=upload_id,
        )

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
        """PutObject."""
        answer = await self._call(
            "PutObject",
            bucket,
            key,
            headers=put_headers(properties, checksums) | params.if_none_match_header(if_none_match),
            **params.body_parameters(body, md5),
        )
        return self._written(answer, "PutObject", bucket, key)

    def _written(
        self,
        answer: Mapping[str, Any],
        operation: str,
        bucket: str,
        key: str,
        result: str | None = None,
    ) -> Written:
        written = answers.written(answer, operation, self.side, bucket, key, result=result)
        return self.terms.told(bucket, written)
