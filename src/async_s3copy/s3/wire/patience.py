"""Patience: how long an answer may take, counted in ticks of one timer for many connections."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

_TICKS_PER_TIMEOUT: Final = 8
_SHORTEST_TICK_S: Final = 0.05
_LONGEST_TICK_S: Final = 1.0

TIMEOUTS_PER_ANSWER: Final = 20
"""Read timeouts that an answer may take from its first byte to its last.

S3 keeps CopyObject and CompleteMultipartUpload alive with whitespace for many minutes; an answer
that drips for longer than this, 40 minutes by default, will not end.
"""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for bytes, and for their end.

    A timer per request would cost more than the request's parsing. One timer per pool counts ticks
    on every busy connection instead, and a byte sets the count back. As a side effect time that the
    event loop was blocked is not mistaken for the server's silence.

    Attributes:
        read_timeout_s: Silence, in seconds, that ends an exchange.
        tick_s: Seconds between ticks.
        silent_ticks: Ticks without a byte that end an exchange: at least ``read_timeout_s``, and
            less than two ticks more.
        total_ticks: Ticks that end an exchange however many bytes drip in.
    """

    read_timeout_s: float
    tick_s: float
    silent_ticks: int
    total_ticks: int


def patience(read_timeout_s: float) -> Patience:
    """Return the patience that a read timeout, in seconds, asks for."""
    tick_s = min(max(read_timeout_s / _TICKS_PER_TIMEOUT, _SHORTEST_TICK_S), _LONGEST_TICK_S)
    # The first tick comes at once, or nearly so: it may have been due when the exchange began.
    silent_ticks = math.ceil(read_timeout_s / tick_s) + 1
    return Patience(read_timeout_s, tick_s, silent_ticks, silent_ticks * TIMEOUTS_PER_ANSWER)
