"""Digests of bytes on their way, and what an ETag can prove."""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_s3copy.engine.checksums import computable, running
from async_s3copy.engine.plan import PartPlan
from async_s3copy.engine.verify import (
    ChecksumDigest,
    CompositeDigest,
    Digest,
    Md5Digest,
    MultipartDigest,
    digest_for,
    md5_etag,
    multipart_etag,
    part_count,
    same_etag,
)
from async_s3copy.model import Proof, S3Object
from async_s3copy.s3.values import CompletedPart, ObjectHead
from tests.fake_server import md5_hex
from tests.fakes import LONG_AGO


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def multipart(data: bytes, part_bytes: int) -> str:
    parts = [data[i : i + part_bytes] for i in range(0, len(data), part_bytes)]
    joined = b"".join(hashlib.md5(part, usedforsecurity=False).digest() for part in parts)
    return f"{md5_hex(joined)}-{len(parts)}"


def by_checksum(algorithm: str, expected: bytes) -> Digest:
    begun = running(algorithm)
    assert begun is not None
    return ChecksumDigest(begun, b64(expected))


def composite(data: bytes, part_bytes: int) -> str:
    parts = [data[i : i + part_bytes] for i in range(0, len(data), part_bytes)]
    joined = b"".join(hashlib.sha256(part).digest() for part in parts)
    return f"{b64(hashlib.sha256(joined).digest())}-{len(parts)}"


DIGESTS: dict[str, Callable[[bytes], Digest]] = {
    "md5": lambda data: Md5Digest(md5_hex(data)),
    "quoted upper-case md5": lambda data: Md5Digest(f'"{md5_hex(data).upper()}"'),
    "sha256": lambda data: by_checksum("sha256", hashlib.sha256(data).digest()),
    "sha1": lambda data: by_checksum("sha1", hashlib.sha1(data, usedforsecurity=False).digest()),
    "crc32": lambda data: by_checksum("crc32", zlib.crc32(data).to_bytes(4, "big")),
    "multipart": lambda data: MultipartDigest(multipart(data, 7), PartPlan(len(data), 7)),
    "composite": lambda data: CompositeDigest("sha256", composite(data, 7), PartPlan(len(data), 7)),
}


@pytest.mark.parametrize("name", DIGESTS)
@given(chunks=st.lists(st.binary(max_size=40), max_size=8), flip=st.integers(0, 300))
def test_digests_do_not_depend_on_how_the_bytes_are_cut(
    name: str, chunks: list[bytes], flip: int
) -> None:
    """Any chunking of the right bytes matches; one flipped bit, or a byte less, does not."""
    data = b"".join(chunks)
    if not data:
        return
    right, wrong, short = (DIGESTS[name](data) for _ in range(3))
    for chunk in chunks:
        right.update(chunk)
    assert right.value() == right.expected
    damaged = bytearray(data)
    damaged[flip % len(data)] ^= 1
    wrong.update(bytes(damaged))
    assert wrong.value() != wrong.expected
    short.update(data[:-1])
    assert short.value() != short.expected


@pytest.mark.parametrize("name", ["md5", "sha256", "sha1", "crc32"])
def test_no_bytes_are_proven_too(name: str) -> None:
    """An empty object has digests like any other."""
    digest = DIGESTS[name](b"")
    assert digest.value() == digest.expected


@given(st.binary(min_size=1, max_size=200), st.integers(1, 50), st.integers(1, 50))
def test_a_multipart_etag_proves_only_its_own_layout(data: bytes, part: int, other: int) -> None:
    """The same bytes in other parts have another ETag, unless the cuts are the same."""
    digest = MultipartDigest(multipart(data, part), PartPlan(len(data), other))
    digest.update(data)
    assert digest.value() == multipart(data, other)


