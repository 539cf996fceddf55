"""ListingParser: a page of a listing, a thousand keys in a few milliseconds. Pure.

A page repeats one pattern a thousand times. The order of the fields is learned from the page, and
a regular expression made for that order then reads one object per match, each beginning where the
last one ended: no byte of the document goes unseen. A page that holds anything out of the ordinary
is read by expat instead, from its start.
"""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Generator, Sequence
from typing import Final

from async_s3copy.model import S3Object
from async_s3copy.s3.encoded_keys import key_decoded
from async_s3copy.s3.listed import ListedObjects
from async_s3copy.s3.values import ListPage
from async_s3copy.s3.wire.dates import iso_date
from async_s3copy.s3.wire.xml import (
    BLANKS,
    NAME,
    OPENING,
    TEXT,
    DocumentParser,
    Element,
    XmlError,
    decoded_text,
    unescaped,
)

# What is read in one go, so that an event loop gets its turn in between: about a millisecond.
_PIECE_CHARACTERS: Final = 64 * 1024
_EXPAT_PIECE_BYTES: Final = 32 * 1024
_EXPAT_PIECE_OBJECTS: Final = 100

# S3 lists 1,000 keys a page, and so it was asked; other servers may know no such bound.
_MAX_OBJECTS: Final = 10_000

_ROOT: Final = "ListBucketResult"
# A listing without keys still has some of these.
_MEMBERS: Final = frozenset(("Contents", "IsTruncated", "KeyCount", "Name", "MaxKeys"))
_FIELDS: Final = ("Key", "LastModified", "ETag", "Size", "StorageClass")
_URL_ENCODED: Final = "<EncodingType>url</EncodingType>"
_IS_TRUNCATED: Final = {"true": True, "false": False, "": False}

# Makes a repetition keep what it has matched. Before 3.11.5, Python's fails to match where a group
# is repeated in which there is something to choose (gh-106052); without it, the same is matched.
_KEPT: Final = "+" if sys.version_info >= (3, 11, 5) else ""
_OPENING: Final = re.compile(OPENING)
_MEMBER: Final = re.compile(
    rf"{BLANKS}<(?!Contents[>/])(?P<name>{NAME})(?:/>|>(?P<text>{TEXT})</(?P=name)>)"
)
_ENTRY: Final = re.compile(rf"{BLANKS}<Contents>")
_CLOSING: Final = re.compile(rf"{BLANKS}</{_ROOT}>{BLANKS}")
_FIELD: Final = re.compile(rf"<({'|'.join(_FIELDS)})>")
_SIZE: Final = re.compile(r"[ \t\r\n]*([0-9]{1,19})[ \t\r\n]*")


class ListingParser:
    """Read one page of a listing, in pieces.

    Args:
        bucket: The bucket that was listed.
        body: The answer's body.
    """

    def __init__(self, bucket: str, body: bytes) -> None:
        self._steps = _read(bucket, body)
        self._page: ListPage | None = None

    def advance(self) -> bool:
        """Read on for about a millisecond; returns whether the page is complete.

        Raises:
            XmlError: The body is damaged, or no listing.
        """
        try:
            next(self._steps)
        except StopIteration as stop:
            self._page = stop.value or self._page
            return True
        return False

    def page(self) -> ListPage:
        """Return the page, reading what is left of it.

        Raises:
            XmlError: The body is damaged, or no listing.
        """
        while not self.advance():
            pass
        if self._page is None:
            raise XmlError("the page could not be read")
        return self._page


def _read(bucket: str, body: bytes) -> Generator[None, None, ListPage]:
    text = decoded_text(body)
    if text is not None:
        tiling = _Tiling(bucket, text)
        if (yield from tiling.read()):
            return _page(tiling.objects, tiling.members)
    return (yield from _read_by_expat(bucket, body))


def _page(objects: Sequence[S3Object], members: dict[str, str]) -> ListPage:
    if not objects and not _MEMBERS.intersection(members):
        raise XmlError("no listing")
    truncated = _IS_TRUNCATED.get(members.get("IsTruncated", "").strip().lower())
    if truncated is None:
        raise XmlError("<IsTruncated> is neither true nor false")
    token = members.get("NextContinuationToken") if truncated else None
    return ListPage(objects, token or None, truncated)


