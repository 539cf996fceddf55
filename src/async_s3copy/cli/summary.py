"""What a finished run did, in sentences. No output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from async_s3copy.cli.text import count_text, duration_text, size_text
from async_s3copy.model import Proof

if TYPE_CHECKING:
    from async_s3copy.errors import CopyFailedError
    from async_s3copy.metrics import TransferMetrics


_MOST_NAMED: Final = 5
"""Uploads named in one line."""


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
    if metrics.proofs:
        lines.append(_proofs_text(metrics))
    if metrics.files_skipped:
        lines.append(f"Skipped {count_text(metrics.files_skipped)}: left as they are.")
    return lines


def interrupted_text(metrics: TransferMetrics) -> str:
    """Say how far an interrupted run came."""
    copied = count_text(metrics.files_copied_successfully)
    return f"interrupted; {copied} copied{_untried_text(metrics)}"


def may_be_open_text(uploads: Sequence[tuple[str, str | None]]) -> str:
    """Name the multipart uploads that a run cut off may have left: where, and the id if known."""
    if not uploads:
        return "; no upload was open"
    named = [f"{where} ({upload_id or 'id unknown'})" for where, upload_id in uploads[:_MOST_NAMED]]
    more = len(uploads) - len(named)
    listed = ", ".join(named) + (f" and {more:,} more" if more else "")
    return f"; left open, perhaps: {listed}"


def failed_text(error: CopyFailedError, *, quiet: bool) -> str:
    """Say how many objects failed; with ``quiet`` also name the first, which nobody has seen."""
    text = f"{error.reason}{_untried_text(error.metrics)}"
    return f"{text}; the first: {error.failures[0]}" if quiet and error.failures else text


def _proofs_text(metrics: TransferMetrics) -> str:
    names = {Proof.CHECKSUM: "checksum", Proof.ETAG: "ETag", Proof.SIZE: "size"}
    proven = [
        f"{name} {metrics.proofs[proof]:,}"
        for proof, name in names.items()
        if metrics.proofs.get(proof)
    ]
    unproven = metrics.proofs.get(Proof.NONE, 0)
    sentences = [f"Proven by: {', '.join(proven)}."] if proven else []
    return " ".join([*sentences, *([f"Not compared: {unproven:,}."] if unproven else [])])


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
