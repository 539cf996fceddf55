"""Lister: the pages of a listing, several at once where that is wanted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import anyio
from anyio.abc import TaskGroup

from async_s3copy.engine.folders import SORTS_FOLDERS, folder_probe
from async_s3copy.engine.listing import broken, read_page
from async_s3copy.engine.ranges import (
    IN_ANY_ORDER,
    BrokenListingError,
    KeyRange,
    RangeState,
    RangeTable,
    UndividedError,
)
from async_s3copy.engine.serial import SerialRest
from async_s3copy.engine.splitting import Splitter
from async_s3copy.engine.tasks import task_group
from async_s3copy.engine.transfer import Transfer
from async_s3copy.errors import S3CopyError, S3Error
from async_s3copy.model import S3Object
from async_s3copy.s3.client import ListPage

Emit: TypeAlias = Callable[[Sequence[S3Object]], Awaitable[None]]
Wanted: TypeAlias = Callable[[int], int]

REFUSED: Final = "the server refuses start-after"
_REFUSALS: Final = (400, 405, 501)
"""What servers answer that know no start-after."""


@dataclass(frozen=True, slots=True)
class ListingStatistics:
    """Count what a listing has cost so far.

    Attributes:
        keys: Keys handed out.
        pages: Pages read, the first one included.
        empty_pages: Pages among them without a key to hand out.
        ranges: Ranges the listing has been divided into.
    """

    keys: int
    pages: int
    empty_pages: int
    ranges: int


class Lister:
    """List a prefix with as many requests at once as are wanted, each key exactly once.

    One range of keys is read page by page. Where more requests are wanted, ranges are cut and the
    pieces read at the same time. Servers that ignore ``start-after`` or list out of order are read
    serially, which is counted under ``degradations["serial_listing"]``.

    Args:
        transfer: The operation's shared state.
        page: The listing's first page; it is not read again.
        wanted: Tells how many requests are wanted, given how many listers there are now; ``None``
            wants ``max_concurrent_listings`` from the first page on. One goes on in any case.
    """

    def __init__(self, transfer: Transfer, page: ListPage, *, wanted: Wanted | None = None) -> None:
        self._transfer = transfer
        self._limit = transfer.options.max_concurrent_listings
        self._wanted = wanted or (lambda running: self._limit)
        self._table = RangeTable(Splitter(transfer.mapping.source.key or "", self._limit))
        self._rest: SerialRest | None = None
        self._unread: ListPage | None = page
        self._running = 0
        self._asking: set[anyio.CancelScope] = set()
        self._end: S3CopyError | UndividedError | None = None
        # S3 itself is the reference; with one lister nothing is divided.
        self._sorts_as_s3 = self._limit == 1 or transfer.source.endpoint.is_aws
        self._keys = self._pages = self._empty_pages = 0

    def states(self) -> list[RangeState]:
        """Return the ranges of the listing, each with the last key handed out of it.

        In key order and without gaps, unless the listing had to go on serially: then the first one
        has no end, and the others are what had been listed by then. A listing that was never in
        order has a first range whose last key says nothing.
        """
        return self._table.states() if self._rest is None else self._rest.states()

    def statistics(self) -> ListingStatistics:
        """Return what the listing has cost so far."""
        return ListingStatistics(self._keys, self._pages, self._empty_pages, self._table.divided)

    async def run(self, emit: Emit) -> None:
        """List everything; runs once.

        A page that fails ends the listing: the other requests are given up, and what has been read
        is handed out before the error is raised.

        Args:
            emit: Receives the objects of a page. The lister waits for it before it asks for its
                next page; several pages may be handed out at the same time.

        Raises:
            S3Error: A page could not be read.
            InvalidResponseError: The listing does not get on, repeats itself or is out of order.
            OutageError: So did every other request for too long.
            CredentialsError: The credentials cannot be had.
        """
        page, self._unread = self._unread, None
        async with task_group() as group:
            self._start(group, emit, self._table.take(divide=False), page)
        if isinstance(self._end, S3CopyError):
            raise self._end
        if self._end is not None:
            self._tell_serial(self._end)
            await self._read_rest(emit)

    def _start(
        self, group: TaskGroup, emit: Emit, key_range: KeyRange | None, page: ListPage | None = None
    ) -> bool:
        if key_range is None:
            return False
        self._running += 1
        group.start_soon(self._list, group, emit, key_range, page)
        return True

    async def _list(
        self, group: TaskGroup, emit: Emit, key_range: KeyRange | None, page: ListPage | None
    ) -> None:
        """Be one lister: read a range to its end, then another, while more are wanted."""
        try:
            while key_range is not None:
                page = page or await self._ask(key_range)
                objects = self._accept(key_range, page)
                await self._check_order(page)
                self._share(group, emit)
                if objects:
                    await emit(objects)
                key_range, page = self._next(key_range), None
        finally:
            self._running -= 1

    async def _ask(self, key_range: KeyRange) -> ListPage | None:
        """Read the next page of a range; ``None`` where the listing has ended meanwhile."""
        probing = key_range is not self._table.first and not key_range.answered
        return await self._read(key_range.token, key_range.last, probing=probing)

    async def _read(
        self, token: str | None, after: str | None, *, probing: bool
    ) -> ListPage | None:
        """Read a page; an error, or another lister's, ends the listing."""
        with anyio.CancelScope() as scope:
            self._asking.add(scope)
            try:
                return await read_page(self._transfer, token=token, start_after=after)
            except S3Error as error:
                refused = probing and error.status in _REFUSALS
                self._end_with(UndividedError(REFUSED) if refused else error)
            except S3CopyError as error:
                self._end_with(error)
            finally:
                self._asking.discard(scope)
        return None

    async def _check_order(self, page: ListPage | None) -> None:
        """Ask a server other than S3 once how it sorts folders, when a first key is in one."""
        sharing = self._table.divided > 1 or self._running < self._most()
        if self._sorts_as_s3 or page is None or not sharing:
            return
        prefix = self._transfer.mapping.source.key or ""
        probe = folder_probe([item.key for item in page.objects], prefix)
        if probe is None:
            return
        self._sorts_as_s3 = True  # asked once, and nothing goes on should the answer be no
        answer = await self._read(None, probe.start_after, probing=True)
        if answer is None or probe.passed_by(answer):
            return
        if self._table.divided > 1:
            self._end_with(broken(self._transfer, f"{SORTS_FOLDERS}: {IN_ANY_ORDER}"))
        else:
            self._end_with(UndividedError(SORTS_FOLDERS))

    def _accept(self, key_range: KeyRange, page: ListPage | None) -> Sequence[S3Object]:
        if page is None or self._end is not None:
            return ()
        try:
            objects = self._table.accept(key_range, page)
        except UndividedError as reason:
            if key_range is self._table.first:
                self._unread = page
            self._end_with(reason)
            return ()
        except BrokenListingError as error:
            self._end_with(broken(self._transfer, str(error)))
            return ()
        self._count(objects)
        return objects

    def _share(self, group: TaskGroup, emit: Emit) -> None:
        """Start as many listers as are wanted and find something to do."""
        while self._end is None and self._running < self._most():
            if not self._start(group, emit, self._table.take(divide=True)):
                return

    def _next(self, key_range: KeyRange) -> KeyRange | None:
        """Return what a lister does next; ``None``: nothing, it ends."""
        if self._end is not None:
            return None
        if self._running > self._most():
            self._table.leave(key_range)
            return None
        if not key_range.done:
            return key_range
        return self._table.take(divide=True)

    def _most(self) -> int:
        return max(1, min(self._limit, self._wanted(self._running)))

    def _end_with(self, reason: S3CopyError | UndividedError) -> None:
        """End the listing, or its division: give up what is being asked for."""
        if self._end is None:
            self._end = reason
        for scope in self._asking:
            scope.cancel()

    def _tell_serial(self, reason: UndividedError) -> None:
        more = self._unread is None or self._unread.truncated
        if self._limit > 1 and more:
            self._transfer.recorder.degraded(
                "serial_listing", f"{reason}: the listing goes on page by page"
            )

    async def _read_rest(self, emit: Emit) -> None:
        rest = self._rest = SerialRest(self._table.first, self._table.others())
        page, self._unread = self._unread, None
        while not rest.done:
            page = page or await read_page(self._transfer, token=rest.token, start_after=rest.last)
            try:
                objects = rest.accept(page)
            except BrokenListingError as error:
                raise broken(self._transfer, str(error)) from None
            self._count(objects)
            if objects:
                await emit(objects)
            page = None

    def _count(self, objects: Sequence[S3Object]) -> None:
        self._pages += 1
        self._keys += len(objects)
        self._empty_pages += not objects
