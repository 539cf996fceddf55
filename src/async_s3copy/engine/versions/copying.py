"""One key's versions, copied oldest first: the destination's history becomes the source's."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from async_s3copy.engine.objects import ObjectCopier
from async_s3copy.engine.transfer import Transfer
from async_s3copy.engine.unfinished import target_of
from async_s3copy.engine.verify import same_etag
from async_s3copy.engine.versions.arrived import arrived_versions
from async_s3copy.engine.versions.histories import MAX_VERSIONS, History
from async_s3copy.engine.versions.once import OnceWriter
from async_s3copy.errors import ObjectRejectedError, RunEndingError, S3CopyError
from async_s3copy.model import (
    Copied,
    CopyMethod,
    Failed,
    Outcome,
    Proof,
    S3Location,
    S3Object,
    Skipped,
    SkipReason,
    unquoted,
)

logger = logging.getLogger("async_s3copy")

NO_VERSION: Final = (None, "null")
"""What a bucket says of a new object while it keeps no versions."""
_ARCHIVES: Final = ("GLACIER", "DEEP_ARCHIVE", "INTELLIGENT_TIERING")
"""Storage classes of objects that may have to be restored before they can be read."""


class HistoryCopier:
    """Copy the histories of keys for one operation; each key is one worker's.

    Args:
        transfer: The operation's shared state; from now on it writes by a ``OnceWriter``.
    """

    def __init__(self, transfer: Transfer) -> None:
        self._once = OnceWriter(transfer.destination, transfer.recorder.unseen_request)
        transfer.destination = self._once.as_client()
        self._transfer = transfer
        self._copier = ObjectCopier(transfer)
        self._keeps_versions = False

    async def copy(self, history: History) -> list[Outcome]:
        """Copy all versions of a key, oldest first.

        Where one fails, the newer ones are not copied: they would come before it. Costs what the
        versions cost as objects, and one DeleteObject for each delete marker.

        Returns:
            How each version ended, the oldest first; of a key with too many versions one failure.

        Raises:
            RunEndingError: Nothing succeeds any more, or the destination keeps no versions.
        """
        if history.is_too_long:
            return [self._too_long(history)]
        arrived = self._arrived(history)
        with self._once.writing(self._target_key(history), history.there) as written:
            return await self._copy_all(history, arrived, written)

    async def _copy_all(
        self,
        history: History,
        arrived: Mapping[int, S3Object],
        written: Callable[[str | None], object],
    ) -> list[Outcome]:
        outcomes: list[Outcome] = []
        failed: Failed | None = None
        for place, item in enumerate(history.versions):
            if failed is not None:
                outcomes.append(_left(item, failed))
                continue
            outcome = _outcome_before(self._transfer, item, place, arrived)
            outcome = outcome or await self._copy(item)
            if isinstance(outcome, Copied):
                written(outcome.version_id)
            failed = outcome if isinstance(outcome, Failed) else None
            outcomes.append(outcome)
        return outcomes

    def _target_key(self, history: History) -> str:
        return target_of(self._transfer, history.key).key or ""

    def _arrived(self, history: History) -> Mapping[int, S3Object]:
        skips = self._transfer.options.archived == "skip"
        arrived = arrived_versions(
            history.versions,
            history.there,
            may_be_missing=lambda item: skips and item.storage_class in _ARCHIVES,
        )
        if arrived is None:
            self._transfer.recorder.degraded(
                "versions_repeated",
                "what the destination holds of a key since the operation began is not the "
                f"beginning of its history: all its versions are copied again, first {history.key}",
            )
        return arrived or {}

    async def _copy(self, item: S3Object) -> Outcome:
        if not item.delete_marker:
            outcome = await self._copier.copy(item)
        else:
            outcome = await self._mark_deleted(item)
        if isinstance(outcome, Copied) and not self._keeps_versions:
            self._check_kept(outcome)
        return outcome

    async def _mark_deleted(self, item: S3Object) -> Outcome:
        """Write a delete marker, as the copier copies an object."""
        target = self._transfer.mapping.destination
        try:
            mapped = self._transfer.mapping.target(item.key)
            if mapped is None:
                return Skipped(item, target, SkipReason.ROOT_MARKER)
            target = mapped
            version_id = await self._transfer.governor.call(
                lambda: self._transfer.destination.delete_object(target.bucket, target.key or "")
            )
            return Copied(item, target, "", CopyMethod.SERVER_SIDE, version_id=version_id)
        except RunEndingError:
            raise
        except Exception as error:
            if not isinstance(error, S3CopyError):
                logger.exception("copy.unexpected_error")
            return Failed(item, target, error)

    def _check_kept(self, outcome: Copied) -> None:
        """See to it that the first write has not replaced what was there.

        Raises:
            RunEndingError: The destination keeps no versions.
        """
        if outcome.version_id in NO_VERSION:
            raise RunEndingError(
                f"the destination bucket {outcome.destination.bucket} keeps no versions: it gave "
                f"none to {outcome.destination}; all_versions=True needs versioning enabled there"
            )
        self._keeps_versions = True

    def _too_long(self, history: History) -> Failed:
        reason = (
            f"it has {history.total:,} versions, more than the {MAX_VERSIONS:,} that are copied "
            "of one key"
        )
        error = ObjectRejectedError("TooManyVersions", reason)
        return Failed(history.versions[-1], self._transfer.mapping.destination, error)


def _outcome_before(
    transfer: Transfer, item: S3Object, place: int, arrived: Mapping[int, S3Object]
) -> Outcome | None:
    """Return how a version ended in an earlier run; ``None`` where it has still to be copied."""
    if place in arrived:
        there = arrived[place]
        method = CopyMethod.SERVER_SIDE if item.delete_marker else transfer.method
        return Copied(
            item,
            S3Location(there.bucket, there.key),
            unquoted(there.etag),
            method,
            proof=_proof_of(item, there),
            version_id=there.version_id,
        )
    if arrived and place < max(arrived):
        return Skipped(item, transfer.mapping.destination, SkipReason.ARCHIVED)
    return None


def _proof_of(item: S3Object, there: S3Object) -> Proof:
    if item.delete_marker:
        return Proof.NONE
    return Proof.ETAG if same_etag(item.etag, there.etag) else Proof.SIZE


def _left(item: S3Object, older: Failed) -> Failed:
    reason = (
        f"an older version of this key was not copied ({older.code}): copied now, this one would "
        "come before it"
    )
    return Failed(item, older.destination, ObjectRejectedError("OlderVersionFailed", reason))


def failed_once(outcomes: Sequence[Outcome]) -> Failed | None:
    """Return the first failure among the outcomes of a history; ``None`` where there is none."""
    return next((each for each in outcomes if isinstance(each, Failed)), None)
