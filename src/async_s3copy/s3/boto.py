"""The reference client: the S3Client Protocol on aioboto3 / aiobotocore.

It takes any configuration botocore understands. Content headers and user metadata are read from and
written to the wire as raw header values, so that what botocore would refuse or rewrite (an Expires
that is no date, metadata beyond ASCII) arrives unchanged.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from botocore import xform_name

from async_s3copy.errors import Side
from async_s3copy.s3 import boto_answers as answers
from async_s3copy.s3 import boto_requests as params
from async_s3copy.s3 import uploads
from async_s3copy.s3.boto_body import body_chunks
from async_s3copy.s3.boto_errors import translated
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
from async_s3copy.s3.heads import SERVERS_WITH_TAG_COUNT


class BotoClient:
    """Speak to S3 through an entered aiobotocore client.

    Args:
        client: The client; whoever opened it closes it.
        side: Whose credentials it signs with.
        session: The session it comes from.

    Attributes:
        client: The aiobotocore client.
        side: Whose credentials it signs with.
    """

    def __init__(self, client: Any, side: Side, session: Any) -> None:
        self.client = client
        self.side: Side = side
        self._session = session
        self._server = ""
        self._saw_tag_count = False
        meta = client.meta
        self._endpoint = Endpoint.from_url(meta.endpoint_url, meta.region_name, meta.partition)
        params.send_raw_headers(client.meta.events)

    @property
    def endpoint(self) -> Endpoint:
        """Where requests go, as botocore resolved it."""
        return self._endpoint

    @property
    def reports_tag_count(self) -> bool:
        """Whether the server is known to count tags: by its name, or by having done so."""
        return self._saw_tag_count or self._server.startswith(SERVERS_WITH_TAG_COUNT)

    async def credentials(self) -> Any:
        """Return botocore's credentials, which refresh themselves; ``None`` for none."""
        return await self._session.get_credentials()

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
        answer = await self._call(
            "GetObjectTagging",
            bucket,
            key,
            **params.given(VersionId=version_id),
        )
        return {tag["Key"]: tag.get("Value", "") for tag in answer.get("TagSet", ())}

    async def put_object_tagging(self, bucket: str, key: str, tags: Mapping[str, str]) -> None:
        """PutObjectTagging."""
        tag_set = [{"Key": name, "Value": value} for name, value in tags.items()]
        await self._call(
            "PutObjectTagging",
            bucket,
            key,
            Tagging={"TagSet": tag_set},
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
        answer = await self._call(
            "CopyObject",
            bucket,
            key,
            headers=params.if_none_match_header(if_none_match),
            **params.copy_source(source),
            **params.given(StorageClass=storage_class or None),
        )
        return answers.etag(answer.get("CopyObjectResult"), "CopyObject", self.side, bucket, key)

    async def create_multipart_upload(
        self, bucket: str, key: str, properties: ObjectProperties
    ) -> str:
        """CreateMultipartUpload."""
        answer = await self._call(
            "CreateMultipartUpload",
            bucket,
            key,
            headers=params.property_headers(properties),
            **params.given(StorageClass=properties.storage_class or None),
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
            **params.copy_source(source),
        )
        etag = answers.etag(answer.get("CopyPartResult"), "UploadPartCopy", self.side, bucket, key)
        return CompletedPart(part_number, etag)

    async def upload_part(
        self, bucket: str, key: str, upload_id: str, part_number: int, body: bytes, *, md5: bytes
    ) -> CompletedPart:
        """UploadPart."""
        answer = await self._call(
            "UploadPart",
            bucket,
            key,
            UploadId=upload_id,
            PartNumber=part_number,
            **params.body_parameters(body, md5),
        )
        return CompletedPart(
            part_number, answers.etag(answer, "UploadPart", self.side, bucket, key)
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
        completed = [{"PartNumber": part.number, "ETag": f'"{part.etag}"'} for part in parts]
        answer = await self._call(
            "CompleteMultipartUpload",
            bucket,
            key,
            headers=params.if_none_match_header(if_none_match),
            UploadId=upload_id,
            MultipartUpload={"Parts": completed},
        )
        return answers.etag(answer, "CompleteMultipartUpload", self.side, bucket, key)

    async def abort_multipart_upload(self, bucket: str, key: str, upload_id: str) -> None:
        """AbortMultipartUpload."""
        await self._call(
            "AbortMultipartUpload",
            bucket,
            key,
            UploadId=upload_id,
        )

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
        answer = await self._call(
            "PutObject",
            bucket,
            key,
            headers=params.property_headers(properties)
            | params.if_none_match_header(if_none_match),
            **params.body_parameters(body, md5),
            **params.given(StorageClass=properties.storage_class or None),
        )
        return answers.etag(answer, "PutObject", self.side, bucket, key)

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
        answer = await self._call(
            "GetObject",
            bucket,
            key,
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

    async def _call(
        self,
        operation: str,
        bucket: str,
        key: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        **parameters: Any,
    ) -> dict[str, Any]:
        if key is not None:
            parameters["Key"] = key
        if headers:
            parameters[params.RAW_HEADERS] = headers
        method = getattr(self.client, xform_name(operation))
        async with translated(operation, self.side, bucket, key):
            answer: dict[str, Any] = await method(Bucket=bucket, **parameters)
        if not self._server:
            self._server = answers.headers(answer).get("server", "")
        return answer

    def _head(self, bucket: str, key: str, answer: Mapping[str, Any]) -> ObjectHead:
        head = answers.object_head(bucket, key, answer)
        self._saw_tag_count = self._saw_tag_count or head.tag_count is not None
        return head
