"""The S3Client Protocol on the in-memory server, one client per side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from async_s3copy.model import unquoted
from async_s3copy.s3.values import (
    AS_IT_IS,
    NO_CHECKSUMS,
    ByteRange,
    CompletedPart,
    CopySource,
    ObjectProperties,
    Written,
)
from tests.fake_reads import LONG_AGO, FakeReads
from tests.fake_server import Call
from tests.fake_store import Stored, assembled, checksum, md5_hex

__all__ = ["LONG_AGO", "FakeClient"]


class FakeClient(FakeReads):
    """The S3Client Protocol for one side of a ``FakeS3``."""

    async def put_object_tagging(
        self, bucket: str, key: str, tags: Mapping[str, str], *, version_id: str | None = None
    ) -> None:
        call = Call("PutObjectTagging", self.side, bucket, key, version_id=version_id)

        def effect() -> None:
            stored = self._stored(call)
            properties = replace(stored.properties, tags=dict(tags))
            self.server.change(bucket, key, stored, replace(stored, properties=properties))

        await self.server.answer(call, effect)

    async def delete_object(self, bucket: str, key: str) -> str | None:
        call = Call("DeleteObject", self.side, bucket, key)

        def effect() -> str | None:
            self._bucket(call)
            return self.server.delete(bucket, key)

        return await self.server.answer(call, effect)

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
        call = Call(
            "CopyObject",
            self.side,
            bucket,
            key,
            if_none_match,
            storage_class=properties.storage_class,
            version_id=source.version_id,
            properties=properties,
            replaces_metadata=replaces_metadata,
            replaces_tags=replaces_tags,
        )

        def effect() -> Written:
            self._check_free(call, "copy")
            self._check_acl(call)
            stored = self._pinned(call, source)
            there, metadata_of = stored.properties, stored.properties
            if replaces_metadata:
                metadata_of = properties
            written = replace(
                properties,
                headers=metadata_of.headers,
                metadata=metadata_of.metadata,
                tags=properties.tags if replaces_tags else there.tags,
                checksum_algorithm=properties.checksum_algorithm or stored.checksum_algorithm,
                checksum_type="",
            )
            return _written(self.server.put(bucket, key, stored.data, written))

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
            properties=properties,
        )

        def effect() -> str:
            self._check_acl(call)
            return self.server.new_upload(bucket, key, properties)

        return await self.server.answer(call, effect)

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
        call = Call(
            "UploadPartCopy",
            self.side,
            bucket,
            key,
            part=part_number,
            version_id=source.version_id,
        )

        def effect() -> CompletedPart:
            data = self._pinned(call, source).data[byte_range.first : byte_range.last + 1]
            return self._keep_part(call, upload_id, part_number, data)

        return await self.server.answer(call, effect)

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
        call = Call("UploadPart", self.side, bucket, key, part=part_number)

        def effect() -> CompletedPart:
            _check_body(call, body, md5, checksums)
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
    ) -> Written:
        call = Call("CompleteMultipartUpload", self.side, bucket, key, if_none_match)

        def effect() -> Written:
            upload = self._upload(call, upload_id)
            self._check_free(call, "complete")
            bodies = [upload.parts[part.number] for part in parts]
            if [md5_hex(body) for body in bodies] != [unquoted(part.etag) for part in parts]:
                raise call.error("InvalidPart", 400)
            if any(part.checksums != upload.checksums(upload.parts[part.number]) for part in parts):
                raise call.error("InvalidPart", 400)
            self._bucket(call)
            stored = self.server.keep(bucket, key, assembled(bodies, upload.properties))
            del self.server.uploads[upload_id]
            return _written(stored)

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
        call = Call(
            "PutObject",
            self.side,
            bucket,
            key,
            if_none_match,
            storage_class=properties.storage_class,
            properties=properties,
        )

        def effect() -> Written:
            self._check_free(call, "put")
            self._check_acl(call)
            _check_body(call, body, md5, checksums)
            algorithm = next(iter(checksums), "").upper()
            # S3 learns the algorithm by the checksum; a name without a value is none.
            kept = replace(properties, checksum_algorithm=algorithm, checksum_type="")
            return _written(self.server.put(bucket, key, body, kept))

        return await self.server.answer(call, effect)

    def _keep_part(
        self, call: Call, upload_id: str, part_number: int, data: bytes
    ) -> CompletedPart:
        upload = self._upload(call, upload_id)
        upload.parts[part_number] = data
        return CompletedPart(part_number, md5_hex(data), upload.checksums(data))

    def _check_free(self, call: Call, write: str) -> None:
        policy = self.server.conditions.get(write, "honoured")
        if not call.if_none_match or policy == "ignored":
            return
        if policy == "rejected":
            raise call.error("NotImplemented", 501)
        if call.key in self._bucket(call):
            raise call.error("PreconditionFailed", 412)

    def _check_acl(self, call: Call) -> None:
        if self.server.refuses_acls and (call.properties.acl or call.properties.grants):
            raise call.error("AccessControlListNotSupported", 400)


def _written(stored: Stored) -> Written:
    return Written(stored.etag, stored.version_id, stored.etag_is_md5, dict(stored.checksums))


def _check_body(call: Call, body: bytes, md5: bytes, checksums: Mapping[str, str]) -> None:
    wrong = [name for name, value in checksums.items() if checksum(name, body) != value]
    if md5.hex() != md5_hex(body) or wrong:
        raise call.error("BadDigest", 400)
