"""Are the bytes read the source's? Proven while they pass, before the destination object exists."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Final, TypeVar

import anyio.to_thread

from async_s3copy.engine.plan import PartPlan, replayed_parts
from async_s3copy.engine.transfer import Transfer
from async_s3copy.engine.verify import (
    Digest,
    KnownDigest,
    Md5Digest,
    MultipartDigest,
    digest_for,
    part_count,
)
from async_s3copy.errors import IntegrityError, S3Error
from async_s3copy.model import quoted
from async_s3copy.s3.client import ObjectHead

T = TypeVar("T")
# Hashing 1 MiB takes about 2 ms; more than that does not belong on a shared event loop.
_INLINE_HASH_BYTES: Final = 1024 * 1024


class SourceProof:
    """Take the bytes of one object in order, and compare them with what the source says of them.

    Args:
        transfer: The operation's shared state.
        head: The object's head.
        layout: The part layout it was uploaded in, where that is known.
    """

    def __init__(self, transfer: Transfer, head: ObjectHead, layout: PartPlan | None) -> None:
        self._transfer = transfer
        self._head = head
        self.layout = layout
        self._digest = self._new_digest()

    async def update(self, data: bytes, md5: bytes) -> None:
        """Take the next bytes, whose MD5 is known already."""
        digest = self._digest
        if digest is None or (isinstance(digest, MultipartDigest) and digest.take_part(data, md5)):
            return
        await hashed(digest.update, data)

    async def check_whole(self, data: bytes) -> bytes:
        """Take all bytes at once, and compare; where the ETag is their MD5, they are hashed once.

        Returns:
            The MD5 of the bytes.

        Raises:
            IntegrityError: The bytes are not the source's.
        """
        md5 = await hashed(md5_of, data)
        if isinstance(self._digest, Md5Digest):
            self._digest = KnownDigest(self._digest.expected, md5.hex())
        else:
            await self.update(data, md5)
        await self.check()
        return md5

    async def check(self) -> None:
        """Compare, after the last byte.

        Where neither ETag nor checksum tells of the bytes, that is counted as a degradation. So is
        an ETag that looks like an MD5 and is none, as servers other than AWS may give, and one of
        parts whose sizes differ: the object is read once more, and if the same bytes come again,
        the ETag is at fault, not the way.

        Raises:
            IntegrityError: The bytes are not the source's.
        """
        if self._digest is not None:
            value = self._digest.value()
            if value == self._digest.expected:
                return
            certain = self._transfer.source.endpoint.is_aws and self.layout is None
            if certain or value != await self._second_reading():
                raise IntegrityError(
                    f"the bytes read from {self._head.object} hash to {value}, "
                    f"not to {self._digest.expected} as the source says"
                )
        self._transfer.recorder.degraded(
            "verified_by_size",
            f"neither ETag nor checksum of {self._head.object} tells of its bytes: "
            "only their number is proven",
        )

    async def _second_reading(self) -> str:
        item = self._head.object

        async def read() -> str:
            digest = self._new_digest()
            if digest is None:
                return ""
            async with self._transfer.source.get_object(
                item.bucket, item.key, version_id=item.version_id, if_match=quoted(item.etag)
            ) as body:
                async for chunk in body.chunks:
                    digest.update(chunk)
            return digest.value()

        return await self._transfer.governor.call(read, side="source")

    def _new_digest(self) -> Digest | None:
        return digest_for(self._head, self.layout.part_bytes if self.layout else None)


async def source_proof(transfer: Transfer, head: ObjectHead) -> SourceProof:
    """Choose how an object's bytes will be proven.

    Costs nothing where the ETag is an MD5; one HEAD for the part layout of an object uploaded in
    parts; one HEAD for its checksums where the ETag proves nothing.
    """
    layout = await _source_layout(transfer, head)
    if digest_for(head, layout.part_bytes if layout else None) is None:
        head = await _with_checksums(transfer, head)
    return SourceProof(transfer, head, layout)


def md5_of(data: bytes) -> bytes:
    """Return the raw MD5 of bytes."""
    return hashlib.md5(data, usedforsecurity=False).digest()


async def hashed(function: Callable[[bytes], T], data: bytes) -> T:
    """Hash bytes, off the event loop where they are many."""
    if len(data) <= _INLINE_HASH_BYTES:
        return function(data)
    return await anyio.to_thread.run_sync(function, data)


async def _source_layout(transfer: Transfer, head: ObjectHead) -> PartPlan | None:
    item, count = head.object, part_count(head.object.etag)
    if count is None:
        return None
    try:
        first = await transfer.head_source(item, part_number=1)
    except S3Error as error:
        if error.retryable:
            raise
        return None  # a server without HEAD ?partNumber
    return replayed_parts(item.size, first.content_length, count)


async def _with_checksums(transfer: Transfer, head: ObjectHead) -> ObjectHead:
    try:
        told = await transfer.head_source(head.object, checksums=True)
    except S3Error as error:
        if error.retryable:
            raise
        return head
    return replace(head, checksums=told.checksums)
