"""Listings: each key once, by one request or several at a time; never for ever, never elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import anyio.lowlevel
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from async_s3copy import InvalidResponseError, NoSuchBucketError, S3Error
from async_s3copy.engine.lister import Lister
from async_s3copy.engine.listing import first_page
from async_s3copy.engine.spans import ALL_KEYS, Coverage, Span
from async_s3copy.engine.transfer import Transfer
from async_s3copy.model import S3Object
from async_s3copy.s3.values import ListPage
from tests.fake_server import AWS, OTHER, Call, FakeS3, Fault, Phase
from tests.fakes import LONG_AGO, FakeClient
from tests.harness import all_idle, fast_options, transfer_of


def item(key: str) -> S3Object:
    return S3Object.reported("source-bucket", key, 1, LONG_AGO, "0" * 32)


def page(*keys: str, token: str | None = None, truncated: bool | None = None) -> ListPage:
    return ListPage(
        [item(key) for key in keys], token, bool(token) if truncated is None else truncated
    )


class ScriptedClient(FakeClient):
    """Answers listings from a script, whatever it is asked for."""

    def __init__(self, script: Sequence[ListPage]) -> None:
        super().__init__(FakeS3(OTHER), "source")
        self.script = list(script)

    async def list_page(
        self,
        bucket: str,
        prefix: str,
        *,
        token: str | None = None,
        start_after: str | None = None,
        max_keys: int = 1_000,
    ) -> ListPage:
        call = Call("ListObjectsV2", self.side, bucket, None, token=token, start_after=start_after)
        return await self.server.answer(call, lambda: self.script.pop(0))


def scripted(*script: ListPage) -> tuple[Transfer, FakeS3]:
    transfer = transfer_of(FakeS3())
    client = ScriptedClient(script)
    transfer.source = client
    return transfer, client.server


class Listed:
    """What a lister hands out, page by page."""

    def __init__(self) -> None:
        self.pages: list[list[str]] = []
        self.spans: list[Span | None] = []

    @property
    def keys(self) -> list[str]:
        return [key for page in self.pages for key in page]

    async def emit(self, objects: Sequence[S3Object], span: Span | None) -> None:
        await anyio.lowlevel.checkpoint()
        self.pages.append([each.key for each in objects])
        self.spans.append(span)


async def listed(transfer: Transfer) -> list[str]:
    """List one page after the other."""
    start = await first_page(transfer, max_attempts=3)
    found = Listed()
    await Lister(transfer, start, wanted=lambda running: 1).run(found.emit)
    return found.keys


@pytest.mark.parametrize("count", [0, 1, 6, 7, 8, 21, 50])
async def test_every_key_is_listed_once_page_by_page(count: int) -> None:
    """Each page's token asks for the next; one request a page, the first one not read twice."""
    server = FakeS3(page_size=7)
    keys = [f"in/{n:03}" for n in range(count)]
    for key in [*keys, "im/x", "in", "io/x"]:
        server.put("source-bucket", key, b"x")
    assert await listed(transfer_of(server)) == keys
    asked = server.made("ListObjectsV2")
    assert len(asked) == max(1, -(-count // 7))
    assert [call.token for call in asked] == [None, *keys[6 : count - 1 : 7]]
    assert {call.start_after for call in asked} == {None}


async def test_a_prefix_is_a_prefix_of_keys_not_a_folder() -> None:
    """``logs/2026`` also lists ``logs/20261``, as S3 does; ``None`` lists everything."""
    server = FakeS3()
    for key in ("logs/2026/a", "logs/20261", "logs/2025"):
        server.put("source-bucket", key, b"x")
    assert await listed(transfer_of(server, source_key="logs/2026")) == [
        "logs/2026/a",
        "logs/20261",
    ]
    assert len(await listed(transfer_of(server, source_key=None))) == 3


async def test_a_truncated_page_without_a_token_is_continued_after_its_last_key() -> None:
    """A server that forgets the token loses no key."""
    transfer, server = scripted(
        page("in/a", "in/b", truncated=True), page("in/c", truncated=True), page("in/d")
    )
    assert await listed(transfer) == ["in/a", "in/b", "in/c", "in/d"]
    assert [call.start_after for call in server.calls] == [None, "in/b", "in/c"]
    assert {call.token for call in server.calls} == {None}


async def test_an_empty_page_with_a_token_is_continued() -> None:
    """Servers that filter after paging give empty pages in between."""
    transfer, server = scripted(page("in/a", token="1"), page(token="2"), page("in/b"))
    assert await listed(transfer) == ["in/a", "in/b"]
    assert [call.token for call in server.calls] == [None, "1", "2"]


@pytest.mark.parametrize(
    "script, sentence",
    [
        ([page(truncated=True)], "neither a token nor a key"),
        ([page("in/a", token="1"), page("in/a", token="1")], "repeats the same page"),
        ([page("in/a", token="1"), page("in/a", token="2")], "repeats the same page"),
        ([page("in/a", truncated=True), page("in/a", truncated=True)], "repeats the same page"),
        ([page(token="1"), page(token="1")], "repeats the same page"),
        ([page("in/a", "in/b", token="1"), page("in/b", "in/c", token="2")], "names 'in/b' twice"),
        ([page("other/a")], "ignores the prefix: it names 'other/a'"),
        ([page("in/a", "other/b")], "ignores the prefix: it names 'other/b'"),
        ([page("in/a", token="1"), page("other/a")], "ignores the prefix: it names 'other/a'"),
    ],
)
async def test_a_listing_that_cannot_be_trusted_is_an_error(
    script: list[ListPage], sentence: str
) -> None:
    """No token and no key, standing still, or keys beyond the prefix: said so, with the place."""
    transfer, server = scripted(*script)
    with pytest.raises(InvalidResponseError, match=sentence) as caught:
        await listed(transfer)
    assert (caught.value.operation, caught.value.side) == ("ListObjectsV2", "source")
    assert (caught.value.bucket, caught.value.key) == ("source-bucket", "in/")
    assert len(server.calls) == len(script)


@pytest.mark.parametrize("fails_first", [True, False])
async def test_pages_are_retried(fails_first: bool) -> None:
    """A SlowDown in the middle of a listing loses nothing."""
    server = FakeS3(page_size=2)
    for n in range(5):
        server.put("source-bucket", f"in/{n}", b"x")
    transfer = transfer_of(server)
    faults = [Fault("ListObjectsV2", "SlowDown", 503, times=2)]
    if fails_first:
        server.faults = faults
    start = await first_page(transfer, max_attempts=3)
    server.faults = faults
    found = Listed()
    await Lister(transfer, start).run(found.emit)
    assert found.keys == [f"in/{n}" for n in range(5)]
    assert transfer.recorder.snapshot().requests_throttled == 2


async def test_the_first_page_is_tried_only_a_few_times() -> None:
    """A mistyped endpoint is an error within seconds."""
    server = FakeS3()
    server.faults = [Fault("ListObjectsV2", "ConnectionError", times=9)]
    with pytest.raises(S3Error):
        await first_page(transfer_of(server), max_attempts=3)
    assert len(server.calls) == 3


async def test_a_missing_bucket_is_said_to_be_missing() -> None:
    """The first page tells of a bucket that is not there."""
    server = FakeS3()
    del server.buckets["source-bucket"]
    with pytest.raises(NoSuchBucketError, match="s3://source-bucket"):
        await first_page(transfer_of(server), max_attempts=3)


# Several at a time.


def filled(keys: Sequence[str], *, page_size: int = 10) -> FakeS3:
    server = FakeS3(page_size=page_size)
    for key in keys:
        server.put("source-bucket", key, b"x")
    return server


def parallel(server: FakeS3, listers: int = 8) -> Transfer:
    return transfer_of(
        server,
        options=fast_options(max_concurrent_listings=listers, max_concurrent_requests=64),
    )


async def run(transfer: Transfer, found: Listed, **more: object) -> Lister:
    lister = Lister(transfer, await first_page(transfer, max_attempts=3), **more)  # type: ignore[arg-type]
    await lister.run(found.emit)
    return lister


KEYS = [f"in/{n:05}" for n in range(0, 10_000, 7)]


async def test_several_pages_are_read_at_the_same_time() -> None:
    """As many requests as there are listers, and no more; each key once, few pages too many."""
    server, found = filled(KEYS), Listed()
    lister = await run(parallel(server), found)
    assert sorted(found.keys) == KEYS
    assert server.most_in_flight == 8
    cost = lister.statistics()
    assert cost.keys == len(KEYS)
    assert cost.pages == len(server.made("ListObjectsV2")) <= 1.2 * len(KEYS) / 10
    assert 8 <= cost.ranges < 40
    assert cost.empty_pages < 8


async def test_ranges_begin_after_a_key_and_go_on_by_token() -> None:
    """``start-after`` opens a range; within it the server's own tokens are used."""
    server, found = filled(KEYS), Listed()
    lister = await run(parallel(server), found)
    calls = server.made("ListObjectsV2")
    assert all(call.token is None or call.start_after is None for call in calls)
    opened = [call for call in calls if call.start_after is not None]
    assert len(opened) == lister.statistics().ranges - 1


async def test_a_server_that_gives_no_tokens_is_listed_in_parallel_too() -> None:
    """Every page can be asked for after the last key."""
    server, found = filled(KEYS), Listed()
    server.gives_tokens = False
    await run(parallel(server), found)
    assert sorted(found.keys) == KEYS
    assert server.most_in_flight == 8


async def test_one_listing_at_a_time_is_in_key_order() -> None:
    """``max_concurrent_listings=1`` reads page by page, as many as there are."""
    server, found = filled(KEYS), Listed()
    lister = await run(parallel(server, listers=1), found)
    assert found.keys == KEYS
    assert server.most_in_flight == 1
    assert lister.statistics().pages == 143
    assert lister.statistics().ranges == 1


async def test_the_spans_tell_how_far_the_listing_is() -> None:
    """Each page comes with the span its keys lie in; disjoint, and all keys when it is over."""
    server, found, coverage = filled(KEYS), Listed(), Coverage()
    lister = Lister(transfer := parallel(server), await first_page(transfer, max_attempts=3))
    most = 0

    async def emit(objects: Sequence[S3Object], span: Span | None) -> None:
        nonlocal most
        assert span is not None
        assert all(each.key in span for each in objects)
        assert coverage.remaining([span]) == [span]
        coverage.add(span)
        most = max(most, len(coverage.spans))
        await found.emit(objects, span)

    await lister.run(emit)
    assert most >= 7
    assert coverage.spans == [ALL_KEYS]


async def test_the_number_of_listers_follows_what_is_wanted() -> None:
    """More are started when more are wanted, and all but one end when they are not."""
    server, found = filled(KEYS), Listed()
    wanted, seen = 1, [0]

    async def watch(call: Call, phase: Phase) -> None:
        nonlocal wanted
        calls = len(server.made("ListObjectsV2"))
        wanted = 4 if 20 <= calls < 60 or calls > 100 else 1
        if phase == "before":
            seen.append(server.in_flight)

    server.hook = watch
    await run(parallel(server), found, wanted=lambda running: wanted)
    assert sorted(found.keys) == KEYS
    assert set(seen[1:20]) == {1}
    assert max(seen[40:60]) == 4
    assert set(seen[70:100]) == {1}
    assert max(seen[110:]) == 4


async def test_listers_wait_for_what_they_hand_out() -> None:
    """While nobody takes their pages they ask for none: one page each, no more."""
    server = filled(KEYS)
    release, held = asyncio.Event(), 0

    async def hold(objects: Sequence[S3Object], span: Span | None) -> None:
        nonlocal held
        held += 1
        if held > 30:
            await release.wait()
        await found.emit(objects, span)

    found, transfer = Listed(), parallel(server)
    lister = Lister(transfer, await first_page(transfer, max_attempts=3))
    task = asyncio.create_task(lister.run(hold))
    await all_idle(1_000)
    assert held == 38
    assert server.in_flight == 0
    release.set()
    await task
    assert sorted(found.keys) == KEYS


async def test_a_page_that_fails_ends_the_listing_after_what_was_read() -> None:
    """Other requests are given up, and every page that was read is handed out to the end."""
    server, found = filled(KEYS), Listed()
    broken, held = asyncio.Event(), 0

    async def break_off(call: Call, phase: Phase) -> None:
        if len(server.made("ListObjectsV2")) > 80 and phase == "before":
            broken.set()
            raise call.error("AccessDenied", 403)

    async def slow(objects: Sequence[S3Object], span: Span | None) -> None:
        nonlocal held
        if len(found.pages) > 40 and held < 3:
            held += 1
            await broken.wait()
            await all_idle(20)
        await found.emit(objects, span)

    server.hook = break_off
    transfer = parallel(server)
    lister = Lister(transfer, await first_page(transfer, max_attempts=3))
    with pytest.raises(S3Error, match="AccessDenied"):
        await lister.run(slow)
    assert len(found.keys) == len(set(found.keys)) == lister.statistics().keys
    assert held == 3
    assert server.in_flight == 0


async def test_a_page_that_fails_does_not_wait_for_the_others() -> None:
    """Requests that never get an answer are given up, not waited for."""
    server, found, hanging = filled(KEYS), Listed(), 0

    async def hang_or_fail(call: Call, phase: Phase) -> None:
        nonlocal hanging
        if len(server.made("ListObjectsV2")) > 60 and phase == "before":
            hanging += 1
            if hanging <= 3:
                await asyncio.Event().wait()
            raise call.error("AccessDenied", 403)

    server.hook = hang_or_fail
    with pytest.raises(S3Error, match="AccessDenied"):
        await run(parallel(server), found)
    assert hanging > 3
    assert server.in_flight == 0


def ignores_start_after(server: FakeS3) -> None:
    server.ignores_start_after = True


def refuses_start_after(server: FakeS3) -> None:
    async def refuse(call: Call, phase: Phase) -> None:
        if call.start_after is not None:
            raise call.error("NotImplemented", 501)

    server.hook = refuse


def unordered(server: FakeS3) -> None:
    server.lists_unordered = True


def sorts_folders(server: FakeS3) -> None:
    server.sorts_folders = True


@pytest.mark.parametrize(
    "spoil, sentence",
    [
        (ignores_start_after, "the server ignores start-after"),
        (refuses_start_after, "the server refuses start-after"),
        (unordered, "the server lists keys out of order"),
    ],
)
async def test_a_listing_that_cannot_be_divided_is_read_page_by_page(
    spoil: Callable[[FakeS3], None], sentence: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Each key once, hardly a page more, and it is told: once, as a degradation."""
    server, found = filled(KEYS), Listed()
    spoil(server)
    transfer = parallel(server)
    await run(transfer, found)
    assert sorted(found.keys) == KEYS
    assert len(found.keys) == len(KEYS)
    assert transfer.recorder.snapshot().degradations == {"serial_listing": 1}
    assert f"{sentence}: the listing goes on page by page" in caplog.text
    assert len(server.made("ListObjectsV2")) <= len(KEYS) / 10 + 6
    assert found.spans[-1] is None


FOLDERS = [f"in/{name}/{n:05}" for name in ("a-old", "a", "b.d", "b") for n in range(400)]


@pytest.mark.parametrize("listers", [1, 2, 8])
async def test_a_server_that_sorts_folders_by_name_loses_nothing(listers: int) -> None:
    """It lists ``a/b`` before ``a-b``: found out before the listing is divided, for one request."""
    server, found = filled(FOLDERS), Listed()
    server.endpoint = FakeS3(OTHER).endpoint
    server.sorts_folders = True
    transfer = parallel(server, listers)
    lister = await run(transfer, found)
    assert sorted(found.keys) == sorted(FOLDERS)
    assert lister.statistics().ranges == 1
    assert len(server.made("ListObjectsV2")) == 160 + (listers > 1)
    assert transfer.recorder.snapshot().degradations == (
        {"serial_listing": 1} if listers > 1 else {}
    )


async def test_folders_that_come_late_are_checked_when_they_come() -> None:
    """Divided by then: what was handed out lay in no folder, is left out, and all else follows."""
    keys = [*(f"in/0-{n:05}" for n in range(2_000)), *(f"in/a/{n:05}" for n in range(50))]
    server, found = filled([*keys, "in/a-b"]), Listed()
    server.endpoint = FakeS3(OTHER).endpoint
    server.sorts_folders = True
    lister = await run(transfer := parallel(server), found)
    assert lister.statistics().ranges > 1
    assert sorted(found.keys) == sorted([*keys, "in/a-b"])
    assert found.spans[-1] is None
    assert transfer.recorder.snapshot().degradations == {"serial_listing": 1}


async def test_servers_that_sort_as_s3_does_are_asked_once_and_listed_in_parallel() -> None:
    """One request more than on AWS, which is not asked."""
    for url, more in ((OTHER, 1), (AWS, 0)):
        server, found = filled(FOLDERS), Listed()
        server.endpoint = FakeS3(url).endpoint
        lister = await run(parallel(server), found)
        assert sorted(found.keys) == sorted(FOLDERS)
        assert lister.statistics().ranges > 8
        assert len(server.made("ListObjectsV2")) == lister.statistics().pages + more


async def test_a_short_unordered_listing_is_nothing_to_tell_of() -> None:
    """One page in any order loses nothing."""
    server, found = filled(KEYS[:9]), Listed()
    server.lists_unordered = True
    transfer = parallel(server)
    await run(transfer, found)
    assert sorted(found.keys) == KEYS[:9]
    assert transfer.recorder.snapshot().degradations == {}


async def test_a_server_that_begins_to_ignore_start_after_loses_and_repeats_nothing() -> None:
    """Behind one address there can be two servers: what ranges handed out is left out."""
    server, found = filled(KEYS), Listed()

    async def change(call: Call, phase: Phase) -> None:
        server.ignores_start_after = len(server.made("ListObjectsV2")) > 90

    server.hook = change
    transfer = parallel(server)
    lister = await run(transfer, found)
    assert sorted(found.keys) == KEYS
    assert transfer.recorder.snapshot().degradations == {"serial_listing": 1}
    assert lister.statistics().ranges > 1


async def test_an_order_lost_in_a_divided_listing_is_an_error() -> None:
    """No key is lost in silence, and the sentence says what helps."""
    server, found = filled(KEYS), Listed()

    async def change(call: Call, phase: Phase) -> None:
        server.lists_unordered = len(server.made("ListObjectsV2")) > 90

    server.hook = change
    with pytest.raises(InvalidResponseError, match=r"out of order .*max_concurrent_listings=1"):
        await run(parallel(server), found)
    assert len(found.keys) == len(set(found.keys))


TEXTS = st.text(
    st.one_of(
        st.characters(exclude_categories=["Cs"]), st.sampled_from("0123456789abcdef/-\x01é😀")
    ),
    min_size=1,
    max_size=8,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    keys=st.sets(TEXTS, min_size=70, max_size=300).map(sorted),
    page_size=st.integers(1, 60),
    listers=st.integers(1, 12),
    turns=st.lists(st.integers(0, 5), max_size=50),
    spoilt=st.sampled_from(
        [None, ignores_start_after, refuses_start_after, unordered, sorts_folders]
    ),
)
async def test_every_key_comes_exactly_once(
    keys: list[str],
    page_size: int,
    listers: int,
    turns: list[int],
    spoilt: Callable[[FakeS3], None] | None,
) -> None:
    """Any keys, page size, number of listers and order of answers, whatever start-after does."""
    server, found = filled([f"in/{key}" for key in keys], page_size=page_size), Listed()
    delays = iter(turns)
    server.endpoint = FakeS3(OTHER).endpoint
    if spoilt is not None:
        spoilt(server)
    spoil = server.hook

    async def dawdle(call: Call, phase: Phase) -> None:
        if spoil is not None:
            await spoil(call, phase)
        for _ in range(next(delays, 0)):
            await anyio.lowlevel.checkpoint()

    server.hook = dawdle
    await run(parallel(server, listers), found)
    assert sorted(found.keys) == [f"in/{key}" for key in keys]
    ordered = spoilt not in (unordered, sorts_folders)
    assert all(page == sorted(page) for page in found.pages) or not ordered
