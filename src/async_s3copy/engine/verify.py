"""Is what arrived what was there? Digests of bytes on their way, and what ETags can prove. Pure."""

from __future__ import annotations

import base64
import hashlib
import re
import zlib
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from async_s3copy.model import unquoted
from async_s3copy.s3.client import CompletedPart, ObjectHead

_MD5: Final = re.compile(r"[0-9a-f]{32}")
_MULTIPART: Final = re.compile(r"[0-9a-f]{32}-(\d{1,5})")


def md5_etag(etag: str) -> str | None:
    """Return the hex MD5 an ETag stands for, if it has the shape of one."""
    found = unquoted(etag).lower()
    return found if _MD5.fullmatch(found) else None


def part_count(etag: str) -> int | None:
    """Return the number of parts an ETag tells of, ``None`` for an object that has none."""
    found = _MULTIPART.fullmatch(unquoted(etag).lower())
    return int(found[1]) if found else None


def multipart_etag(parts: Sequence[CompletedPart]) -> str | None:
    """Return the ETag S3 will give to a completed upload; ``None`` where parts' ETags are opaque.

    It is the MD5 of the parts' binary MD5s, and the number of parts: not documented by S3, but
    so on every server; used to recognise an upload whose completion was not answered.
    """
    digests = [md5_etag(part.etag) for part in parts]
    if None in digests:
        return None
    joined = b"".join(bytes.fromhex(digest or "") for digest in digests)
    return f"{hashlib.md5(joined, usedforsecurity=False).hexdigest()}-{len(parts)}"


def same_etag(one: str, other: str) -> bool:
    """Tell whether two ETags are equal, quoted or not."""
    return unquoted(one) == unquoted(other)


class Digest(Protocol):
    """A running digest of one object's bytes, fed in order.

    Attributes:
        expected: The value that the source gives.
    """

    expected: str

    def update(self, data: bytes) -> None:
        """Take the next bytes."""
        ...

    def value(self) -> str:
        """Return the digest of all bytes, in the form of ``expected``; call it once, at the end."""
        ...


class Md5Digest:
    """Prove bytes by an ETag that is their MD5."""

    def __init__(self, etag: str) -> None:
        self.expected = unquoted(etag).lower()
        self._md5 = hashlib.md5(usedforsecurity=False)

    def update(self, data: bytes) -> None:
        """Take the next bytes."""
        self._md5.update(data)

    def value(self) -> str:
        """Return the MD5, as an ETag."""
        return self._md5.hexdigest()


class KnownDigest:
    """Prove bytes by a digest of theirs that has been computed already."""

    def __init__(self, expected: str, known: str) -> None:
        self.expected = expected
        self._known = known

    def update(self, data: bytes) -> None:
        """Take nothing: the digest is complete."""
        raise AssertionError("unreachable: all bytes have been taken")

    def value(self) -> str:
        """Return the digest."""
        return self._known


class MultipartDigest:
    """Prove bytes by the ETag of a multipart object whose parts have one size.

    That they have is inferred from the first part's size and the number of parts, so a difference
    does not yet mean other bytes.
    """

    def __init__(self, etag: str, part_bytes: int) -> None:
        self.expected = unquoted(etag).lower()
        self._part_bytes = part_bytes
        self._room = part_bytes
        self._part = hashlib.md5(usedforsecurity=False)
        self._parts: list[CompletedPart] = []

    def update(self, data: bytes) -> None:
        """Take the next bytes, cut at the source's part boundaries."""
        view = memoryview(data)
        while view:
            piece, view = view[: self._room], view[self._room :]
            self._part.update(piece)
            self._room -= len(piece)
            if not self._room:
                self._end_part()

    def take_part(self, data: bytes, md5: bytes) -> bool:
        """Take a whole part whose MD5 is known, without hashing it again.

        Returns:
            Whether the bytes are one whole part; if not, they have not been taken.
        """
        if self._room != self._part_bytes or len(data) != self._part_bytes:
            return False
        self._parts.append(CompletedPart(len(self._parts) + 1, md5.hex()))
        return True

    def value(self) -> str:
        """Return the ETag of the bytes in the source's parts."""
        if self._room < self._part_bytes:
            self._end_part()
        return multipart_etag(self._parts) or ""

    def _end_part(self) -> None:
        self._parts.append(CompletedPart(len(self._parts) + 1, self._part.hexdigest()))
        self._part = hashlib.md5(usedforsecurity=False)
        self._room = self._part_bytes


class ChecksumDigest:
    """Prove bytes by a full-object SHA-256 or SHA-1 that S3 keeps with the object."""

    def __init__(self, algorithm: str, expected: str) -> None:
        self.expected = expected
        self._hash = hashlib.new(algorithm, usedforsecurity=False)

    def update(self, data: bytes) -> None:
        """Take the next bytes."""
        self._hash.update(data)

    def value(self) -> str:
        """Return the checksum in base64, as S3 writes it."""
        return base64.b64encode(self._hash.digest()).decode()


class Crc32Digest:
    """Prove bytes by a full-object CRC-32 that S3 keeps with the object."""

    def __init__(self, expected: str) -> None:
        self.expected = expected
        self._crc = 0

    def update(self, data: bytes) -> None:
        """Take the next bytes."""
        self._crc = zlib.crc32(data, self._crc)

    def value(self) -> str:
        """Return the checksum in base64, as S3 writes it."""
        return base64.b64encode(self._crc.to_bytes(4, "big")).decode()


def digest_for(head: ObjectHead, part_bytes: int | None) -> Digest | None:
    """Choose the strongest proof that an object's head allows.

    Args:
        head: The object's head.
        part_bytes: Part size of a multipart source, where it is known and uniform.

    Returns:
        A digest to feed, or ``None`` where neither the ETag nor a checksum tells of the bytes.
    """
    etag = head.object.etag
    if head.etag_is_md5 and md5_etag(etag):
        return Md5Digest(etag)
    if head.etag_is_md5 and part_count(etag) and part_bytes:
        return MultipartDigest(etag, part_bytes)
    return _checksum_digest(head.checksums)


def _checksum_digest(checksums: Mapping[str, str]) -> Digest | None:
    for algorithm in ("sha256", "sha1"):
        if algorithm in checksums:
            return ChecksumDigest(algorithm, checksums[algorithm])
    return Crc32Digest(checksums["crc32"]) if "crc32" in checksums else None
