"""Copies through faults, and a judge who knows what must have come of them.

The server is the simulator: a thousand objects of 11 MiB take it no memory, and it knows of every
object it holds which bytes that are, part by part. Between it and the copy stands the
fault-injecting proxy of the test kit, whose choices depend on a seed and on the requests alone:
``ASYNC_S3COPY_CHAOS_SEED`` chooses another.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import anyio.lowlevel

from async_s3copy import (
    Account,
    CopyFailedError,
    CopyOptions,
    Observer,
    Outcome,
    S3CopyOperation,
    TransferMetrics,
)
from async_s3copy.model import Copied, CopyMethod, Failed, Skipped
from async_s3copy.testing import (
    PASSING_FAULTS,
    Delay,
    Drip,
    Fault,
    OkThenBroken,
    OkWithError,
    RandomFaults,
    ResetAfter,
    ResetBefore,
    Seen,
    Status,
    TruncatedBody,
    fault_proxy,
)
from benchmarks.simulator import Audit, Simulator
from benchmarks.simulator.mixed import key_space
from tests.real import MIB, PART, session_of
from tests.support import REGION

SEED: Final = int(os.environ.get("ASYNC_S3COPY_CHAOS_SEED", "7"))
RATE: Final = 0.05
COUNT: Final = int(os.environ.get("ASYNC_S3COPY_CHAOS_COUNT", "20000"))
FEWER: Final = int(os.environ.get("ASYNC_S3COPY_CHAOS_FEWER", COUNT // 8))
"""For what costs three times the time; ``make test-chaos`` copies 20,000 that way, too."""
ACCESS_KEY: Final = "AKIDCHAOS"
SECRET_KEY: Final = "chaos-secret"
DESTINATION: Final = "dst-worn-chaos"
LANDING: Final = "landing/here/"
RELAY_PART: Final = 64 << 10
_MANY_REQUESTS: Final = 1_500
# The kinds that can strike nearly any call; the others need a copy or an upload.
COMMON: Final = frozenset(
    (Delay, ResetBefore, ResetAfter, TruncatedBody, Status, OkThenBroken, Drip)
)
SLOW_DOWNS: Final = (
    Status(503, "SlowDown"),
    Status(503, "ServiceUnavailable", retry_after_s=0),
    OkWithError("SlowDown"),
)
# One refusal in two hundred is what a server may say at any rate; more of them are its limit, and
# the copy would slow down until it is at that.
_SLOW_DOWN_WEIGHT: Final = 0.05


@dataclass(frozen=True, kw_only=True)
class Course:
    """What is copied, and how.

    Attributes:
        bucket: A source of the simulator.
        prefix: Of the keys to copy; there may be others.
        options: The engine's.
        overwrite: Whether existing objects are replaced.
    """

    bucket: str
    prefix: str
    options: CopyOptions
    overwrite: bool = True

    def operation(
        self, url: str, observer: Observer | None = None, **given: Any
    ) -> S3CopyOperation:
        """Prepare the copy on a server."""
        account = Account(
            session=session_of(ACCESS_KEY, SECRET_KEY), endpoint_url=url, region=REGION
        )
        return S3CopyOperation(
            self.bucket,
            self.prefix,
            DESTINATION,
            LANDING,
            recursive=True,
            overwrite=self.overwrite,
            source=account,
            destination=account,
            options=self.options,
            observer=observer,
            **given,
        )

    def target(self, key: str) -> str:
        """Return where a source key goes."""
        return LANDING + key.removeprefix(self.prefix)


def inside(count: int = COUNT, *, keys: str = "skew", **given: Any) -> Course:
    """Return a copy within the server, with one object of twenty in three parts of 5 MiB.

    Of skewed keys nine of ten are below the prefix that is copied.
    """
    total, prefix = (count * 10 // 9 + 1, "data/m/") if keys == "skew" else (count, "data/")
    overwrite = given.pop("overwrite", True)
    return Course(
        bucket=f"src-{keys}-{total}-1kib-mix20-11mib-5mib",
        prefix=prefix,
        options=hurried(method="server_side", **given),
        overwrite=overwrite,
    )


def relayed(count: int = COUNT, *, keys: str = "nonascii", **given: Any) -> Course:
    """Return a copy through this process, with one object of twenty in three parts of 64 KiB.

    Parts of S3's smallest size would be 5 GB, twice through the process.
    """
    overwrite = given.pop("overwrite", True)
    options = hurried(method="relay", **given)
    for name in ("relay_multipart_threshold_bytes", "relay_part_size_bytes"):
        object.__setattr__(options, name, RELAY_PART)
    return Course(
        bucket=f"src-{keys}-{count}-1kib-mix20-160kib-64kib",
        prefix="data/",
        options=options,
        overwrite=overwrite,
    )


def hurried(**given: Any) -> CopyOptions:
    """Return options with S3's smallest parts and no waits worth mentioning."""
    defaults: dict[str, Any] = {
        "multipart_threshold_bytes": PART,
        "part_size_bytes": PART,
        "relay_memory_bytes": 64 * MIB,
        "retry_base_s": 0.001,
        "retry_max_s": 0.01,
        "max_concurrent_requests": 64,
    }
    return CopyOptions(**(defaults | given))


