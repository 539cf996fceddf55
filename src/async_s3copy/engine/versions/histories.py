"""Pure: pages of versions, put together to whole histories of keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from async_s3copy.model import S3Object

MAX_VERSIONS: Final = 10_000
"""Versions of one key that are copied: they are listed newest first and copied oldest first, so all
of them are held in memory. A key with more of them fails."""


@dataclass(frozen=True, slots=True)
class History:
    """All versions of one key.

    Attributes:
        key: The key.
        versions: Versions and delete markers, the oldest first; of a key with too many of them the
            newest one alone.
        total: How many there are.
        there: Those that the destination had of it when an operation went on, the oldest first, as
            far as it can have written them; see ``Arrivals``.
    """

    key: str
    versions: Sequence[S3Object]
    total: int
    there: Sequence[S3Object] = ()

    @property
    def is_too_long(self) -> bool:
        """Whether there are more versions than can be copied."""
        return self.total > MAX_VERSIONS


def any_version(version: S3Object) -> bool:
    """Want every version."""
    return True


class Histories:
    """Gather the versions of key after key.

    Memory is bounded: of a key with too many versions only the number is kept.

    Args:
        wanted: Which versions belong to a history; default: all.
    """

    def __init__(self, wanted: Callable[[S3Object], bool] = any_version) -> None:
        self._wanted = wanted
        self._key: str | None = None
        self._newest_first: list[S3Object] = []
        self._total = 0

    def add(self, versions: Sequence[S3Object]) -> list[History]:
        """Take the next versions of a listing; return the histories that are whole now."""
        whole: list[History] = []
        for version in versions:
            if version.key != self._key:
                whole += self.end()
                self._key = version.key
            if self._wanted(version):
                self._keep(version)
        return whole

    def end(self) -> list[History]:
        """Return the history that was not known to be whole, if any: nothing more of it comes."""
        history, total = self._newest_first, self._total
        self._newest_first, self._total = [], 0
        if not history:
            return []
        return [History(history[0].key, history[::-1], total)]

    def _keep(self, version: S3Object) -> None:
        self._total += 1
        if self._total <= MAX_VERSIONS:
            self._newest_first.append(version)
        elif len(self._newest_first) > 1:
            del self._newest_first[1:]
