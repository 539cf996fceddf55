"""HTTP as a hostile server may send it: cut anywhere, damaged, endless; never a crash or a hang."""

from __future__ import annotations

import re
from typing import Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from async_s3copy.s3.wire.http import MalformedResponseError
from async_s3copy.s3.wire.parser import MAX_FRAMING_BYTES, ResponseParser
from tests.fuzz_targets import fuzz_http

PIECES: Final = [
    *(b"HTTP/1.1 200 OK", b"HTTP/1.0 404 x", b"HTTP/1.1 100 Continue", b"HTTP/1.1 101 x"),
    *(b"\r\n", b"\r\n\r\n", b"\n", b": ", b" ", b"\0", b"\xff", b"x"),
    *(b"Content-Length: 3", b"Content-Length: 03", b"Content-Length: +3", b"Content-Length: 3, 3"),
    *(b"content-length:9999999999999999999999", b"Content-Length: -1"),
    *(b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: x"),
    *(b"Connection: close", b"Connection: keep-alive", b"Upgrade: h2c"),
    *(
        b"3\r\nabc\r\n",
        b"0\r\n\r\n",
        b"0\r\nx: y\r\n\r\n",
        b"3;x=y\r\nabc\r\n",
        b"ffffffffffffffff",
    ),
    *(b"-1\r\n", b"abc", b"<Error/>", b"ETag: x"),
]
ANSWERS: Final = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nETag: x\r\n\r\nabc",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nt: 1\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.0 200 OK\r\n\r\nuntil the end",
    b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
]
# The same every time, and without a deadline: the machine may be busy.
some = settings(derandomize=True, deadline=None)
options = st.binary(min_size=1, max_size=1)


@some
@given(options, st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join))
def test_any_soup_is_parsed_alike_in_any_pieces(first: bytes, soup: bytes) -> None:
    """Whole or byte by byte: one outcome, within its bounds, in steps that the bytes bound."""
    fuzz_http(first + soup)


@some
@given(
    options,
    st.sampled_from(ANSWERS),
    st.lists(st.tuples(st.integers(0, 90), st.binary(max_size=2)), max_size=2),
)
def test_a_damaged_answer_is_parsed_alike_in_any_pieces(
    first: bytes, answer: bytes, damages: list[tuple[int, bytes]]
) -> None:
    """A right answer with a byte or two replaced, inserted or lost."""
    for place, bytes_ in damages:
        answer = answer[:place] + bytes_ + answer[place + 1 :]
    fuzz_http(first + answer)


@some
@given(options, st.binary(max_size=64))
@example(b"\2", b"HTTP/1.1 200 OK\r\n\r\n")
def test_noise_is_no_answer(first: bytes, noise: bytes) -> None:
    """Bytes without meaning are refused, or more of them is waited for."""
    fuzz_http(first + noise)


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_cut_off_anywhere_is_not_complete(answer: bytes) -> None:
    """At every byte: no answer, unless the end of the connection is the answer's end."""
    for end in range(len(answer)):
        parser = ResponseParser()
        parser.begin(bodiless=False, max_body_bytes=100)
        parser.feed(memoryview(answer[:end]))
        assert not parser.complete
        is_headless = re.search(rb"(?i)length|chunked", answer[:end]) is None
        assert parser.feed_eof() == (parser.head_complete and is_headless)


ENDLESS: Final = {
    "a status line": (b"HTTP/1.1 200 ", b"O"),
    "a header's name": (b"HTTP/1.1 200 OK\r\n", b"x"),
    "a header's value": (b"HTTP/1.1 200 OK\r\nx: ", b"x"),
    "headers": (b"HTTP/1.1 200 OK\r\n", b"x: y\r\n"),
    "interim answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "a chunk's extension": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"x"),
    "trailers": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"x: y\r\n"),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_what_has_no_end_is_refused_in_bounded_space(name: str) -> None:
    """Nothing but framing: refused before twice the bound has arrived, for all its pieces."""
    opening, again = ENDLESS[name]
    parser = ResponseParser()
    parser.begin(bodiless=False, max_body_bytes=10**9)
    pieces = [opening] if opening else []
    pieces += [again * (4096 // len(again))] * (2 * MAX_FRAMING_BYTES // 4096)
    with pytest.raises(MalformedResponseError):
        _feed_all(parser, pieces)


def _feed_all(parser: ResponseParser, pieces: list[bytes]) -> None:
    for piece in pieces:
        parser.feed(memoryview(piece))


def test_a_body_in_tiny_chunks_takes_its_own_space_only() -> None:
    """Of a million chunks of two bytes no million objects are kept."""
    parser = ResponseParser()
    parser.begin(bodiless=False, max_body_bytes=10**9)
    parser.feed(memoryview(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"))
    for _ in range(1_000):
        parser.feed(memoryview(b"2\r\nab\r\n" * 100))
        assert len(parser.pieces) <= 4096 + 100
    parser.feed(memoryview(b"0\r\n\r\n"))
    assert parser.response().body == b"ab" * 100_000
