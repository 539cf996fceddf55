"""The relay: GET from one account, PUT into the other, for accounts that cannot see each other.

Memory is bounded over all objects together, and every byte is proven twice: against the source's
ETag or checksum before the object is completed, and against Content-MD5 by the destination.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Final, TypeVar

import anyio
import anyio.to_thread

from async_s3copy.engine.multipart import unchanged_head
from async_s3copy.engine.plan import PartPlan, replayed_parts
from async_s3copy.engine.properties import (
    header_sized,
    put_long_tags,
    read_properties,
    with_storage_class,
)
from async_s3copy.engine.transfer import Transfer
from async_s3copy.engine.upload import Upload, open_upload
from async_s3copy.engine.verify import Digest, digest_for, part_count
from async_s3copy.errors import (
    IntegrityError,
    InvalidResponseError,
    PreconditionFailedError,
    S3Error,
)
from async_s3copy.model import Copied, CopyMethod, S3Location, S3Object, quoted
from async_s3copy.s3.client import ByteRange, CompletedPart, ObjectHead, ObjectProperties

T = TypeVar("T")
# Hashing 1 MiB takes about 2 ms; more than that does not belong on a shared event loop.
_INLINE_HASH_BYTES: Final = 1024 * 1024


async def relay_put(transfer: Transfer, item: S3Object, target: S3Location) -> Copied:
    """Relay a small object: one GET, one PUT (and its tags, where it has any).

    Raises:
        DestinationExists: The key is taken, and ``overwrite=False``.
        PreconditionFailedError: The object is not what was listed any more.
        IntegrityError: The bytes do not hash to the source's ETag; nothing was written.
        S3Error: S3 refused.
    """
    await transfer.guard.refuse_if_taken(target)
    async with transfer.memory.holding(item.size):
        head, data = await _read(transfer, item)
        await _prove(transfer, item, head, data)
        properties = await read_properties(transfer, head)
        etag = await _put(transfer, target, data, properties)
    await put_long_tags(transfer, target, properties)
    transfer.recorder.bytes_copied(item.size)
    return Copied(item, target, etag, CopyMethod.RELAY)


async def relay_multipart(
    transfer: Transfer, item: S3Object, target: S3Location, plan: PartPlan
) -> Copied:
    """Relay a large object: ranged GETs and part uploads, several at once, hashed in order.

    Where the source was itself uploaded in parts of one size, that layout is repeated, and the
    destination's ETag equals the source's.

    Raises:
        DestinationExists: The key is taken, and ``overwrite=False``.
        PreconditionFailedError: The object is not what was listed any more.
        IntegrityError: The bytes do not hash to the source's ETag; the upload has been aborted.
        S3Error: S3 refused; the upload has been aborted.
    """
    await transfer.guard.refuse_if_taken(target)
    head = await unchanged_head(transfer, item)
    layout = await _source_layout(transfer, item)
    head = await _with_checksums(transfer, head, layout)
    if layout is not None and layout.part_bytes <= transfer.options.relay_memory_bytes // 2:
        plan = layout
    properties = await read_properties(transfer, head)
    digest = digest_for(head, layout.part_bytes if layout else None)
    async with open_upload(transfer, target, properties) as upload:
        sender = _PartRelay(transfer, item, target, upload, digest)
        parts = await upload.transfer_parts(plan, sender.send)
        _check_digest(transfer, item, digest)
        etag = await upload.complete(parts)
    return Copied(item, target, etag, CopyMethod.RELAY, len(parts))


class _PartRelay:
    """Relay the parts of one object; the source's digest takes them in order."""

    def __init__(
        self,
        transfer: Transfer,
        item: S3Object,
        target: S3Location,
        upload: Upload,
        digest: Digest | None,
    ) -> None:
        self._transfer = transfer
        self._item = item
        self._target = target
        self._upload = upload
        self._digest = digest
        self._hashed = 0
        self._turn = anyio.Event()

    async def send(self, number: int, byte_range: ByteRange) -> CompletedPart:
        async with self._transfer.memory.holding(byte_range.size):
            _, data = await _read(self._transfer, self._item, byte_range)
            await self._hash_in_order(number, data)
            md5 = await _hashed(_md5, data)
            return await self._transfer.governor.call(
                lambda: self._transfer.destination.upload_part(
                    self._target.bucket,
                    self._target.key or "",
                    self._upload.upload_id,
                    number,
                    data,
                    md5=md5,
                )
            )

    async def _hash_in_order(self, number: int, data: bytes) -> None:
        if self._digest is None:
            return
        while self._hashed != number - 1:
            await self._turn.wait()
        await _hashed(self._digest.update, data)
        self._hashed = number
        self._turn.set()
        self._turn = anyio.Event()


