"""A response body as aiobotocore streams it, checked for being whole."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

from async_s3copy.errors import S3ConnectionError, Side
from async_s3copy.s3.boto_errors import translated

_CHUNK_BYTES: Final = 256 * 1024


async def body_chunks(
    stream: Any, size_bytes: int, side: Side, bucket: str, key: str
) -> AsyncIterator[bytes]:
    """Yield the bytes of a body, in order.

    Args:
        stream: aiobotocore's stream; whoever opened it closes it.
        size_bytes: Bytes that the response promises.
        side: Whose credentials asked for it.
        bucket: Bucket, for the error.
        key: Key, for the error.

    Raises:
        S3ConnectionError: The connection broke, or fewer or more bytes came than promised.
    """
    arrived = 0
    while True:
        async with translated("GetObject", side, bucket, key):
            chunk = await stream.read(_CHUNK_BYTES)
        if not chunk:
            break
        arrived += len(chunk)
        if arrived > size_bytes:
            # Who collects the bytes has made room for so many.
            break
        yield chunk
    if arrived != size_bytes:
        said = "goes on" if arrived > size_bytes else "ended"
        raise S3ConnectionError(
            f"the body {said} after {min(arrived, size_bytes):,} of {size_bytes:,} bytes",
            code="IncompleteBody",
            operation="GetObject",
            side=side,
            bucket=bucket,
            key=key,
        )
