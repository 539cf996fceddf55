"""The governor: how many requests are in flight, and who tries again when.

Every request of an operation passes here, and nothing else retries: botocore's own retries are off.
A permit is held for one attempt only, never while waiting to try again or for another permit.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import anyio

from async_s3copy.engine.tasks import uninterrupted as run_uninterrupted
from async_s3copy.errors import RetryableS3Error, S3Error, ThrottledError
from async_s3copy.metrics import MetricsRecorder
from async_s3copy.options import CopyOptions

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class GovernorStatistics:
    """How busy the governor is now.

    Attributes:
        in_flight: Requests that hold a permit.
        waiting: Requests that wait for one.
        limit: Permits there are.
    """

    in_flight: int
    waiting: int
    limit: int


class Governor:
    """Bound the requests in flight and retry the failed ones with full jitter.

    Args:
        options: The limit, the number of attempts and the waits between them.
        recorder: Counts every request, retry and SlowDown.
        sleep: Waits a number of seconds; a test's clock.
        jitter: Draws evenly from [0, 1); a test's dice.
    """

    def __init__(
        self,
        options: CopyOptions,
        recorder: MetricsRecorder,
        *,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._options = options
        self._recorder = recorder
        self._permits = anyio.CapacityLimiter(options.max_concurrent_requests)
        self._sleep = sleep
        self._jitter = jitter

    def statistics(self) -> GovernorStatistics:
        """Return the load as it is now."""
        now = self._permits.statistics()
        return GovernorStatistics(now.borrowed_tokens, now.tasks_waiting, int(now.total_tokens))

    async def call(
        self,
        request: Callable[[], Awaitable[T]],
        *,
        max_attempts: int | None = None,
        uninterrupted: bool = False,
    ) -> T:
        """Send a request until it succeeds, fails for good, or runs out of attempts.

        Args:
            request: Sends it once; called again for each attempt.
            max_attempts: Fewer attempts than the options allow; ``None`` takes theirs.
            uninterrupted: Let a cancellation wait for an attempt in flight,
                ``cleanup_timeout_s`` at most: its answer must not be lost.

        Returns:
            What the request returned.

        Raises:
            S3Error: The last attempt's error; its ``after_unknown`` says whether an earlier
                attempt may have been carried out although its answer did not arrive.
            CredentialsError: The side's credentials cannot be had.
        """
        attempts = min(max_attempts or self._options.max_attempts, self._options.max_attempts)
        unknown = False
        for attempt in range(attempts):
            try:
                return await self._send(request, attempt, uninterrupted)
            except S3Error as error:
                error.after_unknown = unknown
                self._recorder_sees(error)
                if not error.retryable or attempt + 1 == attempts:
                    raise
                unknown = unknown or outcome_unknown(error)
                wait_s = retry_wait_s(self._options, attempt, error.retry_after_s, self._jitter())
            await self._sleep(wait_s)
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _send(
        self, request: Callable[[], Awaitable[T]], attempt: int, uninterrupted: bool
    ) -> T:
        async with self._permits:
            self._recorder.request(retry=attempt > 0)
            if not uninterrupted:
                return await request()
            answer: Any = await run_uninterrupted(request, self._options.cleanup_timeout_s)
            return answer  # type: ignore[no-any-return]  # request's own type

    def _recorder_sees(self, error: S3Error) -> None:
        if isinstance(error, ThrottledError):
            self._recorder.throttled()


def outcome_unknown(error: S3Error) -> bool:
    """Tell whether S3 may have carried the request out although it looks failed.

    True for lost and broken answers and for 5xx; a throttled request was refused.
    """
    return isinstance(error, RetryableS3Error) and not isinstance(error, ThrottledError)


def retry_wait_s(
    options: CopyOptions, attempt: int, retry_after_s: float | None, jitter: float
) -> float:
    """Return the wait before the next attempt, in seconds.

    Full jitter spreads the retries of many workers evenly (AWS Architecture Blog, "Exponential
    Backoff And Jitter"). A server's Retry-After is a lower bound, itself bounded.

    Args:
        options: ``retry_base_s`` and ``retry_max_s``.
        attempt: Failed attempts before this one, from 0.
        retry_after_s: The server's wish, if it gave one.
        jitter: A draw from [0, 1).
    """
    bound = min(options.retry_max_s, options.retry_base_s * 2.0**attempt)
    return max(min(retry_after_s or 0.0, options.retry_max_s), bound * jitter)
