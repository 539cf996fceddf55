"""Checksums among the elements of an answer to a write. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from async_s3copy.s3 import heads
from async_s3copy.s3.wire.xml import Element

Leaf = tuple[str, str]
"""Name and text of an element."""

_ALGORITHMS: Final = {f"Checksum{name}": name.lower() for name in heads.CHECKSUMS}
_TYPE: Final = "ChecksumType"
_LEAF: Final = re.compile(rb"<(Checksum[A-Za-z0-9]+)>([^<]+)</")


class WrittenChecksums(Mapping[str, str]):
    """The full-object checksums in the document of a copy's result, read when they are asked for.

    Every copied object has such a document, and most copies never ask.

    Args:
        body: The document, which ``xml.quick_etag`` has accounted for.
    """

    __slots__ = ("_body", "_read")

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._read: dict[str, str] | None = None

    def __getitem__(self, algorithm: str) -> str:
        return self._checksums()[algorithm]

    def __iter__(self) -> Iterator[str]:
        return iter(self._checksums())

    def __len__(self) -> int:
        return len(self._checksums())

    def __repr__(self) -> str:
        return repr(self._checksums())

    def _checksums(self) -> dict[str, str]:
        if self._read is None:
            found = _LEAF.findall(self._body)
            self._read = whole_checksums([(name.decode(), text.decode()) for name, text in found])
        return self._read


def leaves_of(element: Element) -> list[Leaf]:
    """Return the elements below one that hold nothing but text."""
    return [(each.name, each.content) for each in element.children if not each.children]


def checksums_among(leaves: Iterable[Leaf]) -> dict[str, str]:
    """Return the checksums, by algorithm in lower case."""
    return {_ALGORITHMS[name]: text for name, text in leaves if text and name in _ALGORITHMS}


def whole_checksums(leaves: Iterable[Leaf]) -> dict[str, str]:
    """Return the checksums that are of a whole object's bytes."""
    leaves = list(leaves)
    kind = next((text for name, text in leaves if name == _TYPE), "")
    return heads.full_object(checksums_among(leaves), kind)
