"""The table of ranges: every key once and in order, whatever is cut and whatever arrives first."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from async_s3copy.engine.ranges import (
    IGNORED,
    UNORDERED,
    BrokenListingError,
    KeyRange,
    RangeTable,
    UndividedError,
)
from async_s3copy.engine.serial import SerialRest
from async_s3copy.engine.spans import ALL_KEYS, Coverage, Span
from async_s3copy.engine.splitting import Cut, Outlook, Splitter
from async_s3copy.model import S3Object
from async_s3copy.s3.values import ListPage
from tests.fakes import LONG_AGO

CHARACTERS = st.characters(exclude_categories=["Cs"])
KEYS = st.one_of(
    st.text(CHARACTERS, min_size=1, max_size=6),
    st.text(st.sampled_from("ab/0\x00\x7fé😀\U0010ffff"), min_size=1, max_size=12),
)
KEY_SETS = st.sets(KEYS, max_size=40).map(sorted)


def item(key: str) -> S3Object:
    return S3Object.reported("source-bucket", key, 1, LONG_AGO, "0" * 32)


def page_of(keys: Sequence[str], *, truncated: bool, token: str | None = None) -> ListPage:
    return ListPage([item(key) for key in keys], token, truncated)


def served(keys: Sequence[str], key_range: KeyRange, size: int) -> ListPage:
    """What an honest server answers to the next request of a range."""
    first = 0 if key_range.last is None else bisect_right(keys, key_range.last)
    more = first + size < len(keys)
    return page_of(keys[first : first + size], truncated=more, token="t" if more else None)


class WildSplitter(Splitter):
    """Cuts any range at any point that is offered."""

    def __init__(self, points: Iterable[str]) -> None:
        super().__init__("", 1)
        self.points = iter(points)

    def cut(self, outlooks: Iterable[Outlook]) -> Cut | None:
        point = next(self.points, None)
        if point is None:
            return None
        for left in outlooks:
            until = left.until
            if left.page and left.page[1] < point and (until is None or point < until):
                left.until = point
                return Cut(left, Outlook(until=until), point)
        return None


class Run:
    """Listers on a table, one answer at a time, in an order that a test draws."""

    def __init__(self, table: RangeTable, keys: Sequence[str], size: int) -> None:
        self.table, self.keys, self.size = table, keys, size
        first = table.take(divide=False)
        assert first is not None
        self.flying: list[KeyRange] = [first]
        self.found: dict[KeyRange, list[str]] = {}
        self.coverage = Coverage()

    def answer(self, place: int, *, park: bool) -> None:
        key_range = self.flying.pop(place % len(self.flying))
        objects, span = self.table.accept(key_range, served(self.keys, key_range, self.size))
        if span is not None:
            assert self.coverage.remaining([span]) == [span]
            assert all(each.key in span for each in objects)
            self.coverage.add(span)
        self.found.setdefault(key_range, []).extend(each.key for each in objects)
        if park or key_range.done:
            self.table.leave(key_range)
        else:
            self.flying.append(key_range)

    def share(self, listers: int) -> None:
        while len(self.flying) < listers:
            more = self.table.take(divide=True)
            if more is None:
                return
            self.flying.append(more)

    def all_found(self) -> list[str]:
        return [key for keys in self.found.values() for key in keys]


@settings(deadline=None)
@given(
    keys=KEY_SETS,
    points=st.lists(KEYS, max_size=30),
    size=st.integers(1, 7),
    steps=st.lists(st.tuples(st.integers(0, 50), st.booleans(), st.integers(1, 6)), max_size=60),
)
def test_every_key_comes_once_and_in_order(
    keys: list[str], points: list[str], size: int, steps: list[tuple[int, bool, int]]
) -> None:
    """Any legal keys, any cuts, any order of answers, ranges left and taken up again."""
    table = RangeTable(WildSplitter(points), proof_keys=0)
    run = Run(table, keys, size)
    script = iter(steps)
    while run.flying:
        place, park, listers = next(script, (0, False, 1))
        run.answer(place, park=park)
        run.share(listers)
    assert sorted(run.all_found()) == keys
    assert all(found == sorted(found) for found in run.found.values())
    assert run.coverage.spans == [ALL_KEYS]
    assert table.take(divide=False) is None


@settings(deadline=None)
@given(st.lists(KEYS))
def test_keys_are_ordered_as_s3_orders_them(keys: list[str]) -> None:
    """Python compares strings by code point, S3 by UTF-8 byte: the same order."""
    assert sorted(keys) == sorted(keys, key=str.encode)


def divided(points: Sequence[str], *keys: str) -> tuple[RangeTable, list[KeyRange]]:
    """A table that has read some keys and was then cut at some points, the last one first."""
    table = RangeTable(WildSplitter(points), proof_keys=0)
    first = table.take(divide=False)
    assert first is not None
    table.accept(first, page_of(keys, truncated=True, token="1"))
    ranges = [table.take(divide=True) for _ in points]
    return table, [first, *(each for each in ranges if each is not None)]


def test_a_cut_is_half_open() -> None:
    """The point of a cut belongs to the left range, what follows it to the right one."""
    table, (left, right) = divided(["m"], "a", "b")
    assert (left.until, right.after, right.last, right.until) == ("m", "m", "m", None)
    assert keys_of(table, right, "n", "o") == ["n", "o"]
    assert keys_of(table, left, "l", "m", "n") == ["l", "m"]
    assert left.done


def test_a_page_that_ends_where_its_range_does_is_not_the_last() -> None:
    """What follows has to be seen: asked for it by that key, a server may pass over a folder."""
    table, (left, _) = divided(["m"], "a", "b")
    assert keys_of(table, left, "l", "m") == ["l", "m"]
    assert not left.done
    assert keys_of(table, left, "m/x") == []
    assert left.done


def test_ranges_that_are_given_wait_until_keys_have_come_in_order() -> None:
    """Until then one is read at a time, past its end: an unordered listing would go on there."""
    ranges = [Span(None, "k05"), Span("k10", "k20"), Span("x", None)]
    table = RangeTable(WildSplitter([]), ranges=ranges)
    first = table.take(divide=False)
    assert first is not None
    found = table.accept(first, page_of([f"k{n:02}" for n in range(40)], truncated=True, token="1"))
    assert found.span == Span(None, "k05")
    assert table.take(divide=True) is None
    found = table.accept(first, page_of([f"k{n:02}" for n in range(40, 64)], truncated=True))
    assert found == ([], None)
    assert first.done
    waiting = [table.take(divide=False), table.take(divide=True)]
    assert [each and (each.after, each.until) for each in waiting] == [("k10", "k20"), ("x", None)]
    assert table.take(divide=True) is None


def test_only_neighbours_become_one() -> None:
    """What lies between two ranges has not been handed out."""
    ranges = [Span(None, "b"), Span("c", "e"), Span("e", "g"), Span("k", "m")]
    table = RangeTable(WildSplitter([]), ranges=ranges, proof_keys=0)
    for keys in (["a"], ["d"], ["f"], ["l"]):
        taken = table.take(divide=False)
        assert taken is not None
        table.accept(taken, page_of([*keys, "z"], truncated=True, token="1"))
    spans = [Span(None, "a"), Span("c", "f"), Span("k", "l")]
    assert table.handed_out(first=True) == spans
    assert table.handed_out(first=False) == spans[1:]


def keys_of(
    table: RangeTable, key_range: KeyRange, *keys: str, truncated: bool = True
) -> list[str]:
    found = table.accept(key_range, page_of(keys, truncated=truncated, token="2"))
    return [each.key for each in found.objects]


def test_a_page_on_its_way_does_not_hide_a_cut() -> None:
    """What a page brings beyond a cut made meanwhile is the other range's."""
    table, (left, right) = divided(["c"], "a", "b")
    assert keys_of(table, left, "c", "d", "e") == ["c"]
    assert left.done
    assert keys_of(table, right, "d", "e") == ["d", "e"]


