"""Lanes: what a server does with one kind of request to one bucket, as all operations see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from async_s3copy.engine.pacing import Pacer
from async_s3copy.engine.rates import RateFinder
from async_s3copy.errors import RetryableS3Error, S3Error, ThrottledError

Kind = Literal["object", "list"]
"""What a request does to the server: S3 limits listing and working on objects apart."""

Clock = Callable[[], float]
"""Returns seconds, and never goes back."""


@dataclass(frozen=True, slots=True)
class Outage:
    """How long requests have failed without one that succeeded.

    Attributes:
        since: Time of the first failure.
        failures: Failed requests since then.
    """

    since: float
    failures: int


class Lane:
    """The rate one kind of request to one bucket may have, and whether any of them succeeds.

    Args:
        clock: The time.
    """

    __slots__ = ("_clock", "_failures", "_first_failure", "finder", "pacer")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures = 0
        self._first_failure = 0.0
        self.finder = RateFinder()
        self.pacer = Pacer(self.finder.rate, clock)

    @property
    def rate_per_s(self) -> float | None:
        """Requests per second that are let through now; ``None`` for any number."""
        return self.finder.rate(self._clock())

    @property
    def outage(self) -> Outage | None:
        """The failures since the last success; ``None`` after a success."""
        return Outage(self._first_failure, self._failures) if self._failures else None

    def served(self) -> None:
        """Learn that the server did what was asked, or said why it would not."""
        self._failures = 0
        self.finder.served(self._clock())

    def failed(self, error: S3Error, generation: int) -> None:
        """Learn from an error what it says about the server.

        Args:
            error: What came of the request.
            generation: The rate finder's when the request was sent.
        """
        if not is_outage(error):
            self.served()
            return
        now = self._clock()
        if not self._failures:
            self._first_failure = now
        self._failures += 1
        if isinstance(error, ThrottledError):
            self.finder.refused(now, generation, waiting=self.pacer.waiting > 0)


def is_outage(error: S3Error) -> bool:
    """Tell whether an error may be the server's, or the way's to it, rather than the request's."""
    refused = 400 <= error.status < 500 and not isinstance(error, ThrottledError)
    return isinstance(error, RetryableS3Error) and not refused
