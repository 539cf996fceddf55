"""The wire's calls that only read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import anyio
import anyio.lowlevel
import anyio.to_thread

from async_s3copy.s3.boto import BotoClient
from async_s3copy.s3.endpoint import Endpoint
from async_s3copy.s3.uploads import OPERATION, Marker, UploadPage, uploads_of
from async_s3copy.s3.values import (
    ByteRange,
    ListPage,
    ObjectBody,
    ObjectHead,
    OpenUpload,
    VersionPage,
)
from async_s3copy.s3.versioned import asking_for
from async_s3copy.s3.wire import answers, pages
from async_s3copy.s3.wire.calls import Calls
from async_s3copy.s3.wire.failures import Call
from async_s3copy.s3.wire.http import Request
from async_s3copy.s3.wire.pages import Page
from async_s3copy.s3.wire.requests import RequestBuilder
from async_s3copy.s3.wire.routing import RoutingTable


class WireReads:
    """Read buckets, objects and open uploads over pooled connections.

    Args:
        reference: Makes each bucket's first call, and those that the wire cannot.
        table: What those calls have taught.
    """

    def __init__(self, reference: BotoClient, table: RoutingTable) -> None:
        self._reference = reference
        self._side = reference.side
        self._terms = reference.terms or None
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

        async def by_reference() -> ListPage | pages.ListingAnswer:
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
            lambda response, *_: pages.ListingAnswer(response, self._side, bucket),
            by_reference,
        )
        if isinstance(page, ListPage):
            return page
        return await self._read(page)

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
        with asking_for(version_id):
            return await self._calls.make(
                self._to("GetObjectTagging", bucket, key),
                lambda requests: requests.get_object_tagging(key, version_id=version_id),
                answers.get_object_tagging,
                lambda: self._reference.get_object_tagging(bucket, key, version_id=version_id),
            )

    async def get_object_acl(
        self, bucket: str, key: str, *, version_id: str | None = None
    ) -> dict[str, str]:
        """GetObjectAcl."""
        with asking_for(version_id):
            return await self._calls.make(
                self._to("GetObjectAcl", bucket, key),
                lambda requests: requests.get_object_acl(key, version_id=version_id),
                answers.get_object_acl,
                lambda: self._reference.get_object_acl(bucket, key, version_id=version_id),
            )

    async def list_versions(
        self,
        bucket: str,
        prefix: str,
        *,
        key_marker: str | None = None,
        version_marker: str | None = None,
        max_keys: int = 1_000,
    ) -> VersionPage:
        """ListObjectVersions, one page; read in pieces as in ``list_page``."""

        async def by_reference() -> VersionPage | pages.VersionsAnswer:
            return await self._reference.list_versions(
                bucket,
                prefix,
                key_marker=key_marker,
                version_marker=version_marker,
                max_keys=max_keys,
            )

        page = await self._calls.make(
            self._to("ListObjectVersions", bucket),
            lambda requests: requests.list_versions(
                prefix, key_marker=key_marker, version_marker=version_marker, max_keys=max_keys
            ),
            lambda response, *_: pages.VersionsAnswer(response, self._side, bucket, prefix),
            by_reference,
        )
        return page if isinstance(page, VersionPage) else await self._read(page)

    async def get_bucket_versioning(self, bucket: str) -> str:
        """GetBucketVersioning."""
        return await self._calls.make(
            self._to("GetBucketVersioning", bucket),
            lambda requests: requests.get_bucket_versioning(),
            answers.get_bucket_versioning,
            lambda: self._reference.get_bucket_versioning(bucket),
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
        async with AsyncExitStack() as stack:
            with asking_for(version_id):
                body = await self._calls.open(
                    self._to("GetObject", bucket, key),
                    stack,
                    lambda requests: requests.get_object(
                        key,
                        version_id=version_id,
                        if_match=if_match,
                        byte_range=byte_range,
                        checksums=checksums,
                    ),
                    lambda: self._reference.get_object(
                        bucket,
                        key,
                        version_id=version_id,
                        if_match=if_match,
                        byte_range=byte_range,
                        checksums=checksums,
                    ),
                )
            self._noted(body.head)
            yield body

    async def _read(self, answer: pages.PagedAnswer[Page]) -> Page:
        # One page at a time: pieces of many pages in one turn of the loop would add up.
        async with self._reading:
            while not answer.advance():
                await anyio.lowlevel.checkpoint()
            return answer.page()

    def _to(self, operation: str, bucket: str, key: str | None = None) -> Call:
        return Call(operation, self._side, bucket, key)

    def _noted(self, head: ObjectHead) -> ObjectHead:
        self._saw_tag_count = self._saw_tag_count or head.tag_count is not None
        return head