def test_unordered_keys_are_found_before_the_listing_is_divided() -> None:
    """Nothing is cut before 64 keys have come in order."""
    table = RangeTable(WildSplitter(["z", "z"]))
    first = table.take(divide=False)
    assert first is not None
    table.accept(first, page_of([f"k{n:02}" for n in range(63)], truncated=True, token="1"))
    assert table.take(divide=True) is None
    table.accept(first, page_of(["l"], truncated=True, token="2"))
    assert table.take(divide=True) is not None


@pytest.mark.parametrize(
    "keys, reason", [(("a", "b"), IGNORED), (("m", "n"), IGNORED), (("o", "n"), UNORDERED)]
)
def test_a_server_that_ignores_start_after_is_found_out_at_its_first_answer(
    keys: tuple[str, ...], reason: str
) -> None:
    """A first page that does not begin after the cut says so; nothing of it is handed out."""
    table, (_, right) = divided(["m"], "a", "b")
    with pytest.raises(UndividedError, match=reason):
        table.accept(right, page_of(keys, truncated=True, token="1"))
    assert table.handed_out(first=False) == []


@pytest.mark.parametrize("keys", [("n", "m"), ("o", "n"), ("p", "q", "q")])
def test_an_order_lost_after_the_division_is_an_error(keys: tuple[str, ...]) -> None:
    """Once another range has handed keys out, no serial listing could leave them out again."""
    table, (left, right) = divided(["m"], "a", "b")
    table.accept(right, page_of(["n", "o"], truncated=True, token="1"))
    with pytest.raises(BrokenListingError, match=r"out of order .* max_concurrent_listings=1"):
        table.accept(right, page_of(keys, truncated=True, token="2"))
    with pytest.raises(BrokenListingError, match="out of order at 'c'"):
        table.accept(left, page_of(["d", "c"], truncated=True, token="2"))


