"""The figures to reach: what, how much, and how each is computed from the runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks import measures
from benchmarks.contenders import REFERENCE
from benchmarks.measures import MEASURES, Interval, Measure, Trial, Trials
from benchmarks.scenarios import KEY_SPACES, LISTERS

# Listing aside, a copy asks a few questions of both buckets before it starts.
_FEW_REQUESTS: Final = 12


@dataclass(frozen=True, slots=True)
class Found:
    """What the runs say about a target.

    Attributes:
        text: The measured figure, with its interval or what it is about.
        met: Whether the target is reached.
    """

    text: str
    met: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One figure to reach.

    Attributes:
        what: What is measured.
        reach: The target, in words.
        scenarios: The scenarios it is computed from.
        find: Computes it; ``None`` where a run is missing.
    """

    what: str
    reach: str
    scenarios: tuple[str, ...]
    find: Callable[[Trials], Found | None]


def _ours(trials: Trials, scenario: str) -> Sequence[Trial]:
    return trials.get((scenario, REFERENCE), ())


def _told(found: Interval, digits: int, unit: str = "") -> str:
    text = f"{found.value:,.{digits}f}{unit}"
    if found.count == 1:
        return text
    return f"{text} ({found.low:,.{digits}f} to {found.high:,.{digits}f})"


def _at_least(value: Interval | None, floor: float, digits: int, unit: str = "") -> Found | None:
    return Found(_told(value, digits, unit), value.value >= floor) if value else None


def _at_most(value: Interval | None, ceiling: float, digits: int, unit: str = "") -> Found | None:
    return Found(_told(value, digits, unit), value.value <= ceiling) if value else None


def _figure(trials: Trials, scenario: str, name: str) -> Interval | None:
    return measures.summary(MEASURES[name], _ours(trials, scenario))


def times_less(
    scenario: str, peer: str, floor: float, name: str = "cpu_us_per_object"
) -> Callable[[Trials], Found | None]:
    """Ask that a peer's figure be at least so many times ours."""

    def find(trials: Trials) -> Found | None:
        theirs = trials.get((scenario, peer), ())
        ratio = measures.ratio(MEASURES[name], theirs, _ours(trials, scenario))
        return _at_least(ratio, floor, 1, "×")

    return find


def times_more(
    scenario: str, peer: str, floor: float, name: str
) -> Callable[[Trials], Found | None]:
    """Ask that our figure be at least so many times a peer's."""

    def find(trials: Trials) -> Found | None:
        theirs = trials.get((scenario, peer), ())
        ratio = measures.ratio(MEASURES[name], _ours(trials, scenario), theirs)
        return _at_least(ratio, floor, 2, "×")

    return find


def at_least(scenario: str, name: str, floor: float) -> Callable[[Trials], Found | None]:
    """Ask that our figure be at least so much."""
    digits = MEASURES[name].digits
    return lambda trials: _at_least(_figure(trials, scenario, name), floor, digits)


def at_most(
    scenario: str, name: str, ceiling: float, unit: str = ""
) -> Callable[[Trials], Found | None]:
    """Ask that our figure be at most so much."""
    digits = MEASURES[name].digits
    return lambda trials: _at_most(_figure(trials, scenario, name), ceiling, digits, unit)


def all_of(*parts: Callable[[Trials], Found | None]) -> Callable[[Trials], Found | None]:
    """Ask for several things; what is missing makes the whole missing."""

    def find(trials: Trials) -> Found | None:
        found = [part(trials) for part in parts]
        if None in found:
            return None
        there = [each for each in found if each]
        return Found("; ".join(each.text for each in there), all(each.met for each in there))

    return find


def _paced(trials: Trials) -> Found | None:
    rate = _figure(trials, "at-3500", "objects_per_s")
    share = _figure(trials, "at-3500", "cpu_share")
    if rate is None or share is None:
        return None
    met = rate.value >= 3_500 and share.value < 0.5
    return Found(f"{_told(rate, 0, '/s')} with {_told(share, 2)} of a core", met)


def _requests(trials: Trials) -> Found | None:
    """Ask for one request an object, besides the pages and a few before the first copy."""

    def besides_pages(trial: Trial) -> float | None:
        pages = trial.run.figures.get("pages")
        total = sum(trial.run.requests.values())
        return None if pages is None else (total - pages) / trial.run.objects

    ours = _ours(trials, "small-objects")
    value = measures.summary(Measure("requests", besides_pages), ours)
    if value is None:
        return None
    return _at_most(value, 1 + _FEW_REQUESTS / ours[0].run.objects, 4, " + pages")


def _parallel(trials: Trials) -> Found | None:
    """Ask for the speed-up and the pages on every key space; tell the worst."""
    speedups, pages = {}, {}
    for key_space in KEY_SPACES:
        serial = _figure(trials, f"listing-serial-{key_space}", "listing_s")
        parallel = _figure(trials, f"listing-parallel-{key_space}", "listing_s")
        fewest = _figure(trials, f"listing-serial-{key_space}", "pages")
        needed = _figure(trials, f"listing-parallel-{key_space}", "pages")
        if serial and parallel and fewest and needed:
            speedups[key_space] = serial.value / parallel.value
            pages[key_space] = needed.value / fewest.value
    if not speedups:
        return None
    slowest, widest = min(speedups, key=speedups.__getitem__), max(pages, key=pages.__getitem__)
    text = (
        f"{speedups[slowest]:.1f}× at worst ({slowest}), {pages[widest]:.2f}× the pages at worst"
        f" ({widest}); {len(speedups)} of {len(KEY_SPACES)} key spaces"
    )
    complete = len(speedups) == len(KEY_SPACES)
    return Found(text, complete and speedups[slowest] >= 15 and pages[widest] <= 1.15)


