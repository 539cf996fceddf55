"""Is one object the same as another, by what S3 says of both? Pure.

The first row that applies decides:

=======================================================  =====================
what both sides tell                                     equal       different
=======================================================  =====================
a checksum of the whole object, by one algorithm         CHECKSUM    other bytes
a checksum of part checksums, by one algorithm           CHECKSUM    next row
ETags                                                    ETAG        next row
sizes                                                    next row    other bytes
ETags that are both the MD5 of the whole object          (above)     a suspicion
ETags of as many parts, known to be of the same sizes    (above)     a suspicion
the number of parts                                      SIZE        other bytes
sizes                                                    SIZE        (above)
nothing                                                  NONE
=======================================================  =====================

An ETag that the encryption makes opaque (SSE-KMS, SSE-C) is never looked at. A suspicion it is
because nothing in an ETag says whether it is an MD5: servers other than AWS are free to choose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final, NamedTuple

from async_s3copy.engine.verify import (
    CHECKSUMS,
    has_random_etags,
    md5_etag,
    part_count,
    tells_of_bytes,
)
from async_s3copy.model import Proof, S3Location, S3Object, unquoted
from async_s3copy.s3.values import ObjectHead, Written

_STRENGTH: Final = (Proof.NONE, Proof.SIZE, Proof.ETAG, Proof.CHECKSUM)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of one object.

    Attributes:
        url: Where it is.
        etag: ETag, unquoted; empty where it is not known.
        etag_is_opaque: Whether it is known to tell nothing of the bytes.
        size_bytes: Size; ``None`` where it is not known.
        parts: Number of parts; ``None`` where it is not known.
        checksums: Of the whole object, base64, by algorithm in lower case.
        composite_checksums: Of its parts' checksums, likewise.
    """

    url: str
    etag: str = ""
    etag_is_opaque: bool = False
    size_bytes: int | None = None
    parts: int | None = None
    checksums: Mapping[str, str] = field(default_factory=dict)
    composite_checksums: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        known = [f"{self.size_bytes:,} bytes"] if self.size_bytes is not None else []
        known += [f"ETag {self.etag}"] if self.etag else []
        known += [f"{self.parts} parts"] if self.parts else []
        all_checksums = {**self.composite_checksums, **self.checksums}
        known += [f"{name} {value}" for name, value in all_checksums.items()]
        return f"{self.url} ({', '.join(known) or 'nothing known'})"


class Difference(Enum):
    """What two objects differ in; ``NOTHING`` where nothing that both tell differs."""

    NOTHING = auto()
    CHECKSUM = auto()
    SIZE = auto()
    PARTS = auto()
    ETAG = auto()
    """A suspicion: the only one that more knowledge may dispel."""


class Comparison(NamedTuple):
    """What came of comparing two objects.

    Attributes:
        proof: The strongest proof that they are equal.
        difference: What they differ in; their proof is then ``NONE``, or ``SIZE`` where only the
            ETags differ.
    """

    proof: Proof
    difference: Difference = Difference.NOTHING


def of_listed(item: S3Object) -> Facts:
    """Return what a listing tells of an object: nothing of its encryption."""
    etag = unquoted(item.etag)
    return Facts(
        url=str(item),
        etag=etag,
        etag_is_opaque=has_random_etags(item.bucket),
        size_bytes=item.size,
        parts=part_count(etag),
    )


def of_head(head: ObjectHead) -> Facts:
    """Return what a HEAD tells of an object."""
    etag = unquoted(head.object.etag)
    return Facts(
        url=str(head.object),
        etag=etag,
        etag_is_opaque=not tells_of_bytes(head),
        size_bytes=head.object.size,
        # An opaque ETag has the number of parts all the same.
        parts=part_count(etag),
        checksums=head.checksums,
        composite_checksums=head.composite_checksums,
    )


def of_written(target: S3Location, written: Written) -> Facts:
    """Return what the answer to a write tells of the object: not its size."""
    return Facts(
        url=str(target),
        etag=written.etag,
        etag_is_opaque=not written.etag_is_md5 or has_random_etags(target.bucket),
        parts=part_count(written.etag),
        checksums=written.checksums,
    )


def compare(
    source: Facts, destination: Facts, *, parts: int | None = None, same_layout: bool = False
) -> Comparison:
    """Compare two objects by the table above.

    Args:
        source: What is known of the one.
        destination: What is known of the other.
        parts: Number of parts the destination was written in, where it was.
        same_layout: Whether its parts are known to have the sizes of the source's.
    """
    for algorithm in CHECKSUMS:
        values = source.checksums.get(algorithm), destination.checksums.get(algorithm)
        if None not in values:
            return _by_checksum(*values)
    if _share(source.composite_checksums, destination.composite_checksums):
        return Comparison(Proof.CHECKSUM)
    opaque = source.etag_is_opaque or destination.etag_is_opaque
    if not opaque and source.etag == destination.etag and tells(source.etag):
        return Comparison(Proof.ETAG)
    sizes = source.size_bytes, destination.size_bytes
    if None not in sizes and sizes[0] != sizes[1]:
        return Comparison(Proof.NONE, Difference.SIZE)
    by_size = Proof.NONE if None in sizes and parts is None else Proof.SIZE
    if not opaque and _comparable(source.etag, destination.etag, same_layout=same_layout):
        return Comparison(by_size, Difference.ETAG)
    if parts is not None and destination.parts not in (None, parts):
        return Comparison(Proof.NONE, Difference.PARTS)
    return Comparison(by_size)


def tells(etag: str) -> bool:
    """Tell whether an ETag has the shape of one that tells of the bytes."""
    return md5_etag(etag) is not None or part_count(etag) is not None


def stronger(one: Proof, other: Proof) -> Proof:
    """Return the stronger of two proofs."""
    return max(one, other, key=_STRENGTH.index)


def _by_checksum(one: str | None, other: str | None) -> Comparison:
    if one == other:
        return Comparison(Proof.CHECKSUM)
    return Comparison(Proof.NONE, Difference.CHECKSUM)


def _share(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """Tell whether a checksum of part checksums is equal; unequal ones may be of other parts."""
    return any(other.get(name) == value for name, value in one.items())


def _comparable(one: str, other: str, *, same_layout: bool) -> bool:
    """Tell whether two different ETags would be equal if the bytes were."""
    if md5_etag(one) and md5_etag(other):
        return one.lower() != other.lower()
    count = part_count(one)
    return same_layout and count is not None and count == part_count(other) and one != other
