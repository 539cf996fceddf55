"""Pages of versions: each version once, in order; a listing that does not get on is an error."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_s3copy import CopyFailedError
from async_s3copy.engine.ranges import BrokenListingError
from async_s3copy.engine.spans import ALL_KEYS, Span
from async_s3copy.engine.versions import histories, pages
from async_s3copy.engine.versions.histories import Histories, History
from async_s3copy.engine.versions.pages import VersionPages
from async_s3copy.errors import InvalidResponseError, S3CopyError
from async_s3copy.model import S3Object
from async_s3copy.s3.values import VersionPage
from tests.fakes import FakeClient
from tests.harness import World
from tests.versions_world import arrived_histories, make, versioned_world

WHEN = datetime(2026, 1, 1, tzinfo=UTC)


def version(key: str, name: str, *, marker: bool = False) -> S3Object:
    etag = "" if marker else "1" * 32
    return S3Object.reported("b", key, 0, WHEN, etag, version_id=name, delete_marker=marker)


def page(names: str, go_on: str = "") -> VersionPage:
    """A page of versions such as ``"a2 a1 b1!"`` (``!``: a marker), and where the next begins."""
    versions = [
        version(each[0], each[1:].rstrip("!"), marker=each.endswith("!")) for each in names.split()
    ]
    latest = [
        not before or before != each.key
        for before, each in zip([None, *(each.key for each in versions)], versions, strict=False)
    ]
    return VersionPage(versions, latest, go_on[:1] or None, go_on[1:] or None)


def names_of(versions: Sequence[S3Object]) -> list[str]:
    return [f"{each.key}{each.version_id}" for each in versions]


def read(listing: list[VersionPage], span: Span = ALL_KEYS) -> list[str]:
    walk, found = VersionPages(span), []
    for each in listing:
        assert not walk.done
        found += names_of(walk.accept(each).versions)
    return found


def test_the_next_page_is_asked_for_by_both_markers() -> None:
    """A page may end within a key; the markers of the answer are handed back as they are."""
    walk = VersionPages()
    assert (walk.key_marker, walk.version_marker, walk.last) == (None, None, None)
    portion = walk.accept(page("a2 a1 b3", "b3"))
    assert (walk.key_marker, walk.version_marker, walk.last) == ("b", "3", "b")
    assert (portion.is_last, walk.done) == (False, False)
    portion = walk.accept(page("b2! b1"))
    assert portion.is_last
    assert names_of(portion.versions) == ["b2", "b1"]


def test_current_are_the_latest_that_are_no_delete_markers() -> None:
    """What a listing of objects would show."""
    assert names_of(VersionPages().accept(page("a2 a1 b2! b1 c1")).current) == ["a2", "c1"]


def test_a_range_begins_after_its_marker_and_ends_at_its_last_key() -> None:
    """A server that begins with the marker itself repeats nothing; no page too many is read."""
    walk = VersionPages(Span("a", "c"))
    assert walk.key_marker == "a"
    assert names_of(walk.accept(page("a2 a1 b1 c2", "c2")).versions) == ["b1", "c2"]
    assert names_of(walk.accept(page("c1 d1", "d1")).versions) == ["c1"]
    assert walk.done


@pytest.mark.parametrize(
    "listing, words",
    [
        ([page("a2 a1", "a1"), page("a2 a1", "a1")], "repeats itself.*'2' of 'a'"),
        ([page("a1 a1")], "repeats itself"),
        ([page("b1", "b1"), page("a1")], "goes backwards: 'a' comes after 'b'"),
        ([page("b1 a1")], "goes backwards"),
        ([page("a1", "a1"), page("", "a1")], "same page for ever"),
        ([page("a1", "b1"), page("", "c1"), page("", "b1")], "same page for ever"),
        ([page("", "a"), page("", "a")], "same page for ever"),
        ([page("a9", "a9"), page("a8", "a8"), page("a7", "a9")], "same page for ever"),
    ],
)
def test_a_listing_that_does_not_get_on_is_broken(listing: list[VersionPage], words: str) -> None:
    """Never an endless loop, never a version twice."""
    with pytest.raises(BrokenListingError, match=words):
        read(listing)


def test_a_key_of_more_versions_than_are_told_apart_still_gets_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Beyond the limit a loop is found by the markers."""
    monkeypatch.setattr(pages, "_SEEN_VERSIONS", 2)
    listing = [page("a9 a8", "a8"), page("a7 a6", "a6"), page("a5 a4", "a4"), page("a3 a2", "a6")]
    with pytest.raises(BrokenListingError, match="same page for ever"):
        read(listing)


