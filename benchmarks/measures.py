"""What is computed from runs: the measures of a table, and ratios between contenders."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from benchmarks.runs import Run

_MIB: Final = 2**20
_MB: Final = 1e6


@dataclass(frozen=True, slots=True)
class Trial:
    """One round of one contender: the run that counts, and what starting alone cost."""

    run: Run
    baseline: Run | None = None

    def beyond_start(self, of: Callable[[Run], float]) -> tuple[float, int]:
        """Return a cost without what one object costs, and how many objects it is for."""
        if self.baseline is None:
            return of(self.run), self.run.objects
        return of(self.run) - of(self.baseline), self.run.objects - self.baseline.objects

    def per_object(self, of: Callable[[Run], float]) -> float | None:
        """Return the marginal cost of an object."""
        cost, objects = self.beyond_start(of)
        return cost / objects if objects > 0 else None


@dataclass(frozen=True, slots=True)
class Interval:
    """A median, with the smallest and the largest value it comes from."""

    value: float
    low: float
    high: float
    count: int


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure of a trial.

    Attributes:
        title: Column heading, with its unit.
        of: Computes it; ``None`` where the trial does not tell.
        higher_is_better: Which way is up.
        digits: Digits after the point.
    """

    title: str
    of: Callable[[Trial], float | None]
    higher_is_better: bool = False
    digits: int = 0


def _wall(run: Run) -> float:
    return run.wall_s


def _cpu(run: Run) -> float:
    return run.cpu_s


def objects_per_s(trial: Trial) -> float | None:
    """Objects per second, start-up excluded where a baseline tells it."""
    wall_s, objects = trial.beyond_start(_wall)
    return objects / wall_s if wall_s > 0 and objects > 0 else None


def cpu_us_per_object(trial: Trial) -> float | None:
    """CPU time per object, start-up excluded where a baseline tells it."""
    cost = trial.per_object(_cpu)
    return None if cost is None else 1e6 * cost


def cpu_share(trial: Trial) -> float | None:
    """Fraction of one CPU while copying."""
    wall_s, _ = trial.beyond_start(_wall)
    cpu_s, _ = trial.beyond_start(_cpu)
    return cpu_s / wall_s if wall_s > 0 else None


def mb_per_cpu_s(trial: Trial) -> float | None:
    """Megabytes of objects per second of CPU time, start-up included."""
    moved = trial.run.objects * trial.run.size_bytes / _MB
    return moved / trial.run.cpu_s if moved and trial.run.cpu_s > 0 else None


def listing_s(trial: Trial) -> float:
    """Time from a driver's first request; the whole run's for a program, which starts at once."""
    return float(trial.run.figures.get("work_s", trial.run.wall_s))


def requests_per_object(trial: Trial) -> float | None:
    """All requests the server saw, per object."""
    total = sum(trial.run.requests.values())
    return total / trial.run.objects if total else None


def figure(name: str, inner: str | None = None) -> Callable[[Trial], float | None]:
    """Return a measure that reads what was found by name, one level down where asked to."""

    def of(trial: Trial) -> float | None:
        value = trial.run.figures.get(name)
        if inner is not None and isinstance(value, Mapping):
            value = value.get(inner)
        return float(value) if isinstance(value, int | float) else None

    return of


