"""The report: Markdown tables, the figures to reach, and the plots beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks import measures, views
from benchmarks.contenders import CONTENDERS
from benchmarks.runs import Run
from benchmarks.scenario import Scenario
from benchmarks.scenarios import SCENARIOS
from benchmarks.targets import TARGETS

_INTRODUCTION: Final = """\
Medians over rounds in which the contenders take turns. A ratio is taken inside each round and told
as its median, with the smallest and the largest in brackets. CPU time and memory are the operating
system's account of the finished process. Objects per second and CPU per object leave out what a run
with a single object costs, where such a run was made; the column "with start-up" leaves nothing
out. Every destination was compared with its source before a figure counted.
"""
_SHORT: Final = """\
**The short set**: fewer objects and rounds than the figures to reach are about. It shows that
everything works, and roughly where things stand.
"""


def markdown(runs: Sequence[Run], plots: Mapping[str, str]) -> str:
    """Return the whole report.

    Args:
        runs: All runs.
        plots: File names of plots, by the name of the scenario they belong to.
    """
    present = {run.scenario for run in runs}
    sections = [_section(each, runs, plots) for each in SCENARIOS if each.name in present]
    short = [_SHORT.rstrip()] if any(run.quick for run in runs) else []
    introduction = [_machine(runs), *short, _INTRODUCTION.rstrip()]
    parts = ["# Results", *introduction, targets(runs), *sections]
    return "\n\n".join([*parts, _about_contenders(runs)]) + "\n"


def targets(runs: Sequence[Run]) -> str:
    """Return the table of the figures to reach."""
    trials = measures.trials(runs)
    rows = []
    for target in TARGETS:
        found = target.find(trials)
        measured, met = (found.text, "yes" if found.met else "no") if found else ("missing", "-")
        rows.append((target.what, target.reach, measured, met))
    return "## Figures to reach\n\n" + grid(("what", "reach", "measured", "met"), rows)


def grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; columns after the first are numbers and stand to the right."""
    lines = [head, ["---", *("---:" for _ in head[1:])], *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def write(runs: Sequence[Run], folder: Path) -> Path:
    """Write the report and its plots into a folder; return the report's file."""
    # matplotlib lives in the environment of the benchmarks only.
    from benchmarks import charts

    folder.mkdir(parents=True, exist_ok=True)
    plots = charts.draw(runs, folder)
    path = folder / "README.md"
    path.write_text(markdown(runs, plots))
    return path


def _section(scenario: Scenario, runs: Sequence[Run], plots: Mapping[str, str]) -> str:
    table = views.table(scenario, runs)
    parts = [f"## {scenario.title}", f"`{scenario.name}`. {scenario.about}"]
    if table.rows:
        parts.append(grid(table.head, table.rows))
    if table.notes:
        parts.append("\n".join(f"- {note}" for note in table.notes))
    if scenario.name in plots:
        parts.append(f"![{scenario.title}]({plots[scenario.name]})")
    return "\n\n".join(parts)


def _machine(runs: Sequence[Run]) -> str:
    seen: dict[str, None] = {}
    for run in runs:
        where = run.machine
        seen[
            f"{where.get('cpu', 'an unknown CPU')}, {where.get('cores', '?')} cores,"
            f" {where.get('kernel', 'an unknown system')}, Python {where.get('python', '?')},"
            f" revision {where.get('revision', '?')}"
        ] = None
    return "Measured on " + "; ".join(seen) + ". The contender has one CPU, the server another."


def _about_contenders(runs: Sequence[Run]) -> str:
    versions = {run.contender: run.versions for run in runs if run.versions}
    rows = [
        (
            each.name,
            each.about,
            ", ".join(f"{name} {version}" for name, version in versions[each.name].items()),
        )
        for each in CONTENDERS
        if each.name in versions
    ]
    return "## Contenders\n\n" + grid(("contender", "what runs", "versions"), rows)
