"""Listings: paged by token, or after the last key; never for ever, never beyond the prefix."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from async_s3copy import InvalidResponseError, NoSuchBucketError, S3Error
from async_s3copy.engine.listing import batches, first_page, pages
from async_s3copy.engine.transfer import Transfer
from async_s3copy.model import S3Object
from async_s3copy.s3.client import ListPage
from tests.fake_server import OTHER, Call, FakeS3, Fault
from tests.fakes import LONG_AGO, FakeClient
from tests.harness import transfer_of


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


async def listed(transfer: Transfer) -> list[str]:
    start = await first_page(transfer, max_attempts=3)
    return [each.key async for found in pages(transfer, start) for each in found.objects]


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
    found = [each.key async for each_page in pages(transfer, start) for each in each_page.objects]
    assert found == [f"in/{n}" for n in range(5)]
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


@pytest.mark.parametrize(
    "keys, size, cut",
    [(0, 3, []), (1, 3, [1]), (3, 3, [3]), (7, 3, [3, 3, 1]), (2, 1, [1, 1]), (2, 1_000, [2])],
)
def test_pages_are_cut_into_batches(keys: int, size: int, cut: list[int]) -> None:
    """Batches of ``batch_size`` in the listing's order, the last one smaller."""
    objects = [item(f"in/{n}") for n in range(keys)]
    found = batches(ListPage(objects, None, False), size)
    assert [len(batch) for batch in found] == cut
    assert [each for batch in found for each in batch] == objects
