"""The fast client: the S3Client Protocol on connections of our own.

botocore stays the authority on configuration. A bucket's first call goes through the reference
client; what it shows (endpoint, Region, addressing, signer) serves all further calls. A bucket
whose requests are not ordinary stays with the reference client, and so does one call whenever S3
says that the bucket is elsewhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

import anyio
import anyio.lowlevel
import anyio.to_thread

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
from async_s3copy.s3.wire import answers
from async_s3copy.s3.wire.reads import WireReads

# SHA-256 takes half a millisecond per MiB; more than that does not belong on a shared loop.
_INLINE_HASH_BYTES: Final = 1024 * 1024


class WireClient(WireReads):
    """Speak to S3 over pooled connections, and through the reference client where need be.

    Arguments as for ``WireReads``.
    """

    async def put_object_tagging(
        self, bucket: str, key: str, tags: Mapping[str, str], *, version_id: str | None = None
    ) -> None:
        """PutObjectTagging."""
        with asking_for(version_id):
            await self._calls.make(
                self._to("PutObjectTagging", bucket, key),
                lambda requests: requests.put_object_tagging(key, tags, version_id=version_id),
                answers.put_object_tagging,
                lambda: self._reference.put_object_tagging(
                    bucket, key, tags, version_id=version_id
                ),
            )

    async def delete_object(self, bucket: str, key: str) -> str | None:
        """DeleteObject, without a version."""
        return await self._calls.make(
            self._to("DeleteObject", bucket, key),
            lambda requests: requests.delete_object(key),
            answers.delete_object,
            lambda: self._reference.delete_object(bucket, key),
        )

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
        written = await self._calls.make(
            self._to("CopyObject", bucket, key),
            lambda requests: requests.copy_object(
                key,
                source,
                properties,
                replaces_metadata=replaces_metadata,
                replaces_tags=replaces_tags,
                if_none_match=if_none_match,
            ),
            answers.copy_object,
            lambda: self._reference.copy_object(
                bucket,
                key,
                source,
                properties,
                replaces_metadata=replaces_metadata,
                replaces_tags=replaces_tags,
                if_none_match=if_none_match,
            ),
        )
        return written if self._terms is None else self._terms.told(bucket, written)

    async def create_multipart_upload(
        self, bucket: str, key: str, properties: ObjectProperties
    ) -> str:
        """CreateMultipartUpload."""
        return await self._calls.make(
            self._to("CreateMultipartUpload", bucket, key),
            lambda requests: requests.create_multipart_upload(key, properties),
            answers.create_multipart_upload,
            lambda: self._reference.create_multipart_upload(bucket, key, properties),
        )

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
        return await self._calls.make(
            self._to("UploadPartCopy", bucket, key),
            lambda requests: requests.copy_part(
                key, upload_id, part_number, source=source, byte_range=byte_range
            ),
            lambda answer, side, *_: answers.copy_part(answer, side, bucket, key, part_number),
            lambda: self._reference.copy_part(
                bucket, key, upload_id, part_number, source=source, byte_range=byte_range
            ),
        )

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
        sha256 = await self._sha256(bucket, body)
        return await self._calls.make(
            self._to("UploadPart", bucket, key),
            lambda requests: requests.upload_part(
                key, upload_id, part_number, body, md5=md5, checksums=checksums, sha256=sha256
            ),
            lambda answer, side, *_: answers.upload_part(answer, side, bucket, key, part_number),
            lambda: self._reference.upload_part(
                bucket, key, upload_id, part_number, body, md5=md5, checksums=checksums
            ),
        )

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
        written = await self._calls.make(
            self._to("CompleteMultipartUpload", bucket, key),
            lambda requests: requests.complete_multipart_upload(
                key, upload_id, parts, if_none_match=if_none_match
            ),
            answers.complete_multipart_upload,
            lambda: self._reference.complete_multipart_upload(
                bucket, key, upload_id, parts, if_none_match=if_none_match
            ),
        )
        return written if self._terms is None else self._terms.told(bucket, written)

    async def abort_multipart_upload(self, bucket: str, key: str, upload_id: str) -> None:
        """AbortMultipartUpload."""
        await self._calls.make(
            self._to("AbortMultipartUpload", bucket, key),
            lambda requests: requests.abort_multipart_upload(key, upload_id),
            answers.abort_multipart_upload,
            lambda: self._reference.abort_multipart_upload(bucket, key, upload_id),
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
        sha256 = await self._sha256(bucket, body)
        written = await self._calls.make(
            self._to("PutObject", bucket, key),
            lambda requests: requests.put_object(
                key,
                body,
                properties,
                md5=md5,
                checksums=checksums,
                if_none_match=if_none_match,
                sha256=sha256,
            ),
            answers.put_object,
            lambda: self._reference.put_object(
                bucket,
                key,
                body,
                properties,
                md5=md5,
                checksums=checksums,
                if_none_match=if_none_match,
            ),
        )
        return written if self._terms is None else self._terms.told(bucket, written)

    async def _sha256(self, bucket: str, body: bytes) -> str | None:
        """Hash a body where its signature needs that, off the event loop where it is large."""
        entry = self._table.get(bucket)
        if entry is None or not entry.route.signs_payload or len(body) <= _INLINE_HASH_BYTES:
            return None  # the request builder hashes what is left
        return await anyio.to_thread.run_sync(_hex_sha256, body)


def _hex_sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
