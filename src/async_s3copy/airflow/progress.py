"""ProgressLog: one line in the task's log every half minute, however many objects there are."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from async_s3copy.metrics import TransferMetrics
from async_s3copy.model import Copied, Failed, OperationState, Outcome
from async_s3copy.observer import Observer

logger = logging.getLogger("async_s3copy")

INTERVAL_S: Final = 30.0
"""Each line is a message over the triggerer's socket: often enough to see whether it moves."""
# One small object takes one request; about as long takes a part of this size.
_OBJECT_EQUIVALENT_BYTES: Final = 8 * 1024 * 1024
_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


@dataclass(slots=True)
class _Counts:
    """Objects and bytes.

    Attributes:
        objects: How many.
        size_bytes: How large together.
    """

    objects: int = 0
    size_bytes: int = 0

    @property
    def work(self) -> float:
        """In small objects: what takes time is requests for some, bytes for others."""
        return self.objects + self.size_bytes / _OBJECT_EQUIVALENT_BYTES


class ProgressLog(Observer):
    """Log how far a copy is while it copies: objects, bytes, rates and the time left.

    A timer of the event loop writes the lines, so that a copy that stands still is seen, too.

    Args:
        interval_s: Seconds between two lines. Default 30.
        clock: Monotonic seconds; tests hand in their own.
    """

    def __init__(
        self, *, interval_s: float = INTERVAL_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._interval_s = interval_s
        self._clock = clock
        self._found = _Counts()
        self._done = _Counts()
        self._failed = 0
        self._is_listed = False
        self._last, self._last_s = _Counts(), clock()
        self._timer: asyncio.TimerHandle | None = None

    def state_changed(self, state: OperationState) -> None:
        """Begin to write when copying begins; stop when the operation ends."""
        self._stop()
        if state is OperationState.COPYING:
            self._mark()
            self._wait()

    def resumed(self, metrics: TransferMetrics) -> None:
        """Count on from what earlier runs did, and say so."""
        done = metrics.files_copied_successfully + metrics.files_skipped
        for counts in (self._found, self._done):
            counts.objects, counts.size_bytes = done, metrics.total_bytes_transferred
        logger.info("copy.resumed: %s are copied already", _objects(done))

    def objects_listed(self, count: int, size_bytes: int) -> None:
        """Count objects found."""
        self._found.objects += count
        self._found.size_bytes += size_bytes

    def listing_completed(self) -> None:
        """Take the totals as final."""
        self._is_listed = True

    def bytes_copied(self, size_bytes: int) -> None:
        """Count bytes written."""
        self._done.size_bytes += size_bytes

    def object_finished(self, outcome: Outcome) -> None:
        """Count how one object ended; one that was not copied leaves no bytes to wait for."""
        self._done.objects += 1
        if not isinstance(outcome, Copied):
            self._done.size_bytes += outcome.source.size
        self._failed += isinstance(outcome, Failed)

    @property
    def due_s(self) -> float | None:
        """When the next line is written, in the event loop's seconds; ``None`` for never."""
        return None if self._timer is None else self._timer.when()

    def line(self) -> str:
        """Return the line for now; rates are those since the line before."""
        seconds = max(self._clock() - self._last_s, 1e-9)
        objects = (self._done.objects - self._last.objects) / seconds
        size_bytes = max(0, self._done.size_bytes - self._last.size_bytes) / seconds
        parts = (
            f"{self._done.objects:,} of {_objects(self._found.objects)}",
            f"{_size(self._done_bytes)} of {_size(self._found.size_bytes)}",
            f"{objects:,.0f} objects/s",
            f"{_size(size_bytes)}/s",
            *((f"{self._failed:,} failed",) if self._failed else ()),
            self._time_left(objects + size_bytes / _OBJECT_EQUIVALENT_BYTES),
        )
        return ", ".join(parts)

    @property
    def _done_bytes(self) -> int:
        # Parts of an object that is started again are told twice.
        return min(self._done.size_bytes, self._found.size_bytes)

    def _time_left(self, work_per_s: float) -> str:
        if not self._is_listed:
            return "still listing"
        left = self._found.work - _Counts(self._done.objects, self._done_bytes).work
        if left <= 0:
            return "ETA 0:00:00"
        return f"ETA {_duration(left / work_per_s)}" if work_per_s else "ETA unknown"

    def _wait(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._interval_s, self._write)

    def _write(self) -> None:
        logger.info("copy.progress: %s", self.line())
        self._mark()
        self._wait()

    def _mark(self) -> None:
        self._last = _Counts(self._done.objects, self._done.size_bytes)
        self._last_s = self._clock()

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _objects(count: int) -> str:
    return f"{count:,} object" if count == 1 else f"{count:,} objects"


def _size(size_bytes: float) -> str:
    value, unit = size_bytes, 0
    # 1023.95 KiB would round to "1024.0 KiB".
    while round(value, 1) >= 1024 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{value:.0f} B" if unit == 0 else f"{value:,.1f} {_UNITS[unit]}"


def _duration(seconds: float) -> str:
    minutes, whole = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{whole:02}"
