"""The plots, as SVG that can be read on a light page and on a dark one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks import measures, views
from benchmarks.contenders import REFERENCE
from benchmarks.measures import MEASURES, Interval, Trials
from benchmarks.runs import Run
from benchmarks.scenarios import BY_NAME, KEY_SPACES

# Greys and a blue that keep their contrast on white and on near-black.
_INK: Final = "#7d8590"
_OURS: Final = "#3b82f6"
_THEIRS: Final = "#9aa3ad"
_WARM: Final = "#e0703c"
_STYLE: Final = {
    "svg.fonttype": "none",
    "svg.hashsalt": "async-s3copy",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": _INK,
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": _INK,
    "ytick.color": _INK,
}
_BARS: Final[Mapping[str, str]] = {
    "small-objects": "cpu_us_per_object",
    "small-objects-tls": "cpu_us_per_object",
    "listing-parse": "keys_per_cpu_s",
    "loop-lag": "late_max_ms",
    "real-server-side": "cpu_us_per_object",
    "relay-small": "mb_per_cpu_s",
    "relay-large": "mb_per_cpu_s",
    "import": "wall_s",
    "one-object": "wall_s",
}
_LISTING_HOME: Final = f"listing-parallel-{KEY_SPACES[-1]}"
_MEMORY: Final = ("memory-10000", "memory-100000", "memory-1000000")


def draw(runs: Sequence[Run], folder: Path) -> dict[str, str]:
    """Draw every plot the runs have data for.

    Args:
        runs: All runs.
        folder: Where the files go.

    Returns:
        File names, by the name of the scenario whose section shows the plot.
    """
    trials = measures.trials(runs)
    drawers: dict[str, Callable[[Trials], Figure | None]] = {
        **{name: _bars_of(name, measure) for name, measure in _BARS.items()},
        _LISTING_HOME: _speedups,
        "slow-down": _slow_down,
        _MEMORY[-1]: _memory,
    }
    drawn: dict[str, str] = {}
    with mpl.rc_context(_STYLE):
        for scenario, drawer in drawers.items():
            figure = drawer(trials)
            if figure is not None:
                drawn[scenario] = f"{scenario}.svg"
                _save(figure, folder / drawn[scenario])
    return drawn


def _save(figure: Figure, path: Path) -> None:
    # Without a date and a version, the same data makes the same file.
    figure.savefig(
        path, transparent=True, bbox_inches="tight", metadata={"Date": None, "Creator": None}
    )


def _canvas(width: float, height: float) -> tuple[Figure, Any]:
    figure = Figure(figsize=(width, height))
    return figure, figure.add_subplot()


def _bars_of(scenario: str, name: str) -> Callable[[Trials], Figure | None]:
    def drawer(trials: Trials) -> Figure | None:
        found = {
            contender: value
            for contender in BY_NAME[scenario].contenders
            if (value := measures.summary(MEASURES[name], trials.get((scenario, contender), ())))
        }
        return _bars(found, name) if len(found) > 1 else None

    return drawer


def _bars(found: Mapping[str, Interval], name: str) -> Figure:
    measure = MEASURES[name]
    ordered = sorted(
        found, key=lambda each: found[each].value, reverse=not measure.higher_is_better
    )
    values = [found[each].value for each in ordered]
    reach = [[found[each].value - found[each].low for each in ordered]]
    reach.append([found[each].high - found[each].value for each in ordered])
    figure, axes = _canvas(7, 0.6 + 0.32 * len(ordered))
    colours = [_OURS if each.startswith(REFERENCE) else _THEIRS for each in ordered]
    axes.barh(ordered, values, color=colours, xerr=reach, ecolor=_INK, height=0.62)
    for row, each in enumerate(ordered):
        text = views.number(found[each].value, measure.digits)
        axes.text(found[each].high, row, f"  {text}", va="center", color=_INK)
    axes.set_xlim(0, 1.15 * max(found[each].high for each in ordered))
    better = "more is better" if measure.higher_is_better else "less is better"
    axes.set_xlabel(f"{measure.title} ({better})")
    axes.tick_params(axis="y", length=0)
    return figure


def _speedups(trials: Trials) -> Figure | None:
    found = {}
    for key_space in KEY_SPACES:
        serial, parallel = (
            measures.summary(
                MEASURES["listing_s"], trials.get((f"listing-{kind}-{key_space}", REFERENCE), ())
            )
            for kind in ("serial", "parallel")
        )
        if serial and parallel:
            found[key_space] = serial.value / parallel.value
    if not found:
        return None
    figure, axes = _canvas(7, 0.6 + 0.32 * len(found))
    names = list(reversed(found))
    axes.barh(names, [found[name] for name in names], color=_OURS, height=0.62)
    for row, name in enumerate(names):
        axes.text(found[name], row, f"  {found[name]:.1f}", va="center", color=_INK)
    axes.axvline(15, color=_WARM, linewidth=1)
    axes.set_xlabel("times faster than one lister, by key space (line: the figure to reach)")
    axes.tick_params(axis="y", length=0)
    return figure


def _slow_down(trials: Trials) -> Figure | None:
    some = trials.get(("slow-down", REFERENCE), ())
    if not some or not some[0].run.figures.get("series"):
        return None
    figures = some[0].run.figures
    per_s = [(10 * accepted, 10 * refused) for accepted, refused in figures["series"]]
    times = [index / 10 for index in range(len(per_s))]
    figure, axes = _canvas(7, 3)
    axes.plot(times, [each[0] for each in per_s], color=_OURS, linewidth=1, label="accepted")
    axes.plot(times, [each[1] for each in per_s], color=_WARM, linewidth=1, label="refused")
    starts = [start for start, _ in figures["limits"]]
    axes.step(
        [*starts, times[-1]],
        [*(limit for _, limit in figures["limits"]), figures["limits"][-1][1]],
        where="post",
        color=_INK,
        linewidth=1,
        linestyle="--",
        label="limit",
    )
    axes.set_xlabel("seconds since the first copy")
    axes.set_ylabel("requests per second")
    axes.set_ylim(0)
    axes.legend(frameon=False, loc="upper right", labelcolor=_INK)
    return figure


def _memory(trials: Trials) -> Figure | None:
    lines: dict[str, list[tuple[int, float]]] = {}
    for scenario in _MEMORY:
        for contender in BY_NAME[scenario].contenders:
            some = trials.get((scenario, contender), ())
            found = measures.summary(MEASURES["max_rss_mib"], some)
            if found:
                lines.setdefault(contender, []).append((some[0].run.objects, found.value))
    if not any(len(points) > 1 for points in lines.values()):
        return None
    figure, axes = _canvas(7, 3)
    for contender, points in lines.items():
        colour = _OURS if contender == REFERENCE else _THEIRS
        axes.plot(*zip(*points, strict=True), marker="o", color=colour)
        axes.annotate(f"  {contender}", points[-1], va="center", color=_INK)
    axes.set_xscale("log")
    axes.set_ylim(0)
    axes.margins(x=0.2)
    axes.set_xlabel("objects")
    axes.set_ylabel("peak RSS, MiB")
    return figure
