"""Which columns a scenario's table has, and its rows as text. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks import measures
from benchmarks.contenders import REFERENCE
from benchmarks.measures import MEASURES, Interval, Measure, Trial, Trials
from benchmarks.runs import Run
from benchmarks.scenario import Scenario

_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "cpu_us_per_object": (
        "objects",
        "objects_per_s",
        "cpu_us_per_object",
        "cpu_us_per_object_all",
        "max_rss_mib",
        "requests_per_object",
    ),
    "cpu_share": ("objects", "objects_per_s", "cpu_share", "cpu_us_per_object", "max_rss_mib"),
    "keys_per_cpu_s": ("keys_per_cpu_s", "max_rss_mib"),
    "mb_per_cpu_s": ("objects", "wall_s", "mb_per_s", "mb_per_cpu_s", "cpu_s", "max_rss_mib"),
    "max_rss_mib": ("objects", "max_rss_mib", "objects_per_s", "cpu_us_per_object_all"),
    "late_max_ms": (
        "objects",
        "objects_per_s",
        "starting_late_ms",
        "late_p50_ms",
        "late_p99_ms",
        "late_p99_9_ms",
        "late_max_ms",
    ),
    "whole_late_p99_9_ms": (
        "objects",
        "starting_late_ms",
        "late_p50_ms",
        "late_p99_9_ms",
        "late_max_ms",
        "whole_late_p99_9_ms",
        "blocked_warnings",
        "starting_turn_ms",
        "turn_p99_9_ms",
        "turn_max_ms",
    ),
    "wall_s": ("wall_s", "cpu_s", "max_rss_mib"),
}
# Beyond this share of its CPU, the server is measured rather than the contender.
_BUSY: Final = 0.9
_LISTING: Final = ("objects", "wall_s", "listing_s", "keys_per_s", "cpu_s", "pages", "max_rss_mib")
_MULTIPART: Final = ("objects", "wall_s", "parts", "over_ideal", "cpu_s", "max_rss_mib")
_THROTTLED: Final = ("objects", "wall_s", "utilisation", "refused_share", "recovered", "cpu_s")


@dataclass(frozen=True, slots=True)
class Table:
    """One scenario's results, as text.

    Attributes:
        head: Column headings.
        rows: Cells, a row per contender, in the order of the scenario.
        notes: A sentence for each contender whose figures are not there.
    """

    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    notes: Sequence[str]


def columns(scenario: Scenario) -> tuple[str, ...]:
    """Return the names of the measures that a scenario's table shows."""
    if scenario.action == "list":
        return _LISTING
    if scenario.changes:
        return _THROTTLED
    if scenario.server and scenario.server.part_latency_ms:
        return _MULTIPART
    return _COLUMNS[scenario.measure]


def table(scenario: Scenario, runs: Sequence[Run]) -> Table:
    """Return the table of a scenario from all runs there are."""
    own = [run for run in runs if run.scenario == scenario.name]
    trials = measures.trials(own)
    shown = [name for name in columns(scenario) if _told(trials, scenario, name)]
    compared = MEASURES[scenario.measure]
    head = ("contender", *(MEASURES[name].title for name in shown))
    rows = [
        (
            contender,
            *(_cell(MEASURES[name], trials[scenario.name, contender]) for name in shown),
            _ratio(compared, trials, scenario, contender),
        )
        for contender in scenario.contenders
        if (scenario.name, contender) in trials
    ]
    return Table((*head, f"{compared.title}: × ours"), rows, notes(own))


def notes(runs: Sequence[Run]) -> list[str]:
    """Return why contenders are missing from a table or must be doubted, each once."""
    found = {f"{run.contender}: {run.status}, {run.reason}": None for run in runs if run.reason}
    for run in runs:
        if run.figures.get("server_cpu_share", 0.0) > _BUSY:
            found[f"{run.contender}: the server's CPU was busy, and may have been the limit"] = None
    return list(found)


def _told(trials: Trials, scenario: Scenario, name: str) -> bool:
    every = (each for (where, _), some in trials.items() if where == scenario.name for each in some)
    return any(MEASURES[name].of(each) is not None for each in every)


def _cell(measure: Measure, some: Sequence[Trial]) -> str:
    found = measures.summary(measure, some)
    return number(found.value, measure.digits) if found else "-"


def _ratio(measure: Measure, trials: Trials, scenario: Scenario, contender: str) -> str:
    if contender == REFERENCE:
        return "1"
    some = trials[scenario.name, contender]
    found = measures.ratio(measure, some, trials.get((scenario.name, REFERENCE), ()))
    return interval(found) if found else "-"


def number(value: float, digits: int) -> str:
    """Return a number with thin groups of three digits."""
    return f"{value:,.{digits}f}"


def interval(found: Interval) -> str:
    """Return a median ratio, and the smallest and largest where there is more than one."""
    digits = 1 if found.value >= 10 else 2
    text = number(found.value, digits)
    if found.count == 1:
        return text
    return f"{text} [{number(found.low, digits)}, {number(found.high, digits)}]"
