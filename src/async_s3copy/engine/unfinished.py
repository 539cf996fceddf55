"""What earlier runs of an operation left behind: objects to read anew, uploads to abort."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from async_s3copy.engine.checkpoint import NotedUpload
from async_s3copy.engine.tasks import task_group
from async_s3copy.engine.transfer import Transfer
from async_s3copy.engine.upload import abort_upload, tell_left_open
from async_s3copy.errors import NoSuchKeyError, ObjectRejectedError, RunEndingError, S3Error
from async_s3copy.model import Failed, S3Location, S3Object

_UNKNOWN_TIME: Final = datetime(1970, 1, 1, tzinfo=UTC)
CLOCKS_APART: Final = timedelta(minutes=15)
"""S3 refuses requests whose clock differs by more from its own (RequestTimeTooSkewed,
https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html)."""


async def read_anew(transfer: Transfer, keys: Sequence[str]) -> list[S3Object | Failed]:
    """Read the source objects of keys that an earlier run began to copy, by one HEAD each.

    One that is gone is left out, as a listing would not name it either. One that cannot be read
    has failed.

    Raises:
        OutageError: No request succeeds any more.
        CredentialsError: The source's credentials cannot be had.
    """
    found: dict[str, S3Object | Failed] = {}
    pins = transfer.journal.scope.versions == "pinned"
    head = transfer.head_current if pins else transfer.head_source

    async def read(key: str) -> None:
        item = unread(transfer, key)
        try:
            found[key] = (await head(item)).object
        except NoSuchKeyError:
            transfer.journal.gone(key)
        except S3Error as error:
            found[key] = Failed(item, target_of(transfer, key), error)

    async with task_group() as group:
        for key in keys:
            group.start_soon(read, key)
    return [found[key] for key in keys if key in found]


def unread(transfer: Transfer, key: str) -> S3Object:
    """Return a source object of which nothing is known but its key."""
    return S3Object.reported(transfer.mapping.source.bucket, key, 0, _UNKNOWN_TIME, "")


async def abort_left_uploads(transfer: Transfer, started: datetime) -> None:
    """Abort the multipart uploads that an earlier run was about to create, or left open.

    One whose name the run did not live to learn is found by its key: every upload of that very key
    that began after the operation did. Costs two requests an upload, and one more to find it.

    Args:
        transfer: The operation's shared state.
        started: When the operation's first run began.

    Raises:
        CredentialsError: The destination's credentials cannot be had.
    """

    async def end(noted: NotedUpload) -> None:
        target = S3Location(transfer.mapping.destination.bucket, noted.key)
        try:
            names = await _names(transfer, target, noted, started - CLOCKS_APART)
        except (S3Error, RunEndingError) as error:
            tell_left_open(transfer, target, noted.upload_id or "of unknown name", str(error))
            return
        reasons = [(name, await abort_upload(transfer, target, name)) for name in names]
        for name, reason in reasons:
            if reason:
                tell_left_open(transfer, target, name, reason)
        if not any(reason for _, reason in reasons):
            transfer.journal.upload_ended(noted)

    async with task_group() as group:
        for noted in transfer.journal.uploads:
            group.start_soon(end, noted)


async def _names(
    transfer: Transfer, target: S3Location, noted: NotedUpload, since: datetime
) -> Sequence[str]:
    if noted.upload_id is not None:
        return (noted.upload_id,)
    open_uploads = await transfer.governor.call(
        lambda: transfer.destination.list_uploads(target.bucket, noted.key)
    )
    return [each.upload_id for each in open_uploads if each.initiated >= since]


def target_of(transfer: Transfer, key: str) -> S3Location:
    """Return where a key goes, or was to go: the destination itself where it cannot."""
    nowhere = transfer.mapping.destination
    try:
        return transfer.mapping.target(key) or nowhere
    except ObjectRejectedError:
        return nowhere
