"""What the simulator counts."""

from __future__ import annotations

import resource
from collections import Counter
from typing import Any, Final

_SLICES_PER_S: Final = 10


class Counters:
    """Requests, refusals, bytes, connections and concurrency since the last reset."""

    def __init__(self) -> None:
        self.connections_now = 0
        self.in_flight_now = 0
        self.reset()

    def reset(self) -> None:
        """Begin at zero; open connections and requests in flight stay what they are."""
        self.requests: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.bytes_received = 0
        self.bytes_sent = 0
        self.connections_opened = 0
        self.connections_peak = self.connections_now
        self.in_flight_peak = self.in_flight_now
        self._cpu_s = _cpu_s()
        self._first_s: float | None = None
        self._accepted: list[int] = []
        self._turned_away: list[int] = []

    def connected(self) -> None:
        """Count a connection."""
        self.connections_opened += 1
        self.connections_now += 1
        self.connections_peak = max(self.connections_peak, self.connections_now)

    def arrived(self, operation: str) -> None:
        """Count a request."""
        self.requests[operation] += 1
        self.in_flight_now += 1
        self.in_flight_peak = max(self.in_flight_peak, self.in_flight_now)

    def judged(self, admitted: bool, now_s: float) -> None:
        """Enter into the series whether an object request was within the rate."""
        if self._first_s is None:
            self._first_s = now_s
        index = int((now_s - self._first_s) * _SLICES_PER_S)
        while len(self._accepted) <= index:
            self._accepted.append(0)
            self._turned_away.append(0)
        (self._accepted if admitted else self._turned_away)[index] += 1

    def series(self) -> list[dict[str, Any]]:
        """Return object requests by tenths of a second from the first on."""
        pairs = zip(self._accepted, self._turned_away, strict=True)
        return [
            {"t_s": index / _SLICES_PER_S, "accepted": accepted, "refused": refused}
            for index, (accepted, refused) in enumerate(pairs)
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the series."""
        return {
            "requests": dict(self.requests),
            "refused": dict(self.refused),
            "faults": dict(self.faults),
            "errors": dict(self.errors),
            "bytes_received": self.bytes_received,
            "bytes_sent": self.bytes_sent,
            "connections_opened": self.connections_opened,
            "connections_now": self.connections_now,
            "connections_peak": self.connections_peak,
            "in_flight_now": self.in_flight_now,
            "in_flight_peak": self.in_flight_peak,
            "cpu_s": _cpu_s() - self._cpu_s,
        }


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
