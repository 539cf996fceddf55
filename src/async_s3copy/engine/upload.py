"""One multipart upload: opened, completed or aborted, never left behind."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Final

import anyio

from async_s3copy.engine.checkpoint import NotedUpload
from async_s3copy.engine.governor import outcome_unknown
from async_s3copy.engine.plan import PartPlan
from async_s3copy.engine.properties import header_sized, put_long_tags
from async_s3copy.engine.strays import find_strays
from async_s3copy.engine.tasks import task_group
from async_s3copy.engine.transfer import Transfer
from async_s3copy.engine.verify import multipart_etag, same_etag
from async_s3copy.errors import NoSuchUploadError, RunEndingError, S3CopyError, S3Error
from async_s3copy.model import S3Location
from async_s3copy.s3.values import ByteRange, CompletedPart, ObjectProperties, Written

# AWS: "it might be necessary to abort a given multipart upload multiple times in order to
# completely free all storage consumed by all parts" (API_AbortMultipartUpload.html).
_ABORT_ROUNDS: Final = 5
_ABORT_PAUSE_S: Final = 0.5

SendPart = Callable[[int, ByteRange], Awaitable[CompletedPart]]


@asynccontextmanager
async def open_upload(
    transfer: Transfer, target: S3Location, properties: ObjectProperties
) -> AsyncIterator[Upload]:
    """Open a multipart upload for a block; leaving the block without completing it aborts it.

    The abort is registered before the upload exists: a cancellation while CreateMultipartUpload is
    in flight waits for its answer. The abort itself is shielded, takes ``cleanup_timeout_s`` at
    most, and is repeated until S3 says that the upload is gone. Uploads opened by a Create whose
    answer was lost are found and aborted, too (see ``strays``). An upload that may still exist
    stays in the journal: who goes on from the checkpoint aborts it.
    """
    upload = Upload(transfer, target, properties)
    try:
        await upload.create()
        yield upload
    finally:
        if upload.is_open or upload.answers_lost:
            with anyio.move_on_after(transfer.options.cleanup_timeout_s, shield=True):
                await upload.abort_strays()
                await upload.abort()
            if upload.is_open or upload.answers_lost:
                upload.left_behind()
        if not upload.may_exist:
            transfer.journal.upload_ended(upload.noted)


async def abort_upload(transfer: Transfer, target: S3Location, upload_id: str) -> str:
    """AbortMultipartUpload, again and again until the upload is gone.

    Returns:
        Why it could not be aborted; empty when it is gone.
    """
    bucket, key = target.bucket, target.key or ""
    client, call = transfer.destination, transfer.governor.call

    async def is_gone() -> bool:
        try:
            await call(lambda: client.count_parts(bucket, key, upload_id))
        except S3Error:
            # NoSuchUpload; or we may not look (s3:ListMultipartUploadParts) and trust the abort.
            return True
        return False

    for round_ in range(_ABORT_ROUNDS):
        if round_:
            await anyio.sleep(_ABORT_PAUSE_S)
        try:
            await call(lambda: client.abort_multipart_upload(bucket, key, upload_id))
        except NoSuchUploadError:
            return ""
        except (S3Error, RunEndingError) as error:
            return str(error)
        if await is_gone():
            return ""
    return f"it was still there after {_ABORT_ROUNDS} requests"


def tell_left_open(transfer: Transfer, target: S3Location, upload_id: str, reason: str) -> None:
    """Count an upload that could not be aborted, and say where it is."""
    transfer.recorder.degraded(
        "uploads_left_open",
        f"multipart upload {upload_id} of {target} could not be aborted: {reason}",
    )


class Upload:
    """A multipart upload of one destination object; made by ``open_upload``."""

    def __init__(
        self,
        transfer: Transfer,
        target: S3Location,
        properties: ObjectProperties,
    ) -> None:
        self._transfer = transfer
        self._client = transfer.destination
        self._target = target
        self._bucket = target.bucket
        self._key = target.key or ""
        self._properties = properties
        self.upload_id = ""
        self.checksum_algorithm = ""
        self.is_open = False
        self.may_exist = False
        self.answers_lost = False
        self._began = datetime.now(UTC)
        self._lasted = timedelta()

    @property
    def noted(self) -> NotedUpload:
        """What the journal calls it."""
        return NotedUpload(self._key, self.upload_id or None)

    async def create(self) -> None:
        """CreateMultipartUpload, once the journal has noted that there will be an upload."""
        await self._transfer.journal.upload_begins(self._key)
        self._began, began_s = datetime.now(UTC), anyio.current_time()
        try:
            await self._transfer.refusals.send(header_sized(self._properties), self._create)
        except S3CopyError:
            self.may_exist = self.answers_lost
            raise
        self._lasted = timedelta(seconds=anyio.current_time() - began_s)
        if self.answers_lost:
            await self._transfer.journal.upload_begins(self._key)

    async def _create(self, properties: ObjectProperties) -> None:
        async def create() -> None:
            answered = False
            # Cancelled before this, it was never asked for.
            self.may_exist = True
            try:
                self.upload_id = await self._client.create_multipart_upload(
                    self._bucket, self._key, properties
                )
                self.is_open = answered = True
                # Here, where a cancellation cannot have come between yet.
                self._transfer.journal.upload_named(self._key, self.upload_id)
            except S3Error as error:
                answered = not outcome_unknown(error)
                raise
            finally:
                self.answers_lost = self.answers_lost or not answered

        await self._transfer.governor.call(create, uninterrupted=True)
        self.checksum_algorithm = properties.checksum_algorithm

    async def transfer_parts(self, plan: PartPlan, send_part: SendPart) -> list[CompletedPart]:
        """Send all parts concurrently; the first failure cancels the others.

        The tasks of all objects together are bounded by the transfer's part slots; requests in
        flight by the governor.

        Returns:
            The parts, by number.
        """
        parts: list[CompletedPart] = []
        slots = self._transfer.part_slots

        async def run(number: int, byte_range: ByteRange, slot: object) -> None:
            try:
                parts.append(await send_part(number, byte_range))
                self._transfer.recorder.bytes_copied(byte_range.size)
            finally:
                slots.release_on_behalf_of(slot)

        async with task_group() as group:
            for number, byte_range in enumerate(plan.ranges(), start=1):
                slot = object()
                await slots.acquire_on_behalf_of(slot)
                group.start_soon(run, number, byte_range, slot)
        return sorted(parts, key=lambda part: part.number)

    async def complete(self, parts: Sequence[CompletedPart]) -> Written:
        """CompleteMultipartUpload, and the tags that were too long for a header.

        A completion whose answer was lost is recognised by the object it made.

        Raises:
            DestinationExists: The key is taken, and ``overwrite=False``.
        """

        async def send(if_none_match: bool) -> Written:
            try:
                return await self._send_complete(parts, if_none_match)
            except S3Error as error:
                return await self._completed_anyway(parts, error)

        # While this upload is open it is listed, and tells which others are of the same moment.
        await self.abort_strays()
        written = await self._transfer.guard.write("complete", self._target, send)
        await put_long_tags(self._transfer, self._target, self._properties, written.version_id)
        return written

    async def abort(self) -> None:
        """Abort it, until it is gone; nothing to do where it is not open."""
        if not self.is_open:
            return
        reason = await abort_upload(self._transfer, self._target, self.upload_id)
        if reason:
            self.left_behind(reason)
        else:
            self.is_open = self.may_exist = False

    async def abort_strays(self) -> None:
        """Abort what answers that were lost have opened; no request where none was lost."""
        if not self.answers_lost:
            return
        try:
            names = await find_strays(
                self._transfer, self._target, self.upload_id, self._began, self._lasted
            )
        except (LookupError, S3Error, RunEndingError) as error:
            reasons = {"of unknown name": f"the answer to its creation was lost, and {error}"}
        else:
            reasons = {
                name: await abort_upload(self._transfer, self._target, name) for name in names
            }
        self.answers_lost = False
        left = {name: reason for name, reason in reasons.items() if reason}
        for name, reason in left.items():
            tell_left_open(self._transfer, self._target, name, reason)
        if not left:
            self.may_exist = self.is_open
            self._transfer.journal.upload_ended(NotedUpload(self._key))

    def left_behind(self, reason: str = "it did not end in time") -> None:
        """Count an upload that could not be aborted, and say where it is."""
        self.is_open = False
        name = self.upload_id or "of unknown name"
        tell_left_open(self._transfer, self._target, name, reason)

    async def _send_complete(self, parts: Sequence[CompletedPart], if_none_match: bool) -> Written:
        async def complete() -> Written:
            written = await self._client.complete_multipart_upload(
                self._bucket, self._key, self.upload_id, parts, if_none_match=if_none_match
            )
            self.is_open = self.may_exist = False
            return written

        return await self._transfer.governor.call(complete, uninterrupted=True)

    async def _completed_anyway(self, parts: Sequence[CompletedPart], error: S3Error) -> Written:
        if not error.after_unknown and not outcome_unknown(error):
            raise error
        expected = multipart_etag(parts)
        found = await self._transfer.guard.existing(self._target)
        if found is None or expected is None or not same_etag(found.object.etag, expected):
            raise error
        # An equal object may have been there before: only S3 says that the upload is gone. If it
        # is not, leaving the block aborts it, which harms no completed one.
        self.is_open = self.may_exist = not isinstance(error, NoSuchUploadError)
        # A HEAD always tells the version, where there is one.
        return Written(expected, found.object.version_id, found.etag_is_md5)
