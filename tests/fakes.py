"""The S3Client Protocol on the in-memory server, one client per side."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

import anyio.lowlevel

from async_s3copy.errors import Side
from async_s3copy.model import S3Object, unquoted
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
from tests.fake_server import Call, FakeS3, Stored, StoredUpload, assembled, md5_hex

LONG_AGO: Final = datetime(2020, 1, 1, tzinfo=UTC)
_CHUNK_BYTES: Final = 1024 * 1024


class FakeClient:
    """The S3Client Protocol for one side of a ``FakeS3``."""

    def __init__(self, server: FakeS3, side: Side) -> None:
        self.server = server
        self.side: Side = side

    @property
    def endpoint(self) -> Endpoint:
        return self.server.endpoint

    @property
    def reports_tag_count(self) -> bool:
        return self.server.reports_tag_count

    async def list_page(
        self,
        bucket: str,
        prefix: str,
        *,
        token: str | None = None,
        start_after: str | None = None,
        max_keys: int = 1_000,
    ) -> ListPage:
        call = Call("ListObjectsV2", self.side, bucket, None, token=token, start_after=start_after)

        def effect() -> ListPage:
            stored = self._bucket(call)
            keys = self.server.listed_after(bucket, token, start_after)
            found = [key for key in keys if key.startswith(prefix)]
            size = min(max_keys, self.server.page_size)
            shown, truncated = found[:size], len(found) > size
            objects = [self._object(bucket, key, stored[key]) for key in shown]
            gives_token = truncated and self.server.gives_tokens
            return ListPage(objects, shown[-1] if gives_token else None, truncated)

        return await self.server.answer(call, effect)

    async def head_object(
        self,
        bucket: str,
        key: str,
        *,
        version_id: str | None = None,
        part_number: int | None = None,
        checksums: bool = False,
    ) -> ObjectHead:
        call = Call("HeadObject", self.side, bucket, key, part=part_number)
        return await self.server.answer(call, lambda: self._head(call, part_number))

    async def get_object_tagging(
        self, bucket: str, key: str, *, version_id: str | None = None
    ) -> dict[str, str]:
        call = Call("GetObjectTagging", self.side, bucket, key)
        return await self.server.answer(call, lambda: dict(self._stored(call).properties.tags))

    async def put_object_tagging(self, bucket: str, key: str, tags: Mapping[str, str]) -> None:
        call = Call("PutObjectTagging", self.side, bucket, key)

        def effect() -> None:
            stored = self._stored(call)
            properties = replace(stored.properties, tags=dict(tags))
            self._bucket(call)[key] = replace(stored, properties=properties)

        await self.server.answer(call, effect)

    async def copy_object(
        self,
        bucket: str,
        key: str,
        source: CopySource,
        *,
        storage_class: str = "",
        if_none_match: bool = False,
    ) -> str:
        call = Call(
            "CopyObject", self.side, bucket, key, if_none_match, storage_class=storage_class
        )

        def effect() -> str:
            self._check_free(call, "copy")
            stored = self._pinned(call, source)
            properties = replace(stored.properties, storage_class=storage_class)
            return self.server.put(bucket, key, stored.data, properties).etag

        return await self.server.answer(call, effect)

    async def create_multipart_upload(
        self, bucket: str, key: str, properties: ObjectProperties
    ) -> str:
        call = Call(
            "CreateMultipartUpload",
            self.side,
            bucket,
            key,
            storage_class=properties.storage_class,
        )
        return await self.server.answer(
            call, lambda: self.server.new_upload(bucket, key, properties)
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
        call = Call("UploadPartCopy", self.side, bucket, key, part=part_number)

        def effect() -> CompletedPart:
            data = self._pinned(call, source).data[byte_range.first : byte_range.last + 1]
            return self._keep_part(call, upload_id, part_number, data)

        return await self.server.answer(call, effect)

    async def upload_part(
        self, bucket: str, key: str, upload_id: str, part_number: int, body: bytes, *, md5: bytes
    ) -> CompletedPart:
        call = Call("UploadPart", self.side, bucket, key, part=part_number)

        def effect() -> CompletedPart:
            if md5.hex() != md5_hex(body):
                raise call.error("BadDigest", 400)
            return self._keep_part(call, upload_id, part_number, body)

        return await self.server.answer(call, effect)

    async def complete_multipart_upload(
        self,
        bucket: str,
        key: str,
        upload_id: str,
        parts: Sequence[CompletedPart],
        *,
        if_none_match: bool = False,
    ) -> str:
        call = Call("CompleteMultipartUpload", self.side, bucket, key, if_none_match)

        def effect() -> str:
            upload = self._upload(call, upload_id)
            self._check_free(call, "complete")
            bodies = [upload.parts[part.number] for part in parts]
            if [md5_hex(body) for body in bodies] != [unquoted(part.etag) for part in parts]:
                raise call.error("InvalidPart", 400)
            stored = assembled(bodies, upload.properties)
            self._bucket(call)[key] = stored
            del self.server.uploads[upload_id]
            return stored.etag

        return await self.server.answer(call, effect)

    async def abort_multipart_upload(self, bucket: str, key: str, upload_id: str) -> None:
        call = Call("AbortMultipartUpload", self.side, bucket, key)

        def effect() -> None:
            self._upload(call, upload_id)
            if self.server.ignores_abort_times > 0:
                self.server.ignores_abort_times -= 1
            else:
                del self.server.uploads[upload_id]

        await self.server.answer(call, effect)

    async def count_parts(self, bucket: str, key: str, upload_id: str) -> int:
        call = Call("ListParts", self.side, bucket, key)
        return await self.server.answer(call, lambda: len(self._upload(call, upload_id).parts))

    async def list_uploads(self, bucket: str, key: str) -> list[OpenUpload]:
        call = Call("ListMultipartUploads", self.side, bucket, None)

        def effect() -> list[OpenUpload]:
            self._bucket(call)
            return [
                OpenUpload(key, upload_id, upload.initiated)
                for upload_id, upload in self.server.uploads.items()
                if (upload.bucket, upload.key) == (bucket, key)
            ]

        return await self.server.answer(call, effect)

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
        call = Call(
            "PutObject",
            self.side,
            bucket,
            key,
            if_none_match,
            storage_class=properties.storage_class,
        )

        def effect() -> str:
            self._check_free(call, "put")
            if md5.hex() != md5_hex(body):
                raise call.error("BadDigest", 400)
            return self.server.put(bucket, key, body, properties).etag

        return await self.server.answer(call, effect)

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
        first = None if byte_range is None else byte_range.first
        call = Call("GetObject", self.side, bucket, key, first_byte=first)

        def effect() -> ObjectBody:
            stored = self._pinned(call, CopySource(bucket=bucket, key=key, if_match=if_match))
            data = stored.data
            if byte_range is not None:
                data = data[byte_range.first : byte_range.last + 1]
            data = self.server.damaged(call, data)
            return ObjectBody(self._head(call, None), len(data), _chunks(data))

        yield await self.server.answer(call, effect)

    def _bucket(self, call: Call) -> dict[str, Stored]:
        try:
            return self.server.buckets[call.bucket]
        except KeyError:
            raise call.error("NoSuchBucket", 404) from None

    def _stored(self, call: Call) -> Stored:
        try:
            return self._bucket(call)[call.key or ""]
        except KeyError:
            raise call.error("NoSuchKey", 404) from None

    def _upload(self, call: Call, upload_id: str) -> StoredUpload:
        try:
            return self.server.uploads[upload_id]
        except KeyError:
            raise call.error("NoSuchUpload", 404) from None

    def _keep_part(
        self, call: Call, upload_id: str, part_number: int, data: bytes
    ) -> CompletedPart:
        self._upload(call, upload_id).parts[part_number] = data
        return CompletedPart(part_number, md5_hex(data))

    def _pinned(self, call: Call, source: CopySource) -> Stored:
        if (call.side, "GetObject", source.bucket) in self.server.denied:
            raise call.error("AccessDenied", 403)
        stored = self.server.buckets[source.bucket].get(source.key)
        if stored is None:
            raise call.error("NoSuchKey", 404)
        if self.server.honours_pins and unquoted(source.if_match) not in ("", stored.etag):
            raise call.error("PreconditionFailed", 412)
        return stored

    def _check_free(self, call: Call, write: str) -> None:
        policy = self.server.conditions.get(write, "honoured")
        if not call.if_none_match or policy == "ignored":
            return
        if policy == "rejected":
            raise call.error("NotImplemented", 501)
        if call.key in self._bucket(call):
            raise call.error("PreconditionFailed", 412)

    def _object(self, bucket: str, key: str, stored: Stored) -> S3Object:
        return S3Object.reported(
            bucket,
            key,
            len(stored.data),
            LONG_AGO,
            f'"{stored.etag}"',
            storage_class=stored.properties.storage_class,
        )

    def _head(self, call: Call, part_number: int | None) -> ObjectHead:
        stored = self._stored(call)
        item = self._object(call.bucket, call.key or "", stored)
        sizes = stored.part_sizes
        told = bool(part_number and sizes)
        return ObjectHead(
            object=item,
            properties=replace(stored.properties, tags={}),
            content_length=sizes[(part_number or 1) - 1] if told else item.size,
            tag_count=len(stored.properties.tags) or None,
            part_count=len(sizes) if told else None,
        )


async def _chunks(data: bytes) -> AsyncIterator[bytes]:
    for first in range(0, len(data), _CHUNK_BYTES):
        await anyio.lowlevel.checkpoint()
        yield data[first : first + _CHUNK_BYTES]
