"""Heads of objects: what HEAD and GET tell in their headers, as the reference client reads it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import pytest

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
