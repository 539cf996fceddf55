"""The governor: when each request is sent, and the one owner of retries; botocore's are off.

Every request of an operation passes here. It waits for its turn where a rate is limited, then for
its permits. They are held for one attempt only, never while waiting to try again.
"""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import anyio
import anyio.lowlevel

from async_s3copy.engine.corrections import end_if_in_vain, may_pass
from async_s3copy.engine.lanes import Clock, Kind, Lane, is_outage
from async_s3copy.engine.pacing import Pacer
from async_s3copy.engine.permits import Permits
from async_s3copy.engine.shared import Loads, Place, Share, loads_of_this_loop, unshared
from async_s3copy.engine.tasks import uninterrupted as run_uninterrupted
from async_s3copy.engine.ways import Way
from async_s3copy.errors import OutageError, RetryableS3Error, S3Error, Side, ThrottledError
from async_s3copy.metrics import MetricsRecorder
from async_s3copy.options import CopyOptions

T = TypeVar("T")

FEWEST_FAILURES: Final = 10
"""Fewer failed requests are no outage: a slow request or two may take the whole time."""
_USUAL_SIDE: Final[dict[Kind, Side]] = {"object": "destination", "list": "source"}


@dataclass(frozen=True, slots=True)
class KindStatistics:
    """How busy the governor is now with one kind of request.

    Attributes:
        in_flight: Requests sent and not answered.
        waiting: Requests that wait for their turn or for a permit.
        limit: Requests in flight at most.
        rate_per_s: Requests per second that S3 was found to allow, the lower of the two sides';
            ``None`` where nothing is held back.
    """

    in_flight: int
    waiting: int
    limit: int
    rate_per_s: float | None


@dataclass(frozen=True, slots=True)
class GovernorStatistics:
    """How busy the governor is now.

    Attributes:
        in_flight: Requests sent and not answered.
        waiting: Requests that wait for their turn or for a permit.
        limit: Requests in flight at most.
        objects: The requests among them that work on objects.
        listings: The requests among them that list.
    """

    in_flight: int
    waiting: int
    limit: int
    objects: KindStatistics
    listings: KindStatistics


