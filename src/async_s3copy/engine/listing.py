"""Pages of a listing, turned into batches of objects."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from async_s3copy.engine.transfer import Transfer
from async_s3copy.errors import InvalidResponseError
from async_s3copy.model import S3Object
from async_s3copy.s3.client import ListPage


async def first_page(transfer: Transfer, *, max_attempts: int) -> ListPage:
    """Read the first page: it proves that bucket and prefix can be listed.

    Raises:
        S3Error: The bucket is missing or may not be listed.
    """
    source = transfer.mapping.source
    page = await transfer.governor.call(
        lambda: transfer.source.list_page(source.bucket, source.key or ""),
        max_attempts=max_attempts,
    )
    _check_prefix(transfer, page)
    return page


async def pages(transfer: Transfer, page: ListPage) -> AsyncIterator[ListPage]:
    """Yield the first page and all that follow it, one request each.

    Raises:
        S3Error: A page could not be read.
        InvalidResponseError: The server's listing does not get on, or ignores the prefix.
    """
    yield page
    while page.truncated:
        page = await _next_page(transfer, page)
        yield page


def batches(page: ListPage, batch_size: int) -> list[Sequence[S3Object]]:
    """Cut a page into batches of ``batch_size`` objects; the last may be smaller."""
    objects = page.objects
    return [objects[first : first + batch_size] for first in range(0, len(objects), batch_size)]


async def _next_page(transfer: Transfer, page: ListPage) -> ListPage:
    source = transfer.mapping.source
    # A server that truncates without a token can still be continued after its last key.
    start_after = page.objects[-1].key if not page.next_token and page.objects else None
    if not page.next_token and not start_after:
        raise _broken(transfer, "the listing is truncated, but gives neither a token nor a key")
    following = await transfer.governor.call(
        lambda: transfer.source.list_page(
            source.bucket, source.key or "", token=page.next_token, start_after=start_after
        )
    )
    if following.truncated and _stands_still(page, following):
        raise _broken(transfer, "the listing repeats the same page for ever")
    _check_prefix(transfer, following)
    return following


def _stands_still(page: ListPage, following: ListPage) -> bool:
    if not page.objects or not following.objects:
        return page.next_token is not None and page.next_token == following.next_token
    return page.objects[-1].key == following.objects[-1].key


def _check_prefix(transfer: Transfer, page: ListPage) -> None:
    prefix = transfer.mapping.source.key or ""
    for item in (page.objects[0], page.objects[-1]) if page.objects else ():
        if not item.key.startswith(prefix):
            raise _broken(transfer, f"the listing ignores the prefix: it names {item.key!r}")


def _broken(transfer: Transfer, message: str) -> InvalidResponseError:
    source = transfer.mapping.source
    return InvalidResponseError(
        message,
        code="InvalidResponse",
        operation="ListObjectsV2",
        side="source",
        bucket=source.bucket,
        key=source.key,
    )