MEASURES: Final[Mapping[str, Measure]] = {
    "objects": Measure("objects", lambda trial: float(trial.run.objects)),
    "wall_s": Measure("wall s", lambda trial: trial.run.wall_s, digits=2),
    "objects_per_s": Measure("objects/s", objects_per_s, higher_is_better=True),
    "cpu_us_per_object": Measure("CPU µs/object", cpu_us_per_object),
    "cpu_us_per_object_all": Measure(
        "with start-up", lambda trial: 1e6 * trial.run.cpu_s / trial.run.objects
    ),
    "cpu_s": Measure("CPU s", lambda trial: trial.run.cpu_s, digits=2),
    "cpu_share": Measure("share of a core", cpu_share, digits=2),
    "max_rss_mib": Measure("peak RSS MiB", lambda trial: trial.run.max_rss_bytes / _MIB, digits=1),
    "requests_per_object": Measure("requests/object", requests_per_object, digits=3),
    "mb_per_cpu_s": Measure("MB per CPU s", mb_per_cpu_s, higher_is_better=True),
    "mb_per_s": Measure(
        "MB/s",
        lambda trial: trial.run.objects * trial.run.size_bytes / _MB / trial.run.wall_s,
        higher_is_better=True,
    ),
    "listing_s": Measure("listing s", listing_s, digits=2),
    "keys_per_s": Measure(
        "keys/s", lambda trial: trial.run.objects / listing_s(trial), higher_is_better=True
    ),
    "keys_per_cpu_s": Measure("keys/s on a core", figure("keys_per_cpu_s"), higher_is_better=True),
    "pages": Measure("pages", figure("pages")),
    "parts": Measure("parts", figure("parts")),
    "over_ideal": Measure("× ideal", figure("over_ideal"), digits=2),
    "refused_share": Measure("refused after 5 s", figure("throttle", "refused_share"), digits=4),
    "utilisation": Measure(
        "used of the limit", figure("throttle", "utilisation"), higher_is_better=True, digits=3
    ),
    "recovered": Measure(
        "used, 5 s after halving",
        figure("throttle", "recovered_utilisation"),
        higher_is_better=True,
        digits=3,
    ),
    "starting_late_ms": Measure("longest at start", figure("starting_late_ms"), digits=1),
    "late_p50_ms": Measure("late ms, median", figure("loop_late_ms", "p50"), digits=1),
    "late_p99_ms": Measure("99 %", figure("loop_late_ms", "p99"), digits=1),
    "late_p99_9_ms": Measure("99.9 %", figure("loop_late_ms", "p99_9"), digits=1),
    "late_max_ms": Measure("longest", figure("loop_late_ms", "max"), digits=1),
    "whole_late_p99_9_ms": Measure(
        "99.9 %, start included", figure("whole_late_ms", "p99_9"), digits=1
    ),
    "starting_turn_ms": Measure(
        "longest turn at start, CPU ms", figure("starting_turn_ms"), digits=1
    ),
    "turn_p99_9_ms": Measure("99.9 %, of CPU time", figure("turn_late_ms", "p99_9"), digits=1),
    "turn_max_ms": Measure("longest turn, CPU ms", figure("turn_late_ms", "max"), digits=1),
    "blocked_warnings": Measure("Airflow's warnings", figure("blocked_warnings")),
}

Trials = Mapping[tuple[str, str], Sequence[Trial]]
"""The trials that count, by scenario and contender, in the order of their rounds."""


def trials(runs: Iterable[Run]) -> Trials:
    """Pair the verified runs of each round with their baselines."""
    baselines: dict[tuple[str, str, int, str], Run] = {}
    counted: list[Run] = []
    for run in runs:
        if run.status != "ok":
            continue
        if run.baseline:
            baselines[_round(run)] = run
        else:
            counted.append(run)
    found: dict[tuple[str, str], list[Trial]] = defaultdict(list)
    for run in counted:
        found[run.scenario, run.contender].append(Trial(run, baselines.get(_round(run))))
    return found


def _round(run: Run) -> tuple[str, str, int, str]:
    return (run.scenario, run.contender, run.round, run.session)


def summary(measure: Measure, some: Sequence[Trial]) -> Interval | None:
    """Return the median of a measure over trials, with its smallest and largest value."""
    values = [value for each in some if (value := measure.of(each)) is not None]
    return interval(values) if values else None


def ratio(measure: Measure, some: Sequence[Trial], others: Sequence[Trial]) -> Interval | None:
    """Return how many times the others' figure this is, from pairs of the same round.

    Contenders take turns, so two runs of one round met the same conditions: the ratio is taken
    inside each round, and its median with the smallest and the largest is what is told.
    """
    theirs = {_pair(each): measure.of(each) for each in others}
    ratios = []
    for each in some:
        mine, other = measure.of(each), theirs.get(_pair(each))
        if mine is not None and other:
            ratios.append(mine / other)
    return interval(ratios) if ratios else None


def _pair(trial: Trial) -> tuple[str, int]:
    return (trial.run.session, trial.run.round)


def interval(values: Sequence[float]) -> Interval:
    """Return median, smallest and largest of at least one value."""
    return Interval(median(values), min(values), max(values), len(values))
