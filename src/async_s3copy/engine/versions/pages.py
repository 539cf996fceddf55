"""Pure: pages of a listing of versions, each checked before anything of it is used.

S3 lists by key, and for one key the newest version first; a key's versions may span pages.
https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from async_s3copy.engine.ranges import BrokenListingError
from async_s3copy.engine.spans import ALL_KEYS, Span
from async_s3copy.model import S3Object
from async_s3copy.s3.values import VersionPage

_SEEN_VERSIONS: Final = 10_000
"""Versions of one key that are told apart; beyond them a listing must only get on."""


@dataclass(frozen=True, slots=True)
class Portion:
    """What of a page belongs to the keys asked for.

    Attributes:
        versions: Versions and delete markers, in the page's order.
        current: Those of them that are their keys' current versions, and objects.
        is_last: Whether all that was asked for has been seen.
    """

    versions: Sequence[S3Object]
    current: Sequence[S3Object]
    is_last: bool


class VersionPages:
    """Go through the versions of a range of keys, page by page.

    Serially: a page is asked for by where the one before it ended, and keys may have any number of
    versions. Whatever a server answers, no version is handed out twice, and none for ever.

    Args:
        span: The keys asked for.
    """

    def __init__(self, span: Span = ALL_KEYS) -> None:
        self._span = span
        self.key_marker = span.after
        self.version_marker: str | None = None
        self.done = False
        self._last: str | None = None
        self._versions: set[str] = set()
        self._asked: set[tuple[str | None, str | None]] = set()

    @property
    def last(self) -> str | None:
        """The last key seen, of which more versions may follow; ``None`` before the first."""
        return self._last

    def accept(self, page: VersionPage) -> Portion:
        """Account for the next page.

        Raises:
            BrokenListingError: The listing repeats itself, goes backwards or does not get on.
        """
        self._asked.add((self.key_marker, self.version_marker))
        for version in page.versions:
            self._check(version)
        if page.next_key is None:
            self.done = True
        else:
            self._go_on(page.next_key, page.next_version)
        return self._portion(page)

    def _check(self, version: S3Object) -> None:
        key, name = version.key, version.version_id or "null"
        if self._last is None or key > self._last:
            self._last = key
            self._versions = {name}
            self._asked.clear()
            return
        if key < self._last:
            raise BrokenListingError(
                f"the listing of versions goes backwards: {key!r} comes after {self._last!r}"
            )
        if name in self._versions:
            raise BrokenListingError(
                f"the listing of versions repeats itself: it names version {name!r} of {key!r} "
                "twice"
            )
        if len(self._versions) < _SEEN_VERSIONS:
            self._versions.add(name)

    def _go_on(self, key: str, version: str | None) -> None:
        until = self._span.until
        if until is not None and self._last is not None and self._last > until:
            self.done = True
            return
        if (key, version) in self._asked or (key, version) == (
            self.key_marker,
            self.version_marker,
        ):
            raise BrokenListingError("the listing of versions repeats the same page for ever")
        self.key_marker, self.version_marker = key, version

    def _portion(self, page: VersionPage) -> Portion:
        versions, latest = page.versions, page.latest
        if self._span != ALL_KEYS:
            # A server may begin with the marker itself, not after it.
            asked = [each.key in self._span for each in versions]
            latest = [each for each, wanted in zip(latest, asked, strict=True) if wanted]
            versions = [each for each, wanted in zip(versions, asked, strict=True) if wanted]
        current = [
            each
            for each, is_latest in zip(versions, latest, strict=True)
            if is_latest and not each.delete_marker
        ]
        return Portion(versions, current, self.done)
