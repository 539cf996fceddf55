"""What a person sees while a copy runs: a bar on a terminal, plain lines elsewhere, or nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import IO, TYPE_CHECKING, Final, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from async_s3copy.cli.progress import Progress, counts_text, time_left_text
from async_s3copy.cli.text import count_text, printable
from async_s3copy.errors import S3Error
from async_s3copy.model import Failed, OperationState, Outcome

if TYPE_CHECKING:
    from async_s3copy.metrics import TransferMetrics

PLAIN_INTERVAL_S: Final = 10.0
TICK_INTERVAL_S: Final = 0.2

_STYLES: Final = {"error": "bold red", "failed": "red", "note": "yellow"}


class View(Progress):
    """Print what happens as plain lines on stderr, and no progress: the base of the other views.

    Args:
        title: What is being copied, in a few words.
        clock: Monotonic seconds.
        stream: Where lines go; ``None`` is stderr.
    """

    def __init__(
        self,
        title: str = "",
        clock: Callable[[], float] = time.monotonic,
        stream: IO[str] | None = None,
    ) -> None:
        super().__init__(clock)
        self.title = printable(title)
        self._stream = stream

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave the terminal as it was found; may be called twice."""

    def resumed(self, metrics: TransferMetrics) -> None:
        """Say that the copy goes on, and from where."""
        super().resumed(metrics)
        self.say("going on", f"{count_text(self.done)} done by an earlier run")

    def object_finished(self, outcome: Outcome) -> None:
        """Print a failed object as it happens."""
        super().object_finished(outcome)
        if isinstance(outcome, Failed):
            self.say("failed", failure_text(outcome))

    def notice(self, text: str) -> None:
        """Print what a user should know."""
        self.say("note", text)

    def tick(self) -> None:
        """Redraw; called every ``TICK_INTERVAL_S`` while the copy runs."""

    def say(self, label: str, text: str) -> None:
        """Print one line, ``label: text``, at once."""
        print(f"{label}: {printable(text)}", file=self._stream or sys.stderr, flush=True)


class QuietView(View):
    """Stay silent, whatever happens to the objects."""

    def resumed(self, metrics: TransferMetrics) -> None:
        """Count what earlier runs did."""
        Progress.resumed(self, metrics)

    def object_finished(self, outcome: Outcome) -> None:
        """Count the object."""
        Progress.object_finished(self, outcome)

    def notice(self, text: str) -> None:
        """Keep it to itself."""


class PlainView(View):
    """Print the progress as a plain line every ``PLAIN_INTERVAL_S``: for logs and pipes."""

    _last_line_s = 0.0

    def state_changed(self, state: OperationState) -> None:
        """Announce the copy when it begins."""
        super().state_changed(state)
        if state is OperationState.COPYING:
            self._last_line_s = self.clock()
            self.say("copying", self.title)

    def tick(self) -> None:
        """Print the progress if the last line is old enough."""
        self.sample()
        if (
            self.state is OperationState.COPYING
            and self.clock() - self._last_line_s >= PLAIN_INTERVAL_S
        ):
            self._last_line_s = self.clock()
            self.say("progress", f"{counts_text(self)}, {time_left_text(self)}")


class TerminalView(View):
    """Draw a progress bar under the lines that scroll by.

    Args:
        title: What is being copied.
        console: The terminal.
        clock: Monotonic seconds.
    """

    def __init__(
        self, title: str, console: Console, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(title, clock)
        self._console = console
        self._live = Live(
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            get_renderable=self.render,
        )

    def __enter__(self) -> Self:
        self._live.start(refresh=True)
        return self

    def close(self) -> None:
        """Remove the bar and show the cursor again."""
        self._live.stop()

    def render(self) -> Group:
        """Return the title, the bar (pulsing until the listing is complete) and the counts."""
        checking = self.state in (OperationState.INITIALIZED, OperationState.VALIDATING)
        counts = "checking both sides..." if checking else counts_text(self)
        return Group(_line(self.title, "bold"), self._bar(), _line(counts, "cyan"))

    def _bar(self) -> Table:
        fraction = self.fraction
        bar = ProgressBar(
            total=1.0,
            completed=fraction or 0.0,
            pulse=fraction is None,
            animation_time=self.clock(),
        )
        row = Table.grid(expand=True, padding=(0, 1))
        row.add_column(ratio=1)
        row.add_column(justify="right", no_wrap=True)
        # Rounded down: 100% means done.
        percent = "" if fraction is None else f"{int(100 * fraction)}%  "
        row.add_row(bar, Text(percent + time_left_text(self)))
        return row

    def tick(self) -> None:
        """Redraw the bar."""
        self.sample()
        self._live.refresh()

    def say(self, label: str, text: str) -> None:
        """Print one line above the bar."""
        print_line(self._console, label, text)


def make_view(title: str, *, quiet: bool = False, console: Console | None = None) -> View:
    """Return the view that suits where stderr goes.

    Args:
        title: What is being copied.
        quiet: Show nothing.
        console: The terminal to draw on; ``None`` asks stderr.
    """
    if quiet:
        return QuietView(title)
    console = console or stderr_console()
    if console.is_terminal and not console.is_dumb_terminal:
        return TerminalView(title, console)
    return PlainView(title, stream=console.file)


def stderr_console() -> Console:
    """Return a console on stderr that is a terminal only if stderr is one.

    Rich itself also believes ``FORCE_COLOR``, which build servers set for pipes: a bar there would
    fill the log with escapes.
    """
    return Console(stderr=True, force_terminal=sys.stderr.isatty(), highlight=False)


def print_line(console: Console, label: str, text: str) -> None:
    """Print ``label: text``; neither markup nor control characters in it have any effect."""
    line = Text.assemble((f"{label}: ", _STYLES.get(label, "bold")), printable(text))
    console.print(line, soft_wrap=True)


def _line(text: str, style: str) -> Text:
    """Return text that stays on one line: a second one would make the bar jump."""
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")


def failure_text(failure: Failed) -> str:
    """Name a failed object by key and code, then say what S3 said."""
    error = failure.error
    message = error.message if isinstance(error, S3Error) else str(error)
    return f"{failure.source.key}: {failure.code}: {message}"
