"""What can be known of versions before the first write. Nothing here writes."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from async_s3copy.engine.transfer import Transfer
from async_s3copy.engine.versions.listing import read_page
from async_s3copy.errors import (
    AccessDeniedError,
    NoSuchKeyError,
    ObjectRejectedError,
    S3Error,
    ValidationError,
)
from async_s3copy.model import S3Location, S3Object
from async_s3copy.s3.values import VersionPage

_NOT_ALLOWED: Final = 405
"""What S3 answers to the HEAD or GET of a delete marker by its version.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/DeleteMarker.html"""
_MALFORMED: Final = 400
"""What it answers to a version id that none of its could be."""


async def check_versioning(transfer: Transfer, max_attempts: int) -> None:
    """See to it that the destination keeps what is written over, by one request.

    Being allowed to write does not include being allowed to ask, and not every server can be asked:
    then the first write will tell.

    Raises:
        ValidationError: Its versioning is not enabled.
        S3Error: The bucket does not exist, or the server does not answer.
    """
    bucket = transfer.mapping.destination.bucket
    try:
        status = await transfer.governor.call(
            lambda: transfer.destination.get_bucket_versioning(bucket), max_attempts=max_attempts
        )
    except S3Error as error:
        if isinstance(error, AccessDeniedError) or error.status in (405, 501):
            return
        raise
    if status != "Enabled":
        found = "is suspended" if status else "has never been enabled"
        rule = f"be False: versioning {found} in the destination bucket {bucket}, enable it first"
        raise ValidationError("all_versions", True, rule)


async def first_page(
    transfer: Transfer, max_attempts: int
) -> tuple[VersionPage | None, S3Object | None]:
    """Read the first page of versions: it proves that they can be listed.

    Returns:
        The page, where a range is to be listed; and a version of an object, if it has one: any
        under the prefix tells as much of who may read it as those that are left.

    Raises:
        S3Error: The bucket or the key is missing, or its versions may not be listed.
    """
    source, ranges = transfer.mapping.source, transfer.journal.ranges
    after = ranges[0].after if ranges else None
    page = await read_page(transfer, source, key_marker=after, max_attempts=max_attempts)
    sample = next((each for each in page.versions if not each.delete_marker), None)
    if not transfer.mapping.recursive and not _names(page, source.key):
        raise _no_such_key(source)
    return page if ranges else None, sample


async def one_version(transfer: Transfer, version_id: str, max_attempts: int) -> S3Object:
    """Read the version of the source object that was asked for, by one HEAD.

    Raises:
        NoSuchKeyError: There is no such version.
        ObjectRejectedError: It is a delete marker, which has no bytes.
        S3Error: It may not be read.
    """
    source = transfer.mapping.source
    try:
        head = await transfer.governor.call(
            lambda: transfer.source.head_object(
                source.bucket, source.key or "", version_id=version_id
            ),
            side="source",
            max_attempts=max_attempts,
        )
    except S3Error as error:
        if error.status == _NOT_ALLOWED:
            raise _is_marker(version_id) from error
        _name_version(error, version_id)
        raise
    if head.delete_marker:
        raise _is_marker(version_id)
    # A server may name no version for the one that was written without versioning.
    return replace(head.object, version_id=version_id)


def _names(page: VersionPage, key: str | None) -> bool:
    # Of all keys with this prefix S3 lists the key itself first.
    return bool(page.versions) and page.versions[0].key == key


def _is_marker(version_id: str) -> ObjectRejectedError:
    reason = f"version {version_id!r} is a delete marker, which has no bytes to copy"
    return ObjectRejectedError("DeleteMarker", reason)


def _name_version(error: S3Error, version_id: str) -> None:
    """Say which version was asked for: a HEAD answer has no body, and so no words of S3's."""
    if isinstance(error, NoSuchKeyError) or error.status == _MALFORMED:
        error.message = f"there is no version {version_id!r} of it"
    elif isinstance(error, AccessDeniedError) and error.permission:
        error.permission = "s3:GetObjectVersion"
        error.message = f"the source credentials need {error.permission} on {error.where}"


def _no_such_key(source: S3Location) -> NoSuchKeyError:
    return NoSuchKeyError(
        "there is no version of it",
        code="NoSuchKey",
        operation="ListObjectVersions",
        side="source",
        bucket=source.bucket,
        key=source.key,
    )
