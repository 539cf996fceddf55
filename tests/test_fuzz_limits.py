"""Documents that a hostile server would choose: read or refused in one go, in bounded space.

None of these tests looks at a clock. What takes milliseconds per MiB when work is linear would take
hours if it were not, and the suite's time limit would end it.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Final

import pytest

from async_s3copy.s3.codes import s3_error
from async_s3copy.s3.encoded_keys import key_decoded
from async_s3copy.s3.wire import listing_xml
from async_s3copy.s3.wire.listing_xml import ListingParser
from async_s3copy.s3.wire.pool import MAX_BODY_BYTES
from async_s3copy.s3.wire.xml import DocumentParser, XmlError, parse, quick_etag

MIB: Final = 1024 * 1024

# Where a regular expression could look again and again: ambiguous blanks, unfinished repetitions.
TEMPTING: Final[dict[str, Callable[[int], bytes]]] = {
    "blanks": lambda size: b" " * size + b"x",
    "blanks around a declaration": lambda size: (
        b" " * (size // 2) + b'<?xml version="1.0" encoding="UTF-8"?>' + b" " * (size // 2) + b"x"
    ),
    "leaves without an end": lambda size: b"<CopyObjectResult>" + b"<a>b</a>" * (size // 8),
    "blanks between leaves": lambda size: b"<CopyObjectResult><a>b</a>" + b" " * size + b"<",
    "an ETag without an end": lambda size: b"<CopyObjectResult><ETag>" + b"x" * size,
    "quotes": lambda size: b"<CopyObjectResult><ETag>" + b"&quot;" * (size // 6) + b"</ETag>",
    "openings": lambda size: b"<CopyObjectResult>" + b"<ETag>" * (size // 6),
    "references": lambda size: b"<CopyObjectResult><ETag>" + b"&amp;" * (size // 5) + b"</E>",
    "entries without an end": lambda size: (
        b"<ListBucketResult>" + b"<Contents><Key>a</Key>" * (size // 22)
    ),
    "an entry of blanks": lambda size: (
        b"<ListBucketResult><Contents>" + b" " * size + b"<Key>a</Key></Contents>"
    ),
    "entries with one field more each": lambda size: (
        b"<ListBucketResult>"
        + b"".join(
            b"<Contents><Key>a</Key>" + b"<o><i>1</i></o>" * (n % 9) + b"</Contents>"
            for n in range(size // 90)
        )
    ),
    "nested others": lambda size: (
        b"<ListBucketResult><Contents><Key>a</Key>" + b"<o><i></i>" * (size // 10)
    ),
    "keys that are fields": lambda size: (
        b"<ListBucketResult><Contents>" + b"<Key>" * (size // 5) + b"</Contents>"
    ),
    "members": lambda size: b"<ListBucketResult>" + b"<Prefix></Prefix>" * (size // 17),
    "a comment without an end": lambda size: b"<ListBucketResult><!-- " + b"x" * size,
    "an attribute without an end": lambda size: b'<ListBucketResult a="' + b"x" * size,
    "attributes": lambda size: (
        b"<ListBucketResult" + b"".join(b' a%d=""' % n for n in range(size // 11)) + b">"
    ),
    "a tag's blanks": lambda size: b"<ListBucketResult" + b" " * size + b">",
}


@pytest.mark.parametrize("name", TEMPTING)
def test_no_document_is_looked_at_again_and_again(name: str) -> None:
    """Two million bytes of it: refused, by every way there is to read them."""
    body = TEMPTING[name](2 * MIB)
    assert quick_etag(body, "CopyObjectResult") is None
    for read in (parse, lambda body: ListingParser("b", body).page()):
        with pytest.raises(XmlError):
            read(body)


def test_a_long_wait_for_an_answer_is_still_an_answer() -> None:
    """S3 sends a blank every few seconds while it copies; a week of them is fine."""
    body = b" " * 200_000 + b"<CopyObjectResult><ETag>x</ETag></CopyObjectResult>"
    assert quick_etag(body, "CopyObjectResult") == "x"


@pytest.mark.parametrize("key", ["%41" * 1_000_000, "%" * 1_000_000, "%C3" * 1_000_000, "+" * MIB])
def test_a_long_key_is_decoded_in_one_go(key: str) -> None:
    """Escapes that are none, that are half a character, or all of the key."""
    assert len(key_decoded(key)) <= len(key)


def peak_bytes(call: Callable[[], object]) -> int:
    """Return the most memory that a call had beyond what was there."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


