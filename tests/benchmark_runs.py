"""Runs and jobs for the tests of the benchmarks."""

from __future__ import annotations

from typing import Any

from benchmarks import (
    scenarios,
)
from benchmarks.contenders import REFERENCE
from benchmarks.jobs import Job
from benchmarks.runs import Run

SMALL = scenarios.BY_NAME["small-objects"]


def a_run(contender: str = REFERENCE, scenario: str = SMALL.name, **given: Any) -> Run:
    """Return a verified run of 1,001 objects in one second, half of it in CPU time."""
    settings: dict[str, Any] = {
        "objects": 1_001,
        "size_bytes": 1_000,
        "round": 0,
        "status": "ok",
        "wall_s": 1.0,
        "user_s": 0.4,
        "system_s": 0.1,
        **given,
    }
    return Run(scenario=scenario, contender=contender, **settings)


def a_job(**given: Any) -> Job:
    """Return a copy of ten objects."""
    settings: dict[str, Any] = {
        "action": "copy",
        "url": "http://127.0.0.1:9000",
        "source_bucket": "src-hex-10",
        "destination_bucket": "dst-1",
        "objects": 10,
        "size_bytes": 1_024,
        "concurrency": 7,
        **given,
    }
    return Job(**settings)


def slots(*rates: tuple[float, int, int]) -> list[dict[str, Any]]:
    """Return a series of tenths of a second: for so long, so many accepted and refused each."""
    counts = [
        (accepted, refused)
        for length_s, accepted, refused in rates
        for _ in range(round(length_s * 10))
    ]
    return [
        {"t_s": index / 10, "accepted": accepted, "refused": refused}
        for index, (accepted, refused) in enumerate(counts)
    ]