@given(st.binary(min_size=1, max_size=200), st.integers(1, 50), st.lists(st.booleans()))
def test_a_part_hashed_already_is_not_hashed_again(
    data: bytes, part: int, known: list[bool]
) -> None:
    """Whole parts may be taken by their MD5, in any mixture with bytes: the ETag is the same."""
    digest = MultipartDigest(multipart(data, part), PartPlan(len(data), part))
    for number, first in enumerate(range(0, len(data), part)):
        piece = data[first : first + part]
        md5 = hashlib.md5(piece, usedforsecurity=False).digest()
        by_md5 = number < len(known) and known[number] and digest.take_part(piece, md5)
        if not by_md5:
            digest.update(piece)
    assert digest.value() == digest.expected


def test_a_piece_that_is_no_whole_part_is_not_taken_by_its_md5() -> None:
    """Shorter, longer, or begun in the middle of a part: the bytes themselves are needed."""
    digest = MultipartDigest(multipart(b"abcdef", 2), PartPlan(6, 2))
    assert not digest.take_part(b"a", bytes(16))
    assert not digest.take_part(b"abc", bytes(16))
    digest.update(b"a")
    assert not digest.take_part(b"bc", bytes(16))


def test_a_known_multipart_etag() -> None:
    """The formula is S3's: MD5 of the parts' binary MD5s, and their number."""
    parts = [CompletedPart(1, md5_hex(b"a")), CompletedPart(2, f'"{md5_hex(b"b").upper()}"')]
    digests = hashlib.md5(b"a", usedforsecurity=False).digest()
    digests += hashlib.md5(b"b", usedforsecurity=False).digest()
    assert multipart_etag(parts) == f"{md5_hex(digests)}-2"


def test_opaque_part_etags_prove_nothing() -> None:
    """One part whose ETag is no MD5 leaves the whole unknown."""
    assert multipart_etag([CompletedPart(1, md5_hex(b"a")), CompletedPart(2, "opaque")]) is None


@pytest.mark.parametrize(
    "etag, md5, parts",
    [
        ("0" * 32, "0" * 32, None),
        (f'"{"A" * 32}"', "a" * 32, None),
        (f'"{"a" * 32}-12"', None, 12),
        ("a" * 32 + "-1", None, 1),
        ("a" * 31, None, None),
        ("a" * 33, None, None),
        ("a" * 32 + "-", None, None),
        ("a" * 32 + "-123456", None, None),
        ("", None, None),
    ],
)
def test_what_an_etag_tells(etag: str, md5: str | None, parts: int | None) -> None:
    """An MD5, a number of parts, or nothing: quotes and case aside."""
    assert md5_etag(etag) == md5
    assert part_count(etag) == parts


def test_etags_compare_without_quotes() -> None:
    """Servers quote ETags or not; that is no difference."""
    assert same_etag('"abc"', "abc")
    assert not same_etag("abc", "abd")


MD5 = md5_hex(b"data")
PARTS = f"{MD5}-3"
ALL = {"sha256": "c2hhMjU2", "sha1": "c2hhMQ==", "crc32": "AAAAAA==", "crc64nvme": "AAAA"}


def head(etag: str, checksums: dict[str, str], *, etag_is_md5: bool = True) -> ObjectHead:
    item = S3Object.reported("my-bucket", "k", 15, LONG_AGO, etag)
    whole = {name: value for name, value in checksums.items() if "-" not in value}
    return ObjectHead(
        object=item,
        etag_is_md5=etag_is_md5,
        checksums=whole,
        composite_checksums={name: checksums[name] for name in checksums.keys() - whole.keys()},
    )


