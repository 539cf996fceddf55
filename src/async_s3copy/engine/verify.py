"""Is what arrived what was there? Digests of bytes on their way, and what ETags can prove. Pure."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Generic, Protocol, TypeVar, cast

from async_s3copy.engine.checksums import Running, running
from async_s3copy.engine.plan import PartPlan
from async_s3copy.model import Proof, unquoted
from async_s3copy.s3.values import CompletedPart, ObjectHead

_MD5: Final = re.compile(r"[0-9a-f]{32}")
_MULTIPART: Final = re.compile(r"[0-9a-f]{32}-(\d{1,5})")

CHECKSUMS: Final = ("sha256", "sha1", "crc64nvme", "crc32c", "crc32")
"""S3's checksums, in the order in which one is chosen: cryptographic ones first, long ones next."""


def md5_etag(etag: str) -> str | None:
    """Return the hex MD5 an ETag stands for, if it has the shape of one."""
    found = unquoted(etag).lower()
    return found if _MD5.fullmatch(found) else None


def tells_of_bytes(head: ObjectHead) -> bool:
    """Tell whether an object's ETag is made of its bytes, as far as its head and bucket tell."""
    return head.etag_is_md5 and not has_random_etags(head.object.bucket)


def has_random_etags(bucket: str) -> bool:
    """Tell whether a bucket is a directory bucket, whose ETags are random strings.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-express-differences.html
    """
    return bucket.endswith("--x-s3")


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
        proof: What equal values prove the bytes by.
    """

    expected: str
    proof: Proof

    def update(self, data: bytes) -> None:
        """Take the next bytes."""
        ...

    def value(self) -> str:
        """Return the digest of all bytes, in the form of ``expected``; call it once, at the end."""
        ...


class Md5Digest:
    """Prove bytes by an ETag that is their MD5."""

    proof = Proof.ETAG

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
    """Prove bytes by an MD5 of theirs that has been computed already."""

    proof = Proof.ETAG

    def __init__(self, expected: str, known: str) -> None:
        self.expected = expected
        self._known = known

    def update(self, data: bytes) -> None:
        """Take nothing: the digest is complete."""
        raise AssertionError("unreachable: all bytes have been taken")

    def value(self) -> str:
        """Return the digest."""
        return self._known


class _Updated(Protocol):
    def update(self, data: bytes, /) -> None: ...


class _HexDigest(_Updated, Protocol):
    def hexdigest(self) -> str: ...


class _KnownMd5:
    def __init__(self, md5: bytes) -> None:
        self._md5 = md5

    def update(self, data: bytes, /) -> None:
        raise AssertionError("unreachable: all bytes have been taken")

    def hexdigest(self) -> str:
        return self._md5.hex()


H = TypeVar("H", bound=_Updated)


class _Parts(Generic[H]):
    """Cut bytes at the part boundaries of a layout, and hash each part by itself."""

    def __init__(self, layout: PartPlan, begin: Callable[[], H]) -> None:
        self._begin = begin
        self._sizes = layout.part_sizes()
        self._usual = layout.part_bytes
        self._size = self._room = self._next_size()
        self._part = begin()
        self.ended: list[H] = []

    @property
    def at_a_boundary(self) -> bool:
        """Whether no part is begun."""
        return self._room == self._size

    def update(self, data: bytes) -> None:
        """Take the next bytes."""
        view = memoryview(data)
        while view:
            piece, view = view[: self._room], view[self._room :]
            # Every hash takes a view, too, and hashes without copying.
            self._part.update(cast(bytes, piece))
            self._room -= len(piece)
            if not self._room:
                self.end_part()

    def is_next(self, data: bytes) -> bool:
        """Tell whether bytes are exactly the next part."""
        return self.at_a_boundary and len(data) == self._size

    def end_part(self, part: H | None = None) -> None:
        """End a part where it is; a given one has been hashed elsewhere."""
        self.ended.append(self._part if part is None else part)
        self._part = self._begin()
        self._size = self._room = self._next_size()

    def all(self) -> list[H]:
        """Return all parts, the last one ended."""
        if not self.at_a_boundary:
            self.end_part()
        return self.ended

    def _next_size(self) -> int:
        # More bytes than the layout has are hashed like any others, and do not match.
        return next(self._sizes, self._usual)


class MultipartDigest:
    """Prove bytes by the ETag of a multipart object whose part layout is known.

    That all parts have the first one's size may be inferred from their number, so a difference does
    not yet mean other bytes.
    """

    proof = Proof.ETAG

    def __init__(self, etag: str, layout: PartPlan) -> None:
        self.expected = unquoted(etag).lower()
        self._parts = _Parts[_HexDigest](layout, _md5)

    def update(self, data: bytes) -> None:
        """Take the next bytes, cut at the source's part boundaries."""
        self._parts.update(data)

    def take_part(self, data: bytes, md5: bytes) -> bool:
        """Take a whole part whose MD5 is known, without hashing it again.

        Returns:
            Whether the bytes are one whole part; if not, they have not been taken.
        """
        if not self._parts.is_next(data):
            return False
        self._parts.end_part(_KnownMd5(md5))
        return True

    def value(self) -> str:
        """Return the ETag of the bytes in the source's parts."""
        digests = [part.hexdigest() for part in self._parts.all()]
        parts = [CompletedPart(number, digest) for number, digest in enumerate(digests, start=1)]
        return multipart_etag(parts) or ""


