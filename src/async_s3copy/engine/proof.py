"""Are the bytes read the source's? Proven while they pass, before the destination object exists."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Final, TypeVar

import anyio.to_thread

from async_s3copy.engine.layout import read_layout
from async_s3copy.engine.plan import PartPlan
from async_s3copy.engine.transfer import Transfer
from async_s3copy.engine.verify import (
    Digest,
    KnownDigest,
    Md5Digest,
    MultipartDigest,
    digest_for,
    same_etag,
    tells_of_bytes,
)
from async_s3copy.errors import IntegrityError, S3Error
from async_s3copy.model import Proof, quoted
from async_s3copy.s3.values import ObjectHead

T = TypeVar("T")
# Hashing 1 MiB takes about 2 ms; more than that does not belong on a shared event loop.
_INLINE_HASH_BYTES: Final = 1024 * 1024


class SourceProof:
    """Take the bytes of one object in order, and compare them with what the source says of them.

    Args:
        transfer: The operation's shared state.
        head: The object's head.
        layout: The part layout it was uploaded in, where that is known.

    Attributes:
        layout: The same; ``None`` where nobody wants it repeated.
        proof: What the bytes were proven by; ``NONE`` until ``check`` has passed, and with
            ``verify="none"``.
    """

    def __init__(self, transfer: Transfer, head: ObjectHead, layout: PartPlan | None) -> None:
        self._transfer = transfer
        self._head = head
        self._known_layout = layout
        self.layout = None if transfer.options.preserve.etag == "drop" else layout
        self.proof = Proof.NONE
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
        if not self._wanted:
            return
        if self._digest is not None:
            value = self._digest.value()
            if value == self._digest.expected:
                self.proof = self._digest.proof
                return
            if self._is_certain or value != await self._second_reading():
                raise IntegrityError(
                    f"the bytes read from {self._head.object} hash to {value}, "
                    f"not to {self._digest.expected} as the source says"
                )
        self.proof = Proof.SIZE
        self._transfer.recorder.degraded(
            "verified_by_size",
            f"neither ETag nor checksum of {self._head.object} tells of its bytes: "
            "only their number is proven",
        )

    @property
    def _wanted(self) -> bool:
        return self._transfer.options.verify != "none"

    @property
    def _is_certain(self) -> bool:
        """Whether a difference means other bytes, because what was expected is of the bytes."""
        layout = self._known_layout
        return self._transfer.source.endpoint.is_aws and (layout is None or bool(layout.sizes))

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
        return digest_for(self._head, self._known_layout) if self._wanted else None


async def source_proof(
    transfer: Transfer, head: ObjectHead, layout: PartPlan | None = None
) -> SourceProof:
    """Choose how an object's bytes will be proven.

    Costs nothing where the ETag is an MD5, or ``verify="none"``; one HEAD for the part layout of an
    object uploaded in parts; one HEAD for its checksums where the ETag proves nothing and they have
    not been read.

    Args:
        transfer: The operation's shared state.
        head: The object's head.
        layout: Its part layout, where it has been read; it is not read again.

    Raises:
        S3Error: The source could not be asked, for a reason that may pass.
    """
    if transfer.options.verify == "none":
        return SourceProof(transfer, head, layout)
    exactly = transfer.options.preserve.etag == "required"
    if layout is None and tells_of_bytes(head):
        layout = await read_layout(transfer, head, exactly=exactly)
    if digest_for(head, layout) is None:
        head = await with_checksums(transfer, head)
    if layout is None and digest_for(head, None) is None and head.composite_checksums:
        layout = await read_layout(transfer, head)
    return SourceProof(transfer, head, layout)


def md5_of(data: bytes) -> bytes:
    """Return the raw MD5 of bytes."""
    return hashlib.md5(data, usedforsecurity=False).digest()


async def hashed(function: Callable[[bytes], T], data: bytes) -> T:
    """Hash bytes, off the event loop where they are many."""
    if len(data) <= _INLINE_HASH_BYTES:
        return function(data)
    return await anyio.to_thread.run_sync(function, data)


async def with_checksums(transfer: Transfer, head: ObjectHead) -> ObjectHead:
    """Complete an object's head by its checksums: one HEAD, unless they are there already.

    Raises:
        S3Error: The source could not be asked, for a reason that may pass.
    """
    if head.checksums or head.composite_checksums:
        return head
    try:
        told = await transfer.head_source(head.object, checksums=True)
    except S3Error as error:
        if error.retryable:
            raise
        return head
    if not same_etag(told.object.etag, head.object.etag):
        return head  # the checksums of another object; the pin of the next request tells
    return replace(head, checksums=told.checksums, composite_checksums=told.composite_checksums)
