"""Listings in tests: servers that list in ways of their own, and runs that stop and go on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import anyio.lowlevel

from async_s3copy.engine.lister import Lister
from async_s3copy.engine.listing import first_page
from async_s3copy.engine.spans import Coverage, Span
from async_s3copy.engine.transfer import Transfer
from async_s3copy.model import S3Object
from tests.fake_server import OTHER, Call, FakeS3, Phase
from tests.harness import fast_options, transfer_of


class FolderServer(FakeS3):
    """Sorts folders by their names, and passes over the one it is asked to go on after."""

    def __init__(self, url: str, *, page_size: int) -> None:
        super().__init__(url, page_size=page_size)
        self.sorts_folders = True

    def listed_after(self, bucket: str, token: str | None, start_after: str | None) -> list[str]:
        keys = super().listed_after(bucket, token, start_after)
        if token is not None or start_after is None:
            return keys
        return [key for key in keys if not key.startswith(start_after + "/")]


def honest(url: str, page_size: int) -> FakeS3:
    return FakeS3(url, page_size=page_size)


def ignoring(url: str, page_size: int) -> FakeS3:
    server = FakeS3(url, page_size=page_size)
    server.ignores_start_after = True
    return server


def refusing(url: str, page_size: int) -> FakeS3:
    server = FakeS3(url, page_size=page_size)

    async def refuse(call: Call, phase: Phase) -> None:
        if call.start_after is not None:
            raise call.error("NotImplemented", 501)

    server.hook = refuse
    return server


def unordered(url: str, page_size: int) -> FakeS3:
    server = FakeS3(url, page_size=page_size)
    server.lists_unordered = True
    return server


def by_folder(url: str, page_size: int) -> FakeS3:
    return FolderServer(OTHER, page_size=page_size)


Kind = Callable[[str, int], FakeS3]
SPOILT: Sequence[Kind] = (ignoring, refusing, unordered, by_folder)


class StoppedError(Exception):
    """The first run ends here."""


class Run:
    """What listings hand out, one after the other, and the spans that came with it."""

    def __init__(self, stop_after: int = -1) -> None:
        self.keys: list[str] = []
        self.coverage = Coverage()
        self.in_order = True
        self.restarts = 0
        self.left = stop_after

    async def emit(self, objects: Sequence[S3Object], span: Span | None) -> None:
        await anyio.lowlevel.checkpoint()
        self.keys.extend(each.key for each in objects)
        if span is None:
            self.in_order = False
        else:
            assert all(each.key in span for each in objects)
            assert self.coverage.remaining([span]) == [span], "the spans are not disjoint"
            self.coverage.add(span)
        self.left -= 1
        if not self.left:
            raise StoppedError

    def restarted(self) -> None:
        self.restarts += 1

    def remaining(self, bounds: Span) -> list[Span]:
        return self.coverage.remaining([bounds]) if self.in_order else [bounds]

    async def list(
        self,
        transfer: Transfer,
        bounds: Span,
        ranges: Sequence[Span] | None = None,
        wanted: Callable[[int], int] | None = None,
    ) -> None:
        after = bounds.after if ranges is None else ranges[0].after
        page = await first_page(transfer, max_attempts=3, start_after=after)
        lister = Lister(
            transfer,
            page,
            wanted=wanted,
            bounds=bounds,
            ranges=ranges,
            restarted=self.restarted,
        )
        await lister.run(self.emit)


def filled(server: FakeS3, keys: Sequence[str]) -> FakeS3:
    for key in keys:
        server.put("source-bucket", key, b"x")
    return server


def parallel(server: FakeS3, listers: int) -> Transfer:
    return transfer_of(
        server,
        options=fast_options(max_concurrent_listings=listers, max_concurrent_requests=64),
    )


def dawdling(server: FakeS3, turns: Sequence[int]) -> None:
    """Answer after the given numbers of turns of the event loop."""
    delays, hook = iter(turns), server.hook

    async def dawdle(call: Call, phase: Phase) -> None:
        if hook is not None:
            await hook(call, phase)
        for _ in range(next(delays, 0)):
            await anyio.lowlevel.checkpoint()

    server.hook = dawdle


def degradations(transfer: Transfer) -> set[str]:
    return set(transfer.recorder.snapshot().degradations)