class ChecksumDigest:
    """Prove bytes by a full-object checksum that S3 keeps with the object.

    Args:
        checksum: The checksum of no bytes, of the same algorithm.
        expected: The source's, in base64.
    """

    proof = Proof.CHECKSUM

    def __init__(self, checksum: Running, expected: str) -> None:
        self.expected = expected
        self._checksum = checksum

    def update(self, data: bytes) -> None:
        """Take the next bytes."""
        self._checksum.update(data)

    def value(self) -> str:
        """Return the checksum in base64, as S3 writes it."""
        return self._checksum.value()


class CompositeDigest:
    """Prove bytes by the checksum of the checksums of an object's parts, whose layout is known.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html

    Args:
        algorithm: One that can be computed here, in lower case.
        expected: The source's: base64, and the number of parts (``"...-3"``).
        layout: The parts.
    """

    proof = Proof.CHECKSUM

    def __init__(self, algorithm: str, expected: str, layout: PartPlan) -> None:
        self.expected = expected
        self._algorithm = algorithm
        self._parts = _Parts[Running](layout, lambda: _begun(algorithm))

    def update(self, data: bytes) -> None:
        """Take the next bytes, cut at the source's part boundaries."""
        self._parts.update(data)

    def value(self) -> str:
        """Return the checksum of the parts' checksums, and their number."""
        whole, parts = _begun(self._algorithm), self._parts.all()
        for part in parts:
            whole.update(base64.b64decode(part.value()))
        return f"{whole.value()}-{len(parts)}"


def digest_for(head: ObjectHead, layout: PartPlan | None) -> Digest | None:
    """Choose the strongest proof that an object's head allows.

    Args:
        head: The object's head.
        layout: The part layout of a multipart source, where it is known.

    Returns:
        A digest to feed, or ``None`` where neither the ETag nor a checksum tells of the bytes.
    """
    etag, tells = head.object.etag, tells_of_bytes(head)
    if tells and md5_etag(etag):
        return Md5Digest(etag)
    if tells and part_count(etag) and layout:
        return MultipartDigest(etag, layout)
    return _checksum_digest(head.checksums) or _composite_digest(head.composite_checksums, layout)


def _checksum_digest(checksums: Mapping[str, str]) -> Digest | None:
    for algorithm in CHECKSUMS:
        checksum = running(algorithm) if algorithm in checksums else None
        if checksum is not None:
            return ChecksumDigest(checksum, checksums[algorithm])
    return None


def _composite_digest(checksums: Mapping[str, str], layout: PartPlan | None) -> Digest | None:
    for algorithm in CHECKSUMS:
        expected = checksums.get(algorithm, "")
        counted = layout is not None and expected.endswith(f"-{layout.count}")
        if layout is not None and counted and running(algorithm) is not None:
            return CompositeDigest(algorithm, expected, layout)
    return None


def _md5() -> _HexDigest:
    return hashlib.md5(usedforsecurity=False)


def _begun(algorithm: str) -> Running:
    checksum = running(algorithm)
    if checksum is None:
        raise AssertionError("unreachable: only what can be computed is chosen")
    return checksum
