"""Listings in ranges on real servers: moto sorts as S3 does, SeaweedFS sorts folders as names."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, cast

import pytest

from async_s3copy.engine.spans import ALL_KEYS, Coverage, Span
from async_s3copy.engine.transfer import Transfer
from async_s3copy.model import S3Location
from async_s3copy.s3.client import S3Client
from async_s3copy.s3.opening import open_client
from async_s3copy.s3.values import ListPage
from tests.fake_server import FakeS3
from tests.harness import fast_options, transfer_of
from tests.listings import Run, StoppedError, degradations
from tests.real import Place, for_each, place_on
from tests.support import S3Server

TREE = sorted(
    "in/" + name
    for name in (
        *("a-b", "a/b", "a/c", "a/d", "a.d", "b", "b!c", "b-c", "b/y", "b/z/1", "b/z-1", "b/z.1"),
        *("c/d/e/f", "c/d/e-f", "c/d-e", "c-d", "é-ü", "é/ü", "😀/1", "😀-1"),
        *(f"n{n:02}" for n in range(12)),
        *(f"n07/{n:02}" for n in range(12)),
        *(f"n07-{n:02}" for n in range(12)),
    )
)
NAMED_LIKE_FOLDERS = [key for key in TREE if any(other.startswith(key + "/") for other in TREE)]


class SmallPages:
    """A client whose pages hold seven keys."""

    def __init__(self, client: S3Client) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def list_page(self, bucket: str, prefix: str, **more: Any) -> ListPage:
        return await self._client.list_page(bucket, prefix, **(more | {"max_keys": 7}))


@pytest.fixture(params=["seaweedfs", "moto"])
def server(request: pytest.FixtureRequest) -> S3Server:
    """Both servers, one after the other."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, S3Server)
    return found


@pytest.fixture
async def place(server: S3Server) -> AsyncIterator[Place]:
    """The tree on the server."""
    async with place_on(server) as made:

        async def put(key: str) -> None:
            await made.admin.put_object(Bucket=made.buckets.source, Key=key, Body=b"x")

        for key in NAMED_LIKE_FOLDERS:  # SeaweedFS may lose one that is written beside the folder
            await put(key)
        await for_each([key for key in TREE if key not in NAMED_LIKE_FOLDERS], put)
        yield made


@asynccontextmanager
async def listing(place: Place, listers: int) -> AsyncIterator[Transfer]:
    """A transfer whose source is the tree, in small pages."""
    options = fast_options(max_concurrent_listings=listers, max_concurrent_requests=16)
    async with open_client(place.admin_account, "source", options) as client:
        transfer = transfer_of(FakeS3(), options=options)
        where = S3Location(place.buckets.source, "in/")
        transfer.mapping = replace(transfer.mapping, source=where)
        transfer.source = cast(S3Client, SmallPages(client))
        yield transfer


@pytest.mark.parametrize("cut", ["in/a-b", "in/a.d", "in/a/c", "in/b", "in/b-c", "in/n07", "in/é"])
@pytest.mark.parametrize("listers", [1, 8])
async def test_two_shards_share_a_tree(place: Place, cut: str, listers: int) -> None:
    """Each key comes from the one whose bounds it lies in, also where folders sort otherwise."""
    for bounds in (Span(None, cut), Span(cut, None)):
        run = Run()
        async with listing(place, listers) as transfer:
            await run.list(transfer, bounds)
        assert set(run.keys) == {key for key in TREE if key in bounds}
        assert run.restarts == 0


@pytest.mark.parametrize("listers", [1, 8])
async def test_a_tree_is_whole_wherever_a_listing_stopped(place: Place, listers: int) -> None:
    """After any number of pages, what came and what comes after going on are all of it."""
    stop_after, stopped = 0, True
    while stopped:
        stop_after += 1
        run, stopped = Run(stop_after), False
        async with listing(place, listers) as transfer:
            try:
                await run.list(transfer, ALL_KEYS)
            except StoppedError:
                stopped = True
        if stopped and (ranges := run.remaining(ALL_KEYS)):
            run.left, run.coverage = -1, Coverage()
            async with listing(place, listers) as transfer:
                await run.list(transfer, ALL_KEYS, ranges)
            assert run.restarts == ("restarted_listing" in degradations(transfer))
        assert set(run.keys) == set(TREE)
    assert stop_after > len(TREE) / 7
