"""What stands before the service: rates, faults, latencies and counters. No sockets, no clock."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any, Final

from benchmarks.simulator.bodies import Sink
from benchmarks.simulator.buckets import DestinationBucket, SourceBucket
from benchmarks.simulator.config import FaultKind, SimulatorConfig, Verification
from benchmarks.simulator.counters import Counters
from benchmarks.simulator.faults import Faults
from benchmarks.simulator.latency import Latency
from benchmarks.simulator.messages import Hangup, Reply, Request, S3Error, Stream
from benchmarks.simulator.routing import Kind, kind, operation
from benchmarks.simulator.service import Service
from benchmarks.simulator.throttle import Throttle
from benchmarks.simulator.verification import audit, verify

_SLOW_DOWN: Final = S3Error(503, "SlowDown", "Please reduce your request rate.")
_INTERNAL: Final = S3Error(
    500, "InternalError", "We encountered an internal error. Please try again."
)
_INSIDE: Final = S3Error(
    200, "InternalError", "We encountered an internal error. Please try again."
)
_REFUSALS: Final[Mapping[FaultKind, S3Error]] = {
    "500": _INTERNAL,
    "503": _SLOW_DOWN,
    "error-in-200": _INSIDE,
}


class FrontDoor:
    """Takes requests and says what is answered and after how long.

    Args:
        config: How to behave.

    Attributes:
        service: S3 itself.
        counters: What was counted.
    """

    def __init__(self, config: SimulatorConfig) -> None:
        self.service = Service()
        self.counters = Counters()
        self.config = config
        self._objects = Throttle(config.rate_per_s, config.burst)
        self._lists = Throttle(config.list_rate_per_s, config.burst)
        # Which operations there are is S3's affair; each is looked up once.
        self._kinds: dict[str, Kind] = {}
        self._apply(config)

    def configure(self, config: SimulatorConfig, now_s: float) -> None:
        """Behave otherwise from now on; token buckets keep what they hold."""
        self.config = config
        self._objects.change(config.rate_per_s, config.burst, now_s)
        self._lists.change(config.list_rate_per_s, config.burst, now_s)
        self._apply(config)

    def reset(self) -> None:
        """Empty counters, destinations and uploads, and fill the token buckets."""
        self.counters.reset()
        self.service.empty()
        self._objects = Throttle(self.config.rate_per_s, self.config.burst)
        self._lists = Throttle(self.config.list_rate_per_s, self.config.burst)
        self._apply(self.config)

    def take(self, request: Request, sink: Sink, now_s: float) -> tuple[Reply, float]:
        """Return the answer to a request and the latency it is due after."""
        name = operation(request)
        sort = self._kinds.get(name)
        if sort is None:
            sort = self._kinds[name] = kind(name)
        self.counters.arrived(name)
        delay_s = self._latencies[sort].draw_s()
        if not self._admits(request, sort, now_s):
            self.counters.refused[name] += 1
            return self._error(request, _SLOW_DOWN), delay_s
        fault = self._faults.pick(name) if self.config.faults else None
        if fault is not None:
            self.counters.faults[fault] += 1
            return self._faulty(fault, name, request, sink), delay_s
        return self._answer(name, request, sink), delay_s

    def totals(self) -> dict[str, Any]:
        """Return all counters."""
        return {**self.counters.to_dict(), "uploads_open": len(self.service.uploads)}

    def verify(
        self, source: str, source_prefix: str, destination: str, destination_prefix: str
    ) -> Verification:
        """Compare a destination with what a copy should have put there.

        Raises:
            ValueError: A bucket has the wrong kind of name.
        """
        source_bucket, destination_bucket = self._pair(source, destination)
        prefixes = _bytes(source_prefix), _bytes(destination_prefix)
        return verify(source_bucket, prefixes[0], destination_bucket, prefixes[1])

    def audit(
        self, source: str, source_prefix: str, destination: str, destination_prefix: str
    ) -> dict[str, Any]:
        """Judge each object of a destination.

        Raises:
            ValueError: A bucket has the wrong kind of name.
        """
        source_bucket, destination_bucket = self._pair(source, destination)
        prefixes = _bytes(source_prefix), _bytes(destination_prefix)
        return audit(source_bucket, prefixes[0], destination_bucket, prefixes[1])

    def _pair(self, source: str, destination: str) -> tuple[SourceBucket, DestinationBucket]:
        buckets = self.service.buckets
        source_bucket = buckets.source(source.encode())
        destination_bucket = buckets.destination(destination.encode())
        if source_bucket is None or destination_bucket is None:
            raise ValueError(f"{source!r} is no source bucket, or {destination!r} no destination")
        return source_bucket, destination_bucket

    def _apply(self, config: SimulatorConfig) -> None:
        random = Random(config.seed)
        medians_ms: Mapping[Kind, float | None] = {
            "object": config.latency_ms,
            "list": config.list_latency_ms,
            "part": config.part_latency_ms,
        }
        self._latencies = {
            sort: Latency(
                config.latency_ms if median_ms is None else median_ms, config.latency_sigma, random
            )
            for sort, median_ms in medians_ms.items()
        }
        self._faults = Faults(config.faults, Random(config.seed + 1))

    def _admits(self, request: Request, sort: Kind, now_s: float) -> bool:
        if sort == "list":
            return self._lists.admit(request.bucket, now_s)
        if not request.raw_key or not request.bucket.startswith(b"dst-"):
            return True
        admitted = self._objects.admit(self._scope(request), now_s)
        self.counters.judged(admitted, now_s)
        return admitted

    def _scope(self, request: Request) -> bytes:
        if self.config.rate_scope == "bucket":
            return request.bucket
        level, slash, _ = request.key.partition(b"/")
        return request.bucket + b"/" + (level if slash else b"")

    def _answer(self, name: str, request: Request, sink: Sink) -> Reply:
        try:
            return self.service.answer(name, request, sink)
        except S3Error as error:
            return self._error(request, error)

    def _error(self, request: Request, error: S3Error) -> bytes:
        self.counters.errors[error.code] += 1
        return self.service.replies.error(error, bodiless=request.method == b"HEAD")

    def _faulty(self, fault: FaultKind, name: str, request: Request, sink: Sink) -> Reply:
        if fault == "reset":
            return Hangup(reset=True)
        if fault == "truncated":
            return Hangup(_half(self._answer(name, request, sink)))
        return self._error(request, _REFUSALS[fault])


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _half(reply: Reply) -> bytes:
    if isinstance(reply, Stream):
        return reply.head + next(reply.blocks, b"")[:1]
    data = reply if isinstance(reply, bytes) else reply.data
    body = data.find(b"\r\n\r\n") + 4
    # Without a body it is the head that ends early.
    return data[: (body + len(data)) // 2] if body < len(data) else data[: len(data) // 2]
