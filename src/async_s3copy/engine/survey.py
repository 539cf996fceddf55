"""Survey: reads a sample of a prefix's pages, to cut the prefix into shards."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Final, TypeAlias

import anyio.to_thread

from async_s3copy.engine.folders import SORTS_FOLDERS
from async_s3copy.engine.governor import Governor
from async_s3copy.engine.listing import refuses_start_after
from async_s3copy.engine.order import FolderOrder
from async_s3copy.engine.ranges import IGNORED, UNORDERED, UndividedError, in_order
from async_s3copy.engine.sampling import Sampler, travels
from async_s3copy.engine.spans import ALL_KEYS
from async_s3copy.engine.tasks import task_group
from async_s3copy.errors import InvalidResponseError, S3Error
from async_s3copy.model import S3Location
from async_s3copy.s3.client import S3Client
from async_s3copy.s3.values import ListPage

REFUSED: Final = "the server refuses start-after"
IN_NO_ORDER: Final = "directory buckets list in no order"
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/directory-buckets-objects-listing.html
_DIRECTORY_BUCKET: Final = "--x-s3"
_FIRST_ATTEMPTS: Final = 3
"""A mistyped endpoint should be an error within seconds, as when a copy validates."""

_Answer: TypeAlias = tuple[str | None, Sequence[str], bool]
"""What was listed after, the keys, whether more follow."""


class Survey:
    """Find the keys at which a prefix is cut.

    A server is not trusted to list from a key on: its pages are checked, and any but S3 itself is
    asked how it sorts folders.

    Args:
        client: Lists the prefix.
        governor: Passes every request.
        where: The bucket and prefix.
    """

    def __init__(self, client: S3Client, governor: Governor, where: S3Location) -> None:
        self._client = client
        self._governor = governor
        self._where = where
        self._prefix = where.key or ""
        self._order = FolderOrder(
            self._prefix,
            ALL_KEYS,
            (ALL_KEYS,),
            is_reference=client.endpoint.is_aws,
            read=lambda prefix, after: self._read(after, prefix=prefix),
        )

    async def cuts(self, shards: int) -> list[str]:
        """Return the keys that end a shard, all but the last one's, in order.

        Args:
            shards: Shards at most.

        Raises:
            UndividedError: The server cannot list from a key on, or not in order.
            S3Error: The prefix cannot be listed.
            OutageError: No request has succeeded for too long.
            CredentialsError: The credentials cannot be had.
        """
        first = await self._read(None, max_attempts=_FIRST_ATTEMPTS)
        if shards == 1:
            return []
        if self._where.bucket.endswith(_DIRECTORY_BUCKET):
            raise UndividedError(IN_NO_ORDER)
        await self._check_start_after(first)
        answers = [await self._checked(None, first)]
        sampler = Sampler(self._prefix, shards)
        while probes := await anyio.to_thread.run_sync(_advance, sampler, answers):
            answers = await self._answers(probes)
        return await anyio.to_thread.run_sync(sampler.cuts)

    async def _answers(self, probes: Sequence[str]) -> list[_Answer]:
        """Read a page after each of some keys, in parallel; the governor bounds how many."""
        answers: dict[str, _Answer] = {}

        async def ask(after: str) -> None:
            answers[after] = await self._checked(after, await self._read(after))

        async with task_group() as group:
            for after in probes:
                group.start_soon(ask, after)
        return [answers[after] for after in probes]

    async def _check_start_after(self, page: ListPage) -> None:
        """Ask a server other than S3 for the second half of a page."""
        keys = [item.key for item in page.objects]
        if self._client.endpoint.is_aws or len(keys) < 2:
            return
        if not in_order(None, keys):
            raise UndividedError(UNORDERED)
        for after, expected in _neighbours(keys):
            found = (await self._read(after)).objects
            if not found or found[0].key > expected:
                raise UndividedError(UNORDERED)
            if found[0].key < expected:
                raise UndividedError(IGNORED)

    async def _checked(self, after: str | None, page: ListPage) -> _Answer:
        keys = [item.key for item in page.objects]
        if not in_order(after, keys):
            raise UndividedError(
                IGNORED if after is not None and in_order(None, keys) else UNORDERED
            )
        if not await self._order.holds(keys):
            raise UndividedError(SORTS_FOLDERS)
        return after, keys, page.truncated

    async def _read(
        self, after: str | None, *, prefix: str | None = None, max_attempts: int | None = None
    ) -> ListPage:
        prefix = self._prefix if prefix is None else prefix
        request = partial(self._client.list_page, self._where.bucket, prefix, start_after=after)
        try:
            page = await self._governor.call(request, kind="list", max_attempts=max_attempts)
        except S3Error as error:
            if after is None or not refuses_start_after(error):
                raise
            raise UndividedError(REFUSED) from None
        for item in (*page.objects[:1], *page.objects[-1:]):
            if not item.key.startswith(prefix):
                raise self._broken(f"the listing ignores the prefix: it names {item.key!r}")
        return page

    def _broken(self, message: str) -> InvalidResponseError:
        return InvalidResponseError(
            message,
            code="InvalidResponse",
            operation="ListObjectsV2",
            side="source",
            bucket=self._where.bucket,
            key=self._where.key,
        )


def _neighbours(keys: Sequence[str]) -> list[tuple[str, str]]:
    """Return the two keys nearest the middle the first of which can be asked for, if any can."""
    middle = len(keys) / 2 - 1
    pairs = sorted(enumerate(pairwise(keys)), key=lambda pair: abs(pair[0] - middle))
    return [pair for _, pair in pairs if travels(pair[0])][:1]


def _advance(sampler: Sampler, answers: Sequence[_Answer]) -> list[str]:
    """Take in some pages and choose the next; runs in a thread, for it may take 100 ms."""
    for after, keys, truncated in answers:
        sampler.saw(after, keys, truncated=truncated)
    return sampler.probes()
