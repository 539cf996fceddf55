"""Listings of versions: pages asked for one after the other, of the source and the destination."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from async_s3copy.engine.ranges import BrokenListingError
from async_s3copy.engine.spans import ALL_KEYS, Span
from async_s3copy.engine.transfer import Transfer
from async_s3copy.engine.versions.histories import Histories, History, any_version
from async_s3copy.engine.versions.pages import Portion, VersionPages
from async_s3copy.errors import InvalidResponseError, Side
from async_s3copy.model import S3Location, S3Object
from async_s3copy.s3.values import VersionPage

EmitObjects: TypeAlias = Callable[[Sequence[S3Object], Span], Awaitable[None]]
EmitHistories: TypeAlias = Callable[[Sequence[History], Span], Awaitable[None]]


async def read_page(
    transfer: Transfer,
    where: S3Location,
    *,
    side: Side = "source",
    key_marker: str | None = None,
    version_marker: str | None = None,
    max_attempts: int | None = None,
) -> VersionPage:
    """Read one page of a listing of versions, by one request.

    Args:
        transfer: The operation's shared state.
        where: Bucket and prefix.
        side: Whose bucket it is.
        key_marker: The page begins after this key; ``None`` begins at the prefix.
        version_marker: It begins after this version of that key.
        max_attempts: Fewer attempts than the options allow; ``None`` takes theirs.

    Raises:
        S3Error: The page could not be read.
        InvalidResponseError: The server ignores the prefix.
    """
    client = transfer.source if side == "source" else transfer.destination
    prefix = where.key or ""
    page = await transfer.governor.call(
        lambda: client.list_versions(
            where.bucket, prefix, key_marker=key_marker, version_marker=version_marker
        ),
        kind="list",
        side=side,
        max_attempts=max_attempts,
    )
    for item in (page.versions[0], page.versions[-1]) if page.versions else ():
        if not item.key.startswith(prefix):
            message = f"the listing of versions ignores the prefix: it names {item.key!r}"
            raise _broken(where, side, message)
    return page


class VersionReader:
    """Read a listing of versions, page after page, until all that was asked for has been seen.

    Args:
        transfer: The operation's shared state.
        where: Bucket and prefix.
        span: The keys asked for.
        side: Whose bucket it is.
        first: The first page, where it has been read.
    """

    def __init__(
        self,
        transfer: Transfer,
        where: S3Location,
        span: Span = ALL_KEYS,
        *,
        side: Side = "source",
        first: VersionPage | None = None,
    ) -> None:
        self._transfer = transfer
        self._where = where
        self._side: Side = side
        self._pages = VersionPages(span)
        self._first = first

    @property
    def done(self) -> bool:
        """Whether there is nothing more to read."""
        return self._pages.done

    @property
    def last(self) -> str | None:
        """The last key seen, of which more versions may follow; ``None`` before the first."""
        return self._pages.last

    async def read(self) -> Portion:
        """Read the next page.

        Raises:
            S3Error: It could not be read.
            InvalidResponseError: The listing repeats itself, goes backwards or does not get on.
        """
        page, self._first = self._first, None
        if page is None:
            page = await read_page(
                self._transfer,
                self._where,
                side=self._side,
                key_marker=self._pages.key_marker,
                version_marker=self._pages.version_marker,
            )
        try:
            return self._pages.accept(page)
        except BrokenListingError as error:
            raise _broken(self._where, self._side, str(error)) from None


async def key_versions(
    transfer: Transfer,
    where: S3Location,
    *,
    side: Side = "source",
    wanted: Callable[[S3Object], bool] = any_version,
) -> list[History]:
    """Read the history of one key, none or one, by a request per thousand versions.

    Raises:
        S3Error: A page could not be read.
        InvalidResponseError: The listing cannot be trusted.
    """
    # Of all keys with this prefix S3 lists the key itself first.
    reader = VersionReader(transfer, where, Span(None, where.key), side=side)
    gathered = Histories(wanted)
    while not reader.done:
        gathered.add((await reader.read()).versions)
    return gathered.end()


class VersionLister:
    """List the source's versions, serially, range after range.

    Serially, because a key may have more versions than a page holds, and a listing that begins
    after a key cannot tell whether the page before it ended within one.

    Args:
        transfer: The operation's shared state.
        first: The first page of the journal's first range, which is not read again.
    """

    def __init__(self, transfer: Transfer, first: VersionPage) -> None:
        self._transfer = transfer
        self._first: VersionPage | None = first

    async def current(self, emit: EmitObjects) -> None:
        """Hand out the current version of each key, delete markers left out.

        Args:
            emit: Receives the objects of a page, perhaps none, and the keys they are all of.

        Raises:
            S3Error: A page could not be read.
            InvalidResponseError: The listing cannot be trusted.
        """
        for span in self._transfer.journal.ranges:
            after, reader = span.after, self._reader(span)
            while not reader.done:
                portion = await reader.read()
                until = span.until if portion.is_last else reader.last
                if until != after or portion.current:
                    await emit(portion.current, Span(after, until))
                    after = until

    async def histories(self, emit: EmitHistories) -> None:
        """Hand out the history of each key.

        Args:
            emit: Receives whole histories, perhaps none, and the keys they are all of.

        Raises:
            S3Error: A page could not be read.
            InvalidResponseError: The listing cannot be trusted.
        """
        for span in self._transfer.journal.ranges:
            after, reader, gathered = span.after, self._reader(span), Histories()
            while not reader.done:
                portion = await reader.read()
                whole = gathered.add(portion.versions)
                if portion.is_last:
                    whole += gathered.end()
                    await emit(whole, Span(after, span.until))
                elif whole:
                    await emit(whole, Span(after, whole[-1].key))
                    after = whole[-1].key

    def _reader(self, span: Span) -> VersionReader:
        first, self._first = self._first, None
        return VersionReader(self._transfer, self._transfer.mapping.source, span, first=first)


def _broken(where: S3Location, side: Side, message: str) -> InvalidResponseError:
    return InvalidResponseError(
        message,
        code="InvalidResponse",
        operation="ListObjectVersions",
        side=side,
        bucket=where.bucket,
        key=where.key,
    )
