"""What the command line shows while it copies: counts, rates, time left, lines, the bar."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from rich.console import Console

from async_s3copy.cli.progress import Progress, counts_text, time_left_text
from async_s3copy.cli.summary import failed_text, interrupted_text, summary_lines
from async_s3copy.cli.views import PlainView, QuietView, TerminalView, View, make_view
from async_s3copy.errors import AccessDeniedError, CopyFailedError, IntegrityError
from async_s3copy.metrics import MetricsRecorder
from async_s3copy.model import (
    Copied,
    CopyMethod,
    Failed,
    OperationState,
    Outcome,
    S3Location,
    S3Object,
    Skipped,
    SkipReason,
)

MIB = 1024 * 1024
HOSTILE_KEY = "p/\x1b]0;owned\x07\x1b[31m[red]a[/red]\nfailed: b\r\u202egpj.\u009b2J"


class Clock:
    """A clock that moves when told to."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


def an_object(key: str = "p/a", size: int = MIB) -> S3Object:
    return S3Object("source-bucket", key, size, datetime(2026, 1, 1, tzinfo=UTC), "0" * 32)


def copied(size: int = MIB) -> Outcome:
    return Copied(an_object(size=size), S3Location("dest", "q"), "0" * 32, CopyMethod.SERVER_SIDE)


def skipped(size: int = MIB) -> Outcome:
    return Skipped(an_object(size=size), S3Location("dest", "q"), SkipReason.EXISTS)


def failed(key: str = "p/a", size: int = MIB, message: str = "Access Denied") -> Failed:
    error = AccessDeniedError(
        message, code="AccessDenied", status=403, operation="CopyObject", bucket="dest", key=key
    )
    return Failed(an_object(key, size), S3Location("dest", "q"), error)


def finish(progress: Progress, outcome: Outcome) -> None:
    if isinstance(outcome, Copied):
        progress.bytes_copied(outcome.source.size)
    progress.object_finished(outcome)


def test_no_time_left_is_told_before_the_listing_is_complete() -> None:
    clock = Clock()
    progress = Progress(clock)
    progress.objects_listed(10, 10 * MIB)
    clock.now_s += 1
    finish(progress, copied())
    assert (progress.eta_s(), progress.fraction) == (None, None)
    assert time_left_text(progress) == "listing..."
    progress.listing_completed()
    assert progress.eta_s() == pytest.approx(9.0)
    assert progress.fraction == pytest.approx(0.1)
    assert time_left_text(progress) == "ETA 9.0 s"


def test_the_time_left_counts_large_objects_by_their_bytes_and_small_ones_by_number() -> None:
    clock = Clock()
    progress = Progress(clock)
    progress.objects_listed(102, 808 * MIB)
    progress.listing_completed()
    clock.now_s += 1
    for _ in range(100):
        finish(progress, copied(0))
    # Of the two objects left, one takes as long as a hundred empty ones: 100 x 8 MiB.
    assert progress.eta_s() == pytest.approx(103 / 100)
    finish(progress, copied(800 * MIB))
    assert progress.fraction == pytest.approx(201 / 203)


def test_a_huge_object_does_not_hide_behind_many_small_ones() -> None:
    clock = Clock()
    progress = Progress(clock)
    progress.objects_listed(101, 8_000 * MIB)
    progress.listing_completed()
    clock.now_s += 1
    for _ in range(100):
        finish(progress, copied(0))
    assert progress.fraction == pytest.approx(100 / 1101)
    assert progress.eta_s() == pytest.approx(1001 / 100)


def test_the_time_left_is_unknown_while_nothing_moves_and_zero_at_the_end() -> None:
    clock = Clock()
    progress = Progress(clock)
    progress.objects_listed(1, MIB)
    progress.listing_completed()
    clock.now_s += 5
    assert time_left_text(progress) == "ETA unknown"
    finish(progress, copied())
    assert progress.eta_s() == 0.0


def test_the_rate_is_that_of_the_last_seconds_not_of_the_whole_run() -> None:
    clock = Clock()
    progress = Progress(clock)
    progress.objects_listed(1_000, 1_000 * MIB)
    for _ in range(100):
        clock.now_s += 1
        finish(progress, copied())
        progress.sample()
    assert progress.rate().objects_per_s == pytest.approx(1.0)
    for _ in range(100):
        clock.now_s += 1
        progress.sample()
    assert progress.rate().objects_per_s == 0.0
    assert progress.rate().bytes_per_s == 0.0


