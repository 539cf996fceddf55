"""The bytes of objects that are stored nowhere, and their ETags.

All objects of a size share one pattern and differ in their last 16 bytes, a hash of the key. So the
MD5 of each costs one copy of the pattern's MD5 state, whatever its size.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

_TAIL_BYTES: Final = 16
_BLOCK: Final = hashlib.shake_128(b"async-s3copy").digest(1 << 16)
# Above, objects are as if uploaded in parts: their ETag is no MD5 of theirs, but md5-<parts>.
_SINGLE_BYTES: Final = 64 << 20
_PART_BYTES: Final = 64 << 20
_MAX_PARTS: Final = 10_000

_FIRST_DAY: Final = datetime(2024, 1, 1, tzinfo=UTC)
_STAMPS: Final = tuple(_FIRST_DAY + timedelta(seconds=7_717 * n) for n in range(4_096))
_ISO: Final = tuple(f"{stamp:%Y-%m-%dT%H:%M:%S}.000Z".encode() for stamp in _STAMPS)
_HTTP: Final = tuple(f"{stamp:%a, %d %b %Y %H:%M:%S} GMT".encode() for stamp in _STAMPS)


def modified_iso(key: bytes) -> bytes:
    """Return an object's LastModified as listings write it."""
    return _ISO[zlib.crc32(key) & 4_095]


def modified_http(key: bytes) -> bytes:
    """Return an object's Last-Modified as headers write it."""
    return _HTTP[zlib.crc32(key) & 4_095]


class Content:
    """The bytes of every object of one size.

    Args:
        size_bytes: The size.

    Attributes:
        parts: How many parts the objects were uploaded in; 0 where in one request.
        part_bytes: Size of each part but the last.
    """

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self.part_bytes = _PART_BYTES
        while self.part_bytes * _MAX_PARTS < size_bytes:
            self.part_bytes *= 2
        self._shared_bytes = max(0, size_bytes - _TAIL_BYTES)
        self.parts = 0 if size_bytes <= _SINGLE_BYTES else -(-size_bytes // self.part_bytes)
        self._suffix = b"-%d" % self.parts if self.parts else b""
        self._shared = hashlib.md5()
        if not self.parts:
            for block in self._pattern(0, self._shared_bytes):
                self._shared.update(block)

    def etag(self, key: bytes) -> bytes:
        """Return a key's ETag, without quotes: the MD5 of its bytes, or one of many parts."""
        md5 = self._shared.copy()
        md5.update(self._tail(key))
        return md5.hexdigest().encode() + self._suffix

    def read(self, key: bytes, start: int, end: int) -> Iterator[bytes]:
        """Yield the bytes from ``start`` up to ``end`` (excluded), in blocks."""
        yield from self._pattern(start, min(end, self._shared_bytes))
        if end > self._shared_bytes:
            first = max(0, start - self._shared_bytes)
            yield self._tail(key)[first : end - self._shared_bytes]

    def _tail(self, key: bytes) -> bytes:
        return hashlib.md5(key).digest()[: self.size_bytes]

    def _pattern(self, start: int, end: int) -> Iterator[bytes]:
        block = memoryview(_BLOCK)
        while start < end:
            first = start % len(_BLOCK)
            length = min(len(_BLOCK) - first, end - start)
            yield _BLOCK if length == len(_BLOCK) else bytes(block[first : first + length])
            start += length
