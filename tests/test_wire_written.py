"""Answers to writes: ETag, version, encryption, checksums, as the reference client reads them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_s3copy.errors import InvalidResponseError
from async_s3copy.s3.values import CompletedPart, Written
from async_s3copy.s3.wire.xml import parse, quick_etag
from tests.wire_oracle import STYLES, Oracle
from tests.wire_readings import MD5, READINGS, agree, outcome, response
from tests.wire_samples import COPY_RESULTS

pytestmark = pytest.mark.stack_b

WRITES: Final = ("CopyObject", "CompleteMultipartUpload", "PutObject")
HEADERS: Final[Mapping[str, tuple[Mapping[str, str], str | None, bool]]] = {
    "nothing more": ({}, None, True),
    "a version": ({"x-amz-version-id": "v1"}, "v1", True),
    "a version of a suspended bucket": ({"X-Amz-Version-Id": "null"}, "null", True),
    "an empty version": ({"x-amz-version-id": ""}, None, True),
    "another header as long": ({"x-amz-request-id": "0123456789ABCDEF"}, None, True),
    "SSE-S3": ({"x-amz-server-side-encryption": "AES256"}, None, True),
    "SSE-KMS": ({"X-AMZ-Server-Side-Encryption": "aws:kms"}, None, False),
    "two layers": ({"x-amz-server-side-encryption": "aws:kms:dsse"}, None, False),
    "SSE-C": ({"x-amz-server-side-encryption-customer-algorithm": "AES256"}, None, False),
}
CHECKSUMS: Final = {
    "whole": (
        "<ChecksumCRC64NVME>AAAAAAAAAAA=</ChecksumCRC64NVME><ChecksumType>FULL_OBJECT</ChecksumType>",
        {"crc64nvme": "AAAAAAAAAAA="},
    ),
    "no type": ("<ChecksumSHA1>AA==</ChecksumSHA1>", {"sha1": "AA=="}),
    "of parts": (
        "<ChecksumSHA256>AA==-3</ChecksumSHA256><ChecksumType>COMPOSITE</ChecksumType>",
        {},
    ),
    "of parts, no type": ("<ChecksumSHA256>AA==-3</ChecksumSHA256>", {}),
    "none": ("", {}),
}


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    """The reference client."""
    judge = Oracle(STYLES[0])
    yield judge
    judge.close()


def result(name: str, inner: str = "") -> str:
    root = READINGS[name].root
    return f"<{root}>{inner}<ETag>&quot;{MD5}&quot;</ETag></{root}>" if root else ""


@pytest.mark.parametrize("headers, version_id, is_md5", HEADERS.values(), ids=HEADERS.keys())
@pytest.mark.parametrize("name", WRITES)
def test_headers_tell_of_version_and_encryption(
    oracle: Oracle, name: str, headers: Mapping[str, str], version_id: str | None, is_md5: bool
) -> None:
    """In any case of letters, and as botocore reads them."""
    answer = response(200, result(name), {"ETag": f'"{MD5}"', **headers})
    assert agree(oracle, READINGS[name], answer) == Written(MD5, version_id, is_md5)


@pytest.mark.parametrize("inner, checksums", CHECKSUMS.values(), ids=CHECKSUMS.keys())
@pytest.mark.parametrize("name", ["CopyObject", "CompleteMultipartUpload"])
@pytest.mark.parametrize("gap", ["", "<!-- so that expat has to read it -->"])
def test_documents_tell_of_full_object_checksums(
    oracle: Oracle, name: str, inner: str, checksums: Mapping[str, str], gap: str
) -> None:
    """A checksum of part checksums is none of the object, however the document is read."""
    answer = response(200, result(name, gap + inner))
    assert agree(oracle, READINGS[name], answer) == Written(MD5, checksums=checksums)


@pytest.mark.parametrize(
    "headers, checksums",
    [
        ({"x-amz-checksum-crc32": "AAAAAA=="}, {"crc32": "AAAAAA=="}),
        ({"x-amz-checksum-sha256": "AA==", "x-amz-checksum-type": "COMPOSITE"}, {}),
    ],
)
def test_headers_tell_of_full_object_checksums(
    oracle: Oracle, headers: Mapping[str, str], checksums: Mapping[str, str]
) -> None:
    """PutObject has them in its headers."""
    answer = response(200, "", {"ETag": MD5, **headers})
    assert agree(oracle, READINGS["PutObject"], answer) == Written(MD5, checksums=checksums)


def test_a_part_keeps_its_checksums(oracle: Oracle) -> None:
    """UploadPart tells them in headers, UploadPartCopy in its document; Complete repeats them."""
    headers = {"ETag": MD5, "x-amz-checksum-sha1": "AA=="}
    wanted = CompletedPart(7, MD5, {"sha1": "AA=="})
    assert agree(oracle, READINGS["UploadPart"], response(200, "", headers)) == wanted
    document = result("UploadPartCopy", "<ChecksumSHA1>AA==</ChecksumSHA1>")
    assert agree(oracle, READINGS["UploadPartCopy"], response(200, document)) == wanted


@given(
    st.permutations(
        [
            "<LastModified>2024-01-02T03:04:05.000Z</LastModified>",
            f"<ETag>&quot;{MD5}&quot;</ETag>",
            "<ChecksumType>FULL_OBJECT</ChecksumType>",
            "<ChecksumCRC32>AAAAAA==</ChecksumCRC32>",
            "<ChecksumNEW>AAAAAA==</ChecksumNEW>",
        ]
    ),
    st.integers(0, 5),
)
def test_the_quick_look_sees_what_the_close_look_sees(fields: list[str], count: int) -> None:
    """For any order and choice of fields, read lazily or by expat: the same, or no success."""
    quick, close = (
        outcome(
            READINGS["CopyObject"], response(200, f"<CopyObjectResult>{inner}</CopyObjectResult>")
        )
        for inner in ("".join(fields[:count]), "<!-- -->" + "".join(fields[:count]))
    )
    if isinstance(quick, InvalidResponseError):
        assert isinstance(close, InvalidResponseError)
    else:
        assert quick == close


def test_checksums_of_a_copy_look_like_a_mapping() -> None:
    """Read only when asked for, they compare, count, iterate and show as the dictionary would."""
    written = outcome(READINGS["CopyObject"], response(200, COPY_RESULTS["AWS"]))
    checksums = {"crc64nvme": "AAAAAAAAAAA="}
    assert quick_etag(COPY_RESULTS["AWS"].encode(), "CopyObjectResult")
    assert parse(COPY_RESULTS["AWS"].encode()).name == "CopyObjectResult"
    assert written.checksums == checksums
    assert (len(written.checksums), list(written.checksums)) == (1, list(checksums))
    assert repr(written.checksums) == repr(checksums)
