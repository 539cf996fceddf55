"""What travels with the bytes where S3 does not carry it by itself: multipart copies and relays."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final
from urllib.parse import urlencode

from async_s3copy.engine.transfer import Tagging, Transfer
from async_s3copy.errors import NoSuchKeyError, S3ConnectionError, S3Error, ThrottledError
from async_s3copy.model import S3Location, S3Object
from async_s3copy.s3.client import ObjectHead, ObjectProperties

# https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html (x-amz-tagging), as the AWS CLI
MAX_TAGGING_HEADER_BYTES: Final = 2_048
# Classes that belong to a kind of bucket, not to an object: the destination decides.
_BUCKET_BOUND_CLASSES: Final = frozenset(
    ("EXPRESS_ONEZONE", "OUTPOSTS", "SNOW", "FSX_OPENZFS", "FSX_ONTAP")
)
# Where nothing says that there are tags, asking for them is worth little waiting.
_SPECULATIVE_ATTEMPTS: Final = 2


def carried_storage_class(storage_class: str) -> str:
    """Return the storage class to write with; empty for STANDARD, the default everywhere."""
    if storage_class == "STANDARD" or storage_class in _BUCKET_BOUND_CLASSES:
        return ""
    return storage_class


async def read_properties(transfer: Transfer, head: ObjectHead) -> ObjectProperties:
    """Complete what a HEAD or GET told with the object's tags.

    Costs one GetObjectTagging where the object has tags. Where no number of tags is told, that may
    mean that there are none, that they may not be read, or that the server never tells: asking
    once finds out whether they may be read, and servers that are not known to tell are asked each
    time. One that refuses is not asked again; each such object counts as a degradation.

    Raises:
        AccessDeniedError: The object has tags that the source's credentials may not read.
    """
    storage_class = carried_storage_class(head.properties.storage_class)
    return replace(
        head.properties, tags=await _read_tags(transfer, head), storage_class=storage_class
    )


async def _read_tags(transfer: Transfer, head: ObjectHead) -> dict[str, str]:
    if head.tag_count:
        return await _get_tags(transfer, head.object)
    counted = transfer.source.reports_tag_count and transfer.source_tagging is Tagging.ANSWERS
    if head.tag_count == 0 or counted:
        return {}
    if transfer.source_tagging is not Tagging.REFUSES:
        try:
            return await _get_tags(transfer, head.object, _SPECULATIVE_ATTEMPTS)
        except S3Error as error:
            if isinstance(error, S3ConnectionError | ThrottledError | NoSuchKeyError):
                raise
            if transfer.source_tagging is Tagging.UNKNOWN:
                transfer.source_tagging = Tagging.REFUSES
    # As with CopyObject, an object without tags needs no permission to read them.
    transfer.recorder.degraded(
        "tags_unknown",
        f"whether {head.object} has tags cannot be read: if it has, they are not copied",
    )
    return {}


async def _get_tags(
    transfer: Transfer, item: S3Object, max_attempts: int | None = None
) -> dict[str, str]:
    tags = await transfer.governor.call(
        lambda: transfer.source.get_object_tagging(
            item.bucket, item.key, version_id=item.version_id
        ),
        side="source",
        max_attempts=max_attempts,
    )
    transfer.source_tagging = Tagging.ANSWERS
    return tags


def header_sized(properties: ObjectProperties) -> ObjectProperties:
    """Leave out tags that exceed the ``x-amz-tagging`` header: ``put_long_tags`` sends them."""
    if len(urlencode(properties.tags)) <= MAX_TAGGING_HEADER_BYTES:
        return properties
    return replace(properties, tags={})


async def put_long_tags(
    transfer: Transfer, target: S3Location, properties: ObjectProperties
) -> None:
    """Write the tags that did not fit the header; no request where they did."""
    if header_sized(properties) is not properties:
        await transfer.governor.call(
            lambda: transfer.destination.put_object_tagging(
                target.bucket, target.key or "", properties.tags
            )
        )


async def with_storage_class(
    transfer: Transfer, storage_class: str, send: Callable[[str], Awaitable[str]]
) -> str:
    """Send a write with a storage class, and again without one the server does not know."""
    try:
        return await send(storage_class)
    except S3Error as error:
        if not storage_class or error.code != "InvalidStorageClass":
            raise
        transfer.recorder.degraded(
            "storage_class",
            f"the destination does not know storage class {storage_class}: its default is used",
        )
        return await send("")
