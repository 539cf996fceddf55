"""The wire's parser: one answer out of any bytes, or a refusal; no socket."""

from __future__ import annotations

import itertools
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_s3copy.s3.wire.http import MalformedResponseError, Response
from async_s3copy.s3.wire.parser import MAX_FRAMING_BYTES, MAX_HEADERS, ResponseParser, stays_open

pytestmark = pytest.mark.stack_b

HEAD = b"HTTP/1.1 200 OK\r\n"
EMPTY = HEAD + b"Content-Length: 0\r\n\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def parsed(
    *pieces: bytes, bodiless: bool = False, max_body_bytes: int = sys.maxsize
) -> ResponseParser:
    """A parser after these pieces."""
    parser = ResponseParser()
    parser.begin(bodiless=bodiless, max_body_bytes=max_body_bytes)
    feed_all(parser, list(pieces))
    return parser


def feed_all(parser: ResponseParser, pieces: list[bytes]) -> None:
    """Feed pieces one by one."""
    for piece in pieces:
        parser.feed(memoryview(piece))


def split(raw: bytes, cuts: list[int]) -> list[bytes]:
    """Cut bytes into pieces at some of their positions."""
    bounds = [0, *sorted({cut % (len(raw) + 1) for cut in cuts}), len(raw)]
    return [raw[a:b] for a, b in itertools.pairwise(bounds) if a < b]


NAMES = st.sampled_from([b"ETag", b"x-amz-meta-a", b"X-AMZ-META-A", b"date", b"x!~_.9"])
# Any byte that a header value may hold; white space at its ends belongs to nobody.
VALUES = st.binary(max_size=20).map(lambda b: bytes(c for c in b if c > 32 and c != 127))
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"


@st.composite
def answers(draw: st.DrawFn) -> tuple[bytes, Response]:
    """An answer as it goes over the wire, and what it says."""
    status = draw(st.sampled_from([200, 206, 301, 403, 404, 500, 503]))
    headers = draw(st.lists(st.tuples(NAMES, VALUES), max_size=5))
    pieces = draw(st.lists(st.binary(min_size=1, max_size=40), max_size=4))
    body = draw(st.sampled_from([b"", b" \n " * 9])) + b"".join(pieces)
    if draw(st.booleans()):
        headers = [*headers, (b"Transfer-Encoding", b"chunked")]
        extension = draw(st.sampled_from([b"", b";name=value", b';name="quoted"']))
        trailer = draw(st.sampled_from([b"", b"x-trailer: 1\r\n"]))
        step = draw(st.integers(1, 50))
        chunks = [body[i : i + step] for i in range(0, len(body), step)]
        payload = b"".join(b"%x%s\r\n%s\r\n" % (len(c), extension, c) for c in chunks)
        payload += b"0\r\n" + trailer + b"\r\n"
    else:
        headers = [(b"Content-Length", b"%d" % len(body)), *headers]
        payload = body
    lines = b"".join(b"%s: %s\r\n" % header for header in headers)
    raw = draw(st.sampled_from([b"", INTERIM])) + b"HTTP/1.1 %d X\r\n%s\r\n" % (status, lines)
    return raw + payload, Response(status, headers, body)


@given(answers(), st.lists(st.integers(0, 2000), max_size=12))
def test_any_split_of_an_answer_is_the_same_answer(
    answer: tuple[bytes, Response], cuts: list[int]
) -> None:
    """However an answer is cut into segments, the same response comes out, and keeps alive."""
    raw, expected = answer
    parser = parsed(*split(raw, cuts))
    assert parser.complete
    assert parser.keep_alive
    assert parser.response() == expected


@given(answers())
def test_no_answer_before_its_last_byte(answer: tuple[bytes, Response]) -> None:
    """An answer is not complete until its last byte has arrived, and never by the end of data."""
    raw, _ = answer
    parser = parsed(raw[:-1])
    assert not parser.complete
    assert not parser.feed_eof()


@given(st.lists(answers(), min_size=2, max_size=4), st.lists(st.integers(0, 2000), max_size=6))
def test_answers_one_after_the_other(
    several: list[tuple[bytes, Response]], cuts: list[int]
) -> None:
    """One parser reads the answers of a connection, nothing of one shows in the next."""
    parser = ResponseParser()
    for raw, expected in several:
        parser.begin(bodiless=False, max_body_bytes=sys.maxsize)
        feed_all(parser, split(raw, cuts))
        assert parser.response() == expected


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=3))
def test_garbage_is_no_answer(garbage: bytes, cuts: list[int]) -> None:
    """Bytes that do not begin as HTTP does are refused or incomplete, never a response."""
    raw = b"x" + garbage
    with pytest.raises(MalformedResponseError):
        parsed(*split(raw, cuts))


