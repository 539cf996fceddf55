"""What a finished run did, in sentences. No output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from async_s3copy.cli.text import count_text, duration_text, size_text

if TYPE_CHECKING:
    from async_s3copy.errors import CopyFailedError
    from async_s3copy.metrics import TransferMetrics


def summary_lines(metrics: TransferMetrics) -> Sequence[str]:
    """Say in sentences what a run did."""
    if not metrics.total_files_found and not metrics.degradations.get("not_attempted"):
        return [f"Nothing was copied: no object matched ({_requests_text(metrics)})."]
    seconds = metrics.duration_seconds
    copied, size_bytes = metrics.files_copied_successfully, metrics.total_bytes_transferred
    lines = [
        f"Copied {count_text(copied)} ({size_text(size_bytes)}) in {duration_text(seconds)}: "
        f"{copied / seconds:,.0f} objects/s, {size_text(size_bytes / seconds)}/s, "
        f"{_requests_text(metrics)}."
    ]
    if metrics.files_relayed:
        lines.append(f"Relayed through this machine: {count_text(metrics.files_relayed)}.")
    if metrics.files_skipped:
        lines.append(f"Skipped {count_text(metrics.files_skipped)}: left as they are.")
    return lines


def interrupted_text(metrics: TransferMetrics) -> str:
    """Say how far an interrupted run came."""
    copied = count_text(metrics.files_copied_successfully)
    return f"interrupted; {copied} copied{_untried_text(metrics)}"


def failed_text(error: CopyFailedError, *, quiet: bool) -> str:
    """Say how many objects failed; with ``quiet`` also name the first, which nobody has seen."""
    text = f"{error.reason}{_untried_text(error.metrics)}"
    return f"{text}; the first: {error.failures[0]}" if quiet and error.failures else text


def _requests_text(metrics: TransferMetrics) -> str:
    text = count_text(metrics.requests_sent, "request")
    extra = [
        f"{number:,} {what}"
        for number, what in (
            (metrics.requests_retried, "retried"),
            (metrics.requests_throttled, "throttled"),
        )
        if number
    ]
    return f"{text} ({', '.join(extra)})" if extra else text


def _untried_text(metrics: TransferMetrics) -> str:
    untried = metrics.degradations.get("not_attempted", 0)
    return f", {untried:,} more found but not copied" if untried else ""
