"""``python -m benchmarks run | report | list``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table as RichTable

from benchmarks import contenders, plan, report, runs, scenarios, views
from benchmarks.places import RESULTS
from benchmarks.plan import Request, Turn
from benchmarks.runner import Runner
from benchmarks.runs import Run
from benchmarks.scenario import Scenario

_FILE_WIDTH: Final = 150


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    top = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run scenarios and write one JSON line per run")
    run.add_argument("--scenario", nargs="+", default=[], choices=sorted(scenarios.BY_NAME))
    run.add_argument("--contender", nargs="+", default=[], choices=sorted(contenders.BY_NAME))
    run.add_argument("--quick", action="store_true", help="the short set, within ten minutes")
    run.add_argument("--repeat", type=_positive, help="rounds, instead of the scenario's own")
    run.add_argument("--objects", type=_positive, help="objects, instead of the scenario's own")
    run.add_argument("--output", type=Path, help="file to append to; without it nothing is kept")
    tell = commands.add_parser("report", help="write tables and plots from the raw data")
    tell.add_argument("raw", type=Path, nargs="+")
    tell.add_argument("--output", type=Path, default=RESULTS, help="folder; default: %(default)s")
    commands.add_parser("list", help="list scenarios and contenders")
    return top


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not at least 1")
    return value


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; return the exit status."""
    given = parser().parse_args(arguments)
    # A file has no width; a table is not cut for one.
    console = Console(width=None if sys.stdout.isatty() else _FILE_WIDTH)
    if given.command == "list":
        _list(console)
        return 0
    if given.command == "report":
        console.print(f"written: {report.write(runs.read(given.raw), given.output)}")
        return 0
    request = Request(
        scenarios=given.scenario,
        contenders=given.contender,
        quick=given.quick,
        repeats=given.repeat,
        objects=given.objects,
    )
    return _run(console, request, given.output)


def _list(console: Console) -> None:
    for title, rows in (
        ("scenarios", [(each.name, each.title) for each in scenarios.SCENARIOS]),
        (
            "contenders",
            [(each.name, each.why_missing() or each.about) for each in contenders.CONTENDERS],
        ),
    ):
        table = RichTable("name", "", title=title, title_justify="left")
        for row in rows:
            table.add_row(*row)
        console.print(table)


def _run(console: Console, request: Request, output: Path | None) -> int:
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)
    failed = 0
    with console.status("") as status:

        def starting(turn: Turn) -> None:
            what = f"{turn.objects:,} objects" if turn.objects > 1 else "one object"
            where = f"{turn.scenario.name}, round {turn.round + 1}"
            status.update(f"{where}: {turn.contender.name}, {what}")

        runner = Runner(request=request, starting=starting)
        for scenario in plan.chosen(request):
            done: list[Run] = []
            for run in runner.run(scenario):
                done.append(run)
                failed += run.status == "failed"
                if output is not None:
                    with output.open("a") as file:
                        file.write(run.to_json() + "\n")
            _show(console, scenario, done)
    return 1 if failed else 0


def _show(console: Console, scenario: Scenario, done: Sequence[Run]) -> None:
    found = views.table(scenario, done)
    table = RichTable(title=f"{scenario.title} ({scenario.name})", title_justify="left")
    for position, heading in enumerate(found.head):
        table.add_column(heading, justify="left" if position == 0 else "right")
    for row in found.rows:
        table.add_row(*row)
    console.print(table)
    for note in found.notes:
        console.print(f"  {note}", markup=False)


if __name__ == "__main__":
    sys.exit(main())
