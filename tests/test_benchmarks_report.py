"""The benchmarks' report: raw data, tables, and the figures to reach."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from benchmarks import (
    measures,
    report,
    runs,
    targets,
    views,
)
from benchmarks.contenders import REFERENCE
from benchmarks.runs import Run
from benchmarks.scenario import Scenario
from benchmarks.scenarios import SCENARIOS
from tests.benchmark_runs import SMALL, a_run


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """Write a small file of raw data: two contenders, two rounds, one that failed."""
    lines: list[Run] = []
    for number in (0, 1):
        for contender, cost in ((REFERENCE, 0.2), ("aioboto3", 4.0), ("s5cmd", 0.6)):
            for objects, share in ((1, 0.05), (1_001, cost + 0.05)):
                lines.append(
                    a_run(
                        contender,
                        round=number,
                        objects=objects,
                        baseline=objects == 1,
                        wall_s=share,
                        user_s=share,
                        system_s=0.0,
                        max_rss_bytes=50 * 2**20,
                        requests={"CopyObject": objects, "ListObjectsV2": 2},
                        figures={"pages": 2},
                        versions={contender: "1.0"},
                        machine={"cpu": "a CPU", "cores": 2, "kernel": "Linux", "python": "3.11"},
                    )
                )
    lines.append(a_run("rclone", status="failed", reason="it ended with status 1: a | b"))
    path = tmp_path / "raw.jsonl"
    path.write_text("".join(line.to_json() + "\n" for line in lines))
    return path


def test_runs_survive_their_file(recorded: Path) -> None:
    """What is read is what was written, and a name of another version is left out."""
    found = runs.read([recorded])
    assert [json.loads(run.to_json()) for run in found] == [
        json.loads(line) for line in recorded.read_text().splitlines()
    ]
    newer = {**json.loads(found[0].to_json()), "not_known_here": 1}
    assert Run.from_json(json.dumps(newer)) == found[0]


def test_the_report_has_tables_ratios_and_reasons(recorded: Path) -> None:
    """Figures, ratios with their interval, and why a contender is missing are all told."""
    text = report.markdown(runs.read([recorded]), {SMALL.name: "plot.svg"})
    assert "| async-s3copy | 1,001 | 5,000 | 200 | 250 | 50.0 | 1.002 | 1 |" in text
    assert "| aioboto3 | 1,001 | 250 | 4,000 |" in text
    assert "20.0 [20.0, 20.0] |" in text
    assert "- rclone: failed, it ended with status 1: a | b" in text
    assert "![Many small objects](plot.svg)" in text
    assert "Measured on a CPU, 2 cores, Linux, Python 3.11" in text


def test_a_busy_server_is_told() -> None:
    """A run that the server may have limited says so beside its figures; others do not."""
    some = [a_run(figures={"server_cpu_share": share}) for share in (0.95, 0.96, 0.2)]
    told = f"{REFERENCE}: the server's CPU was busy, and may have been the limit"
    assert views.notes(some) == [told]
    assert views.notes(some[2:]) == []


def test_the_report_says_which_targets_are_met(recorded: Path) -> None:
    """A target has its figure and a yes or no; one without data is missing, not met."""
    text = report.targets(runs.read([recorded]))
    assert f"| {targets.TARGETS[0].what} | ≥ 16× | 20.0× (20.0 to 20.0) | yes |" in text
    assert f"| {targets.TARGETS[1].what} | ≥ 3.5× | 3.0× (3.0 to 3.0) | no |" in text
    assert f"| {targets.TARGETS[2].what} | ≥ 4× | missing | - |" in text
    assert len(text.splitlines()) == len(targets.TARGETS) + 4


def test_every_target_can_be_met_and_missed() -> None:
    """With ideal runs of every scenario each target is met; with dreadful ones none is."""
    for ideal in (True, False):
        trials = measures.trials(list(whole_set(ideal=ideal)))
        found = {target.what: target.find(trials) for target in targets.TARGETS}
        assert None not in found.values()
        assert {each.met for each in found.values() if each} == {ideal}


def whole_set(*, ideal: bool) -> Iterator[Run]:
    """Yield one run of each scenario and contender, all ideal for us or all dreadful."""
    for scenario in SCENARIOS:
        for contender in scenario.contenders:
            good = ideal == (contender == REFERENCE)
            yield from one_set(scenario, contender, good=good)


def one_set(scenario: Scenario, contender: str, *, good: bool) -> Sequence[Run]:
    """Return a run and its baseline, good or dreadful."""
    objects = scenario.objects
    parallel = "parallel" in scenario.name
    wall_s = 0.01 if contender == "python" else (objects / 7_000 if good else 10_000.0)
    if scenario.max_requests_per_second:
        wall_s = objects / 3_500 if good else objects / 1_000
    listing_s = 10.0 if parallel and good else 200.0
    late_ms = 5.0 if good else 500.0
    run = a_run(
        contender,
        scenario.name,
        objects=objects,
        size_bytes=scenario.size_bytes,
        wall_s=wall_s,
        user_s=0.1 if good else 5_000.0,
        system_s=0.0,
        max_rss_bytes=50 * 2**20 if good else (objects + 300) * 2**20,
        requests={"CopyObject": objects * (1 if good else 2), "ListObjectsV2": 2},
        figures={
            "pages": 1_000 if not parallel or good else 2_000,
            "work_s": listing_s,
            "keys_per_cpu_s": 2e5 if good else 1e4,
            "over_ideal": 1.1 if good else 2.0,
            "loop_late_ms": dict.fromkeys(("p50", "p99", "p99_9", "max"), late_ms),
            "whole_late_ms": {"p99_9": late_ms},
            "blocked_warnings": 0 if good else 3,
            "throttle": {
                "utilisation": 0.97 if good else 0.5,
                "refused_share": 0.001 if good else 0.5,
                "recovered_utilisation": 0.97 if good else 0.5,
            },
        },
    )
    return [run]
