"""Pages of a listing: asked for, and checked."""

from __future__ import annotations

from typing import Final

from async_s3copy.engine.transfer import Transfer
from async_s3copy.errors import (
    AccessDeniedError,
    InvalidResponseError,
    NoSuchBucketError,
    RetryableS3Error,
    S3Error,
)
from async_s3copy.s3.listed import keys_of
from async_s3copy.s3.values import ListPage

_REFUSALS: Final = (400, 405, 501)
"""What servers answer that know no start-after."""


async def first_page(
    transfer: Transfer, *, max_attempts: int, start_after: str | None = None
) -> ListPage:
    """Read the first page: it proves that bucket and prefix can be listed.

    A server that refuses ``start_after`` gives the page at the prefix, as others do that ignore it.

    Raises:
        S3Error: The bucket is missing or may not be listed.
    """
    try:
        return await read_page(transfer, start_after=start_after, max_attempts=max_attempts)
    except S3Error as error:
        if start_after is None or not refuses_start_after(error):
            raise
    return await read_page(transfer, max_attempts=max_attempts)


async def read_page(
    transfer: Transfer,
    *,
    prefix: str | None = None,
    token: str | None = None,
    start_after: str | None = None,
    max_attempts: int | None = None,
) -> ListPage:
    """Read one page of the source's listing, by one request.

    Args:
        transfer: The operation's shared state.
        prefix: A longer prefix than the listing's own, which ``None`` stands for.
        token: The continuation token of the page before; it goes before ``start_after``.
        start_after: The page begins after this key; ``None`` begins at the prefix.
        max_attempts: Fewer attempts than the options allow; ``None`` takes theirs.

    Raises:
        S3Error: The page could not be read.
        InvalidResponseError: The server ignores the prefix.
    """
    source = transfer.mapping.source
    prefix = source.key or "" if prefix is None else prefix
    after = None if token else start_after
    page = await transfer.governor.call(
        lambda: transfer.source.list_page(
            source.bucket, prefix, token=token or None, start_after=after
        ),
        kind="list",
        max_attempts=max_attempts,
    )
    _check_prefix(transfer, prefix, page)
    return page


def refuses_start_after(error: S3Error) -> bool:
    """Tell whether an error to a request with ``start-after`` can be about just that."""
    # Expired credentials and timeouts are answered by 400 as well.
    elsewhere = isinstance(error, AccessDeniedError | NoSuchBucketError | RetryableS3Error)
    return error.status in _REFUSALS and not elsewhere


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


def _check_prefix(transfer: Transfer, prefix: str, page: ListPage) -> None:
    """Refuse keys nobody asked for: what is copied, and where to, depends on the prefix."""
    # Every key, not the outermost two: a page may be in any order.
    stray = next((key for key in keys_of(page.objects) if not key.startswith(prefix)), None)
    if stray is not None:
        raise broken(transfer, f"the listing ignores the prefix: it names {stray!r}")
