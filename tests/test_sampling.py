"""Sampling: cuts at keys that exist, balanced on any shape of keys, for a bounded cost."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from async_s3copy.engine.gaps import Estimator, Look, Sample, branch_end, folder_end
from async_s3copy.engine.sampling import LEAST_PROBES, PROBES_PER_SHARD, Sampler
from benchmarks.simulator.keyspaces import KEYSPACES, KeySpace

PAGE_KEYS = 1_000
CHARACTERS = st.characters(exclude_categories=["Cs"])
KEYS = st.one_of(
    st.text(CHARACTERS, min_size=1, max_size=8),
    st.text(st.sampled_from("ab01/\x00é😀\ud7ff\U0010ffff"), min_size=1, max_size=40),
    st.integers(0, 10**9).map(lambda number: f"key-{number:010}"),
)


class Keys(Protocol):
    """Keys in order, however they are kept."""

    def __len__(self) -> int: ...

    def key(self, index: int) -> str: ...

    def seek(self, key: str) -> int: ...


class Listed:
    """Keys of a list."""

    def __init__(self, keys: Sequence[str]) -> None:
        self.keys = keys

    def __len__(self) -> int:
        return len(self.keys)

    def key(self, index: int) -> str:
        return self.keys[index]

    def seek(self, key: str) -> int:
        return bisect_right(self.keys, key)


def sampled(keys: Keys, prefix: str, shards: int, page_keys: int = PAGE_KEYS) -> Sampler:
    """A sampler that has asked all it wants."""
    sampler = Sampler(prefix, shards)

    def answer(after: str | None) -> None:
        first = 0 if after is None else keys.seek(after)
        last = min(len(keys), first + page_keys)
        page = [keys.key(index) for index in range(first, last)]
        sampler.saw(after, page, truncated=last < len(keys))

    answer(None)
    while probes := sampler.probes():
        for after in probes:
            answer(after)
    return sampler


def sizes(keys: Keys, cuts: Sequence[str]) -> list[int]:
    """How many keys each shard holds."""
    borders = [0, *(keys.seek(cut) for cut in cuts), len(keys)]
    return [after - before for before, after in pairwise(borders)]


@pytest.mark.parametrize("name", KEYSPACES)
def test_a_million_keys_of_any_shape_make_16_shards_of_about_the_same_size(name: str) -> None:
    """The largest holds at most half more than the average, for 19 pages a shard."""
    space = KeySpace.parse(f"src-{name}-1000000")
    sampler = sampled(space, "data/", 16)
    found = sizes(space, sampler.cuts())
    assert sampler.pages <= PROBES_PER_SHARD * 16
    assert len(found) == 16
    assert max(found) <= 1.5 * len(space) / 16


@pytest.mark.parametrize("shards", [2, 7, 40])
def test_a_hundred_million_keys_cost_no_more_pages_than_a_million(shards: int) -> None:
    """The number of pages is bounded by that of shards alone."""
    space = KeySpace.parse("src-hex-100000000")
    sampler = sampled(space, "data/", shards)
    assert sampler.pages <= max(LEAST_PROBES, PROBES_PER_SHARD * shards)
    assert max(sizes(space, sampler.cuts())) <= 1.2 * len(space) / shards


def test_beyond_some_number_of_shards_each_gets_fewer_pages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a thousand shards cost is bounded, too; four pages each still balance them."""
    monkeypatch.setattr("async_s3copy.engine.sampling.MOST_PROBES", 400)
    space = KeySpace.parse("src-uuid-1000000")
    sampler = sampled(space, "data/", 100)
    assert sampler.pages <= 400
    assert max(sizes(space, sampler.cuts())) <= 1.5 * len(space) / 100


