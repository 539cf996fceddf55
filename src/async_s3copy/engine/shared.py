"""What the operations of one event loop share: the load of each endpoint they talk to.

S3 does not see operations, only requests: two copies into one bucket share its limit, and what one
of them learns about it holds for the other. Operations share by the address of the endpoint, for
as long as they run; what was learnt is kept for a minute after the last one.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, get_args
from weakref import WeakKeyDictionary

from async_s3copy.engine.lanes import Clock, Kind, Lane
from async_s3copy.engine.permits import Permits

KEPT_S: Final = 60.0
"""What was learnt about a bucket outlives its last operation by a minute: the next one starts from
there, and a process that copies for ever does not gather buckets."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where one side's requests go.

    Attributes:
        url: The endpoint's address, such as ``"https://s3.eu-west-1.amazonaws.com"``.
        bucket: The bucket.
    """

    url: str
    bucket: str


@dataclass(frozen=True, slots=True)
class Share:
    """One operation's share in an endpoint.

    Attributes:
        place: The endpoint, and the bucket the operation works on.
        limit: Requests the operation may have in flight.
        permits: Bound the requests in flight of all operations at the endpoint.
        lanes: The bucket's lanes.
    """

    place: Place
    limit: int
    permits: Permits
    lanes: Mapping[Kind, Lane]


@dataclass(slots=True)
class _Bucket:
    lanes: Mapping[Kind, Lane]
    users: int = 0
    idle_since: float = 0.0


class EndpointLoad:
    """What one endpoint bears from this event loop.

    Requests in flight are bounded together, whatever the bucket; rates are learnt per bucket and
    kind, because that is how S3 limits them: a SlowDown of one bucket says nothing about another.

    Args:
        url: The endpoint's address.
        clock: The time.
    """

    def __init__(self, url: str, clock: Clock) -> None:
        self._url = url
        self._clock = clock
        self._limits: list[int] = []
        self._buckets: dict[str, _Bucket] = {}
        self._permits = Permits(0)

    @property
    def is_forgotten(self) -> bool:
        """Whether nobody uses the endpoint, and nothing learnt about it is still worth keeping."""
        return not self._buckets

    def join(self, bucket: str, limit: int) -> Share:
        """Let an operation in: the largest of all their limits bounds them together."""
        self._limits.append(limit)
        self._permits.limit = max(self._limits)
        entry = self._buckets.get(bucket) or _Bucket({k: Lane(self._clock) for k in get_args(Kind)})
        self._buckets[bucket] = entry
        entry.users += 1
        return Share(Place(self._url, bucket), limit, self._permits, entry.lanes)

    def leave(self, share: Share) -> None:
        """Let an operation out."""
        self._limits.remove(share.limit)
        self._permits.limit = max(self._limits, default=0)
        entry = self._buckets[share.place.bucket]
        entry.users -= 1
        entry.idle_since = self._clock()

    def tidy(self) -> None:
        """Forget the buckets that nobody has used for a minute."""
        now = self._clock()
        self._buckets = {
            name: entry
            for name, entry in self._buckets.items()
            if entry.users or now - entry.idle_since <= KEPT_S
        }


class Loads:
    """The loads of all endpoints that the operations of one event loop use.

    Args:
        clock: The time.
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._by_url: dict[str, EndpointLoad] = {}

    def __len__(self) -> int:
        return len(self._by_url)

    @contextmanager
    def joined(self, place: Place, limit: int) -> Iterator[Share]:
        """Share an endpoint with the other operations for the time of a block.

        Args:
            place: The endpoint and bucket.
            limit: Requests the operation may have in flight.
        """
        self._tidy()
        load = self._by_url.setdefault(place.url, EndpointLoad(place.url, self._clock))
        share = load.join(place.bucket, limit)
        try:
            yield share
        finally:
            load.leave(share)

    def _tidy(self) -> None:
        # Done whenever an operation begins: a timer would outlive the operations.
        for load in self._by_url.values():
            load.tidy()
        self._by_url = {url: load for url, load in self._by_url.items() if not load.is_forgotten}


# An idle load does not refer to its event loop, so that it goes when the loop goes.
_BY_LOOP: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, Loads]] = WeakKeyDictionary()
_LOCK: Final = threading.Lock()  # event loops run in several threads


def loads_of_this_loop() -> Loads:
    """Return what the operations of the running event loop share."""
    loop = asyncio.get_running_loop()
    with _LOCK:
        return _BY_LOOP.setdefault(loop, Loads())


def unshared(limit: int, clock: Clock) -> Share:
    """Return a share in an endpoint that nobody else uses."""
    return EndpointLoad("", clock).join("", limit)
