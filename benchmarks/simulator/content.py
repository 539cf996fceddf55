"""The bytes of objects that are stored nowhere, and their ETags.

All objects of a size share one pattern and differ in their last 16 bytes, a hash of the key. So the
MD5 of each costs one copy of the pattern's MD5 state, whatever its size.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
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
            for block in _pattern(0, self._shared_bytes):
                self._shared.update(block)

    def etag(self, key: bytes) -> bytes:
        """Return a key's ETag, without quotes: the MD5 of its bytes, or one of many parts."""
        md5 = self._shared.copy()
        md5.update(self._tail(key))
        return md5.hexdigest().encode() + self._suffix

    def read(self, key: bytes, start: int, end: int) -> Iterator[bytes]:
        """Yield the bytes from ``start`` up to ``end`` (excluded), in blocks."""
        yield from _pattern(start, min(end, self._shared_bytes))
        if end > self._shared_bytes:
            first = max(0, start - self._shared_bytes)
            yield self._tail(key)[first : end - self._shared_bytes]

    def md5(self, key: bytes, start: int, end: int) -> bytes:
        """Return the MD5 of the bytes from ``start`` up to ``end`` (excluded), in hexadecimal.

        Takes long for the first range of its bounds only, and for one that has no end of a key's
        own in it never again.
        """
        shared = _pattern_md5(start, max(start, min(end, self._shared_bytes))).copy()
        if end > self._shared_bytes:
            first = max(0, start - self._shared_bytes)
            shared.update(self._tail(key)[first : end - self._shared_bytes])
        return shared.hexdigest().encode()

    def parts_etag(self, key: bytes, sizes_bytes: Iterable[int]) -> bytes:
        """Return the ETag of a key's bytes uploaded in parts of these sizes."""
        digests, start = [], 0
        for size_bytes in sizes_bytes:
            digests.append(self.md5(key, start, start + size_bytes))
            start += size_bytes
        return parts_etag(digests)

    def copied_etag(self, key: bytes) -> bytes:
        """Return the ETag of a copy made with one request: it has no parts."""
        return self.etag(key)[:32]

    def part_etag(self, key: bytes, start: int, end: int) -> bytes:
        """Return the ETag of a part copied from a key: no MD5 of its bytes, which are too many."""
        return hashlib.md5(b"%b %d %d" % (self.etag(key), start, end)).hexdigest().encode()

    def _tail(self, key: bytes) -> bytes:
        return hashlib.md5(key).digest()[: self.size_bytes]


class PartedContent(Content):
    """The bytes of every object of one size, uploaded in parts and with ETags as S3's would be.

    Args:
        size_bytes: The size.
        part_bytes: Size of each part but the last.
    """

    def __init__(self, size_bytes: int, part_bytes: int) -> None:
        super().__init__(size_bytes)
        self.part_bytes = part_bytes
        self.parts = -(-size_bytes // part_bytes)

    def etag(self, key: bytes) -> bytes:
        """Return a key's ETag, without quotes: the MD5 of its parts' MD5s."""
        whole, rest = divmod(self.size_bytes, self.part_bytes)
        return self.parts_etag(key, [self.part_bytes] * whole + [rest] * bool(rest))

    def copied_etag(self, key: bytes) -> bytes:
        """Return the ETag of a copy made with one request: the MD5 of its bytes."""
        return self.md5(key, 0, self.size_bytes)

    def part_etag(self, key: bytes, start: int, end: int) -> bytes:
        """Return the ETag of a part copied from a key: the MD5 of its bytes."""
        return self.md5(key, start, end)


def parts_etag(digests: Sequence[bytes]) -> bytes:
    """Return the ETag of an upload whose parts have these MD5s, in hexadecimal."""
    joined = b"".join(bytes.fromhex(digest.decode()) for digest in digests)
    return b"%b-%d" % (hashlib.md5(joined).hexdigest().encode(), len(digests))


def _pattern(start: int, end: int) -> Iterator[bytes]:
    block = memoryview(_BLOCK)
    while start < end:
        first = start % len(_BLOCK)
        length = min(len(_BLOCK) - first, end - start)
        yield _BLOCK if length == len(_BLOCK) else bytes(block[first : first + length])
        start += length


@lru_cache(maxsize=1_024)
def _pattern_md5(start: int, end: int) -> hashlib._Hash:
    md5 = hashlib.md5()
    for block in _pattern(start, end):
        md5.update(block)
    return md5
