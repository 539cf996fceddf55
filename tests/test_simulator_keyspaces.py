"""The simulator's key spaces: sorted, unique, invertible, and never stored."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.simulator.content import Content
from benchmarks.simulator.keyspaces import KEYSPACES, KeySpace

every_keyspace = pytest.mark.parametrize("name", KEYSPACES)
counts = st.integers(1, 10**12)


@every_keyspace
@pytest.mark.parametrize("count", [0, 1, 2, 7, 4_321])
def test_all_keys_are_sorted_unique_and_below_data(name: str, count: int) -> None:
    """In UTF-8 bytes, as S3 sorts; any number of keys, none included."""
    space = KeySpace(name, count)
    keys = [space.key(index) for index in range(len(space))]
    assert len(keys) == count == len(set(keys))
    assert [key.encode() for key in keys] == sorted(key.encode() for key in keys)
    assert all(key.startswith("data/") and len(key.encode()) <= 1_024 for key in keys)


@every_keyspace
@settings(max_examples=40)
@given(count=counts, data=st.data())
def test_a_key_gives_its_index_back(name: str, count: int, data: st.DataObject) -> None:
    """Of up to a million million keys, and the one before it is smaller."""
    space = KeySpace(name, count)
    index = data.draw(st.integers(0, count - 1))
    key = space.key_bytes(index)
    assert space.find(key) == index
    assert space.at_or_after(key) == index
    assert space.after(key) == index + 1
    assert index == 0 or space.key_bytes(index - 1) < key


@every_keyspace
@settings(max_examples=40)
@given(count=counts, text=st.text(), data=st.data())
def test_seek_finds_the_first_key_after_any_text(
    name: str, count: int, text: str, data: st.DataObject
) -> None:
    """Also after a text that is no key, or the beginning of one, or one continued."""
    space = KeySpace(name, count)
    near = space.key(data.draw(st.integers(0, count - 1)))
    for wanted in (text, "data/" + text, near[: len(text)], near + text, near[:-1] + text):
        index = space.seek(wanted)
        assert index == 0 or space.key(index - 1) <= wanted
        assert index == count or space.key(index) > wanted


@every_keyspace
@settings(max_examples=40)
@given(count=st.integers(1, 10**6), noise=st.binary(max_size=40))
def test_bytes_that_are_no_key_are_not_found(name: str, count: int, noise: bytes) -> None:
    """Whatever they are, not even UTF-8; their place in the order is still known."""
    space = KeySpace(name, count)
    key = space.key_bytes(count // 2)
    for wanted in (noise, b"data/" + noise, key + b"\xff" + noise):
        assert space.find(wanted) is None
        assert space.at_or_after(wanted) == space.after(wanted)


@pytest.mark.parametrize(
    "bucket, count, size_bytes",
    [
        ("src-hex-1000000", 1_000_000, 1_024),
        ("src-uuid-5-0b", 5, 0),
        ("src-dates-10-64kib", 10, 65_536),
        ("src-flat-2-24mib", 2, 24 << 20),
        ("src-skew-1-1tib", 1, 1 << 40),
    ],
)
def test_a_bucket_name_says_what_is_in_it(bucket: str, count: int, size_bytes: int) -> None:
    """Key space, number of keys and, unless it is 1 KiB, their size."""
    space = KeySpace.parse(bucket)
    assert (len(space), space.size_bytes) == (count, size_bytes)


@pytest.mark.parametrize(
    "bucket, complaint",
    [
        ("src-nosuch-10", "nosuch"),
        ("src-hex", "src-hex"),
        ("src-hex-10-3pib", "3pib"),
        ("dst-hex-10", "dst-hex-10"),
        ("src-uuid-999999999999999", "at most"),
    ],
)
def test_a_name_that_asks_for_no_key_space_is_refused(bucket: str, complaint: str) -> None:
    """With a sentence that quotes what is wrong."""
    with pytest.raises(ValueError, match=complaint):
        KeySpace.parse(bucket)


def test_an_index_beyond_the_end_is_refused() -> None:
    """Neither a key that is not there nor one counted from the end."""
    space = KeySpace("hex", 10)
    for index in (-1, 10):
        with pytest.raises(IndexError):
            space.key(index)


def test_skew_is_skewed() -> None:
    """Nine of ten keys share one prefix at each of three levels, and some have a very rare one."""
    space = KeySpace("skew", 1_000_000)
    shares = [
        space.at_or_after(prefix + b"\xff") - space.at_or_after(prefix)
        for prefix in (b"data/m/", b"data/m/m/", b"data/m/m/m/", b"data/k/")
    ]
    assert shares == [900_000, 810_000, 729_000, 200]


def test_nonascii_mixes_lengths() -> None:
    """Characters of one, two, three and four bytes, with those that URLs and XML escape."""
    space = KeySpace("nonascii", 1_000)
    characters = {character for index in range(1_000) for character in space.key(index)}
    assert {len(character.encode()) for character in characters} == {1, 2, 3, 4}
    assert set(" %&+=") <= characters


@given(
    size=st.sampled_from([0, 1, 15, 16, 17, 1_024, 65_535, 65_552, 200_000]),
    key=st.binary(),
    cuts=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_an_etag_is_the_md5_of_the_bytes_read(
    size: int, key: bytes, cuts: tuple[float, float]
) -> None:
    """Of any size, and ranges are pieces of the whole."""
    content = Content(size)
    whole = b"".join(content.read(key, 0, size))
    assert len(whole) == size
    assert content.etag(key).decode() == hashlib.md5(whole).hexdigest()
    start, end = sorted(int(cut * size) for cut in cuts)
    assert b"".join(content.read(key, start, end)) == whole[start:end]


def test_a_huge_object_has_the_etag_of_parts() -> None:
    """Nobody hashes a tebibyte: it is as if uploaded in at most 10,000 equal parts."""
    content = Content(1 << 40)
    assert content.parts == 8_192
    assert content.etag(b"data/a").endswith(b"-8192")
    assert content.etag(b"data/a") != content.etag(b"data/b")
