"""Structured concurrency in the few shapes the engine needs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
from anyio.abc import TaskGroup


@asynccontextmanager
async def task_group() -> AsyncIterator[TaskGroup]:
    """Open a task group whose first failure leaves as itself, not inside a group.

    The first failing child cancels the others; what they raise on the way out is a consequence.
    """
    try:
        async with anyio.create_task_group() as group:
            yield group
    except BaseExceptionGroup as errors:
        first = _first(errors)
        raise first from first.__cause__


async def uninterrupted(call: Callable[[], Awaitable[Any]], grace_s: float) -> Any:
    """Await ``call()``; a cancellation meanwhile waits for it, ``grace_s`` seconds at most.

    For requests whose answer must not be lost: it names a multipart upload that exists from then
    on, or tells whether one was completed. The cancellation then goes on as usual.
    """
    finished = anyio.Event()
    shield = anyio.CancelScope(shield=True)
    results: list[Any] = []
    failures: list[Exception] = []

    async def run() -> None:
        try:
            with shield:
                results.append(await call())
        except Exception as error:
            # Raised below: a cancellation that waited for this failure must win over it.
            failures.append(error)
        finally:
            finished.set()

    async with task_group() as group:
        group.start_soon(run)
        try:
            await finished.wait()
        except BaseException:
            shield.deadline = anyio.current_time() + grace_s
            raise
    if failures:
        raise failures[0]
    return results[0]


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    first = errors.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
