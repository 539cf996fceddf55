"""VALIDATING: what can be known before the first write. Nothing here writes."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from async_s3copy.engine.access import choose_method
from async_s3copy.engine.listing import first_page
from async_s3copy.engine.plan import check_overlap
from async_s3copy.engine.transfer import Transfer
from async_s3copy.engine.versions import preflight as versions
from async_s3copy.errors import (
    AccessDeniedError,
    NoSuchBucketError,
    NoSuchKeyError,
    S3Error,
    Side,
)
from async_s3copy.model import S3Location, S3Object
from async_s3copy.s3.values import ListPage, VersionPage

# A mistyped endpoint should be an error within seconds, not after a minute of retries.
_MAX_ATTEMPTS: Final = 3


async def validate(transfer: Transfer) -> ListPage | VersionPage | S3Object | None:
    """Check both sides, choose the method, and return what the copy starts from.

    Costs one small listing of the destination, the source's first page (kept, not read twice) or
    one HEAD, and with ``method="auto"`` one byte of a source object, read as the destination. For
    all versions the destination's versioning is asked for as well.

    Returns:
        The first page of the first range to list, of objects or of versions, or the single object
        of a copy that is not recursive; ``None`` where nothing is left to list.

    Raises:
        ValidationError: Source and destination overlap, the method is impossible, or the
            destination does not keep the versions that are to be copied.
        ObjectRejectedError: The one version to copy is a delete marker.
        S3Error: A bucket, key or version is missing, or may not be read.
        CredentialsError: One side has no usable credentials.
    """
    if transfer.source.endpoint.same_service(transfer.destination.endpoint):
        check_overlap(transfer.mapping)
    await _check_destination(transfer)
    if transfer.journal.scope.versions != "current":
        return await _first_versions(transfer)
    if transfer.mapping.recursive:
        return await _first_page(transfer)
    item = await _single_object(transfer)
    await choose_method(transfer, item, _MAX_ATTEMPTS)
    return item


async def _first_versions(transfer: Transfer) -> VersionPage | None:
    if transfer.journal.scope.versions == "all":
        await versions.check_versioning(transfer, _MAX_ATTEMPTS)
    page, sample = await versions.first_page(transfer, _MAX_ATTEMPTS)
    await choose_method(transfer, sample, _MAX_ATTEMPTS)
    return page


async def _first_page(transfer: Transfer) -> ListPage | None:
    ranges = transfer.journal.ranges
    page = None
    if ranges:
        page = await first_page(transfer, start_after=ranges[0].after, max_attempts=_MAX_ATTEMPTS)
    # Any object under the prefix tells as much as those that are left.
    known = page or await _list_one(transfer, "source", transfer.mapping.source)
    await choose_method(transfer, next(iter(known.objects), None), _MAX_ATTEMPTS)
    return page


async def _check_destination(transfer: Transfer) -> None:
    """Find a missing bucket or unusable credentials, before any object meets them.

    Being allowed to write does not include being allowed to list, and not every server can do
    both: any other refusal says nothing, and the first write will tell.
    """
    target = transfer.mapping.destination
    try:
        await _list_one(transfer, "destination", target)
    except S3Error as error:
        if _is_fatal(error):
            raise


async def _list_one(transfer: Transfer, side: Side, where: S3Location) -> ListPage:
    client = transfer.source if side == "source" else transfer.destination
    return await transfer.governor.call(
        lambda: client.list_page(where.bucket, where.key or "", max_keys=1),
        kind="list",
        side=side,
        max_attempts=_MAX_ATTEMPTS,
    )


def _is_fatal(error: S3Error) -> bool:
    """Tell whether no other request of this side can succeed either."""
    if isinstance(error, AccessDeniedError):
        return not error.permission  # the credentials themselves were refused
    return isinstance(error, NoSuchBucketError) or not error.status  # no answer came


async def _single_object(transfer: Transfer) -> S3Object:
    source = transfer.mapping.source
    key, version_id = source.key or "", transfer.journal.scope.version_id
    if version_id is not None:
        return await versions.one_version(transfer, version_id, _MAX_ATTEMPTS)
    try:
        head = await transfer.governor.call(
            lambda: transfer.source.head_object(source.bucket, key),
            side="source",
            max_attempts=_MAX_ATTEMPTS,
        )
    except (NoSuchKeyError, AccessDeniedError) as error:
        await _explain_missing(transfer, error)
        raise
    # Not pinned to the version of now: that would need s3:GetObjectVersion.
    return replace(head.object, version_id=None)


async def _explain_missing(transfer: Transfer, error: NoSuchKeyError | AccessDeniedError) -> None:
    """A HEAD answer has no body: let a listing tell a missing bucket or refused credentials.

    Raises:
        S3Error: What the listing found wrong.
    """
    source = transfer.mapping.source
    try:
        page = await _list_one(transfer, "source", source)
    except S3Error as found:
        if _is_fatal(found):
            raise found from error
        return
    if isinstance(error, NoSuchKeyError) and page.objects:
        error.message = f"no such key, but others start with it: recursive=True copies {source}*"