def _memory(trials: Trials) -> Found | None:
    small = _figure(trials, "memory-10000", "max_rss_mib")
    large = _figure(trials, "memory-1000000", "max_rss_mib")
    if small is None or large is None:
        return None
    growth = large.value - small.value
    text = f"{growth:+.1f} MiB; {large.value:.1f} MiB in all"
    return Found(text, growth <= 8 and large.value <= 100)


def _import(trials: Trials) -> Found | None:
    """Take the bare interpreter of the same round off."""
    bare = {each.run.round: each.run.wall_s for each in trials.get(("import", "python"), ())}
    over = [
        1_000 * (each.run.wall_s - bare[each.run.round])
        for each in _ours(trials, "import")
        if each.run.round in bare
    ]
    return _at_most(measures.interval(over), 60, 1, " ms") if over else None


_PARALLEL_SCENARIOS: Final = tuple(
    f"listing-{kind}-{each}" for each in KEY_SPACES for kind in ("serial", "parallel")
)

TARGETS: Final[tuple[Target, ...]] = (
    Target(
        what="CPU per small object, the aioboto3 loop's over ours",
        reach="≥ 16×",
        scenarios=("small-objects",),
        find=times_less("small-objects", "aioboto3", 16),
    ),
    Target(
        what="CPU per small object, s5cmd's over ours",
        reach="≥ 3.5×",
        scenarios=("small-objects",),
        find=times_less("small-objects", "s5cmd", 3.5),
    ),
    Target(
        what="the same over TLS",
        reach="≥ 4×",
        scenarios=("small-objects-tls",),
        find=times_less("small-objects-tls", "s5cmd", 4),
    ),
    Target(
        what="objects/s, as many as a prefix of S3 serves at least",
        reach="≥ 3,500/s with less than half a core",
        scenarios=("at-3500",),
        find=_paced,
    ),
    Target(
        what="objects/s on one core, flat out",
        reach="≥ 6,500",
        scenarios=("small-objects",),
        find=at_least("small-objects", "objects_per_s", 6_500),
    ),
    Target(
        what="requests per small object",
        reach="1.00 + pages",
        scenarios=("small-objects",),
        find=_requests,
    ),
    Target(
        what="listing pages parsed, keys/s on a core",
        reach="≥ 100,000",
        scenarios=("listing-parse",),
        find=at_least("listing-parse", "keys_per_cpu_s", 100_000),
    ),
    Target(
        what=f"listing a million keys, 100 ms a page, {LISTERS} listers over one",
        reach="≥ 15× on every key space, ≤ 1.15× the pages",
        scenarios=_PARALLEL_SCENARIOS,
        find=_parallel,
    ),
    Target(
        what="longest block of the loop while copying and listing flat out",
        reach="≤ 25 ms; 99.9 % under 10 ms",
        scenarios=("loop-lag",),
        find=all_of(
            at_most("loop-lag", "late_max_ms", 25, " ms"),
            at_most("loop-lag", "late_p99_9_ms", 10, " ms at 99.9 %"),
        ),
    ),
    Target(
        what="a neighbour of two copies in Airflow's triggerer, late at 99.9 %: with the start of"
        " the copies, and without it; Airflow's warnings of a blocked loop",
        reach="≤ 30 ms; ≤ 30 ms; none",
        scenarios=("neighbour",),
        find=all_of(
            at_most("neighbour", "whole_late_p99_9_ms", 30, " ms"),
            at_most("neighbour", "late_p99_9_ms", 30, " ms"),
            at_most("neighbour", "blocked_warnings", 0, " warnings"),
        ),
    ),
    Target(
        what="peak RSS, growth from 10,000 to 1,000,000 objects",
        reach="≤ 8 MiB; ≤ 100 MiB in all",
        scenarios=("memory-10000", "memory-1000000"),
        find=_memory,
    ),
    Target(
        what="a bucket limited to 3,500/s: share of the limit used, share of requests refused"
        " after 5 s, share used 5 s after the limit was halved",
        reach="≥ 95 %; ≤ 1 %; ≥ 95 %",
        scenarios=("slow-down",),
        find=all_of(
            at_least("slow-down", "utilisation", 0.95),
            at_most("slow-down", "refused_share", 0.01),
            at_least("slow-down", "recovered", 0.95),
        ),
    ),
    Target(
        what="one object of 1 TiB, 50 ms a part, 64 in flight, over the ideal wall time",
        reach="≤ 1.15×",
        scenarios=("one-huge-object",),
        find=at_most("one-huge-object", "over_ideal", 1.15, "×"),
    ),
    Target(
        what="relay of small objects, MB per CPU second over rclone's; peak RSS",
        reach="≥ 1×; ≤ 256 MiB",
        scenarios=("relay-small",),
        find=all_of(
            times_more("relay-small", "rclone", 1, "mb_per_cpu_s"),
            at_most("relay-small", "max_rss_mib", 256, " MiB"),
        ),
    ),
    Target(
        what="relay of large objects, MB per CPU second over rclone's; peak RSS",
        reach="≥ 1×; ≤ 256 MiB",
        scenarios=("relay-large",),
        find=all_of(
            times_more("relay-large", "rclone", 1, "mb_per_cpu_s"),
            at_most("relay-large", "max_rss_mib", 256, " MiB"),
        ),
    ),
    Target(
        what="import async_s3copy, over a bare interpreter",
        reach="≤ 60 ms",
        scenarios=("import",),
        find=_import,
    ),
)