class Governor:
    """Bound requests in flight and their rate, and retry the failed ones with full jitter.

    Made by itself it shares nothing; ``governed`` makes one that shares each endpoint with the
    other operations of the event loop.

    Args:
        options: The limits, the number of attempts and the waits between them.
        recorder: Counts every request, retry and SlowDown.
        source: The share in the endpoint that is listed and read; ``None`` is the destination's.
        destination: The share in the endpoint that is written to; ``None`` shares nothing.
        sleep: Waits a number of seconds; a test's clock.
        jitter: Draws evenly from [0, 1); a test's dice.
        clock: The time; a test's, too.
    """

    def __init__(
        self,
        options: CopyOptions,
        recorder: MetricsRecorder,
        *,
        source: Share | None = None,
        destination: Share | None = None,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
        jitter: Callable[[], float] = random.random,
        clock: Clock = time.monotonic,
    ) -> None:
        self._options = options
        self._recorder = recorder
        self._sleep = sleep
        self._jitter = jitter
        self._clock = clock
        self._began = clock()
        self._held_back = 0
        self._held_since = 0.0
        cap = options.max_requests_per_second
        self._cap = None if cap is None else Pacer(lambda _now: cap, clock)
        self._own = Permits(options.max_concurrent_requests)
        self._listings = Permits(options.max_concurrent_listings)
        there = destination or unshared(options.max_concurrent_requests, clock)
        shares: dict[Side, Share] = {"source": source or there, "destination": there}
        self._ways = {
            (side, kind): self._way(kind, share)
            for side, share in shares.items()
            for kind in share.lanes
        }

    def _way(self, kind: Kind, share: Share) -> Way:
        own = (self._listings, self._own) if kind == "list" else (self._own,)
        return Way(kind, share.lanes[kind], share.place, (*own, share.permits))

    def statistics(self) -> GovernorStatistics:
        """Return the load as it is now."""
        objects = self._kind_statistics("object", self._own.limit)
        listings = self._kind_statistics("list", min(self._own.limit, self._listings.limit))
        return GovernorStatistics(
            in_flight=objects.in_flight + listings.in_flight,
            waiting=objects.waiting + listings.waiting,
            limit=self._own.limit,
            objects=objects,
            listings=listings,
        )

    def _kind_statistics(self, kind: Kind, limit: int) -> KindStatistics:
        ways = [way for way in self._ways.values() if way.kind == kind]
        rates = [rate for way in ways if (rate := way.lane.rate_per_s) is not None]
        return KindStatistics(
            in_flight=sum(way.in_flight for way in ways),
            waiting=sum(way.waiting for way in ways),
            limit=limit,
            rate_per_s=min(rates, default=None),
        )

    async def call(
        self,
        request: Callable[[], Awaitable[T]],
        *,
        kind: Kind = "object",
        side: Side | None = None,
        max_attempts: int | None = None,
        uninterrupted: bool = False,
    ) -> T:
        """Send a request until it succeeds, fails for good, or runs out of attempts.

        Does not yield to the event loop by itself where nothing holds the request back.

        Args:
            request: Sends it once; called again for each attempt.
            kind: ``"list"`` for a ListObjectsV2, which has limits of its own.
            side: Whose endpoint and bucket it goes to; ``None`` is the source for a listing and
                the destination for everything else.
            max_attempts: Fewer attempts than the options allow; ``None`` takes theirs.
            uninterrupted: Let a cancellation wait for an attempt in flight,
                ``cleanup_timeout_s`` at most: its answer must not be lost.

        Returns:
            What the request returned.

        Raises:
            S3Error: The last attempt's error; its ``after_unknown`` says whether an earlier
                attempt may have been carried out although its answer did not arrive.
            OutageError: No request of this kind to this bucket has succeeded for
                ``outage_after_s``; it ends the operation.
            CredentialsError: The side's credentials cannot be had, or S3 accepts them no more;
                it ends the operation.
            ClockSkewError: The machine's clock is too far off; it ends the operation.
        """
        way = self._ways[side or _USUAL_SIDE[kind], kind]
        attempts = min(max_attempts or self._options.max_attempts, self._options.max_attempts)
        unknown = False
        failed = corrected = 0
        while True:
            try:
                return await self._send(request, way, failed + corrected > 0, uninterrupted)
            except S3Error as error:
                error.after_unknown = unknown
                self._end_if_outage(way, error)
                if error.superseded:
                    corrected += 1
                    end_if_in_vain(error, corrected)
                    continue
                is_last = failed + 1 >= attempts
                has_served = self._has_served(error.side)
                if not may_pass(error, is_last=is_last, has_served=has_served):
                    raise
                unknown = unknown or outcome_unknown(error)
                wait_s = retry_wait_s(self._options, failed, error.retry_after_s, self._jitter())
            failed += 1
            await self._sleep(wait_s)

    def _has_served(self, side: Side) -> bool:
        return any(way.served for (its_side, _), way in self._ways.items() if its_side == side)

    async def _send(
        self, request: Callable[[], Awaitable[T]], way: Way, retry: bool, uninterrupted: bool
    ) -> T:
        lane = way.lane
        if uninterrupted:
            # A request that a cancellation must wait for is not begun after one.
            await anyio.lowlevel.checkpoint()
        if self._cap is not None or lane.finder.found is not None:
            await self._wait_for_turn(way)
        if not way.enter():
            await self._wait_for_permits(way)
        generation = lane.finder.generation
        try:
            self._recorder.request(retry=retry)
            answer = await (self._shielded(request) if uninterrupted else request())
        except S3Error as error:
            self._failed(lane, error, generation)
            raise
        finally:
            way.leave()
        lane.served()
        way.served = True
        return answer

    async def _shielded(self, request: Callable[[], Awaitable[T]]) -> T:
        answer: Any = await run_uninterrupted(request, self._options.cleanup_timeout_s)
        return answer  # type: ignore[no-any-return]  # request's own type

    async def _wait_for_turn(self, way: Way) -> None:
        way.waiting += 1
        try:
            if self._cap is not None:
                await self._cap.turn()
            if not way.lane.pacer.admit():
                await self._wait_for_lane(way.lane)
        finally:
            way.waiting -= 1

    async def _wait_for_lane(self, lane: Lane) -> None:
        if not self._held_back:
            self._held_since = self._clock()
        self._held_back += 1
        try:
            await lane.pacer.turn()
        finally:
            now = self._clock()
            self._recorder.held_back(now - self._held_since, lane.rate_per_s)
            self._held_since = now
            self._held_back -= 1

    async def _wait_for_permits(self, way: Way) -> None:
        way.waiting += 1
        try:
            await way.wait_to_enter()
        finally:
            way.waiting -= 1

    def _failed(self, lane: Lane, error: S3Error, generation: int) -> None:
        lane.failed(error, generation)
        if isinstance(error, ThrottledError):
            self._recorder.throttled()

    def _end_if_outage(self, way: Way, error: S3Error) -> None:
        outage = way.lane.outage
        if outage is None or not is_outage(error):
            return
        # What other operations saw before this one began is not held against it.
        lasting_s = self._clock() - max(outage.since, self._began)
        if outage.failures < FEWEST_FAILURES or lasting_s < self._options.outage_after_s:
            return
        raise OutageError(
            url=way.place.url,
            bucket=error.bucket,
            lasting_s=lasting_s,
            failed_requests=outage.failures,
            last=error,
        ) from error


@contextmanager
def governed(
    options: CopyOptions,
    recorder: MetricsRecorder,
    *,
    source: Place,
    destination: Place,
    loads: Loads | None = None,
) -> Iterator[Governor]:
    """Make the governor of one operation, which shares its endpoints for the time of a block.

    Args:
        options: The operation's.
        recorder: The operation's.
        source: What is listed and read.
        destination: What is written to.
        loads: What is shared; ``None`` takes the running event loop's.
    """
    shared, limit = loads or loads_of_this_loop(), options.max_concurrent_requests
    with shared.joined(source, limit) as here, shared.joined(destination, limit) as there:
        yield Governor(options, recorder, source=here, destination=there)


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