@dataclass
class Ledger(Observer):
    """Keep every outcome, by the source's key."""

    outcomes: dict[str, Outcome] = field(default_factory=dict)
    twice: list[str] = field(default_factory=list)

    def object_finished(self, outcome: Outcome) -> None:
        key = outcome.source.key
        if key in self.outcomes:
            self.twice.append(key)
        self.outcomes[key] = outcome

    def of(self, kind: type[Outcome]) -> dict[str, Any]:
        """Return the outcomes of one kind."""
        return {key: found for key, found in self.outcomes.items() if isinstance(found, kind)}


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What came of a copy, and what the server holds.

    Attributes:
        course: What was to be copied.
        metrics: What the operation counted.
        ledger: What it told.
        audit: What the server holds.
        counters: What the server counted.
        faults: What the proxy did, and how often.
        requests: Requests that came to the proxy.
        seed: Of the faults.
        rate: Of the faults.
    """

    course: Course
    metrics: TransferMetrics
    ledger: Ledger
    audit: Audit
    counters: Mapping[str, Any]
    faults: Counter[Fault]
    requests: int
    seed: int
    rate: float

    def check(self, *, before: frozenset[str] = frozenset()) -> None:
        """Judge a copy through faults that retries get past: all of it arrived, exactly.

        Args:
            before: Destination keys of other objects that were there and must still be.
        """
        try:
            self.assert_stormy()
            self.assert_nothing_failed()
            self.assert_faithful(before=before)
        except AssertionError as error:
            error.add_note(f"of seed {self.seed}: ASYNC_S3COPY_CHAOS_SEED={self.seed} repeats it")
            raise

    def assert_faithful(self, *, before: frozenset[str] = frozenset()) -> None:
        """Nothing lost, nothing wrong, nothing too much, nothing left open, every number exact.

        Args:
            before: Destination keys of other objects that were there and must still be.
        """
        ledger, metrics = self.ledger, self.metrics
        copied, failed, skipped = (ledger.of(kind) for kind in (Copied, Failed, Skipped))
        arrived = {self.course.target(key) for key in copied}
        assert set(self.audit.wrong) == before, _some(self.audit.wrong)
        assert arrived <= self.audit.right, f"not there: {_some(arrived - self.audit.right)}"
        # An object may have arrived although every answer that said so was lost: it is reported.
        unclaimed = self.audit.right - arrived - {self.course.target(key) for key in failed}
        assert unclaimed <= {self.course.target(key) for key in skipped}, _some(unclaimed)
        assert not ledger.twice, f"two outcomes: {_some(ledger.twice)}"
        assert len(ledger.outcomes) == self.audit.expected, "an object has no outcome"
        self._assert_counts(copied, failed, skipped)
        assert self.counters["uploads_open"] == 0, "uploads were left open"
        assert "DeleteObject" not in self.counters["requests"]
        assert metrics.degradations.get("uploads_left_open", 0) == 0

    def _assert_counts(
        self, copied: Mapping[str, Copied], failed: Mapping[str, Any], skipped: Mapping[str, Any]
    ) -> None:
        metrics = self.metrics
        assert metrics.total_files_found == self.audit.expected
        assert metrics.files_copied_successfully == len(copied)
        assert metrics.files_failed == len(failed)
        assert metrics.files_skipped == len(skipped)
        assert metrics.total_bytes_transferred == sum(each.source.size for each in copied.values())
        assert metrics.requests_sent == self.requests
        relayed = sum(each.method is CopyMethod.RELAY for each in copied.values())
        assert metrics.files_relayed == relayed

    def assert_stormy(self) -> None:
        """Faults of nearly all kinds that can strike anywhere did, as often as was asked for."""
        missing = COMMON - {type(fault) for fault in self.faults}
        # A short run meets few of them.
        assert len(missing) <= 2 or self.requests < _MANY_REQUESTS, f"never injected: {missing}"
        assert self.faults.total() > self.requests * self.rate / 2
        assert self.metrics.requests_retried > 0

    def assert_nothing_failed(self) -> None:
        """Retries outlast every fault of the mix, so none of them is a reason to fail."""
        failures = self.ledger.of(Failed).values()
        assert not failures, f"{len(failures)} failed: " + "; ".join(map(str, [*failures][:5]))


class Weather:
    """Faults by chance, and in the middle of it one burst of SlowDown: hundreds in a row.

    Args:
        faults: What goes wrong by chance, each as often as any other, but for SlowDown.
        seed: Of the chance.
        rate: Share of the requests.
        burst: Refusals in a row.
        burst_after: Requests before the burst.
    """

    def __init__(
        self,
        faults: Iterable[Fault] = PASSING_FAULTS,
        *,
        seed: int = SEED,
        rate: float = RATE,
        burst: int = 200,
        burst_after: int = COUNT // 8,
    ) -> None:
        self.seed, self.rate = seed, rate
        weights = {f: _SLOW_DOWN_WEIGHT if f in SLOW_DOWNS else 1.0 for f in faults}
        self._chance = RandomFaults(seed, rate, weights)
        self._burst = range(burst_after, burst_after + burst)
        self._requests = 0

    def __call__(self, seen: Seen) -> Fault | None:
        """Return what goes wrong with a request; ``None``: nothing."""
        self._requests += 1
        if self._requests in self._burst:
            return SLOW_DOWNS[0]
        return self._chance(seen)


async def run_through(course: Course, server: Simulator, weather: Weather) -> Verdict:
    """Copy through faults, and look at what came of it."""
    ledger = Ledger()
    credentials = {ACCESS_KEY: SECRET_KEY}
    async with fault_proxy(
        server.url, credentials=credentials, sleep=at_once, keeps_calls=False
    ) as proxy:
        proxy.script = weather
        metrics = await finished(course.operation(proxy.url, ledger))
        faults, requests = proxy.faults, proxy.count()
    return Verdict(
        course=course,
        metrics=metrics,
        ledger=ledger,
        audit=server.audit(course.bucket, course.prefix, DESTINATION, LANDING),
        counters=server.counters(),
        faults=faults,
        requests=requests,
        seed=weather.seed,
        rate=weather.rate,
    )


async def at_once(seconds: float) -> None:
    """Let everybody else have a turn, instead of waiting."""
    await anyio.lowlevel.checkpoint()


async def finished(operation: S3CopyOperation) -> TransferMetrics:
    """Run an operation whose objects may fail; return its metrics."""
    try:
        return await operation.run()
    except CopyFailedError as error:
        return error.metrics


def _some(things: Any) -> str:
    found = [*things.items()] if isinstance(things, Mapping) else sorted(things)
    return f"{len(found)}: {found[:5]}"


def source_keys(course: Course) -> list[str]:
    """Return the keys that are to be copied, in order."""
    space = key_space(course.bucket)
    keys = (space.key(index) for index in range(len(space)))
    return [key for key in keys if key.startswith(course.prefix)]
