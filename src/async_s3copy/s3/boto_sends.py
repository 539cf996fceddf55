"""Count the requests that one call of botocore's sends: it may ask in another Region, too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeAlias

Count: TypeAlias = Callable[[bool], object]
"""Counts a request that whoever counts requests does not see; told whether it repeats another."""

_SENT: ContextVar[list[None] | None] = ContextVar("async_s3copy_sent", default=None)


def nobody_counts(repeats: bool) -> None:
    """Count nothing."""


def count_sends(events: Any) -> None:
    """Have a client note each request that it sends.

    Args:
        events: The client's event hooks.
    """

    def note(**_: Any) -> None:
        sent = _SENT.get()
        if sent is not None:
            sent.append(None)

    events.register("before-send.s3", note, unique_id="async-s3copy-sends")


@contextmanager
def counting_more_than_one(count: Count) -> Iterator[None]:
    """Count what a block sends beyond its first request.

    Args:
        count: Is called once for each.
    """
    sent: list[None] = []
    token = _SENT.set(sent)
    try:
        yield
    finally:
        _SENT.reset(token)
        for _ in sent[1:]:
            count(True)
