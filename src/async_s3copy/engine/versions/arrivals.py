"""What an earlier run of an operation has written: looked for beside the source's listing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from async_s3copy.engine.spans import Span
from async_s3copy.engine.transfer import Transfer
from async_s3copy.engine.versions.histories import Histories, History
from async_s3copy.engine.versions.listing import VersionReader, key_versions
from async_s3copy.errors import ObjectRejectedError, S3Error
from async_s3copy.model import S3Location, S3Object


class Arrivals:
    """Find the versions at the destination that an earlier run of this operation can have written.

    They are those of the operation's time. A checkpoint is of some moment before the run was
    killed, so any key that was left may have some. Both listings are in key order and go on
    together: that costs a request per thousand versions that the destination has in the range.

    A destination that may not be listed is asked once; versions may then come twice, which is
    counted under ``degradations["versions_unchecked"]``.

    Args:
        transfer: The operation's shared state.
        since: When the operation's first run began, clocks allowed for.
    """

    def __init__(self, transfer: Transfer, since: datetime) -> None:
        self._transfer = transfer
        self._since = since
        self._prefixes = (transfer.mapping.source.key or "", transfer.mapping.destination.key or "")
        self._reader: VersionReader | None = None
        self._gathered = Histories(self._is_new)
        self._whole: dict[str, History] = {}
        self._refused = False

    def _begin(self, after: str | None) -> None:
        """Begin with the keys after a source key; ``None`` begins with the first."""
        old, new = self._prefixes
        start = None
        if after is not None and after.startswith(old):
            start = (new + after[len(old) :]) or None
        where = S3Location(self._transfer.mapping.destination.bucket, new or None)
        self._reader = VersionReader(self._transfer, where, Span(start), side="destination")

    async def beside(self, histories: Sequence[History], span: Span) -> list[History]:
        """Return the next histories of the source, each with what the destination has of it.

        Args:
            histories: They, in key order, after all that were asked about before.
            span: The keys they are all of.
        """
        if self._reader is None:
            self._begin(span.after)
        if self._refused or not histories:
            return list(histories)
        targets = [self._target(each.key) for each in histories]
        try:
            await self._read_to(targets)
        except S3Error as error:
            self._unchecked(error)
        found = [
            replace(each, there=self._whole[target].versions) if target in self._whole else each
            for each, target in zip(histories, targets, strict=True)
        ]
        self._whole = {key: each for key, each in self._whole.items() if key > targets[-1]}
        return found

    async def of(self, history: History) -> History:
        """Return the history of one key, with what the destination has of it."""
        try:
            target = self._transfer.mapping.target(history.key)
        except ObjectRejectedError:
            target = None
        if self._refused or target is None:
            return history
        try:
            found = await key_versions(
                self._transfer, target, side="destination", wanted=self._is_new
            )
        except S3Error as error:
            self._unchecked(error)
            return history
        return replace(history, there=found[0].versions) if found else history

    def _target(self, key: str) -> str:
        old, new = self._prefixes
        return new + key[len(old) :]

    async def _read_to(self, targets: Sequence[str]) -> None:
        """Read until every version of some destination keys, in order, has been seen."""
        reader, wanted, last = self._reader, set(targets), targets[-1]
        while reader is not None and not reader.done and (reader.last or "") <= last:
            portion = await reader.read()
            whole = self._gathered.add(portion.versions)
            if portion.is_last:
                whole += self._gathered.end()
            self._whole |= {
                each.key: each for each in whole if each.key in wanted or each.key > last
            }

    def _is_new(self, version: S3Object) -> bool:
        return version.last_modified >= self._since

    def _unchecked(self, error: S3Error) -> None:
        self._refused = True
        self._whole = {}
        self._transfer.recorder.degraded(
            "versions_unchecked",
            "what an earlier run has written cannot be looked up, so versions may come twice: "
            f"{error}",
        )
