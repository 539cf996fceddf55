"""What buckets hold: sources are computed, destinations remember what was written."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Final, NamedTuple, Protocol

from benchmarks.simulator.content import Content, modified_http, modified_iso
from benchmarks.simulator.keyspaces import KeySpace
from benchmarks.simulator.messages import unquoted

UPLOADED: Final = b"="
DELETED: Final = b"-"


class Stored(NamedTuple):
    """One object.

    Attributes:
        etag: Without quotes.
        size_bytes: Its size.
        origin: Bucket and key it was copied from, as ``bucket/key`` percent-encoded; ``UPLOADED``
            if its bytes came through the client, followed by the sizes of its parts, if any.
    """

    etag: bytes
    size_bytes: int
    origin: bytes = UPLOADED


class Worn(NamedTuple):
    """What an object has besides its bytes: header lines, and tags as a query."""

    properties: bytes = b""
    tags: bytes = b""


class Bucket(Protocol):
    """A bucket for reading, keys in byte order."""

    name: bytes

    def count(self) -> int:
        """Return how many keys there are."""

    def key_bytes(self, index: int) -> bytes:
        """Return the key of an index."""

    def at_or_after(self, key: bytes) -> int:
        """Return the index of the first key not smaller than these bytes."""

    def after(self, key: bytes) -> int:
        """Return the index of the first key greater than these bytes."""

    def find(self, key: bytes) -> Stored | None:
        """Return an object, or None."""

    def facts(self, key: bytes) -> tuple[bytes, int, bytes]:
        """Return ETag, size and LastModified of a key that exists, for a listing."""

    def modified_http(self, key: bytes) -> bytes:
        """Return Last-Modified of a key that exists, for a header."""


class SourceBucket:
    """A key space with its content.

    Args:
        name: Such as ``src-hex-1000000-64kib``.

    Raises:
        ValueError: The name asks for no key space.
    """

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.space = KeySpace.parse(name.decode("latin-1"))
        self.content = Content(self.space.size_bytes)
        self.key_bytes = self.space.key_bytes
        self.at_or_after = self.space.at_or_after
        self.after = self.space.after

    def content_of(self, key: bytes) -> Content:
        """Return the content that a key has if it exists."""
        return self.content

    def properties(self, key: bytes) -> bytes:
        """Return what a key has besides its bytes, as header lines; nothing."""
        return b""

    def tags(self, key: bytes) -> bytes:
        """Return a key's tags as a query; none."""
        return b""

    def count(self) -> int:
        """Return how many keys there are."""
        return self.space.count

    def find(self, key: bytes) -> Stored | None:
        """Return an object, or None."""
        if self.space.find(key) is None:
            return None
        return Stored(self.content.etag(key), self.space.size_bytes)

    def facts(self, key: bytes) -> tuple[bytes, int, bytes]:
        """Return ETag, size and LastModified of a key that exists, for a listing."""
        return self.content.etag(key), self.space.size_bytes, modified_iso(key)

    def modified_http(self, key: bytes) -> bytes:
        """Return Last-Modified of a key that exists, for a header."""
        return modified_http(key)


class Write(NamedTuple):
    """One entry of a destination's log."""

    key: bytes
    stored: Stored


