"""RandomFaults: a mix of faults that is the same in every run, whatever the order of requests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from itertools import accumulate, count
from typing import Final

from async_s3copy.testing.faults import (
    BackwardsPage,
    Delay,
    Drip,
    Fault,
    KeepAliveThenError,
    LostAnswer,
    OkThenBroken,
    OkWithError,
    RepeatedPage,
    ResetAfter,
    ResetBefore,
    Status,
    TruncatedBody,
)
from async_s3copy.testing.refusals import ExpiredToken, Skewed, WrongRegion
from async_s3copy.testing.seen import Seen

_DELAY_S: Final = 0.005
_SKEW_S: Final = 3_600
_HASH_RANGE: Final = 2**64

PASSING_FAULTS: Final[tuple[Fault, ...]] = (
    Delay(_DELAY_S),
    ResetBefore(),
    ResetAfter(),
    TruncatedBody(0),
    TruncatedBody(0.5),
    Status(500, "InternalError"),
    Status(502),
    Status(503, "SlowDown"),
    Status(503, "ServiceUnavailable", retry_after_s=0),
    Status(504),
    OkWithError("InternalError"),
    OkWithError("SlowDown"),
    KeepAliveThenError("InternalError"),
    OkThenBroken("truncated"),
    OkThenBroken("empty"),
    OkThenBroken("html"),
    LostAnswer(),
    Drip(7),
)
"""What a client gets past by asking again."""

ALL_FAULTS: Final[tuple[Fault, ...]] = (
    *PASSING_FAULTS,
    OkWithError("AccessDenied"),
    ExpiredToken(),
    Skewed(_SKEW_S),
    WrongRegion("eu-central-1"),
    WrongRegion("eu-central-1", header=False, status=400),
    RepeatedPage(),
    BackwardsPage(),
)
"""Those, and refusals that may well end in an object or a listing that is reported as failed.

Not among them is what a server does always or never: ``IgnoreParameters``, ``Redirect``, ``Hold``.
"""


class RandomFaults:
    """Decide for each request, by a hash, whether something goes wrong with it and what.

    The hash is of the seed, the call, its bucket, key, query and range, and of how often this very
    request was seen before: not of the order in which requests arrive, nor of upload ids. A run
    with the same seed meets the same faults, however its requests overlap, as long as bucket names
    and the tokens of listings are the same.

    Args:
        seed: Another seed is another mix.
        rate: Share of requests that something goes wrong with, from 0 to 1.
        faults: What can go wrong; a mapping gives each its weight, otherwise all weigh the same.
            Only what fits a call happens to it.
        max_in_a_row: How often in a row the same request can be hit: the next attempt passes.
            Default 3, so that clients with four attempts get through.

    Raises:
        ValueError: A value is out of its range.
    """

    def __init__(
        self,
        seed: int,
        rate: float,
        faults: Iterable[Fault] | Mapping[Fault, float] = ALL_FAULTS,
        *,
        max_in_a_row: int = 3,
    ) -> None:
        if not 0 <= rate <= 1:
            raise ValueError(f"rate={rate!r} must be from 0 to 1")
        if max_in_a_row < 0:
            raise ValueError(f"max_in_a_row={max_in_a_row!r} must not be negative")
        self._weights = dict(faults) if isinstance(faults, Mapping) else dict.fromkeys(faults, 1.0)
        if any(weight < 0 for weight in self._weights.values()):
            raise ValueError("faults must have no negative weight")
        self._seed = seed
        self._below = int(rate * _HASH_RANGE)
        self._max_in_a_row = max_in_a_row
        self._fitting: dict[str, tuple[list[Fault], list[float]]] = {}

    def __call__(self, seen: Seen) -> Fault | None:
        """Return what goes wrong with a request; ``None``: nothing."""
        identity = seen.identity
        chance, choice = self._draw(identity, seen.attempt)
        if chance >= self._below or self._is_spared(identity, seen.attempt):
            return None
        faults, bounds = self._fits(seen.operation)
        if not faults:
            return None
        drawn = choice / _HASH_RANGE * bounds[-1]
        return next(fault for fault, bound in zip(faults, bounds, strict=True) if drawn < bound)

    def _is_spared(self, identity: str, attempt: int) -> bool:
        """Tell whether enough attempts in a row were hit just before this one.

        Of a run of attempts that the hash would all hit, every ``max_in_a_row + 1``-th is spared.
        """
        before = count(attempt - 1, -1)
        run = next(
            attempt - 1 - earlier
            for earlier in before
            if earlier < 0 or self._draw(identity, earlier)[0] >= self._below
        )
        return run % (self._max_in_a_row + 1) == self._max_in_a_row

    def _draw(self, identity: str, attempt: int) -> tuple[int, int]:
        text = f"{self._seed}\n{identity}\n{attempt}".encode("utf-8", "surrogateescape")
        digest = blake2b(text, digest_size=16).digest()
        return int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:], "big")

    def _fits(self, operation: str) -> tuple[list[Fault], list[float]]:
        if operation not in self._fitting:
            faults = [f for f, weight in self._weights.items() if weight and f.fits(operation)]
            bounds = list(accumulate(self._weights[fault] for fault in faults))
            self._fitting[operation] = faults, bounds
        return self._fitting[operation]
