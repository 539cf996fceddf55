"""Calls: one call by the wire where the way is known, by the reference client where it is not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, TypeVar

from async_s3copy.errors import S3Error, Side
from async_s3copy.s3.values import ObjectBody
from async_s3copy.s3.wire.download import opened_body
from async_s3copy.s3.wire.failures import Call
from async_s3copy.s3.wire.http import Request, Response, WireError
from async_s3copy.s3.wire.requests import RequestBuilder
from async_s3copy.s3.wire.routing import RoutingTable, as_s3_error

T = TypeVar("T")


class Calls:
    """Make calls of one side.

    Args:
        table: The ways to its buckets.
    """

    def __init__(self, table: RoutingTable) -> None:
        self._table = table

    async def make(
        self,
        call: Call,
        build: Callable[[RequestBuilder], Request],
        read: Callable[[Response, Side, str, Any], T],
        by_reference: Callable[[], Awaitable[T]],
    ) -> T:
        """Make one call, by the wire where the way is known and leads to the bucket."""
        _, side, bucket, key = call
        entry = self._table.get(bucket) or await self._table.fresh(bucket)
        if entry is not None:
            request, used = build(entry.requests), entry.requests.keys
            try:
                response = await entry.pool.send(request)
            except WireError as error:
                raise as_s3_error(error, call) from error
            try:
                return read(response, side, bucket, key)
            except S3Error as error:
                self._table.heed(bucket, error, used)
        return await self._table.learn(bucket, key, by_reference)

    async def open(
        self,
        call: Call,
        stack: AsyncExitStack,
        build: Callable[[RequestBuilder], Request],
        by_reference: Callable[[], AbstractAsyncContextManager[ObjectBody]],
    ) -> ObjectBody:
        """Make a call whose answer is read while it arrives, until the stack is closed."""
        bucket = call.bucket
        entry = self._table.get(bucket) or await self._table.fresh(bucket)
        if entry is not None:
            request, used = build(entry.requests), entry.requests.keys
            try:
                streamed = await stack.enter_async_context(entry.pool.stream(request))
                body = await opened_body(streamed, call)
            except WireError as error:
                raise as_s3_error(error, call) from error
            except S3Error as error:
                self._table.heed(bucket, error, used)
            else:
                return body
        return await self._table.learn(
            bucket, call.key, lambda: stack.enter_async_context(by_reference())
        )