def test_validation_time_does_not_slow_the_rate() -> None:
    clock = Clock()
    progress = Progress(clock)
    progress.state_changed(OperationState.VALIDATING)
    clock.now_s += 100
    progress.state_changed(OperationState.COPYING)
    progress.objects_listed(10, 10 * MIB)
    clock.now_s += 1
    for _ in range(5):
        finish(progress, copied())
    assert progress.rate().objects_per_s == pytest.approx(5.0)


def test_skipped_and_failed_objects_leave_no_bytes_to_wait_for() -> None:
    progress = Progress(Clock())
    progress.objects_listed(3, 3 * MIB)
    progress.listing_completed()
    for outcome in (copied(), skipped(), failed()):
        finish(progress, outcome)
    assert (progress.copied, progress.skipped, progress.failed) == (1, 1, 1)
    assert (progress.done, progress.done_bytes, progress.fraction) == (3, 3 * MIB, 1.0)
    assert counts_text(progress).endswith(", 1 skipped, 1 failed")


def test_parts_told_twice_never_make_more_than_all() -> None:
    progress = Progress(Clock())
    progress.objects_listed(1, 8 * MIB)
    progress.listing_completed()
    progress.bytes_copied(8 * MIB)
    progress.bytes_copied(8 * MIB)
    assert progress.done_bytes == 8 * MIB
    assert progress.fraction == 0.5  # the object itself is not done


def test_an_empty_prefix_is_complete() -> None:
    progress = Progress(Clock())
    progress.listing_completed()
    assert (progress.fraction, progress.eta_s()) == (1.0, 0.0)


def test_plain_lines_come_at_most_every_ten_seconds() -> None:
    clock, stream = Clock(), io.StringIO()
    view = PlainView("a to b", clock, stream)
    view.tick()
    view.state_changed(OperationState.COPYING)
    view.objects_listed(4, 4 * MIB)
    for _ in range(99):
        clock.now_s += 0.1
        view.tick()
    assert stream.getvalue() == "copying: a to b\n"
    finish(view, copied())
    clock.now_s += 0.2
    view.tick()
    view.tick()
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("progress: 1/4 objects, 1.0 MiB/4.0 MiB, ")
    assert lines[1].endswith(", listing...")


def test_a_failed_object_is_printed_at_once_by_key_and_code() -> None:
    stream = io.StringIO()
    view = PlainView("a to b", Clock(), stream)
    finish(view, failed("p/photo 1.jpg"))
    assert stream.getvalue() == "failed: p/photo 1.jpg: AccessDenied: Access Denied\n"


def test_a_failure_without_s3_code_is_named_by_its_own() -> None:
    stream = io.StringIO()
    failure = Failed(an_object(), S3Location("dest", "q"), IntegrityError("3 bytes differ"))
    PlainView("a to b", Clock(), stream).object_finished(failure)
    assert stream.getvalue() == "failed: p/a: IntegrityMismatch: 3 bytes differ\n"


def test_a_quiet_view_counts_and_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    view = make_view("a to b", quiet=True)
    assert isinstance(view, QuietView)
    with view:
        view.state_changed(OperationState.COPYING)
        view.notice("the bytes are relayed")
        finish(view, failed())
        view.tick()
    assert view.failed == 1
    assert capsys.readouterr() == ("", "")


def terminal(width: int = 80) -> Console:
    return Console(
        file=io.StringIO(), force_terminal=True, width=width, highlight=False, color_system=None
    )


def rendered(view: TerminalView, width: int = 80) -> str:
    console = terminal(width)
    with console.capture() as capture:
        console.print(view.render())
    return capture.get()


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_bar_pulses_while_listing_and_shows_percent_and_eta_after() -> None:
    clock = Clock()
    view = TerminalView("a to b", terminal(), clock)
    assert "checking both sides..." in rendered(view)
    view.state_changed(OperationState.COPYING)
    view.objects_listed(4, 4 * MIB)
    clock.now_s += 1
    finish(view, copied())
    listing = rendered(view)
    assert "listing..." in listing
    assert "%" not in listing
    assert "ETA" not in listing
    view.listing_completed()
    counted = rendered(view)
    assert "25%" in counted
    assert "ETA 3.0 s" in counted
    assert "1/4 objects, 1.0 MiB/4.0 MiB, 1 objects/s, 1.0 MiB/s" in counted


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_the_bar_takes_three_lines_at_every_width(width: int) -> None:
    view = TerminalView("s3://source-bucket/p/ to s3://destination-bucket/q/", terminal(), Clock())
    view.state_changed(OperationState.COPYING)
    view.objects_listed(123_456, 10**15)
    lines = rendered(view, width).splitlines()
    assert len(lines) == 3
    assert all(len(line) <= width for line in lines)