@pytest.mark.parametrize(
    "raw",
    [
        HEAD + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        HEAD + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        HEAD + b"Content-Length: 3, 4\r\n\r\nabcd",
        HEAD + b"Content-Length: -3\r\n\r\nabc",
        HEAD + b"Content-Length: +3\r\n\r\nabc",
        HEAD + b"Content-Length: 0x3\r\n\r\nabc",
        HEAD + b"Content-Length: 99999999999999999999\r\n\r\nabc",
        HEAD + b"Content-Length:\r\n\r\nabc",
        HEAD + b"Content-Length : 3\r\n\r\nabc",
        HEAD + b"X: a\r\n folded\r\nContent-Length: 0\r\n\r\n",
        HEAD + b"Content-Length: 3\n\nabc",
        HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        CHUNKED + b"-3\r\nabc\r\n0\r\n\r\n",
        CHUNKED + b"zz\r\n",
        CHUNKED + b"3\r\nabcdef\r\n0\r\n\r\n",
        CHUNKED + b"fffffffffffffffff\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\nxx",
        b"HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 abc Odd\r\nContent-Length: 0\r\n\r\n",
        b"<html>not HTTP</html>",
        b"\x15\x03\x01\x00\x02\x02\x16",
    ],
)
def test_two_readings_are_refused(raw: bytes) -> None:
    """What two readers could read differently, and what is not HTTP, is refused."""
    with pytest.raises(MalformedResponseError):
        parsed(raw)


def test_a_refusal_does_not_quote_the_answer() -> None:
    """The error of a refused answer says why, without a byte of what was received."""
    with pytest.raises(MalformedResponseError, match=r"^The answer was refused: it is not") as info:
        parsed(HEAD + b"secret value without a colon\r\n\r\n")
    assert "secret" not in str(info.value)


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize(
    "extra", [b"", b"Content-Length: 7\r\n", b"Transfer-Encoding: chunked\r\n"]
)
def test_statuses_without_a_body(status: int, extra: bytes) -> None:
    """204 and 304 end with their head, whatever length that announces."""
    parser = parsed(b"HTTP/1.1 %d X\r\n%s\r\n" % (status, extra))
    assert (parser.complete, parser.keep_alive) == (True, True)
    assert parser.response().body == b""


@pytest.mark.parametrize(
    "extra", [b"", b"Content-Length: 700\r\n", b"Transfer-Encoding: chunked\r\n"]
)
def test_the_answer_to_a_head_has_no_body(extra: bytes) -> None:
    """The answer to a HEAD ends with its head, and the next answer is read in step."""
    parser = parsed(HEAD + extra + b"\r\n", bodiless=True)
    assert (parser.complete, parser.keep_alive, parser.status) == (True, True, 200)
    parser.begin(bodiless=False, max_body_bytes=10)
    parser.feed(memoryview(HEAD + b"Content-Length: 4\r\n\r\nnext"))
    assert parser.response().body == b"next"


def test_a_body_after_a_head_spoils_the_connection() -> None:
    """A server that sends a body in answer to a HEAD is not asked again on that connection."""
    parser = parsed(HEAD + b"Content-Length: 4\r\n\r\nbody", bodiless=True)
    assert (parser.complete, parser.keep_alive) == (True, False)
    assert parser.response().body == b""


@pytest.mark.parametrize(
    "excess", [b"H", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"x", b"\0"]
)
@pytest.mark.parametrize("raw", [EMPTY, CHUNKED + b"0\r\n\r\n", b"HTTP/1.1 204 X\r\n\r\n"])
def test_bytes_after_the_end_spoil_the_connection(raw: bytes, excess: bytes) -> None:
    """Bytes after an answer leave it as it is, and the connection not to be used again."""
    parser = parsed(raw + excess)
    assert (parser.complete, parser.keep_alive) == (True, False)
    assert parser.response().body == b""


