"""What must hold for whatever a server sends: one function per parser, for any bytes.

``make fuzz`` calls them with bytes that atheris found by what they reach in the code, and
``make test`` with the corpus in ``tests/corpus`` and with what Hypothesis makes up. Each returns
when all is well, and raises ``AssertionError``, or whatever the code under test must not raise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final
from urllib.parse import unquote_plus
from xml.etree import ElementTree as ET

from async_s3copy.errors import S3Error
from async_s3copy.s3.codes import server_time
from async_s3copy.s3.encoded_keys import key_decoded
from async_s3copy.s3.values import ListPage
from async_s3copy.s3.wire import answers, pages
from async_s3copy.s3.wire.dates import http_date, iso_date
from async_s3copy.s3.wire.failures import Call, s3_failure, unusable_success
from async_s3copy.s3.wire.http import MalformedResponseError, Response
from async_s3copy.s3.wire.listing_xml import ListingParser, _read_by_expat
from async_s3copy.s3.wire.parser import MAX_HEADERS, ResponseParser
from async_s3copy.s3.wire.xml import DocumentParser, Element, XmlError, parse, quick_etag

_MAX_BODY_BYTES: Final = 4096
_BLANKS: Final = b" \t\r\n"


def fuzz_http(data: bytes) -> None:
    """An answer is parsed to the same end however it is cut, within its bounds, in linear work."""
    if not data:
        return
    options, stream = data[0], data[1:]
    bodiless = bool(options & 1)
    whole, steps = _http_outcome([stream], bodiless=bodiless, closes=bool(options & 2))
    assert steps <= 4 * len(stream) + 8
    for width in (1, 2, 3 + options % 61):
        pieces = [stream[begin : begin + width] for begin in range(0, len(stream), width)]
        assert _http_outcome(pieces, bodiless=bodiless, closes=bool(options & 2))[0] == whole


class _CountingParser(ResponseParser):
    """Counts what the C parser calls."""

    __slots__ = ("steps",)

    def __init__(self) -> None:
        self.steps = 0
        super().__init__()

    def on_header(self, name: bytes, value: bytes) -> None:
        self.steps += 1
        super().on_header(name, value)

    def on_body(self, data: bytes) -> None:
        self.steps += 1
        super().on_body(data)


def _http_outcome(pieces: list[bytes], *, bodiless: bool, closes: bool) -> tuple[Any, int]:
    """Return what becomes of an answer, and how many steps it took."""
    parser = _CountingParser()
    parser.begin(bodiless=bodiless, max_body_bytes=_MAX_BODY_BYTES)
    try:
        for piece in pieces:
            if parser.complete:
                # What follows the end is noticed by whoever owns the connection.
                break
            parser.feed(memoryview(piece))
    except MalformedResponseError:
        return "refused", parser.steps
    finally:
        parser.close()
    if closes and parser.head_complete and not bodiless:
        parser.feed_eof()
    assert parser.body_bytes <= _MAX_BODY_BYTES
    if not parser.complete:
        return "incomplete", parser.steps
    response = parser.response()
    assert len(response.raw_headers) <= MAX_HEADERS
    assert not (bodiless and response.body)
    assert 200 <= response.status <= 999
    return (response.status, list(response.raw_headers), response.body), parser.steps


def fuzz_xml(data: bytes) -> None:
    """What is read as XML, ElementTree reads to the same names and texts; the rest is refused."""
    found = _read(data)
    by_expat = _read_by_pieces(data, 1 + len(data) % 17)
    assert found == by_expat
    if found is not None:
        _assert_same(found, _judged(data))
    etag = quick_etag(data, "CopyObjectResult")
    if etag is not None:
        assert found is not None
        assert found.name == "CopyObjectResult"
        assert (found.text("ETag") or "").strip('"') == etag


def _read(data: bytes) -> Element | None:
    try:
        return parse(data)
    except XmlError:
        return None


def _read_by_pieces(data: bytes, width: int) -> Element | None:
    parser = DocumentParser()
    try:
        for begin in range(0, len(data), width):
            parser.feed(data[begin : begin + width])
        return parser.close()
    except XmlError:
        return None


def _judged(data: bytes) -> ET.Element:
    reader = ET.XMLParser(encoding="utf-8")  # noqa: S314 - the judge; document types are refused before
    reader.feed(data.strip(_BLANKS))
    root: ET.Element = reader.close()
    return root


def _assert_same(found: Element, judged: ET.Element) -> None:
    assert found.name == judged.tag.rpartition("}")[2]
    assert len(found.children) == len(judged)
    if not found.children:
        assert found.content == "".join(judged.itertext())
    for ours, theirs in zip(found.children, judged, strict=True):
        _assert_same(ours, theirs)


def fuzz_listing(data: bytes) -> None:
    """Both ways to read a page give the same keys, and no more than the document has."""
    page = _page(lambda: ListingParser("b", data).page())
    by_expat = _page(lambda: _exhausted(_read_by_expat("b", data)))
    if page is None:
        assert by_expat is None
        return
    assert by_expat is not None
    assert list(page.objects) == list(by_expat.objects)
    assert (page.next_token, page.truncated) == (by_expat.next_token, by_expat.truncated)
    judged = _judged(data)
    assert judged.tag.rpartition("}")[2] == "ListBucketResult"
    assert len(page.objects) == sum(each.tag.endswith("Contents") for each in judged)
    assert all(item.key and item.size >= 0 for item in page.objects)


def _page(read: Callable[[], ListPage]) -> ListPage | None:
    try:
        return read()
    except XmlError:
        return None


def _exhausted(steps: Iterator[None]) -> ListPage:
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            page: ListPage = stop.value
            return page


ROOTS: Final[dict[str, tuple[str, ...]]] = {
    "list_page": ("ListBucketResult",),
    "get_object_tagging": ("Tagging",),
    "copy_object": ("CopyObjectResult",),
    "create_multipart_upload": ("InitiateMultipartUploadResult",),
    "complete_multipart_upload": ("CompleteMultipartUploadResult",),
    "get_object_acl": ("AccessControlPolicy",),
    "get_bucket_versioning": ("VersioningConfiguration",),
    "count_parts": ("ListPartsResult", "ListPartsResponse"),
}
"""The calls whose success is a document, by its root's name."""