@settings(deadline=None, max_examples=150)
@given(
    keys=st.lists(KEYS, min_size=0, max_size=120, unique=True).map(sorted),
    shards=st.integers(1, 12),
    page_keys=st.sampled_from([1, 2, 7, 1_000]),
)
def test_cuts_are_keys_that_exist_and_rise(keys: list[str], shards: int, page_keys: int) -> None:
    """Whatever keys there are: fewer cuts than shards, in order, and no shard without a key."""
    sampler = sampled(Listed(keys), "", shards, page_keys)
    cuts = sampler.cuts()
    assert sampler.pages <= LEAST_PROBES + 1
    assert len(cuts) < shards
    assert cuts == sorted(set(cuts))
    assert set(cuts) <= set(keys)
    assert all(sizes(Listed(keys), cuts)) or not keys


@pytest.mark.parametrize("count", [1, 2, 3, 16, 17, 999, 1_000, 1_001, 3_000, 7_777])
@pytest.mark.parametrize("name", KEYSPACES)
def test_a_prefix_of_few_pages_is_cut_exactly(name: str, count: int) -> None:
    """Every key is known: no two shards differ by more than one."""
    space = KeySpace.parse(f"src-{name}-{count}")
    found = sizes(space, sampled(space, "data/", 4).cuts())
    assert len(found) == min(4, count)
    assert max(found) - min(found) <= 1


def test_one_page_asks_for_nothing_more() -> None:
    """A listing that has ended is known."""
    sampler = sampled(Listed([f"{number:03}" for number in range(500)]), "", 5)
    assert sampler.pages == 1
    assert sampler.cuts() == ["099", "199", "299", "399"]


def test_letters_that_no_page_has_shown_are_found() -> None:
    """A cluster behind a character of a kind that was never seen is no surprise."""
    lower = [f"a{number:06}" for number in range(20_000)]
    beyond = [f"ж{number:06}" for number in range(180_000)]
    keys = Listed([*lower, *beyond])
    assert max(sizes(keys, sampled(keys, "", 8).cuts())) <= 1.3 * len(keys) / 8


def test_a_dense_folder_between_sparse_ones_is_found() -> None:
    """A folder that holds nearly all is divided, though the keys around it are few."""
    sparse = [f"{name}/{number * 10**9:015}" for name in "bz" for number in range(2_000)]
    dense = [f"m/{number:015}" for number in range(400_000)]
    keys = Listed(sorted([*sparse, *dense]))
    assert max(sizes(keys, sampled(keys, "", 8).cuts())) <= 1.3 * len(keys) / 8


@settings(deadline=None)
@given(key=KEYS, until=st.none() | KEYS, start=st.integers(0, 3))
def test_a_branch_ends_after_its_key_and_within_the_gap(
    key: str, until: str | None, start: int
) -> None:
    """Nothing that begins like the key up to there comes after it."""
    end = branch_end(key, until, start)
    if end is not None:
        assert key < end
        assert until is None or end < until
        assert end[:-1] == key[: len(end) - 1]
        end.encode()


@pytest.mark.parametrize(
    "last, until, start, end",
    [
        ("a/b/c", None, 0, "a0"),
        ("a/b/c", "a1", 0, "a0"),
        ("a/b/c", "a/d", 0, "a/b0"),
        ("a/b/c", "a/b0", 0, None),
        ("a/b/c", None, 2, "a/b0"),
        ("abc", None, 0, None),
    ],
)
def test_the_outermost_folder_that_ends_in_a_gap_is_named(
    last: str, until: str | None, start: int, end: str | None
) -> None:
    """It holds the keys before the gap, and ends in it, below the first ``start`` characters."""
    sample = Sample.of(None, [last], 1)
    gap = Estimator("").gap(sample, None, until)
    assert folder_end(gap, start) == end


def test_sides_that_agree_are_averaged_and_others_in_between() -> None:
    """Between a dense side and a sparse one, neither of the two is believed."""
    assert Look(3_000.0, None, None).mean() == 3_000
    assert Look(3_000.0, 5_000.0, None).mean() == 4_000
    assert 10 < Look(10.0, 1_000_000.0, None).mean() < 100_000
    assert Look(10.0, 1e90, None).mean(1_000.0) <= 1_000
    assert Look(3_000.0, 5_000.0, None).is_even
    assert not Look(3_000.0, 50_000.0, None).is_even
    assert not Look(3.0, 5.0, None).is_even
    assert not Look(3_000.0, None, None).is_even