@pytest.mark.parametrize(
    "head, expected",
    [
        (b"HTTP/1.1 200 OK\r\n", True),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n", False),
        (b"HTTP/1.1 200 OK\r\nConnection: x, CLOSE\r\n", False),
        (b"HTTP/1.0 200 OK\r\n", False),
        (b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n", True),
    ],
)
@pytest.mark.parametrize("bodiless", [False, True])
def test_who_keeps_the_connection(head: bytes, expected: bool, bodiless: bool) -> None:
    """A connection stays open as its server's version and Connection header say."""
    parser = parsed(head + b"Content-Length: 0\r\n\r\n", bodiless=bodiless)
    assert parser.complete
    assert parser.keep_alive is expected


def test_connection_headers_count_together() -> None:
    """Several Connection headers count together."""
    headers = [(b"Connection", b"a"), (b"connection", b"b, close")]
    assert not stays_open(headers, "1.1")


def test_a_body_until_the_end() -> None:
    """A body with neither length nor chunks ends with the connection, which ends with it."""
    parser = parsed(HEAD + b"\r\n", b"un", b"til")
    assert not parser.complete
    assert parser.feed_eof()
    assert (parser.response().body, parser.keep_alive) == (b"until", False)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nX: y\r\n",
        HEAD + b"Content-Length: 3\r\n\r\nab",
        CHUNKED + b"3\r\nabc\r\n",
        HEAD + b"Transfer-Encoding: gzip\r\n\r\nab",
        INTERIM,
    ],
)
def test_no_other_answer_ends_with_the_connection(raw: bytes) -> None:
    """An answer whose end is announced, or encoded in an unknown way, is not ended by EOF."""
    assert not parsed(raw).feed_eof()


def test_interim_answers_are_passed_over() -> None:
    """Status and headers are those of the final answer."""
    parser = parsed(INTERIM + HEAD + b"Content-Length: 2\r\n\r\nok")
    assert parser.response() == Response(200, [(b"Content-Length", b"2")], b"ok")


def test_trailers_are_not_headers() -> None:
    """What comes after the last chunk cannot change what was said in the head."""
    parser = parsed(CHUNKED + b"0\r\nETag: forged\r\n\r\n")
    assert parser.complete
    assert parser.headers == [(b"Transfer-Encoding", b"chunked")]


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 11\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\nb\r\n"]
)
def test_a_body_beyond_the_bound_is_refused(framing: bytes) -> None:
    """One byte more than asked for is refused; exactly as many are not."""
    raw = HEAD + framing + b"x" * 11
    assert parsed(raw, max_body_bytes=11).body_bytes == 11
    with pytest.raises(MalformedResponseError, match="longer than 10 bytes"):
        parsed(raw, max_body_bytes=10)


def test_many_headers_are_refused() -> None:
    """A head may have 256 headers, not one more."""
    lines = b"x: y\r\n" * (MAX_HEADERS - 1)
    assert parsed(HEAD + lines + b"Content-Length: 0\r\n\r\n").complete
    with pytest.raises(MalformedResponseError, match="more than 256 headers"):
        parsed(HEAD + b"x: y\r\n" + lines + b"Content-Length: 0\r\n\r\n")


def test_a_long_head_is_refused() -> None:
    """A header longer than all headers may be is refused, wherever the head is cut."""
    head = HEAD + b"x: " + b"y" * MAX_FRAMING_BYTES + b"\r\nContent-Length: 0\r\n\r\n"
    with pytest.raises(MalformedResponseError, match="headers are longer than 65,536 bytes"):
        parsed(head[:1000], head[1000:])
    with pytest.raises(MalformedResponseError, match=r"65,536 bytes"):
        parsed(*split(head, list(range(0, len(head), 1000))))


@pytest.mark.parametrize(
    "before, endless",
    [
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (HEAD, b"x: y\r\n"),
        (CHUNKED + b"0\r\n", b"x: y\r\n"),
        (CHUNKED + b"1\r\nz\r\n1", b";extension"),
        (CHUNKED + b"1\r\nz\r\n0\r\nx: ", b"y"),
        (b"", b"\r\n"),
    ],
)
def test_endless_framing_is_refused(before: bytes, endless: bytes) -> None:
    """No answer can feed bytes for ever without one of its body."""
    parser = parsed(before)
    pieces = [endless * 100] * (3 * MAX_FRAMING_BYTES // (100 * len(endless)))
    with pytest.raises(MalformedResponseError):
        feed_all(parser, pieces)


def test_the_framing_of_many_small_chunks_is_no_burden() -> None:
    """Framing is bounded between bytes of body, not against them."""
    chunks = [b"1\r\nx\r\n" * 100 for _ in range(400)]
    parser = parsed(CHUNKED, *chunks, b"0\r\n\r\n")
    assert parser.response().body == b"x" * 40_000
