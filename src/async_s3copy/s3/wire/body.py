"""BodyStream: a body read piece by piece, its sender held back while the reader is slow."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final

# Enough to keep a fast link busy while the reader awaits something else, little enough to hold for
# each of many streams.
HIGH_WATER_BYTES: Final = 1024 * 1024
LOW_WATER_BYTES: Final = HIGH_WATER_BYTES // 2


class BodyStream(AsyncIterator[bytes]):
    """Iterate over the pieces of a body as they arrive.

    An iterator of its own class rather than an async generator: one that is left half-read is
    nothing the event loop would have to close in a task.

    Args:
        loop: The connection's event loop.
        resume: Lets the sender go on; called when the reader has caught up.
    """

    __slots__ = ("_buffered_bytes", "_ended", "_error", "_loop", "_pieces", "_resume", "_waiter")

    def __init__(self, loop: asyncio.AbstractEventLoop, resume: Callable[[], None]) -> None:
        self._loop = loop
        self._resume = resume
        self._pieces: deque[bytes] = deque()
        self._buffered_bytes = 0
        self._ended = False
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    @property
    def full(self) -> bool:
        """Whether the sender should be held back."""
        return self._buffered_bytes >= HIGH_WATER_BYTES

    def push(self, pieces: Sequence[bytes | bytearray]) -> None:
        """Hand pieces to the reader."""
        self._pieces.extend(map(bytes, pieces))
        self._buffered_bytes += sum(map(len, pieces))
        self._wake()

    def end(self, error: Exception | None = None) -> None:
        """Say that nothing more comes; only the first saying counts.

        Args:
            error: Raised after the last piece; ``None`` where the body is complete.
        """
        if not self._ended:
            self._ended = True
            self._error = error
            self._wake()

    async def __anext__(self) -> bytes:
        """Return the next piece.

        Raises:
            StopAsyncIteration: The body is complete.
            WireError: It ended early, or was left.
        """
        while not self._pieces:
            if self._ended:
                raise self._error or StopAsyncIteration
            await self._arrival()
        return self._take()

    async def _arrival(self) -> None:
        if self._waiter is not None:
            raise RuntimeError("A body can be read by one reader at a time.")
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _take(self) -> bytes:
        was_high = self._buffered_bytes > LOW_WATER_BYTES
        piece = self._pieces.popleft()
        self._buffered_bytes -= len(piece)
        # Once it has ended, the connection may be busy with another exchange.
        if was_high and self._buffered_bytes <= LOW_WATER_BYTES and not self._ended:
            self._resume()
        return piece

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