async def _read(
    transfer: Transfer, item: S3Object, byte_range: ByteRange | None = None
) -> tuple[ObjectHead, bytes]:
    async def get() -> tuple[ObjectHead, bytes]:
        async with transfer.source.get_object(
            item.bucket,
            item.key,
            version_id=item.version_id,
            if_match=quoted(item.etag),
            byte_range=byte_range,
        ) as body:
            _check_size(item, body.size, byte_range)
            return body.head, b"".join([chunk async for chunk in body.chunks])

    return await transfer.governor.call(get)


def _check_size(item: S3Object, size: int, byte_range: ByteRange | None) -> None:
    """Refuse an answer of another size before its body is read: it would break the memory bound."""
    wanted = item.size if byte_range is None else byte_range.size
    if size == wanted:
        return
    kind: type[S3Error] = PreconditionFailedError if byte_range is None else InvalidResponseError
    raise kind(
        f"asked for {byte_range or 'all'}, {wanted:,} bytes, got {size:,}",
        code=kind.__name__.removesuffix("Error"),
        operation="GetObject",
        side="source",
        bucket=item.bucket,
        key=item.key,
    )


async def _put(
    transfer: Transfer,
    target: S3Location,
    data: bytes,
    properties: ObjectProperties,
) -> str:
    md5 = await _hashed(_md5, data)
    fitting = header_sized(properties)

    async def send(if_none_match: bool) -> str:
        return await with_storage_class(
            transfer,
            fitting.storage_class,
            lambda storage_class: transfer.governor.call(
                lambda: transfer.destination.put_object(
                    target.bucket,
                    target.key or "",
                    data,
                    replace(fitting, storage_class=storage_class),
                    md5=md5,
                    if_none_match=if_none_match,
                )
            ),
        )

    return await transfer.guard.write("put", target, send)


async def _prove(transfer: Transfer, item: S3Object, head: ObjectHead, data: bytes) -> None:
    """Compare the bytes read with what the source says of them.

    A server other than AWS may give ETags that look like an MD5 and are none: if a second GET
    brings the same bytes, the ETag is at fault, not the way.
    """
    layout = await _source_layout(transfer, item)
    head = await _with_checksums(transfer, head, layout)
    digest = digest_for(head, layout.part_bytes if layout else None)
    if digest is not None:
        await _hashed(digest.update, data)
        if not digest.matches() and not transfer.source.endpoint.is_aws:
            _, again = await _read(transfer, item)
            if again == data:
                digest = None
    _check_digest(transfer, item, digest)


def _check_digest(transfer: Transfer, item: S3Object, digest: Digest | None) -> None:
    if digest is None:
        transfer.recorder.degraded(
            "verified_by_size",
            f"neither ETag nor checksum of {item} tells of its bytes: only their number is proven",
        )
    elif not digest.matches():
        raise IntegrityError(
            f"the bytes read from {item} do not hash to its ETag or checksum {item.etag}"
        )


async def _source_layout(transfer: Transfer, item: S3Object) -> PartPlan | None:
    """Find out the part layout of a source that was uploaded in parts, for one HEAD."""
    count = part_count(item.etag)
    if count is None:
        return None
    first = await transfer.governor.call(
        lambda: transfer.source.head_object(
            item.bucket, item.key, version_id=item.version_id, part_number=1
        )
    )
    return replayed_parts(item.size, first.content_length, count)


async def _with_checksums(
    transfer: Transfer, head: ObjectHead, layout: PartPlan | None
) -> ObjectHead:
    """Ask for the object's checksums where its ETag proves nothing."""
    if digest_for(head, layout.part_bytes if layout else None) is not None:
        return head
    item = head.object
    told = await transfer.governor.call(
        lambda: transfer.source.head_object(
            item.bucket, item.key, version_id=item.version_id, checksums=True
        )
    )
    return replace(head, checksums=told.checksums)


async def _hashed(function: Callable[[bytes], T], data: bytes) -> T:
    if len(data) <= _INLINE_HASH_BYTES:
        return function(data)
    return await anyio.to_thread.run_sync(function, data)


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()
