"""The fast client: the S3Client Protocol on connections of our own.

botocore stays the authority on configuration. A bucket's first call goes through the reference
client; what it shows (endpoint, Region, addressing, signer) serves all further calls. A bucket
whose requests are not ordinary stays with the reference client, and so does one call whenever S3
says that the bucket is elsewhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import anyio
import anyio.lowlevel
import anyio.to_thread

from async_s3copy.s3.boto import BotoClient
from async_s3copy.s3.client import (
    ByteRange,
    CompletedPart,
    CopySource,
    ListPage,
    ObjectBody,
    ObjectHead,
    ObjectProperties,
    OpenUpload,
)
from async_s3copy.s3.endpoint import Endpoint
from async_s3copy.s3.uploads import OPERATION, Marker, UploadPage, uploads_of
from async_s3copy.s3.wire import answers
from async_s3copy.s3.wire.calls import Calls
from async_s3copy.s3.wire.failures import Call
from async_s3copy.s3.wire.http import Request
from async_s3copy.s3.wire.requests import RequestBuilder
from async_s3copy.s3.wire.routing import RoutingTable

# SHA-256 takes half a millisecond per MiB; more than that does not belong on a shared loop.
_INLINE_HASH_BYTES: Final = 1024 * 1024


class WireClient:
    """Speak to S3 over pooled connections, and through the reference client where need be.

    Args:
        reference: Makes each bucket's first call, and those that the wire cannot.
        table: What those calls have taught.
    """

    def __init__(self, reference: BotoClient, table: RoutingTable) -> None:
        self._reference = reference
        self._side = reference.side
        self._table = table
        self._calls = Calls(table)
        self._saw_tag_count = False
        self._reading = anyio.Lock()

    @property
    def endpoint(self) -> Endpoint:
        """Where requests go, as botocore resolved it."""
        return self._reference.endpoint

    @property
    def reports_tag_count(self) -> bool:
        """Whether the server is known to count tags: by its name, or by having done so."""
        return self._saw_tag_count or self._reference.reports_tag_count

    async def list_page(
        self,
        bucket: str,
        prefix: str,
        *,
        token: str | None = None,
        start_after: str | None = None,
        max_keys: int = 1_000,
    ) -> ListPage:
        """ListObjectsV2, one page; read in pieces, with other tasks having their turn between."""

        def build(requests: RequestBuilder) -> Request:
            return requests.list_page(
                prefix, token=token, start_after=start_after, max_keys=max_keys
            )

        async def by_reference() -> ListPage | answers.ListingAnswer:
            return await self._reference.list_page(
                bucket, prefix, token=token, start_after=start_after, max_keys=max_keys
            )

        if max_keys > 1 and self._table.is_new(bucket):
            # botocore takes 100 ms and more to read a page of 1,000 keys, in one go: the way to the
            # bucket is learned from a page of one.
            await self.list_page(bucket, prefix, token=token, start_after=start_after, max_keys=1)
            self._table.count(False)
        page = await self._calls.make(
            self._to("ListObjectsV2", bucket),
            build,
            lambda response, *_: answers.ListingAnswer(response, self._side, bucket),
            by_reference,
        )
        if isinstance(page, ListPage):
            return page
        # One page at a time: pieces of many pages in one turn of the loop would add up.
        async with self._reading:
            while not page.advance():
                await anyio.lowlevel.checkpoint()
            return page.page()

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
        head = await self._calls.make(
            self._to("HeadObject", bucket, key),
            lambda requests: requests.head_object(
                key, version_id=version_id, part_number=part_number, checksums=checksums
            ),
            answers.head_object,
            lambda: self._reference.head_object(
                bucket, key, version_id=version_id, part_number=part_number, checksums=checksums
            ),
        )
        return self._noted(head)

    async def get_object_tagging(
        self, bucket: str, key: str, *, version_id: str | None = None
    ) -> dict[str, str]:
        """GetObjectTagging."""
        return await self._calls.make(
            self._to("GetObjectTagging", bucket, key),
            lambda requests: requests.get_object_tagging(key, version_id=version_id),
            answers.get_object_tagging,
            lambda: self._reference.get_object_tagging(bucket, key, version_id=version_id),
        )

    async def put_object_tagging(self, bucket: str, key: str, tags: Mapping[str, str]) -> None:
        """PutObjectTagging."""
        await self._calls.make(
            self._to("PutObjectTagging", bucket, key),
            lambda requests: requests.put_object_tagging(key, tags),
            answers.put_object_tagging,
            lambda: self._reference.put_object_tagging(bucket, key, tags),
        )

    async def copy_object(
        self,
        bucket: str,
        key: str,
        source: CopySource,
        *,
        storage_class: str = "",
        if_none_match: bool = False,
    ) -> str:
        """CopyObject."""
        return await self._calls.make(
            self._to("CopyObject", bucket, key),
            lambda requests: requests.copy_object(
                key, source, storage_class=storage_class, if_none_match=if_none_match
            ),
            answers.copy_object,
            lambda: self._reference.copy_object(
                bucket, key, source, storage_class=storage_class, if_none_match=if_none_match
            ),
        )

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
        self, bucket: str, key: str, upload_id: str, part_number: int, body: bytes, *, md5: bytes
    ) -> CompletedPart:
        """UploadPart."""
        sha256 = await self._sha256(bucket, body)
        return await self._calls.make(
            self._to("UploadPart", bucket, key),
            lambda requests: requests.upload_part(
                key, upload_id, part_number, body, md5=md5, sha256=sha256
            ),
            lambda answer, side, *_: answers.upload_part(answer, side, bucket, key, part_number),
            lambda: self._reference.upload_part(bucket, key, upload_id, part_number, body, md5=md5),
        )

    async def complete_multipart_upload(
        self,
        bucket: str,
        key: str,
        upload_id: str,
        parts: Sequence[CompletedPart],
        *,
        if_none_match: bool = False,
    ) -> str:
        """CompleteMultipartUpload."""
        return await self._calls.make(
            self._to("CompleteMultipartUpload", bucket, key),
            lambda requests: requests.complete_multipart_upload(
                key, upload_id, parts, if_none_match=if_none_match
            ),
            answers.complete_multipart_upload,
            lambda: self._reference.complete_multipart_upload(
                bucket, key, upload_id, parts, if_none_match=if_none_match
            ),
        )

    async def abort_multipart_upload(self, bucket: str, key: str, upload_id: str) -> None:
        """AbortMultipartUpload."""
        await self._calls.make(
            self._to("AbortMultipartUpload", bucket, key),
            lambda requests: requests.abort_multipart_upload(key, upload_id),
            answers.abort_multipart_upload,
            lambda: self._reference.abort_multipart_upload(bucket, key, upload_id),
        )

    async def count_parts(self, bucket: str, key: str, upload_id: str) -> int:
        """ListParts, first page."""
        return await self._calls.make(
            self._to("ListParts", bucket, key),
            lambda requests: requests.count_parts(key, upload_id),
            answers.count_parts,
            lambda: self._reference.count_parts(bucket, key, upload_id),
        )

    async def list_uploads(self, bucket: str, key: str) -> list[OpenUpload]:
        """ListMultipartUploads, the pages that hold uploads of the key."""

        async def read(marker: Marker) -> UploadPage:
            return await self._calls.make(
                self._to(OPERATION, bucket),
                lambda requests: requests.list_uploads(key, marker),
                lambda response, *_: answers.upload_page(response, self._side, bucket),
                lambda: self._reference.upload_page(bucket, key, marker),
            )

        return await uploads_of(key, read, side=self._side, bucket=bucket)

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
        """PutObject."""
        sha256 = await self._sha256(bucket, body)
        return await self._calls.make(
            self._to("PutObject", bucket, key),
            lambda requests: requests.put_object(
                key, body, properties, md5=md5, if_none_match=if_none_match, sha256=sha256
            ),
            answers.put_object,
            lambda: self._reference.put_object(
                bucket, key, body, properties, md5=md5, if_none_match=if_none_match
            ),
        )

    @asynccontextmanager
    async def get_object(
        self,
        bucket: str,
        key: str,
        *,
        version_id: str | None = None,
        if_match: str = "",
        byte_range: ByteRange | None = None,
    ) -> AsyncIterator[ObjectBody]:
        """GetObject."""
        async with AsyncExitStack() as stack:
            body = await self._calls.open(
                self._to("GetObject", bucket, key),
                stack,
                lambda requests: requests.get_object(
                    key, version_id=version_id, if_match=if_match, byte_range=byte_range
                ),
                lambda: self._reference.get_object(
                    bucket, key, version_id=version_id, if_match=if_match, byte_range=byte_range
                ),
            )
            self._noted(body.head)
            yield body

    def _to(self, operation: str, bucket: str, key: str | None = None) -> Call:
        return Call(operation, self._side, bucket, key)

    async def _sha256(self, bucket: str, body: bytes) -> str | None:
        """Hash a body where its signature needs that, off the event loop where it is large."""
        entry = self._table.get(bucket)
        if entry is None or not entry.route.signs_payload or len(body) <= _INLINE_HASH_BYTES:
            return None  # the request builder hashes what is left
        return await anyio.to_thread.run_sync(_hex_sha256, body)

    def _noted(self, head: ObjectHead) -> ObjectHead:
        self._saw_tag_count = self._saw_tag_count or head.tag_count is not None
        return head


def _hex_sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
