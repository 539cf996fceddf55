"""VersionsParser: the answer to ListObjectVersions, read a piece at a time. Pure.

AWS lists versions and delete markers in one order: by key, and for one key the newest first. Other
servers list all versions before all delete markers, leave version ids out, or say that keys are
encoded though they are not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from async_s3copy.model import S3Object
from async_s3copy.s3.encoded_keys import key_decoded
from async_s3copy.s3.heads import digits
from async_s3copy.s3.values import VersionPage
from async_s3copy.s3.wire.dates import iso_date
from async_s3copy.s3.wire.xml import DocumentParser, Element, XmlError

ROOT: Final = "ListVersionsResult"
NO_VERSION: Final = "null"
"""Version id of what was written without versioning."""

_VERSION: Final = "Version"
_MARKER: Final = "DeleteMarker"
# Each step takes about a millisecond.
_STEP_BYTES: Final = 32 * 1024
_STEP_ENTRIES: Final = 100
# What encoding-type=url never leaves in a key: blanks, whatever is not ASCII, a stray percent sign.
_UNENCODED: Final = re.compile(r"[^\x21-\x7e]|%(?![0-9A-Fa-f]{2})")


class _Entry(NamedTuple):
    """One version or delete marker, and whether it is its key's current one."""

    version: S3Object
    is_latest: bool


class VersionsParser:
    """Read one page of versions step by step.

    Args:
        bucket: The bucket.
        prefix: The prefix that was asked for.
        body: The document.
    """

    def __init__(self, bucket: str, prefix: str, body: bytes) -> None:
        self._bucket = bucket
        self._prefix = prefix
        self._body = body
        self._steps = self._read()
        self._page: VersionPage | None = None

    def advance(self) -> bool:
        """Read on for about a millisecond; returns whether the page is complete.

        Raises:
            XmlError: The document is no page of versions.
        """
        next(self._steps, None)
        return self._page is not None

    def page(self) -> VersionPage:
        """Return the page, reading what is left of it.

        Raises:
            XmlError: The document is no page of versions.
        """
        while self._page is None:
            self.advance()
        return self._page

    def _read(self) -> Iterator[None]:
        parser = DocumentParser()
        for first in range(0, len(self._body), _STEP_BYTES):
            parser.feed(self._body[first : first + _STEP_BYTES])
            yield
        root = parser.close()
        if root.name != ROOT or not root.children:
            raise XmlError(f"a <{root.name}> with {len(root.children)} elements")
        found = [child for child in root.children if child.name in (_VERSION, _MARKER)]
        is_encoded = self._is_encoded(root, found)
        entries: list[_Entry] = []
        for first in range(0, len(found), _STEP_ENTRIES):
            piece = found[first : first + _STEP_ENTRIES]
            entries += [self._entry(each, is_encoded) for each in piece]
            yield
        self._page = _page(root, _in_order(entries), is_encoded)

    def _is_encoded(self, root: Element, found: Sequence[Element]) -> bool:
        """Tell whether keys are encoded: the answer says so, and they look like it."""
        if root.text("EncodingType") != "url":
            return False
        keys = [_key(each) for each in found]
        if any(_UNENCODED.search(key) for key in keys):
            return False
        fits_decoded = all(key_decoded(key).startswith(self._prefix) for key in keys)
        return fits_decoded or not all(key.startswith(self._prefix) for key in keys)

    def _entry(self, element: Element, is_encoded: bool) -> _Entry:
        key = _key(element)
        fields = {child.name: child.content for child in element.children}
        version = S3Object.reported(
            self._bucket,
            key_decoded(key) if is_encoded else key,
            digits(fields.get("Size", "").strip()) or 0,
            iso_date(fields.get("LastModified", "")),
            fields.get("ETag", ""),
            storage_class=fields.get("StorageClass", ""),
            version_id=fields.get("VersionId") or NO_VERSION,
            delete_marker=element.name == _MARKER,
        )
        return _Entry(version, _is_true(fields.get("IsLatest", "")))


def _key(element: Element) -> str:
    key = element.text("Key")
    if not key:
        raise XmlError(f"a <{element.name}> without a <Key>")
    if element.text("VersionId") == "":
        raise XmlError(f"a <{element.name}> with an empty <VersionId>")
    return key


def _is_true(text: str) -> bool:
    return text.strip().lower() == "true"


def _page(root: Element, entries: Sequence[_Entry], is_encoded: bool) -> VersionPage:
    next_key = next_version = None
    if _is_true(root.text("IsTruncated") or ""):
        next_key = root.text("NextKeyMarker") or None
        next_version = root.text("NextVersionIdMarker") or None
        if next_key is not None and is_encoded:
            next_key = key_decoded(next_key)
        if next_key is None and entries:
            last = entries[-1].version
            next_key, next_version = last.key, last.version_id
        if next_key is None:
            raise XmlError("it says that more follows, and not where")
    return VersionPage(
        versions=[each.version for each in entries],
        latest=[each.is_latest for each in entries],
        next_key=next_key,
        next_version=next_version,
    )


def _in_order(entries: list[_Entry]) -> list[_Entry]:
    """Return the entries by key, those of one key newest first.

    The document's own order tells which of two versions is the newer one, better than their dates:
    those have seconds, and that of a multipart upload is when it began. Only where delete markers
    are listed apart is there no such order; the current one then comes first, and the others by
    date, and at the same second delete markers after versions, as listed.
    """
    by_key = sorted(entries, key=lambda entry: entry.version.key.encode("utf-8", "surrogatepass"))
    if not _are_apart(entries):
        return by_key
    return sorted(
        by_key,
        key=lambda entry: (
            entry.version.key.encode("utf-8", "surrogatepass"),
            not entry.is_latest,
            -entry.version.last_modified.timestamp(),
        ),
    )


def _are_apart(entries: Sequence[_Entry]) -> bool:
    """Tell whether all versions come before all delete markers, though a key has both."""
    kinds = [entry.version.delete_marker for entry in entries]
    marked = {entry.version.key for entry in entries if entry.version.delete_marker}
    return kinds == sorted(kinds) and any(
        entry.version.key in marked for entry in entries if not entry.version.delete_marker
    )
