"""What two sides tell of an object, and what follows: the table, row by row."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_s3copy.engine.evidence import (
    Comparison,
    Difference,
    Facts,
    compare,
    of_head,
    of_listed,
    of_written,
    stronger,
    tells,
)
from async_s3copy.engine.verify import digest_for
from async_s3copy.model import Proof, S3Location, S3Object
from async_s3copy.s3.values import ObjectHead, Written
from tests.fakes import LONG_AGO

A, B = "a" * 32, "b" * 32
NOTHING, CHECKSUM, SIZE, PARTS, ETAG = Difference
CRC, OTHER_CRC = {"crc32": "AAAA"}, {"crc32": "BBBB"}
SHA = {"sha256": "CCCC"}
COMPOSITE, OTHER_COMPOSITE = {"sha256": "AAAA-2"}, {"sha256": "BBBB-2"}

EQUAL: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any], Proof]] = [
    # checksums decide, whatever the rest says
    ({"checksums": CRC}, {"checksums": CRC}, {}, Proof.CHECKSUM),
    ({"checksums": CRC, "etag": A}, {"checksums": CRC, "etag": B}, {}, Proof.CHECKSUM),
    ({"checksums": CRC | SHA}, {"checksums": SHA}, {}, Proof.CHECKSUM),
    ({"composite_checksums": COMPOSITE}, {"composite_checksums": COMPOSITE}, {}, Proof.CHECKSUM),
    # checksums of checksums may be of other parts: a difference says nothing
    (
        {"composite_checksums": COMPOSITE, "etag": A},
        {"composite_checksums": OTHER_COMPOSITE, "etag": A},
        {},
        Proof.ETAG,
    ),
    # no algorithm in common
    ({"checksums": CRC, "etag": A}, {"checksums": SHA, "etag": A}, {}, Proof.ETAG),
    ({"checksums": CRC, "size_bytes": 5}, {"checksums": SHA, "size_bytes": 5}, {}, Proof.SIZE),
    # ETags, of one request or of parts
    ({"etag": A}, {"etag": A}, {}, Proof.ETAG),
    ({"etag": f"{A}-2"}, {"etag": f"{A}-2"}, {"parts": 2}, Proof.ETAG),
    # ETags that tell nothing, or not the same
    ({"etag": "opaque"}, {"etag": "opaque"}, {}, Proof.NONE),
    ({"etag": "opaque"}, {"etag": A}, {}, Proof.NONE),
    ({"etag": ""}, {"etag": A}, {}, Proof.NONE),
    ({"etag": f"{A}-2"}, {"etag": B}, {}, Proof.NONE),
    ({"etag": A}, {"etag": f"{B}-1"}, {"parts": 1}, Proof.SIZE),
    ({"etag": A.upper()}, {"etag": A}, {}, Proof.NONE),
    # parts of other sizes, as far as is known
    ({"etag": f"{A}-2"}, {"etag": f"{B}-2"}, {"parts": 2}, Proof.SIZE),
    ({"etag": f"{A}-3"}, {"etag": f"{B}-2"}, {"parts": 2, "same_layout": True}, Proof.SIZE),
    # encryption makes an ETag opaque, equal or not
    ({"etag": A, "etag_is_opaque": True}, {"etag": B}, {}, Proof.NONE),
    ({"etag": A}, {"etag": B, "etag_is_opaque": True}, {}, Proof.NONE),
    ({"etag": A, "etag_is_opaque": True}, {"etag": A, "size_bytes": 1}, {}, Proof.NONE),
    ({"etag_is_opaque": True, "size_bytes": 1}, {"etag": B, "size_bytes": 1}, {}, Proof.SIZE),
    # parts that are known to have been copied, and their number
    ({}, {"etag": f"{B}-2", "parts": 2}, {"parts": 2}, Proof.SIZE),
    ({}, {}, {"parts": 2}, Proof.SIZE),
    ({}, {}, {}, Proof.NONE),
]

DIFFERENT: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any], Difference]] = [
    ({"checksums": CRC}, {"checksums": OTHER_CRC}, {}, CHECKSUM),
    ({"checksums": CRC, "etag": A}, {"checksums": OTHER_CRC, "etag": A}, {}, CHECKSUM),
    ({"size_bytes": 1}, {"size_bytes": 2}, {}, SIZE),
    ({"etag": A, "size_bytes": 1}, {"etag": B, "size_bytes": 2}, {}, SIZE),
    ({"etag_is_opaque": True, "size_bytes": 1}, {"size_bytes": 2}, {}, SIZE),
    ({}, {"parts": 3}, {"parts": 2}, PARTS),
    ({"etag": A}, {"etag": B}, {}, ETAG),
    ({"etag": A, "size_bytes": 1}, {"etag": B, "size_bytes": 1}, {}, ETAG),
    ({"etag": f"{A}-2"}, {"etag": f"{B}-2"}, {"parts": 2, "same_layout": True}, ETAG),
]


def facts(**known: Any) -> Facts:
    return Facts(url="s3://b/k", **known)


@pytest.mark.parametrize("source, destination, given_, proof", EQUAL)
def test_what_proves_an_object(
    source: dict[str, Any], destination: dict[str, Any], given_: dict[str, Any], proof: Proof
) -> None:
    """Equal, or not comparable: the strongest proof there is, and no accusation."""
    found = compare(facts(**source), facts(**destination), **given_)
    assert found == Comparison(proof, NOTHING)


@pytest.mark.parametrize("source, destination, given_, difference", DIFFERENT)
def test_what_refutes_an_object(
    source: dict[str, Any],
    destination: dict[str, Any],
    given_: dict[str, Any],
    difference: Difference,
) -> None:
    """Comparable and different: what differs is named."""
    assert compare(facts(**source), facts(**destination), **given_).difference is difference


@given(
    st.sampled_from([A, B, f"{A}-2", f"{B}-2", "opaque", ""]),
    st.booleans(),
    st.none() | st.integers(0, 3),
    st.dictionaries(st.sampled_from(["crc32", "sha256", "crc64nvme"]), st.just("AAAA")),
    st.booleans(),
)
def test_an_object_never_differs_from_itself(
    etag: str, opaque: bool, size: int | None, checksums: dict[str, str], same_layout: bool
) -> None:
    """Whatever is known of an object, it is no other than itself."""
    one = facts(etag=etag, etag_is_opaque=opaque, size_bytes=size, checksums=checksums)
    assert compare(one, one, same_layout=same_layout).difference is NOTHING


@given(st.sampled_from(list(Proof)), st.sampled_from(list(Proof)))
def test_the_order_of_proofs(one: Proof, other: Proof) -> None:
    """The stronger of two is one of them, whichever way round; NONE is weaker than any."""
    assert stronger(one, other) is stronger(other, one)
    assert stronger(one, other) in {one, other}
    assert stronger(one, Proof.NONE) is one
    assert stronger(one, Proof.CHECKSUM) is Proof.CHECKSUM


@pytest.mark.parametrize(
    "etag, telling",
    [(A, True), (f'"{A}"', True), (f"{A}-7", True), ("", False), ("x", False), (A + "-", False)],
)
def test_which_etags_tell_of_bytes(etag: str, telling: bool) -> None:
    """An MD5, or one of parts, by its shape."""
    assert tells(etag) is telling


def test_what_is_known_comes_from_three_places() -> None:
    """A listing, an answer and a HEAD tell different things, all of which an error can show."""
    item = S3Object("my-bucket", "k", 1_000, LONG_AGO, f'"{A}-2"')
    listed = of_listed(item)
    assert (listed.etag, listed.size_bytes, listed.parts) == (f"{A}-2", 1_000, 2)
    answered = of_written(S3Location("b", "k"), Written(A, None, False, CRC))
    assert (answered.etag_is_opaque, answered.size_bytes, answered.checksums) == (True, None, CRC)
    head = of_head(ObjectHead(object=item, composite_checksums=COMPOSITE))
    assert (head.parts, head.composite_checksums) == (2, COMPOSITE)
    assert str(head) == f"s3://my-bucket/k (1,000 bytes, ETag {A}-2, 2 parts, sha256 AAAA-2)"
    assert str(facts()) == "s3://b/k (nothing known)"


def test_etags_of_directory_buckets_are_never_looked_at() -> None:
    """S3 Express gives random ETags: neither a listing, nor a HEAD, nor an answer is believed."""
    bucket = "quick--euw1-az1--x-s3"
    item = S3Object(bucket, "k", 4, LONG_AGO, A)
    head = ObjectHead(object=item)
    here = of_listed(S3Object("my-bucket", "k", 4, LONG_AGO, B))
    for express in (
        of_listed(item),
        of_head(head),
        of_written(S3Location(bucket, "k"), Written(A)),
    ):
        assert express.etag_is_opaque
        assert compare(express, here).difference is NOTHING
    assert digest_for(head, None) is None


def test_every_difference_but_an_etag_is_certain() -> None:
    """Rows that name a checksum, a size or a number of parts do not depend on the ETag."""
    for (source, destination, given_, difference), opaque in product(DIFFERENT, (True, False)):
        known = facts(**source | {"etag_is_opaque": opaque})
        found = compare(known, facts(**destination), **given_).difference
        assert found is (NOTHING if opaque and difference is ETAG else difference)
