"""The answer to GetObject, whose body is read while it arrives."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from async_s3copy.errors import S3ConnectionError
from async_s3copy.s3.values import ObjectBody
from async_s3copy.s3.wire.answers import object_head
from async_s3copy.s3.wire.failures import Call, s3_failure
from async_s3copy.s3.wire.http import Response, StreamedResponse, WireError
from async_s3copy.s3.wire.routing import as_s3_error

# S3's <Error> documents have a few hundred bytes; a page of some proxy is not worth more.
_MAX_ERROR_BYTES: Final = 64 * 1024


async def opened_body(streamed: StreamedResponse, call: Call) -> ObjectBody:
    """Read the head of an answer to GetObject; the body follows in the value's ``chunks``.

    Raises:
        S3Error: S3 refused.
        WireError: The refusal did not arrive whole.
    """
    if streamed.status >= 300:
        body = await _beginning(streamed)
        raise s3_failure(Response(streamed.status, streamed.raw_headers, body), call)
    head = object_head(call.bucket, call.key or "", streamed.headers())
    size = streamed.content_length or 0
    return ObjectBody(head, size, _chunks(streamed, size, call))


async def _beginning(streamed: StreamedResponse) -> bytes:
    pieces: list[bytes] = []
    size = 0
    async for piece in streamed.chunks:
        pieces.append(piece)
        size += len(piece)
        if size >= _MAX_ERROR_BYTES:
            break
    return b"".join(pieces)


async def _chunks(streamed: StreamedResponse, size: int, call: Call) -> AsyncIterator[bytes]:
    arrived = 0
    try:
        async for piece in streamed.chunks:
            arrived += len(piece)
            if arrived > size:
                # Who collects the bytes has made room for so many.
                break
            yield piece
    except WireError as error:
        raise as_s3_error(error, call) from error
    if arrived != size:
        said = "goes on" if arrived > size else "ended"
        raise S3ConnectionError(
            f"the body {said} after {min(arrived, size):,} of {size:,} bytes",
            code="IncompleteBody",
            operation=call.operation,
            side=call.side,
            bucket=call.bucket,
            key=call.key,
        )