class DestinationBucket:
    """Remembers writes as lines of a log, and looks into it only if somebody reads the bucket.

    A million copies are 100 MB of log; as objects they would be several times that, and every
    copy would pay for it.

    Attributes:
        worn: What the objects have besides their bytes, by raw key; None in a bucket that keeps
            nothing of it, which all are but those named ``dst-worn-*``.
    """

    def __init__(self, name: bytes) -> None:
        self.name = name
        now = datetime.now(UTC)
        self._iso = f"{now:%Y-%m-%dT%H:%M:%S}.000Z".encode()
        self._http = f"{now:%a, %d %b %Y %H:%M:%S} GMT".encode()
        self._log = bytearray()
        self._read_bytes = 0
        self._objects: dict[bytes, Stored] = {}
        self._sorted: list[bytes] | None = None
        self.worn: dict[bytes, Worn] | None = {} if name.startswith(b"dst-worn-") else None

    def record(self, raw_key: bytes, stored: Stored) -> None:
        """Remember a write; the key is percent-encoded."""
        self._log += b"%b %b %b %d\n" % (raw_key, stored.origin, stored.etag, stored.size_bytes)

    def delete(self, raw_key: bytes) -> None:
        """Remember a deletion."""
        self._log += b"%b %b - 0\n" % (raw_key, DELETED)

    def writes(self, first_byte: int = 0) -> Iterator[Write]:
        """Yield what was written, oldest first, from an offset in the log on."""
        end = first_byte
        while (start := end) < len(self._log):
            end = self._log.index(b"\n", start) + 1
            raw_key, origin, etag, size = bytes(self._log[start : end - 1]).split(b" ")
            yield Write(unquoted(raw_key), Stored(etag, int(size), origin))

    def count(self) -> int:
        """Return how many keys there are."""
        return len(self._keys())

    def key_bytes(self, index: int) -> bytes:
        """Return the key of an index."""
        return self._keys()[index]

    def at_or_after(self, key: bytes) -> int:
        """Return the index of the first key not smaller than these bytes."""
        return bisect_left(self._keys(), key)

    def after(self, key: bytes) -> int:
        """Return the index of the first key greater than these bytes."""
        return bisect_right(self._keys(), key)

    def find(self, key: bytes) -> Stored | None:
        """Return an object, or None."""
        self._catch_up()
        return self._objects.get(key)

    def facts(self, key: bytes) -> tuple[bytes, int, bytes]:
        """Return ETag, size and LastModified of a key that exists, for a listing."""
        stored = self._objects[key]
        return stored.etag, stored.size_bytes, self._iso

    def modified_http(self, key: bytes) -> bytes:
        """Return Last-Modified of a key that exists, for a header."""
        return self._http

    def _keys(self) -> list[bytes]:
        self._catch_up()
        if self._sorted is None:
            self._sorted = sorted(self._objects)
        return self._sorted

    def _catch_up(self) -> None:
        if self._read_bytes == len(self._log):
            return
        for write in self.writes(self._read_bytes):
            if write.stored.origin == DELETED:
                self._objects.pop(write.key, None)
            else:
                self._objects[write.key] = write.stored
        self._read_bytes = len(self._log)
        self._sorted = None


class Buckets:
    """All buckets: a name is all it takes.

    Args:
        make_source: Makes a source bucket from its name; ValueError: it names none.
    """

    def __init__(self, make_source: Callable[[bytes], SourceBucket]) -> None:
        self._make_source = make_source
        self._sources: dict[bytes, SourceBucket] = {}
        self._destinations: dict[bytes, DestinationBucket] = {}

    def source(self, name: bytes) -> SourceBucket | None:
        """Return a source bucket, or None where the name asks for none."""
        bucket = self._sources.get(name)
        if bucket is None and name.startswith(b"src-"):
            try:
                bucket = self._sources[name] = self._make_source(name)
            except ValueError:
                return None
        return bucket

    def destination(self, name: bytes) -> DestinationBucket | None:
        """Return a destination bucket, or None where the name is none of one."""
        bucket = self._destinations.get(name)
        if bucket is None and name.startswith(b"dst-"):
            bucket = self._destinations[name] = DestinationBucket(name)
        return bucket

    def get(self, name: bytes) -> SourceBucket | DestinationBucket | None:
        """Return a bucket of either kind, or None."""
        return self.source(name) or self.destination(name)

    def names(self) -> list[bytes]:
        """Return the buckets that were heard of."""
        return sorted([*self._sources, *self._destinations])

    def empty(self) -> None:
        """Forget all that was written."""
        self._destinations.clear()
