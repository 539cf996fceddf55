"""What a finished run tells: figures from counters, verdicts, and the words for a failure. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from benchmarks import slowdown
from benchmarks.children import Usage
from benchmarks.jobs import Command
from benchmarks.places import ROOT
from benchmarks.scenario import Scenario
from benchmarks.slowdown import Phase
from benchmarks.worlds import Verdict

_LISTINGS: Final = ("ListObjectsV2", "ListObjects")


def listed(usage: Usage, objects: int) -> Verdict:
    """Compare the keys a contender found with those that are there.

    It says how many it found, or prints one line per key.
    """
    keys = usage.said.get("keys", usage.lines)
    return Verdict(ok=keys == objects, details={"expected": objects, "found": keys})


def from_counters(
    scenario: Scenario, usage: Usage, counters: Mapping[str, Any]
) -> dict[str, float]:
    """Return pages, parts, concurrency, the server's load, and the distance from the ideal."""
    requests: Mapping[str, int] = counters.get("requests", {})
    if not requests:
        return {}
    parts = requests.get("UploadPartCopy", 0)
    found: dict[str, float] = {
        "pages": sum(requests.get(name, 0) for name in _LISTINGS),
        "parts": parts,
        "in_flight_peak": counters.get("in_flight_peak", 0),
        "refused": sum(counters.get("refused", {}).values()),
        "server_cpu_share": counters.get("cpu_s", 0.0) / usage.wall_s,
    }
    ideal_s = ideal_wall_s(scenario, parts)
    copying_s = usage.said.get("work_s", usage.wall_s)
    if ideal_s:
        found |= {"ideal_wall_s": ideal_s, "over_ideal": copying_s / ideal_s}
    return found


def ideal_wall_s(scenario: Scenario, parts: int) -> float:
    """Return the latency of as many waves of requests as the parts make; 0 without latency."""
    latency_ms = scenario.server.part_latency_ms if scenario.server else None
    return math.ceil(parts / scenario.concurrency) * (latency_ms or 0.0) / 1_000


def throttle(series: Sequence[Mapping[str, Any]], phases: Sequence[Phase]) -> dict[str, Any]:
    """Return how the limits were kept, with the series for the plot."""
    slots = [[slot["accepted"], slot["refused"]] for slot in series]
    limits = [[phase.start_s, phase.limit_per_s] for phase in phases]
    return {"throttle": slowdown.judge(series, phases), "series": slots, "limits": limits}


def reason(usage: Usage, verdict: Verdict, timeout_s: float) -> str:
    """Say in a sentence why a run does not count."""
    if usage.status is None:
        return f"it was not finished after {timeout_s:.0f} s"
    last = usage.errors.splitlines()[-1] if usage.errors else "it printed no error"
    if usage.status != 0:
        return f"it ended with status {usage.status}: {last}"
    compared = ", ".join(f"{name} {value}" for name, value in verdict.details.items())
    return f"it ended well, but did not do the work: {compared}"


def shown(command: Command) -> list[str]:
    """Return a command line as it is written down: without the folder of this clone."""
    return [argument.replace(f"{ROOT}/", "") for argument in command.argv]
