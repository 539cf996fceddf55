"""A server that refuses what exceeds its limit: a token bucket, in virtual time."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable

import anyio

from async_s3copy.engine.governor import Governor
from async_s3copy.engine.shared import Share
from async_s3copy.metrics import MetricsRecorder, TransferMetrics
from async_s3copy.options import CopyOptions
from tests.fake_server import Call
from tests.virtual_time import VirtualLoop, pause

CALL = Call("CopyObject", "destination", "my-bucket", "k")


class ThrottlingServer:
    """Answer after ``latency_s``: with 503 SlowDown where the bucket holds no token.

    Args:
        loop: The time.
        rate_per_s: Tokens that flow in.
        burst: Tokens the bucket holds; full at the beginning.
        latency_s: From a request to its answer.
    """

    def __init__(
        self, loop: VirtualLoop, rate_per_s: float, *, burst: float, latency_s: float = 0.03
    ) -> None:
        self._loop = loop
        self._rate, self._burst, self._latency_s = rate_per_s, burst, latency_s
        self._tokens, self._filled_at = burst, loop.time()
        self.began = loop.time()
        self.served: Counter[int] = Counter()
        self.refused: Counter[int] = Counter()

    def limit(self, rate_per_s: float, burst: float | None = None) -> None:
        """Change the limit from now on."""
        self._fill()
        self._rate = rate_per_s
        self._burst = self._burst if burst is None else burst
        self._tokens = min(self._tokens, self._burst)

    async def answer(self) -> None:
        """Take one request."""
        second = int(self._loop.time() - self.began)
        self._fill()
        admitted = self._tokens >= 1
        self._tokens -= admitted
        (self.served if admitted else self.refused)[second] += 1
        answered: asyncio.Future[None] = self._loop.create_future()
        timer = self._loop.call_later(self._latency_s, answered.set_result, None)
        try:
            await answered
        finally:
            timer.cancel()
        if not admitted:
            raise CALL.error("SlowDown", 503)

    def rate(self, begin: int, end: int) -> float:
        """Requests served per second, from one second (inclusive) to another (exclusive)."""
        return sum(self.served[second] for second in range(begin, end)) / (end - begin)

    def refused_share(self, begin: int, end: int) -> float:
        """The share of requests that were refused."""
        refused = sum(self.refused[second] for second in range(begin, end))
        return refused / (refused + sum(self.served[second] for second in range(begin, end)))

    def _fill(self) -> None:
        now = self._loop.time()
        flown = (now - self._filled_at) * self._rate
        self._tokens, self._filled_at = min(self._burst, self._tokens + flown), now


class Client:
    """Workers that send one request after the other through a governor of their own."""

    def __init__(
        self,
        loop: VirtualLoop,
        *,
        workers: int = 256,
        share: Share | None = None,
        cap: float | None = None,
        seed: int = 1,
    ) -> None:
        options = CopyOptions(max_concurrent_requests=workers, max_requests_per_second=cap)
        self.recorder = MetricsRecorder("test")
        self.workers = workers
        self.done = 0
        self.governor = Governor(
            options,
            self.recorder,
            destination=share,
            clock=loop.time,
            jitter=random.Random(seed).random,
        )

    @property
    def metrics(self) -> TransferMetrics:
        return self.recorder.snapshot()

    async def work(self, request: Callable[[], Awaitable[None]]) -> None:
        """Send requests for ever; the first that fails for good is raised."""

        async def worker() -> None:
            while True:
                await self.governor.call(request)
                self.done += 1

        async with anyio.create_task_group() as group:
            for _ in range(self.workers):
                group.start_soon(worker)


async def work_for(
    seconds: float,
    server: ThrottlingServer,
    *clients: Client,
    changes: dict[float, Callable[[], None]] | None = None,
) -> None:
    """Let clients work for a while, and change something at certain times.

    Raises:
        ExceptionGroup: A request failed for good.
    """
    async with anyio.create_task_group() as group:
        for client in clients:
            group.start_soon(client.work, server.answer)
        past = 0.0
        for at, change in sorted((changes or {}).items()):
            await pause(at - past)
            change()
            past = at
        await pause(seconds - past)
        group.cancel_scope.cancel()
