"""Keeping ETags: which way an object has to travel so that its ETag stays the same.

An ETag is the MD5 of the bytes where they were written by one request, and the MD5 of the parts'
MD5s with the number of parts (``-N``) where they were written in parts. It stays the same where
the copy is written as the source was.
"""

from __future__ import annotations

from async_s3copy.engine.layout import source_layout
from async_s3copy.engine.plan import (
    CopyPlan,
    MultipartCopy,
    PartPlan,
    RelayMultipart,
    RelayPut,
    SingleCopy,
    plan_copy,
    plan_parts,
)
from async_s3copy.engine.transfer import Transfer
from async_s3copy.engine.verify import part_count
from async_s3copy.errors import ObjectRejectedError
from async_s3copy.model import Copied, CopyMethod, S3Object
from async_s3copy.options import MAX_COPY_SOURCE_BYTES, MAX_PART_BYTES, CopyOptions
from async_s3copy.s3.values import ObjectHead


def plan_way(item: S3Object, method: CopyMethod, options: CopyOptions) -> CopyPlan:
    """Decide how one object travels, by its size, or by its ETag where that has to stay.

    Raises:
        ObjectRejectedError: S3 cannot hold the object, its parts exceed the relay's memory, or it
            cannot keep its ETag.
    """
    if options.preserve.etag != "required" or not item.etag:
        return plan_copy(item, method, options)
    if part_count(item.etag) is not None and item.size:
        parts = plan_parts(item.size, options.part_size_bytes)
        return MultipartCopy(parts) if method is CopyMethod.SERVER_SIDE else RelayMultipart(parts)
    if method is CopyMethod.SERVER_SIDE:
        _require(item, MAX_COPY_SOURCE_BYTES, "one CopyObject")
        return SingleCopy()
    limit, what = MAX_PART_BYTES, "one PutObject"
    if options.relay_memory_bytes < limit:
        limit, what = options.relay_memory_bytes, "relay_memory_bytes, which it has to fit at once"
    _require(item, limit, what)
    return RelayPut()


async def repeated_layout(
    transfer: Transfer, head: ObjectHead, plan: PartPlan, *, largest_bytes: int = MAX_PART_BYTES
) -> PartPlan:
    """Return the layout a source was uploaded in, as far as the policy wants it repeated.

    Args:
        transfer: The operation's shared state.
        head: The object's head.
        plan: The parts to take otherwise.
        largest_bytes: Largest part that is worth it, or possible.

    Raises:
        ObjectRejectedError: The ETag has to stay, and the layout cannot be repeated.
        S3Error: The source could not be asked.
    """
    layout = await source_layout(transfer, head)
    if layout is not None and layout.part_bytes <= largest_bytes:
        return layout
    if transfer.options.preserve.etag == "required" and part_count(head.object.etag) is not None:
        raise _cannot_stay(head.object, "the parts it was uploaded in cannot be repeated")
    return plan


def refuse_another_etag(copied: Copied) -> None:
    """Compare the ETags after a copy whose ETag has to stay.

    Raises:
        ObjectRejectedError: They differ; the object is there.
    """
    if not copied.etag_kept and copied.source.etag:
        raise ObjectRejectedError(
            "EtagNotKept",
            f"{copied.destination} is there, but with the ETag {copied.etag} instead of "
            f"{copied.source.etag} (encryption, or a server's own way to give them)",
        )


def _require(item: S3Object, limit_bytes: int, what: str) -> None:
    if item.size > limit_bytes:
        reason = f"it was written by one request, and {what} takes {limit_bytes:,} bytes at most"
        raise _cannot_stay(item, reason)


def _cannot_stay(item: S3Object, reason: str) -> ObjectRejectedError:
    return ObjectRejectedError(
        "EtagNotKept",
        f"{item} ({item.size:,} bytes) cannot keep its ETag {item.etag}, as is required: {reason}",
    )
