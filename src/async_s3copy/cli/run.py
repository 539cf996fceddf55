"""Run one operation for the command line: view, ticker, signals, summary, exit code."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, NoReturn

import anyio

from async_s3copy.cli.summary import (
    failed_text,
    interrupted_text,
    may_be_open_text,
    summary_lines,
)
from async_s3copy.cli.views import TICK_INTERVAL_S, View, print_line, stderr_console
from async_s3copy.errors import CopyCancelledError, CopyFailedError, S3CopyError
from async_s3copy.model import OperationState, S3Location

if TYPE_CHECKING:
    from async_s3copy.cli.checkpoint_file import CheckpointFile
    from async_s3copy.metrics import TransferMetrics
    from async_s3copy.operation import S3CopyOperation

EXIT_OK: Final = 0
EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_SIGNAL: Final = 128
"""A shell reports a process that a signal ended as 128 + the signal's number."""

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


async def run_operation(operation: S3CopyOperation, view: View) -> TransferMetrics:
    """Run an operation while its view is redrawn.

    Raises:
        S3CopyError: Whatever ``operation.run()`` raises, unwrapped.
    """
    result: TransferMetrics | Exception
    with view:
        async with anyio.create_task_group() as group:
            group.start_soon(_tick, view)
            try:
                result = await operation.run()
            except Exception as error:
                # Raised below, outside: a task group would wrap it in an ExceptionGroup.
                result = error
            group.cancel_scope.cancel()
    if isinstance(result, Exception):
        raise result
    return result


async def _tick(view: View) -> None:
    # A closed stderr ends the progress, not the copy.
    with suppress(OSError):
        while True:
            view.tick()
            await anyio.sleep(TICK_INTERVAL_S)


async def execute(
    operation: S3CopyOperation,
    view: View,
    *,
    as_json: bool,
    quiet: bool,
    checkpoint: CheckpointFile | None = None,
) -> int:
    """Run an operation to its end and say what was done.

    Args:
        operation: The operation.
        view: Shows its progress.
        as_json: Whether the metrics go to stdout.
        quiet: Whether to say nothing but an error.
        checkpoint: Where the operation keeps its checkpoint; removed when everything is copied.

    Returns:
        The exit code.
    """
    hint = checkpoint.hint if checkpoint is not None else str
    stop = _Stop(operation, view, hint, as_json=as_json)
    try:
        with _handled_signals(stop):
            await run_operation(operation, view)
    except CopyCancelledError as error:
        _conclude(error.metrics, as_json=as_json, quiet=quiet)
        print_error(interrupted_text(error.metrics) + hint())
        return EXIT_SIGNAL + (stop.received or signal.SIGINT)
    except CopyFailedError as error:
        _conclude(error.metrics, as_json=as_json, quiet=quiet)
        print_error(failed_text(error, quiet=quiet) + hint())
        return EXIT_FAILED
    except (S3CopyError, OSError) as error:
        return _broken_off(operation, error, hint, as_json=as_json, quiet=quiet)
    if checkpoint is not None:
        checkpoint.remove()
    _conclude(operation.metrics, as_json=as_json, quiet=quiet)
    return EXIT_OK


def _broken_off(
    operation: S3CopyOperation,
    error: Exception,
    hint: Callable[[], str],
    *,
    as_json: bool,
    quiet: bool,
) -> int:
    """Report an error of the whole run; only before the copying began it is one of usage."""
    started = operation.state not in (
        OperationState.INITIALIZED,
        OperationState.VALIDATING,
        OperationState.VALIDATION_FAILED,
    )
    if started:
        _conclude(operation.metrics, as_json=as_json, quiet=quiet)
    print_error(str(error) + (hint() if started else ""))
    return EXIT_FAILED if started else EXIT_USAGE


class _Stop:
    """The first signal cancels the operation; the second ends the process at once."""

    def __init__(
        self, operation: S3CopyOperation, view: View, hint: Callable[[], str], *, as_json: bool
    ) -> None:
        self._operation = operation
        self._view = view
        self._hint = hint
        self._as_json = as_json
        self.received: signal.Signals | None = None

    def __call__(self, received: signal.Signals) -> None:
        if self.received is not None:
            self._stop_at_once(received)
        self.received = received
        with suppress(OSError):
            self._view.say(
                "Interrupted", "aborting open uploads ... (a second signal stops at once)"
            )
        self._operation.cancel()

    def _stop_at_once(self, received: signal.Signals) -> NoReturn:
        with suppress(OSError):
            self._view.close()
            print_error(f"stopped at once{may_be_open_text(self._open_uploads())}{self._hint()}")
            if self._as_json:
                print_json(self._operation.metrics)
            sys.stderr.flush()
        # Not sys.exit: the clean-up that is under way would be waited for.
        os._exit(EXIT_SIGNAL + received)

    def _open_uploads(self) -> Sequence[tuple[str, str | None]]:
        bucket = self._operation.destination_bucket
        uploads = self._operation.checkpoint().get("uploads", ())
        return [(str(S3Location(bucket, key)), upload_id) for key, upload_id in uploads]


@contextmanager
def _handled_signals(handler: Callable[[signal.Signals], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    installed: list[signal.Signals] = []
    # Windows has no signal handlers on the loop; Ctrl-C cancels the task there.
    with suppress(NotImplementedError):
        for number in _SIGNALS:
            loop.add_signal_handler(number, handler, number)
            installed.append(number)
    try:
        yield
    finally:
        for number in installed:
            loop.remove_signal_handler(number)


def _conclude(metrics: TransferMetrics, *, as_json: bool, quiet: bool) -> None:
    if as_json:
        print_json(metrics)
    if not quiet:
        for line in summary_lines(metrics):
            print(line, file=sys.stderr, flush=True)


def print_json(metrics: TransferMetrics) -> None:
    """Print the metrics as the one JSON document on stdout.

    Pure ASCII: whatever an error message holds, no byte of it can drive a terminal.
    """
    print(json.dumps(metrics.to_dict(), indent=2), flush=True)


def print_error(text: str) -> None:
    """Print ``error: text`` on stderr, on one line whatever the text holds."""
    with suppress(OSError):
        print_line(stderr_console(), "error", text)
