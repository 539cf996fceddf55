"""Pages of a listing: asked for, checked, cut into batches."""

from __future__ import annotations

from collections.abc import Sequence

from async_s3copy.engine.transfer import Transfer
from async_s3copy.errors import InvalidResponseError
from async_s3copy.model import S3Object
from async_s3copy.s3.client import ListPage


async def first_page(transfer: Transfer, *, max_attempts: int) -> ListPage:
    """Read the first page: it proves that bucket and prefix can be listed.

    Raises:
        S3Error: The bucket is missing or may not be listed.
    """
    return await read_page(transfer, max_attempts=max_attempts)


async def read_page(
    transfer: Transfer,
    *,
    token: str | None = None,
    start_after: str | None = None,
    max_attempts: int | None = None,
) -> ListPage:
    """Read one page of the source's listing, by one request.

    Args:
        transfer: The operation's shared state.
        token: The continuation token of the page before; it goes before ``start_after``.
        start_after: The page begins after this key; ``None`` begins at the prefix.
        max_attempts: Fewer attempts than the options allow; ``None`` takes theirs.

    Raises:
        S3Error: The page could not be read.
        InvalidResponseError: The server ignores the prefix.
    """
    source = transfer.mapping.source
    after = None if token else start_after
    page = await transfer.governor.call(
        lambda: transfer.source.list_page(
            source.bucket, source.key or "", token=token or None, start_after=after
        ),
        kind="list",
        max_attempts=max_attempts,
    )
    _check_prefix(transfer, page)
    return page


def batches(objects: Sequence[S3Object], batch_size: int) -> list[Sequence[S3Object]]:
    """Cut a page's objects into batches of ``batch_size``; the last may be smaller."""
    return [objects[first : first + batch_size] for first in range(0, len(objects), batch_size)]


def broken(transfer: Transfer, message: str) -> InvalidResponseError:
    """Make the error of a listing that cannot be trusted."""
    source = transfer.mapping.source
    return InvalidResponseError(
        message,
        code="InvalidResponse",
        operation="ListObjectsV2",
        side="source",
        bucket=source.bucket,
        key=source.key,
    )


def _check_prefix(transfer: Transfer, page: ListPage) -> None:
    prefix = transfer.mapping.source.key or ""
    for item in (page.objects[0], page.objects[-1]) if page.objects else ():
        if not item.key.startswith(prefix):
            raise broken(transfer, f"the listing ignores the prefix: it names {item.key!r}")