def test_99_9_percent_are_not_100() -> None:
    view = TerminalView("a to b", terminal(), Clock())
    view.state_changed(OperationState.COPYING)
    view.objects_listed(1_000, 0)
    view.listing_completed()
    for _ in range(999):
        finish(view, copied(0))
    assert "99%" in rendered(view)


def test_leaving_the_terminal_view_shows_the_cursor_again() -> None:
    console = terminal()
    with pytest.raises(RuntimeError), TerminalView("a to b", console, Clock()):
        raise RuntimeError
    output = written(console)
    assert output.index("\x1b[?25l") < output.index("\x1b[?25h")


@pytest.mark.parametrize("kind", ["plain", "terminal"])
def test_a_hostile_key_is_one_harmless_line(kind: str) -> None:
    console = terminal(400)
    assert isinstance(console.file, io.StringIO)
    view: View = (
        PlainView("a to b", Clock(), console.file)
        if kind == "plain"
        else TerminalView("a to b", console, Clock())
    )
    finish(view, failed(HOSTILE_KEY, message="no [bold]such[/bold]\x1b[2J thing"))
    output = written(console)
    assert output == (
        "failed: p/\\x1b]0;owned\\x07\\x1b[31m[red]a[/red]\\nfailed: b\\r\\u202egpj.\\x9b2J"
        ": AccessDenied: no [bold]such[/bold]\\x1b[2J thing\n"
    )


def test_a_hostile_title_cannot_drive_the_bar() -> None:
    output = rendered(TerminalView(HOSTILE_KEY, terminal(200), Clock()), 200)
    assert "\x1b" not in output
    assert "[red]a[/red]" in output
    assert len(output.splitlines()) == 3


def test_a_pipe_is_no_terminal_even_where_colour_is_forced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert isinstance(make_view("a to b"), PlainView)


def test_a_dumb_terminal_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(make_view("a to b", console=terminal()), TerminalView)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(make_view("a to b", console=terminal()), PlainView)


def a_recorder(*outcomes: Outcome, untried: int = 0) -> MetricsRecorder:
    moments = iter((datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 0, 0, 2, tzinfo=UTC)))
    recorder = MetricsRecorder("an-id", now=lambda: next(moments))
    recorder.listed(len(outcomes) + untried, 0)
    for outcome in outcomes:
        recorder.request(retry=False)
        recorder.finished(outcome)
    recorder.end()
    return recorder


def test_the_summary_tells_what_was_done_in_sentences() -> None:
    recorder = a_recorder(copied(), copied(), skipped(), failed())
    recorder.request(retry=True)
    assert summary_lines(recorder.snapshot()) == [
        "Copied 2 objects (2.0 MiB) in 2.0 s: 1 objects/s, 1.0 MiB/s, 5 requests (1 retried).",
        "Not compared: 2.",
        "Skipped 1 object: left as they are.",
    ]


def test_the_summary_tells_what_proves_the_objects() -> None:
    proofs = {"none": 1, "size": 3, "etag": 2_500, "checksum": 7}
    metrics = replace(a_recorder(copied()).snapshot(), proofs=proofs)
    assert summary_lines(metrics)[1:] == [
        "Proven by: checksum 7, ETag 2,500, size 3. Not compared: 1.",
    ]
    assert summary_lines(replace(metrics, proofs={"etag": 1}))[1:] == ["Proven by: ETag 1."]


def test_the_summary_says_that_nothing_matched() -> None:
    (line,) = summary_lines(a_recorder().snapshot())
    assert line == "Nothing was copied: no object matched (0 requests)."


def test_a_run_stopped_before_its_first_object_does_not_say_that_nothing_matched() -> None:
    metrics = a_recorder(untried=7).snapshot()
    assert "no object matched" not in "".join(summary_lines(metrics))
    assert interrupted_text(metrics) == "interrupted; 0 objects copied, 7 more found but not copied"


def test_a_quiet_error_names_the_first_failure_nobody_has_seen() -> None:
    recorder = a_recorder(copied(), failed("p/x"), failed("p/y"))
    error = CopyFailedError(
        "2 of 3 objects failed", metrics=recorder.snapshot(), failures=recorder.failures
    )
    assert failed_text(error, quiet=False) == "2 of 3 objects failed"
    quiet = failed_text(error, quiet=True)
    assert "p/x" in quiet
    assert "AccessDenied" in quiet
    assert "p/y" not in quiet


def test_the_metrics_document_is_ascii_whatever_a_key_holds(
    capsys: pytest.CaptureFixture[str],
) -> None:
    from async_s3copy.cli.run import print_json

    print_json(a_recorder(failed(HOSTILE_KEY)).snapshot())
    output = capsys.readouterr().out
    assert output.isascii()
    assert "\x1b" not in output
    assert HOSTILE_KEY in json.loads(output)["errors"][0]
