"""The reading half of the S3Client Protocol on the in-memory server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

import anyio.lowlevel

from async_s3copy.errors import Side
from async_s3copy.model import S3Object, unquoted
from async_s3copy.s3.endpoint import Endpoint
from async_s3copy.s3.values import (
    ByteRange,
    CopySource,
    ListPage,
    ObjectBody,
    ObjectHead,
    ObjectProperties,
    OpenUpload,
    VersionPage,
)
from tests.fake_server import Call, FakeS3
from tests.fake_store import Stored, StoredUpload

LONG_AGO: Final = datetime(2020, 1, 1, tzinfo=UTC)
_CHUNK_BYTES: Final = 1024 * 1024


class FakeReads:
    """The calls that read, for one side of a ``FakeS3``."""

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
            objects = [
                # A listing tells no versions.
                replace(self._object(bucket, key, stored[key]), version_id=None)
                for key in shown
            ]
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
        call = Call("HeadObject", self.side, bucket, key, part=part_number, version_id=version_id)
        return await self.server.answer(call, lambda: self._head(call, part_number, checksums))

    async def get_object_tagging(
        self, bucket: str, key: str, *, version_id: str | None = None
    ) -> dict[str, str]:
        call = Call("GetObjectTagging", self.side, bucket, key, version_id=version_id)
        return await self.server.answer(call, lambda: dict(self._stored(call).properties.tags))

    async def get_object_acl(
        self, bucket: str, key: str, *, version_id: str | None = None
    ) -> dict[str, str]:
        call = Call("GetObjectAcl", self.side, bucket, key, version_id=version_id)

        def effect() -> dict[str, str]:
            grants = self._stored(call).properties.grants
            return dict(grants) or {"full-control": f'id="{bucket}-owner"'}

        return await self.server.answer(call, effect)

    async def get_bucket_versioning(self, bucket: str) -> str:
        call = Call("GetBucketVersioning", self.side, bucket, None)

        def effect() -> str:
            self._bucket(call)
            return self.server.versioning.get(bucket, "")

        return await self.server.answer(call, effect)

    async def list_versions(
        self,
        bucket: str,
        prefix: str,
        *,
        key_marker: str | None = None,
        version_marker: str | None = None,
        max_keys: int = 1_000,
    ) -> VersionPage:
        call = Call("ListObjectVersions", self.side, bucket, None, token=key_marker)

        def effect() -> VersionPage:
            self._bucket(call)
            found = self.server.listed_versions(bucket, prefix, key_marker, version_marker)
            size = min(max_keys, self.server.page_size)
            shown, truncated = found[:size], len(found) > size
            versions = [self._object(bucket, key, stored) for key, stored, _ in shown]
            last = versions[-1] if truncated else None
            return VersionPage(
                [replace(each, version_id=each.version_id or "null") for each in versions],
                [is_latest for _, _, is_latest in shown],
                last.key if last else None,
                (last.version_id or "null") if last else None,
            )

        return await self.server.answer(call, effect)

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
        first = None if byte_range is None else byte_range.first
        call = Call("GetObject", self.side, bucket, key, first_byte=first, version_id=version_id)
        source = CopySource(bucket=bucket, key=key, version_id=version_id, if_match=if_match)

        def effect() -> ObjectBody:
            stored = self._pinned(call, source)
            data = stored.data
            if byte_range is not None:
                data = data[byte_range.first : byte_range.last + 1]
            data = self.server.damaged(call, data)
            return ObjectBody(self._head(call, None, checksums), len(data), _chunks(data))

        yield await self.server.answer(call, effect)

    def _bucket(self, call: Call) -> dict[str, Stored]:
        try:
            return self.server.buckets[call.bucket]
        except KeyError:
            raise call.error("NoSuchBucket", 404) from None

    def _stored(self, call: Call) -> Stored:
        self._bucket(call)
        stored = self.server.find(call.bucket, call.key or "", call.version_id)
        if stored is None:
            raise call.error("NoSuchKey" if call.version_id is None else "NoSuchVersion", 404)
        if stored.delete_marker:
            raise call.error("MethodNotAllowed", 405)
        return stored

    def _upload(self, call: Call, upload_id: str) -> StoredUpload:
        try:
            return self.server.uploads[upload_id]
        except KeyError:
            raise call.error("NoSuchUpload", 404) from None

    def _pinned(self, call: Call, source: CopySource) -> Stored:
        if (call.side, "GetObject", source.bucket) in self.server.denied:
            raise call.error("AccessDenied", 403)
        stored = self.server.find(source.bucket, source.key, source.version_id)
        if stored is None:
            raise call.error("NoSuchKey" if source.version_id is None else "NoSuchVersion", 404)
        if stored.delete_marker:
            raise call.error("InvalidRequest", 400)
        if source.key in self.server.archived:
            raise call.error("InvalidObjectState", 403)
        if self.server.honours_pins and unquoted(source.if_match) not in ("", stored.etag):
            raise call.error("PreconditionFailed", 412)
        return stored

    def _object(self, bucket: str, key: str, stored: Stored) -> S3Object:
        return S3Object.reported(
            bucket,
            key,
            len(stored.data),
            LONG_AGO,
            "" if stored.delete_marker else f'"{stored.etag}"',
            storage_class=stored.properties.storage_class,
            version_id=stored.version_id,
            delete_marker=stored.delete_marker,
        )

    def _head(self, call: Call, part_number: int | None, checksums: bool) -> ObjectHead:
        stored = self._stored(call)
        item = self._object(call.bucket, call.key or "", stored)
        sizes = stored.part_sizes
        told = bool(part_number and sizes)
        return ObjectHead(
            object=item,
            properties=_told(stored, checksums),
            content_length=sizes[(part_number or 1) - 1] if told else item.size,
            tag_count=len(stored.properties.tags) or None if self.server.counts_tags else None,
            part_count=len(sizes) if told else None,
            etag_is_md5=stored.etag_is_md5,
            checksums=dict(stored.checksums) if checksums else {},
            composite_checksums=dict(stored.composite) if checksums else {},
            archived=call.key in self.server.archived,
        )


def _told(stored: Stored, checksums: bool) -> ObjectProperties:
    """What a HEAD tells of an object's properties."""
    kind = "COMPOSITE" if stored.composite else "FULL_OBJECT" if stored.checksums else ""
    return replace(
        stored.properties,
        tags={},
        acl="",
        grants={},
        checksum_algorithm=stored.checksum_algorithm if checksums else "",
        checksum_type=kind if checksums else "",
    )


async def _chunks(data: bytes) -> AsyncIterator[bytes]:
    for first in range(0, len(data), _CHUNK_BYTES):
        await anyio.lowlevel.checkpoint()
        yield data[first : first + _CHUNK_BYTES]