def test_the_rest_leaves_out_what_other_ranges_handed_out() -> None:
    """The first range goes on to the end; keys of other ranges come from there no second time."""
    table, (left, middle, right) = divided(["p", "h"], "a", "b")
    # The cut at "p" made the last range, that at "h" the one before it.
    last, inner = middle, right
    assert (inner.after, inner.until, last.after) == ("h", "p", "p")
    assert keys_of(table, inner, "i", "k") == ["i", "k"]
    with pytest.raises(UndividedError, match=IGNORED):
        table.accept(last, page_of(["a", "b"], truncated=True, token="3"))
    rest = SerialRest(left, table.handed_out(first=False))
    first = rest.accept(page_of(["c", "h", "i", "k"], truncated=True, token="4"))
    then = rest.accept(page_of(["l", "q"], truncated=False))
    assert [each.key for each in [*first, *then]] == ["c", "h", "l", "q"]
    assert rest.done


def test_the_rest_asks_again_for_the_page_that_ended_the_first_range() -> None:
    """The keys it brought beyond the range were dropped: they come now, the others do not."""
    table, (left, right) = divided(["d"], "a", "b")
    assert keys_of(table, left, "c", "d", "e", "f") == ["c", "d"]
    with pytest.raises(UndividedError):
        table.accept(right, page_of(["a"], truncated=True, token="3"))
    rest = SerialRest(left, table.handed_out(first=False))
    assert (rest.token, rest.last) == ("1", "d")
    found = rest.accept(page_of(["c", "d", "e", "f"], truncated=False))
    assert [each.key for each in found] == ["e", "f"]


def test_the_rest_of_an_unordered_listing_may_come_in_any_order() -> None:
    """Nothing else was handed out, so nothing has to be told apart."""
    _, (left,) = divided([], "a", "b")
    rest = SerialRest(left, [])
    found = rest.accept(page_of(["z", "c"], truncated=True, token="2"))
    then = rest.accept(page_of(["y", "0"], truncated=False))
    assert [each.key for each in [*found, *then]] == ["z", "c", "y", "0"]


def test_the_rest_of_a_divided_listing_must_be_in_order() -> None:
    """Otherwise what was handed out could not be told by its range."""
    table, (left, right) = divided(["m"], "a", "b")
    keys_of(table, right, "n", "o")
    rest = SerialRest(left, table.handed_out(first=False))
    rest.accept(page_of(["c", "n"], truncated=True, token="2"))
    with pytest.raises(BrokenListingError, match="out of order"):
        rest.accept(page_of(["d"], truncated=True, token="3"))


def test_the_rest_leaves_out_only_keys_that_the_server_sorts() -> None:
    """Others come in any order, and none of them has been handed out, wherever it lies."""
    rest = SerialRest(None, [Span("m", "n05")], sortable=lambda key: "/" not in key)
    page = page_of(["a", "n/2", "n/1", "n-1", "n05", "n06"], truncated=False)
    assert [each.key for each in rest.accept(page)] == ["a", "n/2", "n/1", "n06"]


def test_the_rest_keeps_to_its_bounds() -> None:
    """In whatever order the server lists."""
    rest = SerialRest(None, [], bounds=Span("b", "d"))
    found = rest.accept(page_of(["e", "d", "a", "c", "b"], truncated=False))
    assert [each.key for each in found] == ["d", "c"]
