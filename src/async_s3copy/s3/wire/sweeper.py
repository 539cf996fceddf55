"""Sweeper: one timer for many connections, running only while there is something to watch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """What ``loop.call_later`` returns."""

    def cancel(self) -> None:
        """Do not call."""


CallLater = Callable[[float, Callable[[], None]], Timer]


class Sweeper:
    """Call a function at intervals for as long as it asks for it.

    Args:
        interval_s: Seconds between calls.
        sweep: Returns whether it should be called again.
        call_later: Calls a function after so many seconds.
    """

    __slots__ = ("_call_later", "_interval_s", "_sweep", "_timer")

    def __init__(self, interval_s: float, sweep: Callable[[], bool], call_later: CallLater) -> None:
        self._interval_s = interval_s
        self._sweep = sweep
        self._call_later = call_later
        self._timer: Timer | None = None

    def start(self) -> None:
        """Begin, if it is not running."""
        if self._timer is None:
            self._timer = self._call_later(self._interval_s, self._fire)

    def stop(self) -> None:
        """Call no more, until started again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fire(self) -> None:
        self._timer = None
        if self._sweep():
            self.start()
