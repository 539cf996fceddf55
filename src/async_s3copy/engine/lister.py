"""Lister: the pages of a listing, several at once where that is wanted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import anyio
from anyio.abc import TaskGroup

from async_s3copy.engine.folders import SORTS_FOLDERS, in_folder
from async_s3copy.engine.listing import broken, read_page, refuses_start_after
from async_s3copy.engine.order import FolderOrder
from async_s3copy.engine.ranges import (
    UNORDERED,
    BrokenListingError,
    KeyRange,
    Portion,
    RangeTable,
    UndividedError,
)
from async_s3copy.engine.serial import SerialRest
from async_s3copy.engine.spans import ALL_KEYS, Span
from async_s3copy.engine.splitting import Splitter
from async_s3copy.engine.tasks import task_group
from async_s3copy.engine.transfer import Transfer
from async_s3copy.errors import S3CopyError, S3Error
from async_s3copy.model import S3Object
from async_s3copy.s3.listed import keys_of
from async_s3copy.s3.values import ListPage

Emit: TypeAlias = Callable[[Sequence[S3Object], Span | None], Awaitable[None]]
"""Receives the objects of a page, and the span of keys that are listed with it.

All spans of a listing are disjoint, and cover together what was to be listed. A page that ends a
range without an object is told of, too. The span is ``None`` once the listing goes on serially:
from then on, no key tells how far it is, and what spans said before is void.
"""
Wanted: TypeAlias = Callable[[int], int]

REFUSED: Final = "the server refuses start-after"


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

    Ranges of keys are read page by page. Where more requests are wanted than there are ranges,
    these are cut and the pieces read at the same time. Servers that ignore ``start-after`` or list
    out of order are read serially, which is counted under ``degradations["serial_listing"]``.

    Such a server cannot go on where an earlier run stopped, either. Then everything within
    ``bounds`` is listed from the beginning, which is counted under
    ``degradations["restarted_listing"]``. Keys this run has handed out by then come a second time
    only where their spans cannot be relied on: not even 64 had come in order, or order was lost.

    Args:
        transfer: The operation's shared state.
        page: The first page of the first range, asked for by the key it begins after; it is not
            read again.
        wanted: Tells how many requests are wanted, given how many listers there are now; ``None``
            wants ``max_concurrent_listings`` from the first page on. One goes on in any case.
        bounds: The keys to hand out; all others are not this listing's.
        ranges: What of them is still to be listed, in key order and disjoint; not empty. ``None``
            lists all of them.
        restarted: Called when everything is listed again that the ranges had left out, before any
            of it is handed out.
    """

    def __init__(
        self,
        transfer: Transfer,
        page: ListPage,
        *,
        wanted: Wanted | None = None,
        bounds: Span = ALL_KEYS,
        ranges: Sequence[Span] | None = None,
        restarted: Callable[[], object] = bool,
    ) -> None:
        self._transfer = transfer
        self._limit = transfer.options.max_concurrent_listings
        self._wanted = wanted or (lambda running: self._limit)
        self._bounds = bounds
        ranges = (bounds,) if ranges is None else ranges
        self._goes_on = tuple(ranges) != (bounds,)
        self._restarted = restarted
        prefix = transfer.mapping.source.key or ""
        self._table = RangeTable(
            Splitter(prefix, self._limit), ranges=ranges, can_restart=self._goes_on
        )
        self._order = FolderOrder(
            prefix,
            bounds,
            ranges,
            is_reference=transfer.source.endpoint.is_aws,
            read=self._probe,
        )
        self._unread: ListPage | None = page
        self._running = 0
        self._asking: set[anyio.CancelScope] = set()
        self._end: S3CopyError | UndividedError | None = None
        self._keys = self._pages = self._empty_pages = 0

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
            await self._read_rest(emit, self._end)

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
                await self._check_order(page)
                portion = self._accept(key_range, page)
                self._share(group, emit)
                if portion is not None and portion.span is not None:
                    await emit(*portion)
                key_range, page = self._next(key_range), None
        finally:
            self._running -= 1

    async def _ask(self, key_range: KeyRange) -> ListPage | None:
        """Read the next page of a range; ``None`` where the listing has ended meanwhile."""
        probing = key_range is not self._table.first and not key_range.answered
        return await self._read(key_range.token, key_range.last, probing=probing)

    async def _probe(self, prefix: str | None, after: str | None) -> ListPage | None:
        return await self._read(None, after, prefix=prefix, probing=True)

    async def _read(
        self, token: str | None, after: str | None, *, prefix: str | None = None, probing: bool
    ) -> ListPage | None:
        """Read a page; an error, or another lister's, ends the listing."""
        with anyio.CancelScope() as scope:
            self._asking.add(scope)
            try:
                return await read_page(
                    self._transfer, prefix=prefix, token=token, start_after=after
                )
            except S3Error as error:
                refused = probing and refuses_start_after(error)
                self._end_with(UndividedError(REFUSED) if refused else error)
            except S3CopyError as error:
                self._end_with(error)
            finally:
                self._asking.discard(scope)
        return None

    async def _check_order(self, page: ListPage | None) -> None:
        """See to it that a page is in S3's order, where more than its own place depends on it."""
        # One lister alone may read any order, unless it begins or ends at a key.
        dividing = self._table.divided > 1 or self._running < self._most()
        matters = dividing or self._goes_on or self._bounds != ALL_KEYS
        if page is None or self._order.is_s3s or not matters:
            return
        if not await self._order.holds(keys_of(page.objects)):
            self._end_with(UndividedError(SORTS_FOLDERS))

    def _accept(self, key_range: KeyRange, page: ListPage | None) -> Portion | None:
        if page is None:
            return None
        if self._end is None:
            try:
                portion = self._table.accept(key_range, page)
            except UndividedError as reason:
                self._end_with(reason)
            except BrokenListingError as error:
                self._end_with(broken(self._transfer, str(error)))
            else:
                self._count(portion.objects)
                return portion
        if key_range is self._table.first:
            self._unread = page
        return None

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

    async def _read_rest(self, emit: Emit, reason: UndividedError) -> None:
        """Go on without ranges."""
        rest, page = self._rest(reason)
        await emit((), None)
        while not rest.done:
            page = page or await read_page(self._transfer, token=rest.token, start_after=rest.last)
            try:
                objects = rest.accept(page)
            except BrokenListingError as error:
                raise broken(self._transfer, str(error)) from None
            self._count(objects)
            if objects:
                await emit(objects, None)
            page = None

    def _rest(self, reason: UndividedError) -> tuple[SerialRest, ListPage | None]:
        """Decide where the listing goes on, and tell; also returns its next page, if read."""
        recorder, why = self._transfer.recorder, str(reason)
        page, self._unread = self._unread, None
        if self._limit > 1 and (page is None or page.truncated):
            recorder.degraded("serial_listing", f"{why}: the listing goes on page by page")
        if self._goes_on:
            recorder.degraded("restarted_listing", f"{why}: all keys are listed from the beginning")
            self._restarted()
        anew = self._goes_on or self._bounds.after is not None
        # Where a range ends says nothing of keys that come in any order.
        trusted = self._table.is_proven and why != UNORDERED
        prefix = self._transfer.mapping.source.key or ""
        rest = SerialRest(
            None if anew else self._table.first,
            self._table.handed_out(first=anew) if trusted else (),
            bounds=self._bounds,
            sortable=lambda key: self._order.is_s3s or not in_folder(key, prefix),
        )
        return rest, None if anew else page

    def _count(self, objects: Sequence[S3Object]) -> None:
        self._pages += 1
        self._keys += len(objects)
        self._empty_pages += not objects
