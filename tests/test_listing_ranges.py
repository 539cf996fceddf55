"""Listings of given ranges: what they cost, in what order they come, and what is told."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest

from async_s3copy import AccessDeniedError
from async_s3copy.engine.lister import Lister
from async_s3copy.engine.listing import first_page
from async_s3copy.engine.spans import ALL_KEYS, Span
from async_s3copy.model import S3Object
from tests.fake_server import AWS, OTHER, Call, FakeS3, Phase
from tests.listings import (
    Kind,
    Run,
    by_folder,
    degradations,
    filled,
    ignoring,
    parallel,
    refusing,
    unordered,
)

FLAT = [f"in/{n:05}" for n in range(0, 10_000, 7)]
NESTED = [f"in/{name}/{n:05}" for name in ("a-old", "a", "b.d", "b") for n in range(400)]


def halves(keys: Sequence[str], pieces: int = 8) -> list[Span]:
    """Every other one of as many pieces as there are, the first of them from the beginning on."""
    points = [None, *keys[:: len(keys) // pieces][1:], None]
    return [Span(after, until) for after, until in list(pairwise(points))[::2]]


def chosen(keys: Sequence[str], ranges: Sequence[Span]) -> list[str]:
    return [key for key in keys if any(key in span for span in ranges)]


async def test_all_ranges_are_listed_at_the_same_time_and_divided_further() -> None:
    """As many requests at once as are wanted, each range opened after its key."""
    server, run, ranges = filled(FakeS3(page_size=10), FLAT), Run(), halves(FLAT)
    await run.list(transfer := parallel(server, 8), ALL_KEYS, ranges)
    assert sorted(run.keys) == chosen(FLAT, ranges)
    assert run.coverage.spans == ranges
    assert server.most_in_flight == 8
    opened = [call.start_after for call in server.calls if call.start_after is not None]
    assert set(opened) > {span.after for span in ranges} - {None}
    assert len(opened) == len(set(opened))
    assert degradations(transfer) == set()
    assert len(server.calls) <= 1.2 * len(run.keys) / 10 + 2 * len(ranges)


async def test_one_lister_lists_all_ranges_in_order() -> None:
    """None is forgotten while one request at a time is wanted, and no page is read in vain."""
    server, run, ranges = filled(FakeS3(page_size=10), FLAT), Run(), halves(FLAT)
    await run.list(parallel(server, 8), ALL_KEYS, ranges, wanted=lambda running: 1)
    assert run.keys == chosen(FLAT, ranges)
    assert server.most_in_flight == 1
    assert len(server.calls) <= len(run.keys) / 10 + 2 * len(ranges)


async def test_a_range_without_keys_is_told_of_when_it_has_been_listed() -> None:
    """Its span comes with no object; so does the end of a range behind its last key."""
    server, run = filled(FakeS3(), FLAT[:100]), Run()
    told: list[tuple[int, Span | None]] = []

    async def emit(objects: Sequence[S3Object], span: Span | None) -> None:
        told.append((len(objects), span))

    ranges = [Span("in/0", "in/00"), Span("in/x", None)]
    transfer = parallel(server, 1)
    page = await first_page(transfer, max_attempts=3, start_after="in/0")
    await Lister(transfer, page, ranges=ranges).run(emit)
    assert told == [(0, each) for each in ranges]
    assert run.keys == []


@pytest.mark.parametrize(
    "keys, ranges, url, more",
    [
        (NESTED, [Span(NESTED[99])], AWS, 0),
        (NESTED, [Span(NESTED[99])], OTHER, 1),
        (NESTED, [Span("in/zz")], OTHER, 1),
        (NESTED, [Span("in/b/zz")], OTHER, 2),
        ([*NESTED, *FLAT], [Span("in/a/x", "in/a0"), Span("in/b/x")], OTHER, 1),
        (FLAT, [Span(None, FLAT[99])], OTHER, 0),
        (FLAT, [Span(FLAT[99])], OTHER, 1),
        (FLAT, halves(FLAT), OTHER, 4),
    ],
)
async def test_going_on_costs_few_requests_more(
    keys: list[str], ranges: list[Span], url: str, more: int
) -> None:
    """S3 is not asked how it sorts. Others are: once if there are folders, also by one lister.

    Where the first page knows of none, a request more looks into each that could have been passed.
    """
    server, run = filled(FakeS3(url), keys), Run()
    await run.list(transfer := parallel(server, 1), ALL_KEYS, ranges)
    assert sorted(run.keys) == chosen(sorted(keys), ranges)
    assert degradations(transfer) == set()
    pages = sum(1 + len(chosen(keys, [span])) // 1_000 for span in ranges)
    assert len(server.calls) == pages + more


@pytest.mark.parametrize(
    "kind, sentence",
    [
        (ignoring, "the server ignores start-after"),
        (refusing, "the server"),
        (unordered, "the server lists keys out of order"),
        (by_folder, "the server sorts folders by their names, other than S3"),
    ],
)
@pytest.mark.parametrize("listers", [1, 8])
async def test_a_restart_is_told_before_anything_is_handed_out(
    kind: Kind, sentence: str, listers: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Once, as a degradation, by the callback, and as a span of ``None``; then come all keys."""
    server, run = filled(kind(OTHER, 100), NESTED), Run()
    seen: list[object] = []
    hand_out = run.emit

    async def emit(objects: Sequence[S3Object], span: Span | None) -> None:
        seen.append((len(objects), span))
        await hand_out(objects, span)

    run.restarted = lambda: seen.append("restarted")  # type: ignore[method-assign]
    run.emit = emit  # type: ignore[method-assign]
    bounds = Span(None, "in/b/00200")
    ranges = [Span("in/a/00100", "in/a/00200"), Span("in/b.d/00100", "in/b/00200")]
    await run.list(transfer := parallel(server, listers), bounds, ranges)
    assert seen[:2] == ["restarted", (0, None)]
    assert seen.count("restarted") == 1
    assert sorted(run.keys) == chosen(sorted(NESTED), [bounds])
    found = transfer.recorder.snapshot().degradations
    assert found == {"restarted_listing": 1} | ({"serial_listing": 1} if listers > 1 else {})
    assert sentence in caplog.text
    assert "all keys are listed from the beginning" in caplog.text


