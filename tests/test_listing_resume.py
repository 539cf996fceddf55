"""Listings of a part of the keys, and listings that go on: no key lost, wherever they stopped."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from async_s3copy.engine.spans import Coverage, Span
from tests.fake_server import AWS, OTHER
from tests.listings import (
    SPOILT,
    Kind,
    Run,
    StoppedError,
    by_folder,
    dawdling,
    degradations,
    filled,
    honest,
    parallel,
    unordered,
)

TEXTS = st.text(
    st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from("01ab-./\x01é😀")),
    min_size=1,
    max_size=6,
)
NAMES = st.text(st.sampled_from("ab-/"), min_size=1, max_size=5)
KEY_SETS = st.one_of(
    st.sets(TEXTS, max_size=250),
    st.sets(NAMES, max_size=120),
    # Few folders among many names without one, so that they come late.
    st.tuples(st.sets(st.text("abc-.", min_size=1, max_size=5), max_size=200), st.sets(NAMES)).map(
        lambda both: both[0] | both[1]
    ),
).map(lambda keys: sorted(f"in/{key}" for key in keys))
URLS = st.sampled_from([AWS, OTHER])
LISTERS = st.integers(1, 9)
PAGES = st.sampled_from([1, 2, 7, 60, 1_000])
TURNS = st.lists(st.integers(0, 5), max_size=40)
quietly = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def bounds_of(cuts: Sequence[str]) -> list[Span]:
    """The spans between cut points, from the first key to the last."""
    points = [None, *sorted({f"in/{cut}" for cut in cuts}), None]
    return [Span(after, until) for after, until in pairwise(points)]


@quietly
@given(
    keys=KEY_SETS,
    cuts=st.lists(TEXTS | NAMES, max_size=3),
    url=URLS,
    page_size=PAGES,
    listers=LISTERS,
    turns=TURNS,
)
async def test_shards_share_the_keys(
    *, keys: list[str], cuts: list[str], url: str, page_size: int, listers: int, turns: list[int]
) -> None:
    """Each key comes once, from the one listing whose bounds it lies in, with all its spans."""
    server, found = filled(honest(url, page_size), keys), list[str]()
    dawdling(server, turns)
    for bounds in bounds_of(cuts):
        run = Run()
        await run.list(transfer := parallel(server, listers), bounds)
        assert sorted(run.keys) == [key for key in keys if key in bounds]
        assert run.coverage.spans == [bounds]
        assert degradations(transfer) == set()
        found += run.keys
    assert sorted(found) == keys


@quietly
@given(
    keys=KEY_SETS,
    cuts=st.lists(TEXTS | NAMES, max_size=2),
    kind=st.sampled_from(SPOILT),
    page_size=PAGES,
    listers=LISTERS,
    turns=TURNS,
)
@example(
    keys=["in/a-b", "in/a/x", "in/b"],
    cuts=["a-b"],
    kind=by_folder,
    page_size=1000,
    listers=1,
    turns=[],
)
@example(
    keys=["in/a-b", "in/a/x", "in/b"],
    cuts=["a-z"],
    kind=by_folder,
    page_size=2,
    listers=1,
    turns=[],
)
@example(
    keys=["in/a", "in/a/x", "in/b"], cuts=["a"], kind=by_folder, page_size=1, listers=8, turns=[]
)
async def test_shards_lose_nothing_on_other_servers(
    *, keys: list[str], cuts: list[str], kind: Kind, page_size: int, listers: int, turns: list[int]
) -> None:
    """Whatever a server makes of start-after, of order, of folders; and nothing was restarted."""
    server = filled(kind(AWS, page_size), keys)
    dawdling(server, turns)
    for bounds in bounds_of(cuts):
        run = Run()
        await run.list(transfer := parallel(server, listers), bounds)
        assert set(run.keys) == {key for key in keys if key in bounds}
        assert "restarted_listing" not in degradations(transfer)
        assert run.restarts == 0


@quietly
@given(
    keys=KEY_SETS,
    cuts=st.lists(TEXTS | NAMES, max_size=2),
    url=URLS,
    page_size=PAGES,
    listers=st.tuples(LISTERS, LISTERS),
    turns=TURNS,
    stop_after=st.integers(1, 60),
)
async def test_a_listing_goes_on_where_another_stopped(
    *,
    keys: list[str],
    cuts: list[str],
    url: str,
    page_size: int,
    listers: tuple[int, int],
    turns: list[int],
    stop_after: int,
) -> None:
    """At any moment, what came and what remains are all keys once; also after a second stop."""
    server = filled(honest(url, page_size), keys)
    dawdling(server, turns)
    for bounds in bounds_of(cuts):
        run = Run(stop_after)
        ranges: list[Span] | None = None
        for number in (*listers, *listers):
            try:
                await run.list(transfer := parallel(server, number), bounds, ranges)
            except StoppedError:
                run.left = stop_after
            else:
                assert degradations(transfer) == set()
            ranges = run.remaining(bounds)
            if not ranges:
                break
        else:
            run.left = -1
            await run.list(parallel(server, listers[0]), bounds, ranges)
        assert sorted(run.keys) == [key for key in keys if key in bounds]
        assert run.coverage.spans == [bounds]
        assert run.restarts == 0


@quietly
@given(
    keys=KEY_SETS,
    cuts=st.lists(TEXTS | NAMES, max_size=1),
    kind=st.sampled_from(SPOILT),
    page_size=PAGES,
    listers=st.tuples(LISTERS, LISTERS),
    turns=TURNS,
    stop_after=st.integers(1, 60),
)
@example(
    keys=["in/a", "in/a/x", "in/b"],
    cuts=[],
    kind=by_folder,
    page_size=1,
    listers=(1, 1),
    turns=[],
    stop_after=1,
)
@example(
    keys=["in/a-b", "in/a/b", "in/a/c"],
    cuts=[],
    kind=by_folder,
    page_size=1,
    listers=(1, 8),
    turns=[],
    stop_after=2,
)
async def test_a_listing_that_goes_on_loses_nothing_on_other_servers(
    *,
    keys: list[str],
    cuts: list[str],
    kind: Kind,
    page_size: int,
    listers: tuple[int, int],
    turns: list[int],
    stop_after: int,
) -> None:
    """It begins anew where a server cannot go on, and says so; every key comes at least once."""
    if kind is unordered:
        # Few keys may be in order by chance: what their spans say is void once more have come.
        page_size = max(64, page_size)
    server = filled(kind(AWS, page_size), keys)
    dawdling(server, turns)
    for bounds in bounds_of(cuts):
        run = Run(stop_after)
        try:
            await run.list(parallel(server, listers[0]), bounds)
        except StoppedError:
            run.left = -1
            if not (ranges := run.remaining(bounds)):
                continue
            before, run.coverage = len(run.keys), Coverage()
            await run.list(transfer := parallel(server, listers[1]), bounds, ranges)
            if run.restarts:
                assert set(run.keys[before:]) == {key for key in keys if key in bounds}
            assert run.restarts == ("restarted_listing" in degradations(transfer))
        assert set(run.keys) == {key for key in keys if key in bounds}
