"""The wire's XML: fast where it is ordinary, the same where it is not, and never a guess."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from typing import Final
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_s3copy.s3.heads import EPOCH
from async_s3copy.s3.wire import xml
from async_s3copy.s3.wire.dates import http_date, iso_date
from async_s3copy.s3.wire.xml import DocumentParser, Element, XmlError, parse
from tests.wire_samples import BOMB, COPY_RESULTS, REFUSED, soup

pytestmark = pytest.mark.stack_b

MD5: Final = "0123456789abcdef0123456789abcdef"
MODIFIED: Final = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)

flat_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)


def by_expat(body: bytes) -> Element:
    """Read a document without the fast path."""
    parser = DocumentParser()
    parser.feed(body)
    return parser.close()


def outcome(body: bytes) -> Element | None:
    """Read a document; ``None`` where it is refused."""
    try:
        return parse(body)
    except XmlError:
        return None


@pytest.mark.parametrize("body", COPY_RESULTS.values(), ids=COPY_RESULTS.keys())
def test_every_servers_copy_result_is_read_fast(body: str) -> None:
    """The shapes that servers send need no expat, and both ways give the same."""
    fast = xml._flat(body.encode())
    assert fast is not None
    assert fast == by_expat(body.encode())
    assert fast.name == "CopyObjectResult"
    assert (fast.text("ETag") or "").strip('"') == MD5


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_not_plain_xml_is_refused(body: str) -> None:
    """Document types, entities, instructions, damage: an XmlError each, never a value."""
    with pytest.raises(XmlError):
        parse(body.encode())


def test_an_entity_bomb_is_refused_before_its_first_entity() -> None:
    """The document type itself is refused: nothing of 20^11 texts is ever expanded."""
    with pytest.raises(XmlError, match="a document type"):
        parse(BOMB.encode())
    with pytest.raises(XmlError, match="a document type"):
        DocumentParser().feed(BOMB[: BOMB.index("ENTITY")].encode())


@pytest.mark.parametrize(
    "body", [b"<a>" * 17 + b"</a>" * 17, b"<a>" + b"<b/>" * 250_000 + b"</a>", b" " * (2**22 + 1)]
)
def test_size_and_depth_are_bounded(body: bytes) -> None:
    """Deeper, longer or larger than any answer of S3: refused."""
    with pytest.raises(XmlError, match="than any answer"):
        parse(body)


@given(soup | soup.map(lambda inner: b"<a>" + inner + b"</a>"))
def test_whatever_is_accepted_is_well_formed(body: bytes) -> None:
    """For any soup of tags: what is read, ElementTree reads too, to the same names and texts."""
    found = outcome(body)
    if found is not None:
        reader = ET.XMLParser(encoding="utf-8")  # noqa: S314 - the judge; this test made the input
        reader.feed(body.strip(b" \t\r\n"))
        judged = reader.close()
        assert _shape(judged) == (found.name, [child.name for child in found.children])
        if not found.children:
            assert "".join(judged.itertext()) == found.content


def _shape(element: ET.Element) -> tuple[str, list[str]]:
    return element.tag, [child.tag for child in element]


@given(st.text("abcXYZ_", min_size=1, max_size=5), st.lists(flat_texts, max_size=4))
def test_the_fast_path_reads_what_expat_reads(name: str, texts: list[str]) -> None:
    """For any text, escaped by any library's rules: fast or not, the value is one."""
    raw = "\n ".join(f"<leaf>{text}</leaf>" for text in texts)
    escaped = ET.tostring(_tree(name, texts), encoding="utf-8") if _are_xml(texts) else b""
    for body in (f"<{name}>{raw}</{name}>".encode(), escaped):
        fast = xml._flat(body)
        if fast is not None:
            assert fast == by_expat(body)


def _tree(name: str, texts: list[str]) -> ET.Element:
    root = ET.Element(name)
    for text in texts:
        ET.SubElement(root, "leaf").text = text
    return root


def _are_xml(texts: list[str]) -> bool:
    return all(ord(character) >= 32 for text in texts for character in text)


@given(st.sampled_from(sorted(COPY_RESULTS.values())), st.lists(st.integers(0, 400), max_size=5))
def test_any_split_into_pieces_reads_the_same(body: str, cuts: list[int]) -> None:
    """Bytes may come in any pieces: the document is one."""
    data = body.encode()
    parser = DocumentParser()
    for begin, end in pairwise([0, *sorted(cuts), len(data)]):
        parser.feed(data[begin:end])
    assert parser.close() == parse(data)


@pytest.mark.parametrize(
    "body, problem",
    [
        ("<a><b>1</b><b>2</b></a>", "<a> holds 2 <b>"),
        ("<a><b><c/></b></a>", "<b> is more than text"),
    ],
)
def test_an_ambiguous_field_is_no_field(body: str, problem: str) -> None:
    """Of two values nobody could say which one counts."""
    with pytest.raises(XmlError, match=problem):
        parse(body.encode()).text("b")


@pytest.mark.parametrize(
    "text, date",
    [
        ("2024-01-02T03:04:05.000Z", MODIFIED),
        ("2024-01-02T03:04:05Z", MODIFIED),
        ("2024-01-02T03:04:05", MODIFIED),
        ("2024-01-02T05:04:05+02:00", MODIFIED),
        ("2024-13-02T03:04:05Z", EPOCH),
        ("yesterday", EPOCH),
        ("", EPOCH),
    ],
)
def test_a_date_in_xml_is_aware_or_the_epoch(text: str, date: datetime) -> None:
    """Nothing depends on a date, so an unreadable one loses no object."""
    assert iso_date(text) == date
    assert iso_date(text).tzinfo is not None


@pytest.mark.parametrize(
    "text, date",
    [
        ("Tue, 02 Jan 2024 03:04:05 GMT", MODIFIED),
        ("Tuesday, 02-Jan-24 03:04:05 GMT", MODIFIED),
        ("Tue, 02 Jan 2024 03:04:05 +0000", MODIFIED),
        ("Tue Jan  2 03:04:05 2024", MODIFIED),
        ("2024-01-02T03:04:05Z", MODIFIED),
        ("Tue, 99 Jan 2024 03:04:05 GMT", EPOCH),
        ("0", EPOCH),
        ("", EPOCH),
    ],
)
def test_a_date_in_a_header_is_aware_or_the_epoch(text: str, date: datetime) -> None:
    """The three forms of HTTP and the one of XML are read; anything else is no error."""
    assert http_date(text) == date
    assert http_date(text).tzinfo is not None


@given(st.text(max_size=40))
def test_any_text_is_a_date_or_the_epoch(text: str) -> None:
    """No date can crash an answer."""
    assert iso_date(text).tzinfo is not None
    assert http_date(text).tzinfo is not None
