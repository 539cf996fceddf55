"""Signals that end a task, held back until the copy has been stopped in good order."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Final

_ENDING: Final = (signal.SIGALRM, signal.SIGINT, signal.SIGTERM)


class HeldSignals:
    """Stop a copy when a signal says that the task must end, and deliver the signal afterwards.

    Airflow ends a task on the worker by signals: SIGALRM after ``execution_timeout``, whose handler
    raises; SIGTERM, whose handler calls ``on_kill``; SIGINT, which kills the process at once. An
    exception raised by a handler amid an event loop appears in whatever callback happens to run:
    asyncio may log it and go on. So within this context a signal only asks the copy to stop, and
    once the copy has ended, its uploads aborted, the handler of before receives it.

    Signals come to the main thread; in any other this does nothing.

    Args:
        stop: Asks the copy to stop. It is called by a signal handler, with every signal.
    """

    def __init__(self, stop: Callable[[], object]) -> None:
        self._stop = stop
        self._handlers: dict[signal.Signals, Any] = {}
        self._received: list[int] = []

    def __enter__(self) -> HeldSignals:
        if threading.current_thread() is threading.main_thread():
            for each in _ENDING:
                # An ignored one stays ignored; None is a handler that only C knows.
                if signal.getsignal(each) not in (signal.SIG_IGN, None):
                    self._handlers[each] = signal.signal(each, self._hold)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for each, handler in self._handlers.items():
            signal.signal(each, handler)
        for number in dict.fromkeys(self._received):
            signal.raise_signal(number)

    def _hold(self, number: int, frame: FrameType | None) -> None:
        self._received.append(number)
        self._stop()