SPREADING: Final[dict[str, bytes]] = {
    "the shortest elements": b"<a>" + b"<b/>" * (MIB // 4) + b"</a>",
    "the shortest leaves": b"<a>" + b"<b></b>" * (MIB // 7) + b"</a>",
    "the shortest entries": b"<ListBucketResult><Name>b</Name>"
    + b"<Contents><Key>a</Key></Contents>" * (MIB // 33)
    + b"</ListBucketResult>",
}


@pytest.mark.parametrize("name", SPREADING)
def test_no_document_spreads_in_memory(name: str) -> None:
    """One MiB of the shortest elements there are: refused before they have become 32 MiB."""
    body = SPREADING[name]

    def read() -> None:
        for way in (parse, lambda body: ListingParser("b", body).page()):
            with pytest.raises(XmlError):
                way(body)

    assert peak_bytes(read) < 32 * MIB


def test_the_largest_page_of_s3_is_read() -> None:
    """1,000 keys of 1,024 bytes, each of them a reference: more than any real page, and allowed."""
    entry = (
        b"<Contents><Key>" + b"&quot;" * 1024 + b"</Key><LastModified>2024-01-02T03:04:05.000Z"
        b"</LastModified><ETag>&quot;0123456789abcdef0123456789abcdef-10000&quot;</ETag>"
        b"<ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType>"
        b"<Size>5368709120</Size><StorageClass>INTELLIGENT_TIERING</StorageClass>"
        b"<Owner><ID>" + b"f" * 64 + b"</ID><DisplayName>" + b"n" * 255 + b"</DisplayName></Owner>"
        b"<RestoreStatus><IsRestoreInProgress>false</IsRestoreInProgress></RestoreStatus></Contents>"
    )
    body = b"<ListBucketResult><Name>b</Name>" + entry * 1_000 + b"</ListBucketResult>"
    assert len(body) <= MAX_BODY_BYTES
    page = ListingParser("b", body).page()
    assert [item.key for item in page.objects] == ['"' * 1024] * 1_000


def test_patterns_of_odd_entries_are_not_kept() -> None:
    """A cache of patterns holds a handful of fields each, whatever a page repeats."""
    listing_xml._entry_pattern.cache_clear()
    body = b"<ListBucketResult><Contents>" + b"<Key>a</Key>" * 1_000 + b"</Contents>"
    with pytest.raises(XmlError):
        ListingParser("b", body + b"</ListBucketResult>").page()
    assert listing_xml._entry_pattern.cache_info().currsize == 0


def test_a_tag_longer_than_any_of_s3_is_refused_before_its_end() -> None:
    """expat would look at it from its beginning with every piece that arrives."""
    parser = DocumentParser()
    parser.feed(b"<a><!-- ")
    with pytest.raises(XmlError, match="a longer tag than any answer of S3 has"):
        parser.feed(b"x" * 100_000)


def test_a_servers_text_is_kept_in_part_only() -> None:
    """Errors are kept and logged: a message of a megabyte would be, too."""
    error = s3_error(
        "C" * MIB,
        500,
        "m" * MIB,
        operation="CopyObject",
        side="source",
        bucket="b",
        request_id="r" * MIB,
    )
    assert len(str(error)) < 1_500
    assert len(error.request_id) <= 200
