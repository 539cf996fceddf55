"""Ask both sides what they know of an object that was copied, as far as they may be asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from async_s3copy.engine.evidence import Facts, of_head
from async_s3copy.engine.transfer import Transfer
from async_s3copy.errors import AccessDeniedError, NoSuchKeyError, S3Error
from async_s3copy.model import S3Location, S3Object
from async_s3copy.s3.values import ObjectHead, Written

_Ask = Callable[[bool], Awaitable[ObjectHead]]


async def ask_source(
    transfer: Transfer, item: S3Object, head: ObjectHead | None = None
) -> Facts | None:
    """Read what the source says of an object, its checksums included, with the source's keys.

    Costs one HEAD; two where checksums may not be read (they take ``kms:Decrypt`` for an object
    encrypted with SSE-KMS); none where the head given holds checksums.

    Returns:
        The facts, which are another object's where it has been overwritten, and nothing but the URL
        where it is gone; ``None`` where the source may not be read.

    Raises:
        S3Error: The source could not be asked, for a reason that may pass.
    """
    if head is not None and (head.checksums or head.composite_checksums):
        return of_head(head)
    return await _ask(str(item), lambda checksums: transfer.head_source(item, checksums=checksums))


async def ask_destination(transfer: Transfer, target: S3Location, written: Written) -> Facts | None:
    """Read what the destination says of an object, its checksums included.

    Costs one HEAD; one more where checksums may not be read, and where the object is another by
    now and ours a version.

    Returns:
        The facts, which are another object's where it has been overwritten, and nothing but the URL
        where it is gone; ``None`` where the destination may not be read.

    Raises:
        S3Error: The destination could not be asked, for a reason that may pass.
    """

    def head_of(version_id: str | None) -> _Ask:
        return lambda checksums: transfer.governor.call(
            lambda: transfer.destination.head_object(
                target.bucket, target.key or "", version_id=version_id, checksums=checksums
            )
        )

    # Without a version first: a version takes a permission of its own (s3:GetObjectVersion).
    told = await _ask(str(target), head_of(None))
    if written.version_id and told is not None and told.etag != written.etag:
        told = await _ask(str(target), head_of(written.version_id)) or told
    if told is not None and told.etag == written.etag:
        return replace(told, checksums={**written.checksums, **told.checksums})
    return told


async def ask_part_count(transfer: Transfer, target: S3Location) -> int | None:
    """Read the number of parts of the object at the destination; ``None`` where it is not told.

    Raises:
        S3Error: The destination could not be asked, for a reason that may pass.
    """
    try:
        part = await transfer.governor.call(
            lambda: transfer.destination.head_object(target.bucket, target.key or "", part_number=1)
        )
    except S3Error as error:
        if error.retryable:
            raise
        return None
    return part.part_count


async def _ask(url: str, head: _Ask) -> Facts | None:
    """Read a head with its checksums, or without them where they may not be read."""
    for checksums in (True, False):
        try:
            return of_head(await head(checksums))
        except AccessDeniedError:
            continue
        except NoSuchKeyError:
            return Facts(url=url)
        except S3Error as error:
            if error.retryable:
                raise
            return None
    return None
