"""The rates above which a bucket answers 503 SlowDown."""

from __future__ import annotations

from typing import Final

# Long enough that timers of a millisecond do not matter, short enough to see who overshoots.
_BURST_S: Final = 0.1


class TokenBucket:
    """Take a token for each request; none left, the request is refused.

    Args:
        rate_per_s: Tokens that come back in a second.
        burst: How many it holds, full at first; None: a tenth of a second's worth.
        now_s: The time, of any clock that only goes forward.
    """

    def __init__(self, rate_per_s: float, burst: float | None, now_s: float) -> None:
        self._set(rate_per_s, burst)
        self._tokens = self.burst
        self._then_s = now_s

    def take(self, now_s: float) -> bool:
        """Take a token; return whether there was one."""
        self._refill(now_s)
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def change(self, rate_per_s: float, burst: float | None, now_s: float) -> None:
        """Go on with another rate; tokens above its burst are lost."""
        self._refill(now_s)
        self._set(rate_per_s, burst)
        self._tokens = min(self.burst, self._tokens)

    def _set(self, rate_per_s: float, burst: float | None) -> None:
        self.rate_per_s = rate_per_s
        self.burst = max(1.0, rate_per_s * _BURST_S if burst is None else burst)

    def _refill(self, now_s: float) -> None:
        self._tokens = min(self.burst, self._tokens + (now_s - self._then_s) * self.rate_per_s)
        self._then_s = now_s


class Throttle:
    """One token bucket for each name, made when it is first heard of.

    Args:
        rate_per_s: Of each; None: nothing is ever refused.
        burst: As of ``TokenBucket``.
    """

    def __init__(self, rate_per_s: float | None, burst: float | None) -> None:
        self._rate_per_s = rate_per_s
        self._burst = burst
        self._buckets: dict[bytes, TokenBucket] = {}

    def admit(self, name: bytes, now_s: float) -> bool:
        """Return whether a request to a name is within its rate."""
        if self._rate_per_s is None:
            return True
        bucket = self._buckets.get(name)
        if bucket is None:
            bucket = TokenBucket(self._rate_per_s, self._burst, now_s)
            self._buckets[name] = bucket
        return bucket.take(now_s)

    def change(self, rate_per_s: float | None, burst: float | None, now_s: float) -> None:
        """Go on with another rate."""
        self._rate_per_s, self._burst = rate_per_s, burst
        if rate_per_s is None:
            self._buckets.clear()
            return
        for bucket in self._buckets.values():
            bucket.change(rate_per_s, burst, now_s)
