"""Measuring between keys: points that lie where they should, whatever keys are made of."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from async_s3copy.engine.keyspace import Alphabets, Stretch, View, measure

CHARACTERS = st.characters(exclude_categories=["Cs"])
KEYS = st.one_of(
    st.text(CHARACTERS, min_size=1, max_size=8),
    st.text(st.sampled_from("ab01/\x00é😀\U0010ffff"), min_size=1, max_size=300),
    st.text(st.sampled_from("é😀"), min_size=250, max_size=256),
)


def learnt(*keys: str) -> Alphabets:
    alphabets = Alphabets()
    alphabets.learn(keys)
    return alphabets


def numbered(*numbers: int, width: int = 6) -> list[str]:
    return [f"k{number:0{width}}" for number in numbers]


def stretch(
    page: tuple[str, str], until: str | None, *known: str, view: View = View.SEEN
) -> Stretch:
    found = measure(learnt(*page, *known), view, page, until, "")
    assert found is not None
    return found


@settings(deadline=None)
@given(
    keys=st.lists(KEYS, min_size=2, max_size=20, unique=True).map(sorted),
    view=st.sampled_from(View),
    pages=st.one_of(st.floats(0, 1e300), st.floats(0, 100)),
    open_ended=st.booleans(),
)
def test_points_are_legal_keys_inside_the_stretch(
    keys: list[str], view: View, pages: float, open_ended: bool
) -> None:
    """Strictly after the last key and before the end, 1,024 bytes at most; or there is none."""
    until = None if open_ended or len(keys) < 3 else keys[-1]
    found = measure(learnt(*keys), view, (keys[0], keys[1]), until, "")
    if found is None:
        return
    assert found.pages >= 0
    for point in (found.ahead(pages), found.branch(1, 1 + pages)):
        if point is not None:
            assert keys[1] < point
            assert until is None or point < until
            assert len(point.encode()) <= 1_024


@settings(deadline=None)
@given(st.lists(KEYS, min_size=4, max_size=4, unique=True).map(sorted), st.booleans())
def test_farther_is_never_nearer(keys: list[str], strangers: bool) -> None:
    """Also between keys of characters never seen: a longer stretch has no fewer pages."""
    first, last, near, far = keys
    alphabets = learnt(first, last) if strangers else learnt(*keys)
    to_near = measure(alphabets, View.SEEN, (first, last), near, "")
    to_far = measure(alphabets, View.SEEN, (first, last), far, "")
    if to_near is not None and to_far is not None:
        assert to_near.pages <= to_far.pages


@pytest.mark.parametrize("view", View)
def test_evenly_spread_keys_are_counted_right(view: View) -> None:
    """A page of 1,000 numbers, 9,000 to go: nine pages, and half of them lie where they should."""
    page = ("k000000", "k001000")
    known = numbered(*range(0, 10_000, 7))
    found = stretch(page, "k010000", *known, view=view)
    assert found.pages == 9
    point = found.ahead(4.5)
    assert point is not None
    assert abs(int(point[1:]) - 5_500) <= 1


def test_characters_never_seen_take_no_room() -> None:
    """Between hour 05 and hour 23 there are 18 hours, not 18 hundredths of all characters."""
    hours = [f"d/{hour:02}/{n:02}" for hour in range(24) for n in range(60)]
    found = stretch(("d/00/00", "d/01/00"), "d/23/59", *hours)
    assert 20 < found.pages < 30


def test_what_is_likely_is_what_is_of_the_same_kind() -> None:
    """Where only 0 and 1 have been seen, other digits seen elsewhere may come, and no letters."""
    known = ["k0-9abc", "k1-5xyz"]
    seen = stretch(("k0-0aaa", "k0-9abc"), None, *known)
    likely = stretch(("k0-0aaa", "k0-9abc"), None, *known, view=View.LIKELY)
    assert seen.pages < likely.pages
    beyond = likely.ahead(likely.pages)
    assert beyond is not None
    assert beyond[1] == "9"


def test_a_range_without_an_end_ends_with_its_characters() -> None:
    """After 999 nothing is to come that is made of what has been seen."""
    found = stretch(("k000", "k999"), None, *numbered(*range(1_000), width=3))
    assert found.pages < 0.01
    assert found.ahead(1) is None


def test_a_branch_ends_where_its_keys_end() -> None:
    """The largest folder, day or leading digit that fits: its end is the cut."""
    known = [f"{day}/{n:04}" for day in range(5) for n in range(0, 10_000, 37)]
    found = stretch(("0/0000", "0/0999"), None, *known)
    branch = found.branch(1.5, 12)
    assert branch is not None
    assert "0/9" < branch < "1/"
    assert found.branch(1.5, 4) is None


def test_a_page_of_one_key_measures_nothing() -> None:
    """There is no width to compare with."""
    assert measure(learnt("a"), View.SEEN, ("a", "a"), None, "") is None


def test_alphabets_are_bounded() -> None:
    """Keys of all of Unicode do not fill the memory."""
    alphabets = Alphabets()
    for code in range(0x4E00, 0x4E00 + 20_000, 100):
        alphabets.learn([chr(code + n) for n in range(100)])
    assert 4_000 < len(alphabets.at(0, View.SEEN)) <= 4_200
    assert len(alphabets.at(0, View.LIKELY)) <= 4_200
    assert list(alphabets.at(0, View.SEEN)) == sorted(alphabets.at(0, View.SEEN))
    assert list(alphabets.at(99, View.SEEN)) == [""]
