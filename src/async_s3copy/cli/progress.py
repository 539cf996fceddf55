"""How far a copy is: the counts behind every view, their rates and the time left. No output."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from async_s3copy.cli.text import count_text, duration_text, size_text
from async_s3copy.model import Copied, Failed, OperationState, Outcome, Skipped
from async_s3copy.observer import Observer

if TYPE_CHECKING:
    from async_s3copy.metrics import TransferMetrics

# Rates are taken over the last seconds, not from the start: a copy that slows down must show it.
RATE_WINDOW_S: Final = 15.0
# One small object takes one request; about as long takes a part of this size.
OBJECT_EQUIVALENT_BYTES: Final = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Sample:
    at_s: float
    objects: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Rate:
    """Objects and bytes per second over the last ``RATE_WINDOW_S``."""

    objects_per_s: float
    bytes_per_s: float


class Progress(Observer):
    """Count what an operation tells; the views draw it.

    Args:
        clock: Monotonic seconds; tests hand in their own.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.state = OperationState.INITIALIZED
        self.found = 0
        self.found_bytes = 0
        self.listing_complete = False
        self.copied = 0
        self.skipped = 0
        self.failed = 0
        self._written_bytes = 0
        self._settled_bytes = 0
        self._samples: deque[_Sample] = deque([_Sample(clock(), 0, 0)])

    @property
    def done(self) -> int:
        """Objects that need no more work: copied, skipped or failed."""
        return self.copied + self.skipped + self.failed

    @property
    def done_bytes(self) -> int:
        """Bytes that need no more work; never more than were found.

        The cap matters: parts of an object that is started again are told twice.
        """
        return min(self.found_bytes, self._written_bytes + self._settled_bytes)

    @property
    def fraction(self) -> float | None:
        """How much of the work is done, 0 to 1; ``None`` until the listing is complete.

        Neither one huge object nor a million empty ones can make the bar promise more than that.
        """
        if not self.listing_complete:
            return None
        total = _work(self.found, self.found_bytes)
        return _work(self.done, self.done_bytes) / total if total else 1.0

    def state_changed(self, state: OperationState) -> None:
        """Start the rates anew when copying begins: validation moves nothing."""
        self.state = state
        if state is OperationState.COPYING:
            self._samples = deque([_Sample(self.clock(), self.done, self.done_bytes)])

    def resumed(self, metrics: TransferMetrics) -> None:
        """Begin with what earlier runs did; the rates begin anew when copying does."""
        self.found += metrics.total_files_found
        self.copied += metrics.files_copied_successfully
        self.skipped += metrics.files_skipped
        self.found_bytes += metrics.total_bytes_transferred
        self._settled_bytes += metrics.total_bytes_transferred

    def objects_listed(self, count: int, size_bytes: int) -> None:
        """Count objects found."""
        self.found += count
        self.found_bytes += size_bytes

    def listing_completed(self) -> None:
        """Take the totals as final."""
        self.listing_complete = True

    def bytes_copied(self, size_bytes: int) -> None:
        """Count bytes written."""
        self._written_bytes += size_bytes

    def object_finished(self, outcome: Outcome) -> None:
        """Count how one object ended; skipped and failed ones leave no bytes to wait for."""
        match outcome:
            case Copied():
                self.copied += 1
            case Skipped():
                self.skipped += 1
                self._settled_bytes += outcome.source.size
            case Failed():
                self.failed += 1
                self._settled_bytes += outcome.source.size

    def sample(self) -> None:
        """Remember the counts as they are now; called by the views, a few times a second."""
        now = self.clock()
        self._samples.append(_Sample(now, self.done, self.done_bytes))
        # The sample just outside the window stays: it is the window's left edge.
        while len(self._samples) > 2 and self._samples[1].at_s <= now - RATE_WINDOW_S:
            self._samples.popleft()

    def rate(self) -> Rate:
        """Return the rates since the oldest sample kept."""
        oldest = self._samples[0]
        seconds = self.clock() - oldest.at_s
        if seconds <= 0:
            return Rate(0.0, 0.0)
        return Rate(
            (self.done - oldest.objects) / seconds, (self.done_bytes - oldest.size_bytes) / seconds
        )

    def eta_s(self) -> float | None:
        """Return the seconds left at the present rates.

        ``None`` until the listing is complete (the total is unknown) and while nothing moves.
        """
        if not self.listing_complete:
            return None
        rate = self.rate()
        left = _work(self.found - self.done, self.found_bytes - self.done_bytes)
        per_s = _work(rate.objects_per_s, rate.bytes_per_s)
        if not left:
            return 0.0
        return left / per_s if per_s else None


def _work(objects: float, size_bytes: float) -> float:
    """Return work in small objects: what takes time is requests for some, bytes for others."""
    return objects + size_bytes / OBJECT_EQUIVALENT_BYTES


def counts_text(progress: Progress) -> str:
    """Write the counts on one line: done/found, bytes, rates, skipped, failed."""
    rate = progress.rate()
    parts = [
        f"{progress.done:,}/{count_text(progress.found)}",
        f"{size_text(progress.done_bytes)}/{size_text(progress.found_bytes)}",
        f"{rate.objects_per_s:,.0f} objects/s",
        f"{size_text(rate.bytes_per_s)}/s",
    ]
    if progress.skipped:
        parts.append(f"{progress.skipped:,} skipped")
    if progress.failed:
        parts.append(f"{progress.failed:,} failed")
    return ", ".join(parts)


def time_left_text(progress: Progress) -> str:
    """Write the time left, or why there is none to tell."""
    if not progress.listing_complete:
        return "listing..."
    eta_s = progress.eta_s()
    return "ETA unknown" if eta_s is None else f"ETA {duration_text(eta_s)}"