@pytest.mark.parametrize(
    "etag, etag_is_md5, part_bytes, checksums, kind",
    [
        (MD5, True, None, ALL, Md5Digest),
        (PARTS, True, 5, ALL, MultipartDigest),
        (PARTS, True, None, ALL, ChecksumDigest),
        (PARTS, True, None, {"crc32": "AAAAAA=="}, ChecksumDigest),
        (PARTS, True, None, {}, type(None)),
        (MD5, False, None, ALL, ChecksumDigest),
        (MD5, False, None, {}, type(None)),
        (PARTS, False, 5, {}, type(None)),
        (PARTS, False, 5, {"sha256": "AAAA-3"}, CompositeDigest),
        (PARTS, False, 5, {"sha256": "AAAA-3", "sha1": "AAAA"}, ChecksumDigest),
        (PARTS, False, 5, {"sha256": "AAAA-4"}, type(None)),
        (PARTS, False, None, {"sha256": "AAAA-3"}, type(None)),
        ("opaque", True, None, {"md4": "AAAA"}, type(None)),
        ("opaque", True, None, {"sha1": "c2hhMQ=="}, ChecksumDigest),
    ],
)
def test_the_strongest_proof_is_chosen(
    etag: str,
    etag_is_md5: bool,
    part_bytes: int | None,
    checksums: dict[str, str],
    kind: type[object],
) -> None:
    """ETag before checksum, and an encrypted object's ETag proves nothing; row by row."""
    layout = PartPlan(15, part_bytes) if part_bytes else None
    found = digest_for(head(etag, checksums, etag_is_md5=etag_is_md5), layout)
    assert type(found) is kind


def test_sha256_goes_before_sha1() -> None:
    """Of two checksums the stronger one is used."""
    data = b"data"
    found = digest_for(
        head("opaque", {"sha1": "wrong", "sha256": b64(hashlib.sha256(data).digest())}), None
    )
    assert found is not None
    found.update(data)
    assert found.value() == found.expected


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.data())
def test_parts_of_any_sizes_hash_to_their_etag(sizes: list[int], drawn: st.DataObject) -> None:
    """Different parts, any chunking: the ETag and the checksum of checksums come out."""
    data = bytes(drawn.draw(st.binary(min_size=sum(sizes), max_size=sum(sizes))))
    layout = PartPlan(len(data), max(sizes), tuple(sizes))
    pieces = [data[each.first : each.last + 1] for each in layout.ranges()]
    digests = [hashlib.md5(piece, usedforsecurity=False).digest() for piece in pieces]
    sums = b"".join(hashlib.sha256(piece).digest() for piece in pieces)
    by_etag = MultipartDigest(f"{md5_hex(b''.join(digests))}-{len(sizes)}", layout)
    by_sums = CompositeDigest(
        "sha256", f"{b64(hashlib.sha256(sums).digest())}-{len(sizes)}", layout
    )
    cut = drawn.draw(st.integers(0, len(data)))
    for digest in (by_etag, by_sums):
        digest.update(data[:cut])
        digest.update(data[cut:])
        assert digest.value() == digest.expected
    known = MultipartDigest(by_etag.expected, layout)
    assert all(known.take_part(piece, md5) for piece, md5 in zip(pieces, digests, strict=True))
    assert known.value() == known.expected


@pytest.mark.parametrize("name, proof", [("md5", Proof.ETAG), ("multipart", Proof.ETAG)])
def test_etags_and_checksums_prove_by_their_own_name(name: str, proof: Proof) -> None:
    """What a digest proves by is what its outcome will say."""
    assert DIGESTS[name](b"data").proof is proof
    assert DIGESTS["sha256"](b"data").proof is DIGESTS["composite"](b"data").proof is Proof.CHECKSUM


def test_long_checksums_are_proven_where_they_can_be_computed() -> None:
    """CRC64NVME and CRC32C prove bytes exactly where this installation can compute them."""
    sums = {"crc64nvme": "rosUhgp5mIg=", "crc32c": "4waSgw==", "crc32": "y/Q5Jg=="}
    for name, value in sums.items():
        found = digest_for(head("opaque", {name: value}), None)
        assert (found is not None) == computable(name)
        if found is not None:
            found.update(b"123456789")
            assert found.value() == found.expected
