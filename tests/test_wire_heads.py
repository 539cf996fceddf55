"""Heads of objects: what HEAD and GET tell in their headers, as the reference client reads it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import pytest

from async_s3copy.s3.values import ObjectHead, ObjectProperties
from async_s3copy.s3.wire import answers
from async_s3copy.s3.wire.http import Response
from tests.wire_oracle import BUCKET, STYLES, Oracle
from tests.wire_readings import KEY, MD5, READINGS, agree, response

pytestmark = pytest.mark.stack_b

HEADS: Final[Mapping[str, Mapping[str, str]]] = {
    "plain": {
        "Content-Length": "12",
        "ETag": f'"{MD5}"',
        "Last-Modified": "Tue, 02 Jan 2024 03:04:05 GMT",
        "Content-Type": "text/plain",
    },
    "all it can say": {
        "Content-Length": "12",
        "ETag": f'"{MD5}-3"',
        "Last-Modified": "Tue, 02 Jan 2024 03:04:05 GMT",
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Encoding": "gzip",
        "Content-Language": "de",
        "Content-Disposition": 'attachment; filename="ü.txt"',
        "Cache-Control": "max-age=1,  public",
        "Expires": "Thu, 01 Dec 2033 16:00:00 GMT",
        "x-amz-storage-class": "STANDARD_IA",
        "x-amz-tagging-count": "3",
        "x-amz-mp-parts-count": "3",
        "x-amz-meta-name": "värde  zwei",
        "x-amz-meta-empty": "",
        "X-Amz-Meta-Upper": "X",
        "x-amz-version-id": "v",
        "x-amz-server-side-encryption": "AES256",
        "x-amz-checksum-sha256": "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        "x-amz-checksum-type": "FULL_OBJECT",
    },
    "a range": {"Content-Length": "2", "Content-Range": "bytes 0-1/500", "ETag": MD5},
    "a range of unknown whole": {"Content-Length": "2", "Content-Range": "bytes 0-1/*"},
    "KMS": {"Content-Length": "1", "x-amz-server-side-encryption": "aws:kms"},
    "SSE-C": {
        "Content-Length": "1",
        "x-amz-server-side-encryption-customer-algorithm": "AES256",
    },
    "composite checksums": {
        "Content-Length": "1",
        "x-amz-checksum-crc32": "AAAAAA==-3",
        "x-amz-checksum-crc64nvme": "AAAAAAAAAAA=",
    },
    "checksums declared composite": {
        "Content-Length": "1",
        "x-amz-checksum-crc32": "AAAAAA==",
        "x-amz-checksum-type": "COMPOSITE",
    },
    "under KMS, locked, redirected": {
        "Content-Length": "1",
        "x-amz-server-side-encryption": "aws:kms:dsse",
        "x-amz-server-side-encryption-aws-kms-key-id": "arn:aws:kms:eu-west-1:1:key/k",
        "x-amz-server-side-encryption-bucket-key-enabled": "true",
        "x-amz-website-redirect-location": "/elsewhere",
        "x-amz-object-lock-mode": "GOVERNANCE",
        "x-amz-object-lock-retain-until-date": "2030-01-01T00:00:00.000Z",
        "x-amz-object-lock-legal-hold": "ON",
        "x-amz-version-id": "null",
    },
    "archived": {"Content-Length": "1", "x-amz-storage-class": "GLACIER"},
    "restored": {
        "Content-Length": "1",
        "x-amz-storage-class": "DEEP_ARCHIVE",
        "x-amz-restore": 'ongoing-request="false", expiry-date="Fri, 21 Dec 2040 00:00:00 GMT"',
    },
    "nothing": {},
}


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    """The reference client."""
    judge = Oracle(STYLES[0])
    yield judge
    judge.close()


@pytest.mark.parametrize("headers", HEADS.values(), ids=HEADS.keys())
@pytest.mark.parametrize("status", [200, 206])
def test_a_head_is_botocores(oracle: Oracle, headers: Mapping[str, str], status: int) -> None:
    """Size, date, ETag, properties, tags, parts, checksums, encryption: all equal."""
    result = agree(oracle, READINGS["HeadObject"], response(status, "", headers))
    assert result.object.key == KEY


def test_a_head_keeps_what_is_no_utf_8() -> None:
    """Metadata in another encoding comes in as surrogate escapes, to go out as the same bytes."""
    raw = ((b"x-amz-meta-m", b"caf\xe9"),)
    head = answers.head_object(Response(200, raw, b""), "source", BUCKET, KEY)
    assert head.properties.metadata["m"].encode("utf-8", "surrogateescape") == b"caf\xe9"


@pytest.mark.parametrize(
    "header", ["x-amz-mp-parts-count", "x-amz-tagging-count", "content-length"]
)
@pytest.mark.parametrize("value", ["", "-1", "x", "²", "9" * 5_000, "1 2"])
def test_an_odd_number_in_a_head_is_none(header: str, value: str) -> None:
    """A count that is no number counts as not told; it never crashes an answer."""
    head = answers.object_head(BUCKET, KEY, {header: value})
    assert (head.part_count, head.tag_count, head.content_length) == (None, None, 0)


def head(headers: Mapping[str, str]) -> ObjectHead:
    return answers.object_head(BUCKET, KEY, headers)


def test_a_head_tells_every_property() -> None:
    """What a copy may have to send again is all there, under the names it is written by."""
    headers = HEADS["under KMS, locked, redirected"]
    told = head({name.lower(): text for name, text in headers.items()})
    assert told.properties == ObjectProperties(
        encryption="aws:kms:dsse",
        kms_key_id="arn:aws:kms:eu-west-1:1:key/k",
        bucket_key_enabled=True,
        website_redirect="/elsewhere",
        lock_mode="GOVERNANCE",
        lock_retain_until="2030-01-01T00:00:00.000Z",
        legal_hold="ON",
    )
    assert told.object.version_id == "null"
    assert not told.etag_is_md5


@pytest.mark.parametrize(
    "headers, archived",
    [
        ({"x-amz-storage-class": "GLACIER"}, True),
        ({"x-amz-storage-class": "DEEP_ARCHIVE"}, True),
        ({"x-amz-storage-class": "GLACIER_IR"}, False),
        ({"x-amz-storage-class": "STANDARD_IA"}, False),
        ({"x-amz-storage-class": "INTELLIGENT_TIERING"}, False),
        (
            {
                "x-amz-storage-class": "INTELLIGENT_TIERING",
                "x-amz-archive-status": "ARCHIVE_ACCESS",
            },
            True,
        ),
        ({"x-amz-storage-class": "GLACIER", "x-amz-restore": 'ongoing-request="true"'}, True),
        (
            {
                "x-amz-storage-class": "GLACIER",
                "x-amz-restore": 'ongoing-request="false", expiry-date="..."',
            },
            False,
        ),
        ({}, False),
    ],
)
def test_archived_objects_are_told_apart(headers: Mapping[str, str], archived: bool) -> None:
    """By class or archive tier, unless restored; the instant-retrieval class reads as any other."""
    assert head(headers).archived is archived


@pytest.mark.parametrize(
    "headers, whole, composite, algorithm, kind",
    [
        ({}, {}, {}, "", ""),
        ({"x-amz-checksum-sha1": "AA=="}, {"sha1": "AA=="}, {}, "SHA1", ""),
        (
            {"x-amz-checksum-crc32": "AA==", "x-amz-checksum-type": "FULL_OBJECT"},
            {"crc32": "AA=="},
            {},
            "CRC32",
            "FULL_OBJECT",
        ),
        (
            {"x-amz-checksum-sha256": "AA==-3", "x-amz-checksum-type": "COMPOSITE"},
            {},
            {"sha256": "AA==-3"},
            "SHA256",
            "COMPOSITE",
        ),
        ({"x-amz-checksum-crc32c": "AA==-3"}, {}, {"crc32c": "AA==-3"}, "CRC32C", "COMPOSITE"),
    ],
)
def test_checksums_are_of_the_object_or_of_its_parts(
    headers: Mapping[str, str],
    whole: Mapping[str, str],
    composite: Mapping[str, str],
    algorithm: str,
    kind: str,
) -> None:
    """The two kinds are never mixed up; the number of parts gives away what no type tells."""
    told = head(headers)
    assert (told.checksums, told.composite_checksums) == (whole, composite)
    properties = told.properties
    assert (properties.checksum_algorithm, properties.checksum_type) == (algorithm, kind)