class _Tiling:
    """Read an ordinary page by regular expressions that leave no gap between them."""

    def __init__(self, bucket: str, text: str) -> None:
        self.objects = ListedObjects(bucket)
        self.members: dict[str, str] = {}
        self._text = text
        self._position = 0
        # The member may follow the keys; whether this was it is checked in the end.
        self._is_encoded = _URL_ENCODED in text

    def read(self) -> Generator[None, None, bool]:
        """Read the page; returns whether it is an ordinary one."""
        opening = _OPENING.match(self._text)
        if opening is None or opening["root"] != _ROOT:
            return False
        self._position = opening.end()
        while not _CLOSING.fullmatch(self._text, self._position):
            if _ENTRY.match(self._text, self._position):
                if not (yield from self._read_entries()):
                    return False
            elif not self._read_member():
                return False
        return self._is_encoded == (self.members.get("EncodingType") == "url")

    def _read_member(self) -> bool:
        found = _MEMBER.match(self._text, self._position)
        if found is None or found["name"] in self.members:
            return False
        self.members[found["name"]] = unescaped(found["text"] or "")
        self._position = found.end()
        return True

    def _read_entries(self) -> Generator[None, None, bool]:
        """Read all entries that are like the next one; returns whether there was any."""
        order = _field_order(self._text, self._position)
        # What is no entry of S3's must not be kept as a pattern either.
        pattern = _entry_pattern(order) if len(order) <= len(_FIELDS) else None
        if pattern is None:
            return False
        begin = pause = self._position
        groups = [pattern.groupindex[name] for name in _FIELDS]
        match, text = pattern.match, self._text
        while (found := match(text, self._position)) is not None:
            self._add(*found.group(*groups))
            self._position = found.end()
            if self._position - pause > _PIECE_CHARACTERS:
                pause = self._position
                _bound(len(self.objects.keys))
                yield
        return self._position > begin

    def _add(
        self,
        key: str,
        modified: str | None,
        etag: str | None,
        size: str | None,
        storage: str | None,
    ) -> None:
        if "&" in key:
            key = unescaped(key)
        if self._is_encoded and ("%" in key or "+" in key):
            key = key_decoded(key)
        listed = self.objects
        listed.keys.append(key)
        listed.sizes_bytes.append(int(size or 0))
        listed.modified.append(iso_date(modified or ""))
        listed.etags.append(unescaped(etag.replace("&quot;", '"')) if etag else "")
        listed.storage_classes.append(storage or "")


def _bound(objects: int) -> None:
    if objects > _MAX_OBJECTS:
        raise XmlError(f"more than {_MAX_OBJECTS:,} objects, of which at most 1,000 were asked for")


def _field_order(text: str, position: int) -> tuple[str, ...]:
    end = text.find("</Contents>", position)
    return tuple(_FIELD.findall(text, position, max(end, 0)))


@functools.lru_cache(maxsize=64)
def _entry_pattern(order: tuple[str, ...]) -> re.Pattern[str] | None:
    """Return a pattern of one entry with its fields in this order, other elements between them."""
    if "Key" not in order or len(set(order)) < len(order):
        return None
    pieces = [_others(0)]
    for number, name in enumerate(order, 1):
        text = {"Size": "[0-9]{1,19}", "Key": f"(?!<){TEXT}"}.get(name, TEXT)
        pieces += [f"<{name}>(?P<{name}>{text})</{name}>", _others(number)]
    # A group that never takes part stands for a field that this server does not tell.
    pieces += [f"(?P<{name}>(?!))?" for name in _FIELDS if name not in order]
    return re.compile(f"{BLANKS}<Contents>{BLANKS.join(pieces)}{BLANKS}</Contents>")


def _others(number: int) -> str:
    """Match any elements but the fields, with text or one more level in them."""
    outer, inner = f"outer{number}", f"inner{number}"
    inside = f"(?:{BLANKS}<(?P<{inner}>{NAME})>{TEXT}</(?P={inner})>)+{_KEPT}{BLANKS}"
    return (
        f"(?:{BLANKS}<(?!(?:{'|'.join(_FIELDS)})>)(?P<{outer}>{NAME})>"
        f"(?:{TEXT}|{inside})</(?P={outer})>)*{_KEPT}"
    )


def _read_by_expat(bucket: str, body: bytes) -> Generator[None, None, ListPage]:
    parser = DocumentParser()
    for begin in range(0, len(body), _EXPAT_PIECE_BYTES):
        parser.feed(body[begin : begin + _EXPAT_PIECE_BYTES])
        yield
    root = parser.close()
    if root.name != _ROOT:
        raise XmlError(f"<{root.name}> instead of <{_ROOT}>")
    names = ("IsTruncated", "NextContinuationToken", "EncodingType")
    members = {child.name: "" for child in root.children}
    members |= {name: text for name in names if (text := root.text(name)) is not None}
    is_encoded = members.get("EncodingType") == "url"
    objects: list[S3Object] = []
    for number, child in enumerate(root.children):
        if child.name == "Contents":
            objects.append(_entry(bucket, child, is_encoded=is_encoded))
        if number % _EXPAT_PIECE_OBJECTS == 0:
            yield
    _bound(len(objects))
    return _page(objects, members)


def _entry(bucket: str, entry: Element, *, is_encoded: bool) -> S3Object:
    key, modified, etag, size, storage = (entry.text(name) for name in _FIELDS)
    if not key:
        raise XmlError("an object without a <Key>")
    digits = _SIZE.fullmatch(size) if size is not None else None
    if size is not None and digits is None:
        raise XmlError(f"the <Size> of an object is {size[:40]!r}")
    return S3Object.reported(
        bucket,
        key_decoded(key) if is_encoded else key,
        int(digits[1]) if digits is not None else 0,
        iso_date(modified or ""),
        etag or "",
        None,
        storage or "",
    )
