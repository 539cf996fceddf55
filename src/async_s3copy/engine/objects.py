"""One object from its listing to its outcome: plan, copy, and what to do when that fails."""

from __future__ import annotations

import logging

from async_s3copy.engine.access import explain_refusal, fall_back
from async_s3copy.engine.conditions import DestinationExists
from async_s3copy.engine.multipart import copy_multipart
from async_s3copy.engine.plan import MultipartCopy, RelayMultipart, RelayPut, SingleCopy, plan_copy
from async_s3copy.engine.relay import relay_multipart, relay_put
from async_s3copy.engine.single import copy_single
from async_s3copy.engine.transfer import Transfer
from async_s3copy.engine.verify import md5_etag, same_etag
from async_s3copy.errors import (
    ObjectRejectedError,
    OutageError,
    PreconditionFailedError,
    S3CopyError,
    S3Error,
    SourceChangedError,
)
from async_s3copy.model import (
    Copied,
    CopyMethod,
    Failed,
    Outcome,
    S3Location,
    S3Object,
    Skipped,
    SkipReason,
    unquoted,
)

logger = logging.getLogger("async_s3copy")


class ObjectCopier:
    """Copy single objects for one operation.

    Args:
        transfer: The operation's shared state.
    """

    def __init__(self, transfer: Transfer) -> None:
        self._transfer = transfer

    async def copy(self, item: S3Object) -> Outcome:
        """Copy one object; raises nothing but an outage, except when cancelled.

        An object overwritten after it was listed is read anew once.

        Raises:
            OutageError: Nothing succeeds any more: the operation ends.
        """
        target = self._transfer.mapping.destination
        try:
            mapped = self._transfer.mapping.target(item.key)
            if mapped is None:
                return self._root_marker(item)
            target = mapped
            return await self._copy_as_listed(item, target)
        except DestinationExists:
            return Skipped(item, target, SkipReason.EXISTS)
        except OutageError:
            # About the server, not about this object, which was not tried as far as it could be.
            raise
        except Exception as error:
            if not isinstance(error, S3CopyError):
                logger.exception("copy.unexpected_error")
            return Failed(item, target, error)

    def _root_marker(self, item: S3Object) -> Outcome:
        nowhere = self._transfer.mapping.destination
        if item.size == 0 and item.key.endswith("/"):
            return Skipped(item, nowhere, SkipReason.ROOT_MARKER)
        reason = "its key equals the source prefix, and the destination has no key to give it"
        return Failed(item, nowhere, ObjectRejectedError("EmptyKey", reason))

    async def _copy_as_listed(self, item: S3Object, target: S3Location) -> Copied:
        try:
            return await self._attempt(item, target)
        except PreconditionFailedError as error:
            if await self._is_our_copy(item, target, error):
                return Copied(item, target, unquoted(item.etag), self._transfer.method)
        fresh = await self._reread(item)
        try:
            return await self._attempt(fresh, target)
        except PreconditionFailedError as error:
            raise SourceChangedError(
                f"{item} was overwritten while it was being copied, twice: {error.message}"
            ) from error

    async def _attempt(self, item: S3Object, target: S3Location) -> Copied:
        try:
            return await self._by(self._transfer.method, item, target)
        except S3Error as error:
            may_relay, explained = await explain_refusal(self._transfer, item, target, error)
            if not may_relay or not self._transfer.may_relay:
                raise explained from error.__cause__
        fall_back(self._transfer, item, explained)
        return await self._by(CopyMethod.RELAY, item, target)

    async def _by(self, method: CopyMethod, item: S3Object, target: S3Location) -> Copied:
        plan = plan_copy(item, method, self._transfer.options)
        match plan:
            case SingleCopy():
                return await copy_single(self._transfer, item, target)
            case MultipartCopy():
                return await copy_multipart(self._transfer, item, target, plan.parts)
            case RelayPut():
                return await relay_put(self._transfer, item, target)
            case RelayMultipart():
                return await relay_multipart(self._transfer, item, target, plan.parts)

    async def _is_our_copy(
        self, item: S3Object, target: S3Location, error: PreconditionFailedError
    ) -> bool:
        """Recognise a 412 that our own earlier attempt caused, whose answer was lost."""
        if self._transfer.overwrite or not error.after_unknown:
            return False
        found = await self._transfer.guard.existing(target)
        if found is None:
            return False
        if md5_etag(item.etag) and same_etag(found.object.etag, item.etag):
            return True
        raise DestinationExists

    async def _reread(self, item: S3Object) -> S3Object:
        head = await self._transfer.head_source(item)
        if not same_etag(head.object.etag, item.etag):
            return head.object
        # The object is what was listed, and yet the pin was refused: a server that compares ETags
        # in a way of its own. Copy without the pin rather than never.
        self._transfer.recorder.degraded(
            "unpinned_copies",
            "this server refuses the ETag it listed itself as a condition: copying without it",
        )
        return S3Object.reported(
            item.bucket,
            item.key,
            item.size,
            item.last_modified,
            "",
            metadata=item.metadata,
            storage_class=item.storage_class,
            version_id=item.version_id,
        )
