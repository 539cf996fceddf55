"""Pages of listings: fast where they are ordinary, the same where not, and never short of a key."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

import pytest
from botocore.compat import unquote_str
from hypothesis import given
from hypothesis import strategies as st

from async_s3copy.s3.encoded_keys import key_decoded
from async_s3copy.s3.heads import EPOCH
from async_s3copy.s3.values import ListPage
from async_s3copy.s3.wire import listing_xml
from async_s3copy.s3.wire.listing_xml import ListingParser
from async_s3copy.s3.wire.xml import XmlError
from tests.wire_oracle import BUCKET, STYLES, Oracle
from tests.wire_samples import LISTINGS, REFUSED, listings, soup

pytestmark = pytest.mark.stack_b

MD5: Final = "0123456789abcdef0123456789abcdef"
MODIFIED: Final = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    """The reference client."""
    judge = Oracle(STYLES[0])
    yield judge
    judge.close()


def page_of(body: bytes) -> ListPage | None:
    """Read a page; ``None`` where it is refused."""
    try:
        return ListingParser(BUCKET, body).page()
    except XmlError:
        return None


def page_by_expat(body: bytes) -> ListPage | None:
    """Read a page without the fast path; ``None`` where it is refused."""
    steps = listing_xml._read_by_expat(BUCKET, body)
    try:
        while True:
            next(steps)
    except StopIteration as stop:
        page: ListPage = stop.value
        return page
    except XmlError:
        return None


@pytest.mark.parametrize("body", LISTINGS.values(), ids=LISTINGS.keys())
def test_every_servers_listing_gives_the_same_page(body: str) -> None:
    """Field order, quoting, encoding and white space differ; the page does not."""
    page = page_of(body.encode())
    assert page is not None
    (item,) = page.objects
    assert (item.bucket, item.key, item.size) == (BUCKET, "a b/ü", 3)
    assert (item.etag.strip('"'), item.storage_class) == (MD5, "GLACIER")
    assert (item.last_modified, item.metadata, item.version_id) == (MODIFIED, None, None)
    assert (page.next_token, page.truncated) == ("1x+/=", True)


@pytest.mark.parametrize("name", ["AWS", "SeaweedFS", "moto", "with owners, unencoded, indented"])
def test_every_servers_listing_is_read_fast(name: str) -> None:
    """The shapes that servers send need no expat."""
    tiling = listing_xml._Tiling(BUCKET, LISTINGS[name])
    steps = tiling.read()
    with pytest.raises(StopIteration) as stop:
        next(steps)
    assert stop.value.value is True


@given(listings())
def test_a_fast_page_is_the_slow_page(body: bytes) -> None:
    """For any page, ordinary or not: both ways agree on every field, and on refusing it."""
    assert page_of(body) == page_by_expat(body)


@given(listings(), st.data())
def test_a_damaged_page_is_never_read_two_ways(body: bytes, data: st.DataObject) -> None:
    """Bytes deleted, doubled or replaced anywhere: fast and slow agree on value or refusal."""
    begin = data.draw(st.integers(0, len(body)))
    end = data.draw(st.integers(begin, min(begin + 12, len(body))))
    damaged = body[:begin] + data.draw(st.binary(max_size=3) | soup) + body[end:]
    assert page_of(damaged) == page_by_expat(damaged)


@given(st.sampled_from(sorted(LISTINGS.values())), st.integers(1, 2_000))
def test_no_truncated_page_is_a_page(body: str, cut: int) -> None:
    """A page that ends anywhere before its end is refused: its objects would be lost."""
    data = body.rstrip().encode()
    assert page_of(data[: max(len(data) - cut, 0)]) is None


@given(listings())
def test_a_page_is_what_botocore_makes_of_it(oracle: Oracle, body: bytes) -> None:
    """For any page: equal objects, token and end; or both refuse it.

    But for a doubled field: the reference client refuses it, the wire where it reads that field.
    """
    judged = oracle.answer(lambda client: client.list_page(BUCKET, ""), 200, {}, body)
    page = page_of(body)
    if "more than one <" not in str(judged):
        assert page == (judged if isinstance(judged, ListPage) else None)


@given(st.text(st.characters(exclude_categories=["Cs"])) | st.text("%+2BCc3Ff a/é", max_size=30))
def test_keys_are_decoded_as_by_botocore(text: str) -> None:
    """A plus is a blank, an escape a byte, a broken escape itself, broken UTF-8 U+FFFD."""
    assert key_decoded(text) == unquote_str(text)


@pytest.mark.parametrize("odd", ["", "<!-- once is enough for expat -->"])
def test_a_page_is_read_in_pieces(odd: str) -> None:
    """A thousand keys take several steps, and the page is there after the last one only."""
    entry = LISTINGS["AWS"].partition("<Contents>")[2].partition("</Contents>")[0]
    entries = "".join(f"<Contents>{entry}</Contents>" for _ in range(1_000))
    body = f"<ListBucketResult>{odd}{entries}</ListBucketResult>".encode()
    parser = ListingParser(BUCKET, body)
    steps = 1
    while not parser.advance():
        steps += 1
    assert steps > 5
    assert parser.advance()
    assert len(parser.page().objects) == 1_000


def test_a_refused_page_stays_refused() -> None:
    """Asked again after its error, a parser has no page either."""
    parser = ListingParser(BUCKET, b"<ListBucketResult><Contents></Contents></ListBucketResult>")
    with pytest.raises(XmlError, match="an object without a <Key>"):
        parser.page()
    with pytest.raises(XmlError, match="could not be read"):
        parser.page()


@pytest.mark.parametrize(
    "inner, problem",
    [
        ("", "no listing"),
        ("<Unheard>1</Unheard>", "no listing"),
        ("<Contents/>", "without a <Key>"),
        ("<Contents><Key></Key></Contents>", "without a <Key>"),
        ("<Contents><Size>1</Size></Contents>", "without a <Key>"),
        ("<Contents><Key>a</Key><Key>b</Key></Contents>", "holds 2 <Key>"),
        ("<Contents><Key>a</Key><Size>x</Size></Contents>", "<Size> of an object is 'x'"),
        ("<Contents><Key>a</Key><Size>-1</Size></Contents>", "<Size> of an object is '-1'"),
        ("<Contents><Key>a</Key><Size></Size></Contents>", "<Size> of an object is ''"),
        ("<Contents><Key>a</Key><Size>1٣</Size></Contents>", "<Size> of an object is '1٣'"),
        ("<IsTruncated>perhaps</IsTruncated>", "neither true nor false"),
        ("<IsTruncated>true</IsTruncated><IsTruncated>false</IsTruncated>", "2 <IsTruncated>"),
    ],
)
def test_a_listing_that_cannot_be_trusted_is_refused(inner: str, problem: str) -> None:
    """A missing key, an unreadable size, an unclear end: each would lose or invent objects."""
    with pytest.raises(XmlError, match=problem):
        ListingParser(BUCKET, f"<ListBucketResult>{inner}</ListBucketResult>".encode()).page()


@pytest.mark.parametrize(
    "body", [b"<Result><KeyCount>0</KeyCount></Result>", b"<ListBucketsResult/>", b"<Error/>"]
)
def test_another_document_is_no_listing(body: bytes) -> None:
    """Whatever is in it, a document of another name is not a page without objects."""
    with pytest.raises(XmlError, match="instead of <ListBucketResult>"):
        ListingParser(BUCKET, body).page()


def test_what_a_server_leaves_out_is_harmless() -> None:
    """A bare key is an object yet; a page without IsTruncated is the last one."""
    body = b"<ListBucketResult><Contents><Key>a</Key></Contents></ListBucketResult>"
    page = ListingParser(BUCKET, body).page()
    (item,) = page.objects
    assert (item.key, item.size, item.etag, item.storage_class) == ("a", 0, "", "")
    assert (item.last_modified, page.next_token, page.truncated) == (EPOCH, None, False)


def test_a_token_counts_only_where_more_follows() -> None:
    """A token on the last page, or an empty one, leads nowhere."""
    token = "<NextContinuationToken>t</NextContinuationToken><KeyCount>0</KeyCount>"
    body = f"<ListBucketResult>{token}</ListBucketResult>".encode()
    assert ListingParser(BUCKET, body).page().next_token is None
    empty = b"<IsTruncated>true</IsTruncated><NextContinuationToken/>"
    page = ListingParser(BUCKET, b"<ListBucketResult>" + empty + b"</ListBucketResult>").page()
    assert (page.next_token, page.truncated) == (None, True)


@given(st.binary() | soup)
def test_any_bytes_are_a_page_or_an_xml_error(body: bytes) -> None:
    """Garbage has one outcome; it never crashes the parser, and is no page."""
    with pytest.raises(XmlError):
        ListingParser(BUCKET, body).page()


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_not_plain_xml_is_no_page(body: str) -> None:
    """Document types, entities, instructions, damage: refused, however much looks like a page."""
    body = body.replace("CopyObjectResult", "ListBucketResult")
    with pytest.raises(XmlError):
        ListingParser(BUCKET, body.encode()).page()


PIECES = (
    "%",
    "%4",
    "%41",
    "%C3",
    "%A9",
    "%E4%B8%AD",
    "%5C",
    "%0a",
    "%zz",
    "\\",
    "\\u0041",
    "x4",
    "é",
)


@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
def test_odd_escapes_are_decoded_as_botocore_does(text: str) -> None:
    """Cut-off and doubled escapes, backslashes, bytes that are no UTF-8: nothing is special."""
    assert key_decoded(text) == unquote_str(text)
