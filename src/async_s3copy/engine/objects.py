"""One object from its listing to its outcome: plan, copy, and what to do when that fails."""

from __future__ import annotations

import logging
from typing import Final

from async_s3copy.engine.access import denied_to_write, explain_refusal, fall_back
from async_s3copy.engine.arrival import prove_arrival
from async_s3copy.engine.conditions import DestinationExists
from async_s3copy.engine.etags import plan_way, refuse_another_etag
from async_s3copy.engine.multipart import copy_multipart
from async_s3copy.engine.plan import MultipartCopy, RelayMultipart, RelayPut, SingleCopy
from async_s3copy.engine.relay import relay_multipart, relay_put
from async_s3copy.engine.single import copy_single
from async_s3copy.engine.transfer import Transfer
from async_s3copy.engine.verify import md5_etag, same_etag
from async_s3copy.errors import (
    AccessDeniedError,
    ObjectRejectedError,
    PreconditionFailedError,
    RunEndingError,
    S3CopyError,
    S3Error,
    SourceChangedError,
    error_code,
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
from async_s3copy.s3.values import ObjectHead, Written

# What GetObject and UploadPartCopy answer, and CopyObject
# (https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html, "Errors").
_ARCHIVED: Final = ("InvalidObjectState", "ObjectNotInActiveTierError")

logger = logging.getLogger("async_s3copy")


class ObjectCopier:
    """Copy single objects for one operation.

    Args:
        transfer: The operation's shared state.
    """

    def __init__(self, transfer: Transfer) -> None:
        self._transfer = transfer

    async def copy(self, item: S3Object) -> Outcome:
        """Copy one object; raises nothing but what ends the run, except when cancelled.

        An object overwritten after it was listed is read anew once.

        Raises:
            RunEndingError: No object would fare better: the operation ends.
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
        except RunEndingError:
            # Not about this object, which was not tried as far as it could be.
            raise
        except Exception as error:
            if isinstance(error, S3CopyError) and error_code(error) in _ARCHIVED:
                return self._archived(item, target, error)
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
            found = await self._our_copy(item, target, error)
            if found is not None:
                return await self._as_found(item, target, found)
        fresh = await self._reread(item)
        try:
            return await self._attempt(fresh, target)
        except PreconditionFailedError as error:
            raise SourceChangedError(
                f"{item} was overwritten while it was being copied, twice: {error.message}"
            ) from error

    async def _attempt(self, item: S3Object, target: S3Location) -> Copied:
        copied = await self._copy_somehow(item, target)
        if self._transfer.options.preserve.etag == "required":
            refuse_another_etag(copied)
        return copied

    async def _copy_somehow(self, item: S3Object, target: S3Location) -> Copied:
        try:
            return await self._by(self._transfer.method, item, target)
        except PreconditionFailedError:
            raise
        except S3Error as error:
            refusal = await explain_refusal(self._transfer, item, target, error)
            cause = error.__cause__
        if refusal.about_tags:
            return await self._copy_with_tags(item, target)
        if not refusal.may_relay or not self._transfer.may_relay:
            raise refusal.error from cause
        fall_back(self._transfer, item, refusal.error)
        return await self._by(CopyMethod.RELAY, item, target)

    async def _copy_with_tags(self, item: S3Object, target: S3Location) -> Copied:
        """Copy an object whose tags S3 may not carry, its source being readable."""
        try:
            return await copy_single(self._transfer, item, target, sends_tags=True)
        except AccessDeniedError as error:
            if error.operation != "CopyObject":
                raise
            raise denied_to_write(error, target) from error.__cause__

    async def _by(self, method: CopyMethod, item: S3Object, target: S3Location) -> Copied:
        plan = plan_way(item, method, self._transfer.options)
        match plan:
            case SingleCopy():
                return await copy_single(self._transfer, item, target)
            case MultipartCopy():
                return await copy_multipart(self._transfer, item, target, plan.parts)
            case RelayPut():
                return await relay_put(self._transfer, item, target)
            case RelayMultipart():
                return await relay_multipart(self._transfer, item, target, plan.parts)

    async def _our_copy(
        self, item: S3Object, target: S3Location, error: PreconditionFailedError
    ) -> ObjectHead | None:
        """Recognise a 412 that our own earlier attempt caused, whose answer was lost."""
        if self._transfer.overwrite or not error.after_unknown:
            return None
        found = await self._transfer.guard.existing(target)
        if found is None:
            return None
        if md5_etag(item.etag) and same_etag(found.object.etag, item.etag):
            return found
        raise DestinationExists

    async def _as_found(self, item: S3Object, target: S3Location, found: ObjectHead) -> Copied:
        written = Written(unquoted(item.etag), found.object.version_id, found.etag_is_md5)
        proof = await prove_arrival(self._transfer, item, target, written)
        method = self._transfer.method
        return Copied(item, target, written.etag, method, 0, proof, written.version_id)

    def _archived(self, item: S3Object, target: S3Location, error: S3CopyError) -> Outcome:
        if self._transfer.options.archived == "skip":
            return Skipped(item, target, SkipReason.ARCHIVED)
        reason = (
            f"{item} is archived ({item.storage_class or 'storage class not listed'}): restore it "
            f"first (RestoreObject), or leave such objects out with archived='skip' [{error}]"
        )
        rejected = ObjectRejectedError(_ARCHIVED[0], reason)
        rejected.__cause__ = error
        return Failed(item, target, rejected)

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
