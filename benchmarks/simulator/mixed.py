"""Sources with objects of two sizes that have properties: ``src-<keyspace>-<count>-<size>-mix...``.

>>> bucket = MixedBucket(b"src-hex-20000-1kib-mix20-11mib-5mib")

holds 20,000 objects, one of about 20 with 11 MiB, uploaded in parts of 5 MiB, the others with
1 KiB. Each has content headers and user metadata of its own, and one of about eight has a tag.
Unlike those of other sources, ETags of all its copies are those that S3 would give.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final, NamedTuple

from benchmarks.simulator.buckets import SourceBucket, Stored
from benchmarks.simulator.content import Content, PartedContent, modified_iso
from benchmarks.simulator.keyspaces import KeySpace, size_of

_MIX: Final = re.compile(r"(src-.+)-mix(\d{1,6})-([0-9a-z]+)-([0-9a-z]+)")
_TAGGED: Final = 8


class Mix(NamedTuple):
    """What a mixed bucket's name asks for.

    Attributes:
        base: The name of the bucket that has the same keys, all of the smaller size.
        every: One of about so many objects is large.
        large_bytes: Their size.
        part_bytes: The size of their parts.
    """

    base: str
    every: int
    large_bytes: int
    part_bytes: int

    @classmethod
    def parse(cls, name: str) -> Mix:
        """Read a bucket's name.

        Raises:
            ValueError: It asks for no mix.
        """
        match = _MIX.fullmatch(name)
        if match is None:
            raise ValueError(f"bucket {name!r} is not src-...-mix<every>-<size>-<part size>")
        base, every, large, part = match.groups()
        if not int(every):
            raise ValueError(f"bucket {name!r} asks for one large object of none")
        return cls(base, int(every), size_of(large), size_of(part))


class MixedBucket(SourceBucket):
    """A key space with content of two sizes.

    Args:
        name: Such as ``src-hex-20000-1kib-mix20-11mib-5mib``.

    Raises:
        ValueError: The name asks for no such bucket.
    """

    def __init__(self, name: bytes) -> None:
        mix = Mix.parse(name.decode("latin-1"))
        super().__init__(mix.base.encode())
        self.name = name
        self._every = mix.every
        self._large = PartedContent(mix.large_bytes, mix.part_bytes)

    def content_of(self, key: bytes) -> Content:
        """Return the content that a key has if it exists."""
        return self.content if _noise(key) % self._every else self._large

    def properties(self, key: bytes) -> bytes:
        """Return what a key has besides its bytes, as header lines."""
        noise = _noise(key)
        return (
            b"content-type: text/x-%x\r\ncache-control: max-age=%d\r\nx-amz-meta-name: %x\r\n"
            % (noise & 0xFFFF, noise >> 16 & 0xFFFF, noise)
        )

    def tags(self, key: bytes) -> bytes:
        """Return a key's tags as a query; of most there are none."""
        noise = _noise(key)
        return b"" if (noise >> 8) % _TAGGED else b"owner=%x" % noise

    def find(self, key: bytes) -> Stored | None:
        """Return an object, or None."""
        if self.space.find(key) is None:
            return None
        content = self.content_of(key)
        return Stored(content.etag(key), content.size_bytes)

    def facts(self, key: bytes) -> tuple[bytes, int, bytes]:
        """Return ETag, size and LastModified of a key that exists, for a listing."""
        content = self.content_of(key)
        return content.etag(key), content.size_bytes, modified_iso(key)


def source_bucket(name: bytes) -> SourceBucket:
    """Return the source bucket that a name asks for.

    Raises:
        ValueError: It asks for none.
    """
    return MixedBucket(name) if b"-mix" in name else SourceBucket(name)


def key_space(bucket: str) -> KeySpace:
    """Return the keys of a source bucket, mixed or not.

    Raises:
        ValueError: The name asks for none.
    """
    return KeySpace.parse(Mix.parse(bucket).base if "-mix" in bucket else bucket)


def _noise(key: bytes) -> int:
    return int.from_bytes(hashlib.md5(b"mix" + key).digest()[:8])
