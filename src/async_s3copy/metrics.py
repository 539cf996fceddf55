"""TransferMetrics, a frozen snapshot of one operation, and the one recorder that writes it."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from async_s3copy import rules
from async_s3copy.errors import ValidationError
from async_s3copy.model import (
    Copied,
    CopyMethod,
    EarlierRun,
    Failed,
    OperationState,
    Outcome,
    Skipped,
)
from async_s3copy.observer import Observer

logger = logging.getLogger("async_s3copy")

_COUNTS: Final = (
    "total_files_found",
    "files_copied_successfully",
    "files_failed",
    "files_skipped",
    "files_relayed",
    "total_bytes_transferred",
    "requests_sent",
    "requests_retried",
    "requests_throttled",
)

_NOT_ATTEMPTED: Final = "not_attempted"
_THROTTLED: Final = (
    "S3 refuses requests because there are too many: their rate is lowered to what it allows"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferMetrics:
    """Count what one operation found and did; a snapshot that never changes.

    While the operation runs ``end_time`` is ``None`` and objects may still be under way; once it is
    set, found = copied + failed + skipped holds exactly.

    Attributes:
        operation_id: Unique identifier of the operation.
        start_time: When the operation began, timezone-aware.
        end_time: When it ended; ``None`` while it runs.
        total_files_found: Objects discovered for copying.
        files_copied_successfully: Objects that arrived.
        files_failed: Objects that did not.
        total_bytes_transferred: Bytes of the objects that arrived.
        errors_encountered: The first error messages, at most ``CopyOptions.max_errors_kept``.
        files_skipped: Objects left alone, such as existing ones with ``overwrite=False``.
        files_relayed: Objects among the copied ones whose bytes travelled through this process.
        requests_sent: Requests sent to S3, retries included.
        requests_retried: Requests among them that repeat an earlier attempt.
        requests_throttled: Answers that said SlowDown or the like.
        seconds_throttled: Seconds in which requests were held back to stay under S3's limit.
        request_rate_limit: Requests per second that S3 was last found to allow; ``None`` when
            nothing was held back. A user's own cap counts in neither.
        degradations: What could not be done as asked, by name, with the number of objects it
            concerns; each kind is also logged once as a warning.
        proofs: How many of the copied objects are proven by what, by the values of ``Proof``.

    Raises:
        ValidationError: Negative counts, an end that is not after the start, or an ended operation
            whose counts do not add up.
    """

    operation_id: str
    start_time: datetime
    end_time: datetime | None = None
    total_files_found: int = 0
    files_copied_successfully: int = 0
    files_failed: int = 0
    total_bytes_transferred: int = 0
    errors_encountered: list[str] = field(default_factory=list)
    files_skipped: int = 0
    files_relayed: int = 0
    requests_sent: int = 0
    requests_retried: int = 0
    requests_throttled: int = 0
    seconds_throttled: float = 0.0
    request_rate_limit: float | None = None
    degradations: Mapping[str, int] = field(default_factory=dict)
    proofs: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.operation_id:
            raise ValidationError("operation_id", self.operation_id, "not be empty")
        self._check_numbers()
        if self.end_time is not None and not self.start_time < self.end_time:
            raise ValidationError(
                "end_time", self.end_time, f"be after start_time {self.start_time}"
            )
        done = self.files_copied_successfully + self.files_failed + self.files_skipped
        ended = self.end_time is not None
        if done > self.total_files_found or (ended and done != self.total_files_found):
            relation = "equal" if ended else "be at least"
            raise ValidationError(
                "total_files_found",
                self.total_files_found,
                f"{relation} copied + failed + skipped = {done}",
            )

    def _check_numbers(self) -> None:
        for name in _COUNTS:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise ValidationError(name, value, "be a non-negative integer")
        if not 0 <= self.seconds_throttled < float("inf"):
            rule = "be a finite, non-negative number of seconds"
            raise ValidationError("seconds_throttled", self.seconds_throttled, rule)
        if self.request_rate_limit is not None:
            rules.check_rate("request_rate_limit", self.request_rate_limit)

    @property
    def duration_seconds(self) -> float:
        """Seconds from start to end, or to now while the operation runs."""
        end = self.end_time or datetime.now(self.start_time.tzinfo)
        return (end - self.start_time).total_seconds()

    def to_dict(self) -> dict[str, Any]:
        """Return the metrics output schema, ready for ``json.dumps``.

        The seven keys of the schema come first; the extra ones bear names of their own.
        """
        return {
            "operation_id": self.operation_id,
            "duration_seconds": self.duration_seconds,
            "total_files_found": self.total_files_found,
            "files_copied_successfully": self.files_copied_successfully,
            "files_failed": self.files_failed,
            "total_bytes_transferred": self.total_bytes_transferred,
            "errors": list(self.errors_encountered),
            "files_skipped": self.files_skipped,
            "files_relayed": self.files_relayed,
            "requests_sent": self.requests_sent,
            "requests_retried": self.requests_retried,
            "requests_throttled": self.requests_throttled,
            "seconds_throttled": self.seconds_throttled,
            "request_rate_limit": self.request_rate_limit,
            "degradations": dict(self.degradations),
            "proofs": dict(self.proofs),
        }


class MetricsRecorder:
    """Write the metrics of one operation and tell its observers; the only writer there is.

    Args:
        operation_id: Unique identifier of the operation.
        observers: Who is told; a failing one is logged once and heard no more.
        max_errors_kept: Failures kept, in order of time.
        now: The clock; timezone-aware UTC.
    """

    def __init__(
        self,
        operation_id: str,
        *,
        observers: tuple[Observer, ...] = (),
        max_errors_kept: int = 100,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._operation_id = operation_id
        self._observers = list(observers)
        self._max_errors_kept = max_errors_kept
        self._now = now
        self._start_time = now()
        self._end_time: datetime | None = None
        self._degradations, self._proofs = Counter[str](), Counter[str]()
        self._notices: set[str] = set()
        self.failures: list[Failed] = []
        self._errors: list[str] = []
        # Plain numbers: some of them are written for every request.
        self._found = self._copied = self._failed = self._skipped = self._relayed = 0
        self._bytes = self._sent = self._retried = self._throttled = 0
        self._seconds_throttled = 0.0
        self._rate_limit: float | None = None
        self._earlier = EarlierRun(operation_id=operation_id, start_time=self._start_time)

    def start(self) -> None:
        """Begin the operation's time."""
        self._start_time = self._now()

    def go_on_from(self, earlier: EarlierRun) -> None:
        """Count on from what earlier runs of the operation did; before anything is counted."""
        self._earlier = earlier
        self._operation_id = earlier.operation_id
        # A clock set back meanwhile must not make the operation end before it began.
        self._start_time = min(earlier.start_time, self._start_time)
        self._degradations.update(earlier.degradations)
        self._tell("resumed", self.snapshot())

    def forget_earlier(self) -> None:
        """Take back the objects of earlier runs: all of them are copied again."""
        self._earlier = self._earlier.without_objects()

    def earlier(self) -> EarlierRun:
        """Return what this run and those before it did, for the one that goes on from here."""
        now = self.snapshot()
        counts = {name: getattr(now, name) for name in EarlierRun.COUNTS}
        degradations = {k: n for k, n in now.degradations.items() if k != _NOT_ATTEMPTED}
        return EarlierRun(
            operation_id=now.operation_id,
            start_time=now.start_time,
            **counts | {"degradations": degradations},
        )

    def snapshot(self) -> TransferMetrics:
        """Return the counts as they are now, those of earlier runs included."""
        earlier = self._earlier
        copied, skipped = earlier.files_copied_successfully, earlier.files_skipped
        return TransferMetrics(
            operation_id=self._operation_id,
            start_time=self._start_time,
            end_time=self._end_time,
            errors_encountered=list(self._errors),
            degradations=dict(self._degradations),
            proofs={str(p): n for p, n in (self._proofs + Counter(earlier.proofs)).items()},
            total_files_found=self._found + copied + skipped,
            files_copied_successfully=self._copied + copied,
            files_failed=self._failed,
            files_skipped=self._skipped + skipped,
            files_relayed=self._relayed + earlier.files_relayed,
            total_bytes_transferred=self._bytes + earlier.total_bytes_transferred,
            requests_sent=self._sent + earlier.requests_sent,
            requests_retried=self._retried + earlier.requests_retried,
            requests_throttled=self._throttled + earlier.requests_throttled,
            seconds_throttled=self._seconds_throttled + earlier.seconds_throttled,
            request_rate_limit=self._rate_limit,
        )

    def end(self) -> None:
        """Fix the end time, once; objects found but not finished no longer count as found.

        After a cancellation, a fatal error or ``fail_fast`` some listed objects were never tried.
        They are neither copied nor failed nor skipped, so they leave the total and are counted
        under ``degradations["not_attempted"]``.
        """
        if self._end_time is not None:
            return
        self._end_time = max(self._now(), self._start_time + timedelta(microseconds=1))
        done = self._copied + self._failed + self._skipped
        untried = self._found - done
        if untried:
            self._degradations[_NOT_ATTEMPTED] = untried
            self._found = done

    def listed(self, count: int, size_bytes: int) -> None:
        """Count objects found."""
        self._found += count
        if self._observers:
            self._tell("objects_listed", count, size_bytes)

    def listing_completed(self) -> None:
        """Tell that the totals are final."""
        self._tell("listing_completed")

    def bytes_copied(self, size_bytes: int) -> None:
        """Tell of bytes written, per object or part."""
        if self._observers:
            self._tell("bytes_copied", size_bytes)

    def finished(self, outcome: Outcome) -> None:
        """Count how one object ended."""
        match outcome:
            case Copied():
                self._copied += 1
                self._bytes += outcome.source.size
                self._relayed += outcome.method is CopyMethod.RELAY
                self._proofs[outcome.proof] += 1
            case Skipped():
                self._skipped += 1
            case Failed():
                self._failed += 1
                self._keep(outcome)
        if self._observers:
            self._tell("object_finished", outcome)

    def failed(self, message: str) -> None:
        """Keep an error that concerns the whole run, however many objects failed before."""
        self._errors.append(message)

    def request(self, *, retry: bool) -> None:
        """Count one request sent."""
        self._sent += 1
        if retry:
            self._retried += 1

    def unseen_request(self, repeats: bool) -> None:
        """Count one request that did not pass the governor."""
        self.request(retry=repeats)

    def throttled(self) -> None:
        """Count one SlowDown."""
        self._throttled += 1

    def held_back(self, seconds: float, rate_per_s: float | None) -> None:
        """Count time in which requests waited for their turn.

        Args:
            seconds: Since the last call, or since nothing was held back.
            rate_per_s: The limit they were held to; ``None`` when it was forgotten meanwhile.
        """
        self._seconds_throttled += seconds
        if rate_per_s is not None:
            self._rate_limit = rate_per_s
            self.notice("throttled", _THROTTLED)

    def degraded(self, kind: str, explanation: str) -> None:
        """Count something that could not be done as asked; warn at its first time."""
        self._degradations[kind] += 1
        if self._degradations[kind] == 1:
            self.notice(kind, explanation, level=logging.WARNING)

    def notice(self, event: str, text: str, *, level: int = logging.INFO) -> None:
        """Say something once per operation, to the log and the observers."""
        if event in self._notices:
            return
        self._notices.add(event)
        logger.log(level, "%s: %s", event, text, extra={"operation_id": self._operation_id})
        self._tell("notice", text)

    def state_changed(self, state: OperationState) -> None:
        """Tell of a state transition."""
        self._tell("state_changed", state)

    def _keep(self, failure: Failed) -> None:
        if len(self.failures) < self._max_errors_kept:
            self.failures.append(failure)
            self._errors.append(str(failure))

    def _tell(self, hook: str, *args: object) -> None:
        for observer in tuple(self._observers):
            try:
                getattr(observer, hook)(*args)
            except Exception:
                logger.exception("observer.failed", extra={"operation_id": self._operation_id})
                self._observers.remove(observer)
                self._degradations["observers_failed"] += 1