def fuzz_answers(data: bytes) -> None:
    """Of any bytes, an answer's document is a success only with the right root; else an S3Error."""
    for status in (200, 404, 503):
        response = Response(status, [(b"date", b"x"), (b"retry-after", b"9" * 400)], data)
        for name in ROOTS:
            assert_no_false_success(name, response)
        for error in (
            s3_failure(response, Call("CopyObject", "source", "b", "k")),
            unusable_success(response, Call("CopyObject", "source", "b", "k"), "damaged"),
        ):
            assert len(str(error)) < 2_000
            assert error.code


def assert_no_false_success(name: str, response: Response) -> None:
    """Fail where a call takes an answer for a success that it is not, or crashes."""
    try:
        if name == "list_page":
            pages.list_page(response, "source", "b")
        else:
            getattr(answers, name)(response, "source", "b", "k")
    except S3Error:
        return
    assert response.status < 300
    assert _judged(response.body).tag.rpartition("}")[2] in ROOTS[name]


def fuzz_text(data: bytes) -> None:
    """Dates, keys and numbers of any text are read, or are the epoch, the text, or nothing."""
    text = data.decode("utf-8", "surrogateescape")
    assert iso_date(text).tzinfo is not None
    assert http_date(text).tzinfo is not None
    told = server_time(text)
    assert told is None or told.tzinfo is not None
    plain = data.decode("utf-8", "replace")
    assert key_decoded(plain) == unquote_plus(plain)


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    "http": fuzz_http,
    "xml": fuzz_xml,
    "listing": fuzz_listing,
    "answers": fuzz_answers,
    "text": fuzz_text,
}
