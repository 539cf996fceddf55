"""The dates in S3's answers. Nothing depends on them, so an unreadable one is no error. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from async_s3copy.s3.heads import EPOCH


def iso_date(text: str) -> datetime:
    """Read an ISO 8601 date, as in XML; ``EPOCH`` where it is none."""
    try:
        return _aware(datetime.fromisoformat(text))
    except ValueError:
        return EPOCH


def http_date(text: str) -> datetime:
    """Read a date as in HTTP's headers; ``EPOCH`` where it is none."""
    try:
        return _aware(parsedate_to_datetime(text))
    except (ValueError, TypeError, IndexError, OverflowError):
        return iso_date(text)


def _aware(date: datetime) -> datetime:
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)