@given(
    counts=st.dictionaries(st.sampled_from("abcdefg"), st.integers(1, 9)),
    size=st.integers(1, 8),
    after=st.none() | st.sampled_from("abc"),
    until=st.none() | st.sampled_from("efg"),
)
def test_histories_are_whole_however_pages_cut_them(
    counts: dict[str, int], size: int, after: str | None, until: str | None
) -> None:
    """Every version of every key asked for, the oldest first, each key once and in order."""
    every = [f"{key}{n}" for key in sorted(counts) for n in range(counts[key], 0, -1)]
    span = Span(after, until)
    start = 0 if after is None else sum(1 for each in every if each[0] <= after)
    walk, gathered, found = VersionPages(span), Histories(), list[History]()
    while not walk.done:
        shown, rest = every[start : start + size], every[start + size :]
        portion = walk.accept(page(" ".join(shown), shown[-1] if shown and rest else ""))
        found += gathered.add(portion.versions)
        start += size
    found += gathered.end()
    wanted = [each for each in every if each[0] in span]
    assert [names_of(each.versions) for each in found] == [
        list(group)[::-1] for _, group in groupby(wanted, key=lambda each: each[0])
    ]
    assert all(each.total == len(each.versions) and not each.is_too_long for each in found)


def test_of_too_long_a_history_the_number_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory does not grow with the versions of one key."""
    monkeypatch.setattr(histories, "MAX_VERSIONS", 3)
    gathered = Histories()
    assert gathered.add(page("a5 a4 a3 a2 a1 b1").versions)[0].total == 5
    gathered = Histories()
    [long] = gathered.add(page("a5 a4 a3 a2 a1").versions) or gathered.end()
    assert (names_of(long.versions), long.is_too_long) == (["a5"], True)


@pytest.mark.parametrize("choice", ["pin_versions", "all_versions"])
@pytest.mark.parametrize(
    "answer, words",
    [
        (lambda found: VersionPage(found.versions, found.latest, "in/a", "x"), "same page|itself"),
        (lambda found: VersionPage(found.versions[::-1], found.latest, None, None), "backwards"),
        (lambda found: page("x1"), "ignores the prefix"),
    ],
)
async def test_a_broken_listing_ends_the_copy(
    monkeypatch: pytest.MonkeyPatch,
    choice: str,
    answer: Callable[[VersionPage], VersionPage],
    words: str,
) -> None:
    """The error says what the server did; what had been handed out by then is finished."""
    world = versioned_world(monkeypatch)
    make(world, [("in/a", b"1"), ("in/b", b"1"), ("in/b", b"2")])
    told = FakeClient.list_versions

    async def broken(self: FakeClient, *args: object, **named: object) -> VersionPage:
        return answer(await told(self, *args, **named))  # type: ignore[arg-type]

    monkeypatch.setattr(FakeClient, "list_versions", broken)
    pins = choice == "pin_versions"
    with pytest.raises(S3CopyError, match=words) as caught:
        await world.operation(pin_versions=pins, all_versions=not pins).run()
    assert isinstance(caught.value, CopyFailedError | InvalidResponseError)
    world.assert_clean()


async def test_a_listing_that_breaks_off_lets_what_it_found_finish(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The histories that were whole arrive; then the run fails."""
    world: World = versioned_world(monkeypatch, page_size=2)
    make(world, [(f"in/{n}", b"%d" % v) for n in range(4) for v in range(2)])
    told, asked = FakeClient.list_versions, 0

    async def breaks(self: FakeClient, *args: object, **named: object) -> VersionPage:
        nonlocal asked
        asked += 1
        found = await told(self, *args, **named)  # type: ignore[arg-type]
        return found if asked < 3 else VersionPage(found.versions[::-1], found.latest, "in/0", None)

    monkeypatch.setattr(FakeClient, "list_versions", breaks)
    with pytest.raises(CopyFailedError, match="broke off"):
        await world.operation(all_versions=True).run()
    assert arrived_histories(world) == {"0": [b"0", b"1"], "1": [b"0", b"1"]}
