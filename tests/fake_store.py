"""What the in-memory server keeps: objects with their versions, properties and checksums."""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from async_s3copy.s3.values import ObjectProperties

NULL: Final = "null"
_OPAQUE: Final = ("aws:kms", "aws:kms:dsse")


def md5_hex(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def checksum(algorithm: str, data: bytes) -> str:
    """A checksum as S3 writes it: base64."""
    return base64.b64encode(_DIGESTS[algorithm](data)).decode("ascii")


def _crc(data: bytes, polynomial: int, bits: int) -> bytes:
    """A reflected CRC, bit by bit; for small data only."""
    mask = (1 << bits) - 1
    crc = mask
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (polynomial if crc & 1 else 0)
    return (crc ^ mask).to_bytes(bits // 8, "big")


_DIGESTS: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "crc32": lambda data: zlib.crc32(data).to_bytes(4, "big"),
    "crc32c": lambda data: _crc(data, 0x82F63B78, 32),
    "crc64nvme": lambda data: _crc(data, 0x9A6C9329AC4BC9B5, 64),
    "sha1": lambda data: hashlib.sha1(data, usedforsecurity=False).digest(),
    "sha256": lambda data: hashlib.sha256(data).digest(),
}


@dataclass(frozen=True)
class Stored:
    """An object, or one version of it, as the server keeps it."""

    data: bytes
    etag: str
    properties: ObjectProperties = field(default_factory=ObjectProperties)
    part_sizes: tuple[int, ...] = ()
    version_id: str | None = None
    delete_marker: bool = False
    checksums: Mapping[str, str] = field(default_factory=dict)
    composite: Mapping[str, str] = field(default_factory=dict)

    @property
    def etag_is_md5(self) -> bool:
        return self.properties.encryption not in _OPAQUE

    @property
    def checksum_algorithm(self) -> str:
        return next(iter((*self.checksums, *self.composite)), "").upper()


@dataclass
class StoredUpload:
    """A multipart upload that is neither completed nor aborted."""

    bucket: str
    key: str
    properties: ObjectProperties
    parts: dict[int, bytes] = field(default_factory=dict)
    initiated: datetime = field(default_factory=lambda: datetime.now(UTC))

    def checksums(self, data: bytes) -> dict[str, str]:
        """What a part's answer says of it: the checksum that the upload has declared."""
        algorithm = self.properties.checksum_algorithm.lower()
        return {algorithm: checksum(algorithm, data)} if algorithm else {}


def assembled(parts: Sequence[bytes], properties: ObjectProperties) -> Stored:
    digests = b"".join(bytes.fromhex(md5_hex(part)) for part in parts)
    etag = f"{md5_hex(digests)}-{len(parts)}"
    algorithm, whole = properties.checksum_algorithm.lower(), b"".join(parts)
    checksums, composite = {}, {}
    if algorithm and _is_full_object(properties):
        checksums = {algorithm: checksum(algorithm, whole)}
    elif algorithm:
        joined = b"".join(_DIGESTS[algorithm](part) for part in parts)
        composite = {algorithm: f"{checksum(algorithm, joined)}-{len(parts)}"}
    sizes = tuple(len(part) for part in parts)
    return Stored(whole, etag, properties, sizes, checksums=checksums, composite=composite)


def _is_full_object(properties: ObjectProperties) -> bool:
    if properties.checksum_algorithm == "CRC64NVME":
        return True
    return properties.checksum_type == "FULL_OBJECT"


class FakeStore:
    """Buckets, and what S3 does with what is put into them.

    Attributes:
        buckets: The current objects by bucket and key.
        versioning: ``"Enabled"`` or ``"Suspended"``, of the buckets where ``set_versioning`` said
            so.
        versions: All versions by bucket and key, newest first, of those buckets.
        encryption: Encryption that a bucket gives to objects which name none.
        checksum_algorithm: Algorithm of the checksum that objects get which name none, such as
            ``"CRC32"``; empty for none.
    """

    def __init__(self) -> None:
        self.buckets: dict[str, dict[str, Stored]] = {"source-bucket": {}, "target-bucket": {}}
        self.versioning: dict[str, str] = {}
        self.versions: defaultdict[str, dict[str, list[Stored]]] = defaultdict(dict)
        self.encryption: dict[str, str] = {}
        self.checksum_algorithm = ""
        self._writes = 0

    def put(
        self, bucket: str, key: str, data: bytes, properties: ObjectProperties | None = None
    ) -> Stored:
        given = properties or ObjectProperties()
        algorithm = (given.checksum_algorithm or self.checksum_algorithm).lower()
        checksums = {algorithm: checksum(algorithm, data)} if algorithm else {}
        return self.keep(bucket, key, Stored(data, md5_hex(data), given, checksums=checksums))

    def put_parts(
        self,
        bucket: str,
        key: str,
        parts: Sequence[bytes],
        properties: ObjectProperties | None = None,
    ) -> Stored:
        return self.keep(bucket, key, assembled(parts, properties or ObjectProperties()))

    def keep(self, bucket: str, key: str, stored: Stored) -> Stored:
        """Keep an object as its key's current one, encrypted and versioned as the bucket is."""
        self._writes += 1
        encryption = stored.properties.encryption or self.encryption.get(bucket, "")
        properties = replace(stored.properties, encryption=encryption)
        stored = replace(stored, properties=properties)
        if not stored.etag_is_md5:
            opaque = md5_hex(b"opaque %d" % self._writes)
            _, dash, count = stored.etag.rpartition("-")
            stored = replace(stored, etag=f"{opaque}-{count}" if dash else opaque)
        stored = self._with_version(bucket, key, stored)
        self.buckets[bucket][key] = stored
        return stored

    def delete(self, bucket: str, key: str) -> str | None:
        """Remove an object, or cover it with a delete marker, whose version is returned."""
        self._writes += 1
        self.buckets[bucket].pop(key, None)
        marker = Stored(b"", "", delete_marker=True)
        return self._with_version(bucket, key, marker).version_id

    def set_versioning(self, bucket: str, status: str) -> None:
        """Switch versioning on or off; what is there already becomes the version "null"."""
        self.versioning[bucket] = status
        for key, stored in self.buckets[bucket].items():
            versions = self.versions[bucket].setdefault(key, [])
            if stored.version_id is None:
                self.buckets[bucket][key] = replace(stored, version_id=NULL)
                versions.insert(0, self.buckets[bucket][key])

    def find(self, bucket: str, key: str, version_id: str | None = None) -> Stored | None:
        """Return a key's current object, or one of its versions, delete markers included."""
        current = self.buckets[bucket].get(key)
        if version_id is None:
            return current
        versions = self.versions[bucket].get(key, [])
        if version_id == NULL and current is not None and current.version_id is None:
            return current
        return next((each for each in versions if each.version_id == version_id), None)

    def listed_versions(
        self, bucket: str, prefix: str, key_marker: str | None, version_marker: str | None
    ) -> list[tuple[str, Stored, bool]]:
        """Key, version and whether it is the current one, of all that follow the markers."""
        versions = dict(self.versions[bucket])
        for key, stored in self.buckets[bucket].items():
            versions.setdefault(key, [stored])
        found = [
            (key, stored, place == 0)
            for key in sorted(versions, key=str.encode)
            for place, stored in enumerate(versions[key])
            if key.startswith(prefix)
        ]
        if key_marker is None:
            return found
        after = [n for n, (key, *_) in enumerate(found) if key.encode() > key_marker.encode()]
        begin = after[0] if after else len(found)
        for place, (key, stored, _) in enumerate(found):
            if key == key_marker and (stored.version_id or NULL) == version_marker:
                begin = place + 1
        return found[begin:]

    def change(self, bucket: str, key: str, old: Stored, new: Stored) -> None:
        """Put new properties in the place of an object or version, which stays the same one."""
        if self.buckets[bucket].get(key) is old:
            self.buckets[bucket][key] = new
        versions = self.versions[bucket].get(key, [])
        versions[:] = [new if each is old else each for each in versions]

    def _with_version(self, bucket: str, key: str, stored: Stored) -> Stored:
        status = self.versioning.get(bucket, "")
        if not status:
            return stored
        version_id = f"version-{self._writes}" if status == "Enabled" else NULL
        stored = replace(stored, version_id=version_id)
        versions = self.versions[bucket].setdefault(key, [])
        versions[:] = [each for each in versions if each.version_id != version_id]
        versions.insert(0, stored)
        return stored
