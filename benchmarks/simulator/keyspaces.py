"""Key spaces of any size, computed instead of stored: ``src-<keyspace>-<count>[-<size>]``.

>>> space = KeySpace.parse("src-sequential-1000000-64kib")
>>> space.key(42), space.size_bytes
('data/key-0000000042', 65536)
>>> space.seek("data/key-0000000042")
43
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from benchmarks.simulator import layouts

LAYOUTS: Final[Mapping[str, Callable[[int], layouts.Layout]]] = {
    "sequential": layouts.Sequential,
    "hex": layouts.Hex,
    "uuid": layouts.Uuid,
    "dates": layouts.Dates,
    "nonascii": layouts.NonAscii,
    "flat": layouts.Flat,
    "skew": layouts.Skew,
}
KEYSPACES: Final = tuple(LAYOUTS)

_UNITS: Final = {"b": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40}
_NAME: Final = re.compile(r"src-([a-z]+)-(\d{1,15})(?:-(\d{1,15}(?:b|kib|mib|gib|tib)))?")
_SIZE: Final = re.compile(r"(\d{1,15})(b|kib|mib|gib|tib)")
_DEFAULT_SIZE: Final = "1kib"


@dataclass(frozen=True, slots=True)
class KeySpace:
    """The objects of one source bucket: all of one size, keys in strict UTF-8 byte order.

    Attributes:
        name: Which of ``KEYSPACES``.
        count: How many keys.
        size_bytes: The size of each object.
    """

    name: str
    count: int
    size_bytes: int = 1 << 10
    _layout: layouts.Layout = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        layout = LAYOUTS.get(self.name)
        if layout is None:
            known = ", ".join(KEYSPACES)
            raise ValueError(f"key space {self.name!r} is unknown: there are {known}")
        object.__setattr__(self, "_layout", layout(self.count))

    @classmethod
    def parse(cls, bucket: str) -> KeySpace:
        """Return the key space that a bucket's name asks for.

        Raises:
            ValueError: The name asks for none, or for more keys than its key space has room for.
        """
        match = _NAME.fullmatch(bucket)
        if match is None:
            raise ValueError(f"bucket {bucket!r} is not src-<keyspace>-<count>[-<size>]")
        name, count, size = match.groups()
        return cls(name, int(count), size_of(size or _DEFAULT_SIZE))

    def __len__(self) -> int:
        return self.count

    def key(self, index: int) -> str:
        """Return the key of an index in ``0..len(self) - 1``."""
        return self.key_bytes(index).decode()

    def key_bytes(self, index: int) -> bytes:
        """Return the key of an index in ``0..len(self) - 1``, in UTF-8.

        Raises:
            IndexError: There is no such index.
        """
        if not 0 <= index < self.count:
            raise IndexError(f"index {index:,} is not below {self.count:,}")
        return self._layout.key(index)

    def seek(self, key: str) -> int:
        """Return the index of the first key after ``key``, which need not exist itself."""
        return self.after(key.encode("utf-8", "surrogatepass"))

    def after(self, key: bytes) -> int:
        """Return the index of the first key greater than these bytes."""
        index = self.find(key)
        return self.at_or_after(key) if index is None else index + 1

    def at_or_after(self, key: bytes) -> int:
        """Return the index of the first key not smaller than these bytes."""
        index = self.find(key)
        if index is not None:
            return index
        return bisect_left(range(self.count), key, key=self._layout.key)

    def find(self, key: bytes) -> int | None:
        """Return the index of a key, or None where it does not exist."""
        try:
            index = self._layout.guess(key)
        except (ValueError, IndexError, KeyError):
            return None
        for candidate in (index, index + 1):
            if 0 <= candidate < self.count and self._layout.key(candidate) == key:
                return candidate
        return None


def size_of(text: str) -> int:
    """Return the bytes of a size such as ``64kib``.

    Raises:
        ValueError: It is no size.
    """
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no size such as 64kib")
    return int(match[1]) * _UNITS[match[2]]