async def test_an_order_lost_while_going_on_is_no_error() -> None:
    """Trying again from the same place would meet it again: some keys come twice instead."""
    server, run = filled(FakeS3(page_size=10), FLAT), Run()

    async def change(call: Call, phase: Phase) -> None:
        server.lists_unordered = len(server.calls) > 40

    server.hook = change
    await run.list(parallel(server, 8), ALL_KEYS, halves(FLAT))
    assert set(run.keys) == set(FLAT)
    assert run.restarts == 1
    assert not run.in_order


@pytest.mark.parametrize("calls", [5, 30, 55])
async def test_a_server_that_stops_heeding_start_after_repeats_nothing(calls: int) -> None:
    """What this run has handed out by then is left out, what earlier ones did is not."""
    server, run, ranges = filled(FakeS3(page_size=10), FLAT), Run(), halves(FLAT, 24)

    async def change(call: Call, phase: Phase) -> None:
        server.ignores_start_after = len(server.calls) > calls

    server.hook = change
    await run.list(parallel(server, 2), ALL_KEYS, ranges)
    assert sorted(run.keys) == FLAT
    assert run.restarts == 1


class InGivenOrder(FakeS3):
    """Lists keys in the order in which they were put."""

    def listed_after(self, bucket: str, token: str | None, start_after: str | None) -> list[str]:
        keys = list(self.buckets[bucket])
        if token is not None:
            return keys[keys.index(token) + 1 :]
        return [key for key in keys if key > (start_after or "")]


async def test_a_few_keys_in_order_are_not_relied_on() -> None:
    """Folders seem to be sorted as names, but nothing is sorted: no key is left out."""
    keys = ["in/m", "in/z", "in/x/1", "in/c"]
    server, run = filled(InGivenOrder(OTHER, page_size=1), keys), Run()
    await run.list(parallel(server, 1), Span("in/a"))
    assert set(run.keys) == set(keys)


async def test_folders_that_come_late_are_told_from_what_was_handed_out() -> None:
    """Their keys lie between those that others handed out, and have yet to come; no key twice."""
    flat = [f"in/{stem}{n:04}" for stem in ("a", "n-", "n0") for n in range(500)]
    keys = [*flat, *(f"in/n/{n}" for n in range(20))]
    server, run = filled(by_folder(OTHER, 10), keys), Run()
    ranges = [Span(None, "in/n-0300"), Span("in/n-0400", None)]
    await run.list(transfer := parallel(server, 2), ALL_KEYS, ranges)
    assert run.coverage.spans[-1].after == "in/n-0400"
    assert sorted(run.keys) == sorted(keys)
    assert degradations(transfer) == {"serial_listing", "restarted_listing"}


async def test_expired_credentials_do_not_restart_a_listing() -> None:
    """They are answered by 400, as start-after is by those that refuse it: an error, as ever."""
    server, run, ranges = filled(FakeS3(page_size=10), FLAT), Run(), halves(FLAT)

    async def expire(call: Call, phase: Phase) -> None:
        if call.start_after == ranges[2].after:
            raise call.error("ExpiredToken", 400)

    server.hook = expire
    with pytest.raises(AccessDeniedError, match="ExpiredToken"):
        await run.list(transfer := parallel(server, 8), ALL_KEYS, ranges)
    assert run.in_order
    assert degradations(transfer) == set()
    assert run.restarts == 0


async def test_a_first_page_that_is_refused_for_its_start_is_read_from_the_beginning() -> None:
    """The lister finds out by its keys; any other refusal is an error at once."""
    server = filled(refusing(OTHER, 10), FLAT)
    page = await first_page(parallel(server, 1), max_attempts=3, start_after=FLAT[99])
    assert [item.key for item in page.objects] == FLAT[:10]
    server.denied.add(("source", "ListObjectsV2", "source-bucket"))
    server.hook = None
    with pytest.raises(AccessDeniedError):
        await first_page(parallel(server, 1), max_attempts=3, start_after=FLAT[99])
    assert len(server.calls) == 3
