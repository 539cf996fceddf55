"""The relay: GET from one account, PUT into the other, for accounts that cannot see each other.

Memory is bounded over all objects together, and every byte is proven twice: against the source's
ETag or checksum before the object is completed, and against Content-MD5 by the destination.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import anyio

from async_s3copy.engine.arrival import prove_arrival
from async_s3copy.engine.checksums import checksum
from async_s3copy.engine.etags import repeated_layout
from async_s3copy.engine.multipart import readable_head, refuse_if_changed
from async_s3copy.engine.plan import PartPlan
from async_s3copy.engine.proof import SourceProof, hashed, md5_of, source_proof
from async_s3copy.engine.properties import (
    computed_checksum,
    header_sized,
    put_long_tags,
    read_properties,
)
from async_s3copy.engine.transfer import Transfer, as_asked_for
from async_s3copy.engine.upload import Upload, open_upload
from async_s3copy.errors import InvalidResponseError, PreconditionFailedError, S3Error
from async_s3copy.model import Copied, CopyMethod, S3Location, S3Object, quoted
from async_s3copy.s3.values import ByteRange, CompletedPart, ObjectHead, ObjectProperties, Written


async def relay_put(transfer: Transfer, item: S3Object, target: S3Location) -> Copied:
    """Relay a small object: one GET, one PUT (and its tags, where it has any).

    Raises:
        DestinationExists: The key is taken, and ``overwrite=False``.
        PreconditionFailedError: The object is not what was listed any more.
        IntegrityError: The bytes do not hash to the source's ETag; nothing was written.
        ObjectRejectedError: S3 refused a property that is required.
        S3Error: S3 refused.
    """
    await transfer.guard.refuse_if_taken(target)
    async with transfer.memory.holding(item.size):
        head, data = await _read(transfer, item)
        refuse_if_changed(item, head, "GetObject")
        proof = await source_proof(transfer, head)
        md5 = await proof.check_whole(data)
        properties = computed_checksum(transfer, await read_properties(transfer, head))
        written = await _put(transfer, target, data, md5, properties)
    await put_long_tags(transfer, target, properties, written.version_id)
    transfer.recorder.bytes_copied(item.size)
    proven = await prove_arrival(transfer, item, target, written, head=head, hashed=proof.proof)
    return Copied(item, target, written.etag, CopyMethod.RELAY, 0, proven, written.version_id)


async def relay_multipart(
    transfer: Transfer, item: S3Object, target: S3Location, plan: PartPlan
) -> Copied:
    """Relay a large object: ranged GETs and part uploads, several at once, hashed in order.

    Where the source was itself uploaded in parts that can be told, that layout is repeated, and the
    destination's ETag equals the source's.

    Raises:
        DestinationExists: The key is taken, and ``overwrite=False``.
        PreconditionFailedError: The object is not what was listed any more.
        IntegrityError: The bytes do not hash to the source's ETag; the upload has been aborted.
        ObjectRejectedError: The object is archived, or cannot be copied as is required.
        S3Error: S3 refused; the upload has been aborted.
    """
    await transfer.guard.refuse_if_taken(target)
    head = await readable_head(transfer, item)
    proof = await source_proof(transfer, head)
    plan = await _layout(transfer, head, proof, plan)
    properties = computed_checksum(transfer, await read_properties(transfer, head))
    async with open_upload(transfer, target, properties) as upload:
        sender = _PartRelay(transfer, item, target, upload, proof)
        parts = await upload.transfer_parts(plan, sender.send)
        await proof.check()
        written = await upload.complete(parts)
    proven = await prove_arrival(
        transfer,
        item,
        target,
        written,
        head=head,
        parts=plan,
        completed=parts,
        hashed=proof.proof,
    )
    return Copied(
        item, target, written.etag, CopyMethod.RELAY, len(parts), proven, written.version_id
    )


async def _layout(
    transfer: Transfer, head: ObjectHead, proof: SourceProof, plan: PartPlan
) -> PartPlan:
    """Choose the parts: the source's own, if the ETag matters and they fit into memory.

    A relay is slow where one part takes more than half of the memory; only an ETag that has to stay
    is worth that.
    """
    policy, memory_bytes = transfer.options.preserve.etag, transfer.options.relay_memory_bytes
    largest_bytes = memory_bytes if policy == "required" else memory_bytes // 2
    if proof.layout is not None and proof.layout.part_bytes <= largest_bytes:
        return proof.layout
    if policy == "required" or transfer.options.verify == "none":
        return await repeated_layout(transfer, head, plan, largest_bytes=largest_bytes)
    return plan  # the proof has looked for a layout, and found none that fits


class _PartRelay:
    """Relay the parts of one object; the proof takes them in order."""

    def __init__(
        self,
        transfer: Transfer,
        item: S3Object,
        target: S3Location,
        upload: Upload,
        proof: SourceProof,
    ) -> None:
        self._transfer = transfer
        self._item = item
        self._target = target
        self._upload = upload
        self._proof = proof
        self._proven = 0
        self._turn = anyio.Event()

    async def send(self, number: int, byte_range: ByteRange) -> CompletedPart:
        async with self._transfer.memory.holding(byte_range.size):
            head, data = await _read(self._transfer, self._item, byte_range)
            refuse_if_changed(self._item, head, "GetObject")
            md5 = await hashed(md5_of, data)
            checksums = await _checksums(self._upload.checksum_algorithm, data)
            await self._prove_in_order(number, data, md5)
            return await self._transfer.governor.call(
                lambda: self._transfer.destination.upload_part(
                    self._target.bucket,
                    self._target.key or "",
                    self._upload.upload_id,
                    number,
                    data,
                    md5=md5,
                    checksums=checksums,
                )
            )

    async def _prove_in_order(self, number: int, data: bytes, md5: bytes) -> None:
        while self._proven != number - 1:
            await self._turn.wait()
        await self._proof.update(data, md5)
        self._proven = number
        self._turn.set()
        self._turn = anyio.Event()


async def _checksums(algorithm: str, data: bytes) -> Mapping[str, str]:
    """Compute what the upload has declared, off the event loop where that takes long."""
    if not algorithm:
        return {}
    value = await hashed(partial(checksum, algorithm), data)
    return {algorithm.lower(): value} if value is not None else {}


async def _read(
    transfer: Transfer, item: S3Object, byte_range: ByteRange | None = None
) -> tuple[ObjectHead, bytes]:
    # A whole object's head tells its properties; those of a part are known by then.
    checksums = transfer.fidelity.reads_checksums and byte_range is None

    async def get() -> tuple[ObjectHead, bytes]:
        async with transfer.source.get_object(
            item.bucket,
            item.key,
            version_id=item.version_id,
            if_match=quoted(item.etag),
            byte_range=byte_range,
            checksums=checksums,
        ) as body:
            _check_size(item, body.size, byte_range)
            # One growing buffer, handed over without a copy: the memory bound counts bytes once.
            buffer = io.BytesIO()
            async for chunk in body.chunks:
                buffer.write(chunk)
            return as_asked_for(body.head, item), buffer.getvalue()

    return await transfer.governor.call(get, side="source")


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
    md5: bytes,
    properties: ObjectProperties,
) -> Written:
    fitting = header_sized(properties)
    computed = await _checksums(properties.checksum_algorithm, data)

    async def put(properties: ObjectProperties, if_none_match: bool) -> Written:
        return await transfer.governor.call(
            lambda: transfer.destination.put_object(
                target.bucket,
                target.key or "",
                data,
                replace(properties, checksum_type=""),
                md5=md5,
                checksums=computed if properties.checksum_algorithm else {},
                if_none_match=if_none_match,
            )
        )

    async def send(if_none_match: bool) -> Written:
        return await transfer.refusals.send(fitting, lambda fewer: put(fewer, if_none_match))

    return await transfer.guard.write("put", target, send)
