"""The benchmarks' arithmetic: marginal costs, ratios, intervals, limits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import (
    findings,
    measures,
    scenarios,
    slowdown,
)
from benchmarks.contenders import REFERENCE
from benchmarks.drivers.common import Neighbour, percentiles
from benchmarks.measures import MEASURES, Trial
from benchmarks.slowdown import Phase
from tests.benchmark_runs import SMALL, a_run, slots


def test_marginal_cost_leaves_starting_out() -> None:
    """CPU per object is what the objects beyond the first cost."""
    trial = Trial(a_run(), a_run(objects=1, baseline=True, wall_s=0.5, user_s=0.25, system_s=0.0))
    assert measures.cpu_us_per_object(trial) == pytest.approx(250)
    assert measures.objects_per_s(trial) == pytest.approx(2_000)
    assert measures.cpu_share(trial) == pytest.approx(0.5)


def test_without_a_baseline_everything_counts() -> None:
    """CPU per object is then all CPU time over all objects."""
    assert measures.cpu_us_per_object(Trial(a_run(objects=1_000))) == pytest.approx(500)


def test_a_run_shorter_than_its_baseline_has_no_rate() -> None:
    """Noise larger than the work is told as nothing, not as a negative rate."""
    trial = Trial(a_run(), a_run(objects=1, wall_s=2.0))
    assert measures.objects_per_s(trial) is None


def test_a_ratio_is_taken_inside_each_round() -> None:
    """A round that was slow for both does not widen the interval."""
    found = measures.trials(
        [
            *(a_run(round=number, user_s=cost) for number, cost in enumerate((0.1, 0.9, 0.4))),
            *(
                a_run("s5cmd", round=number, user_s=cost)
                for number, cost in enumerate((0.7, 3.9, 1.9))
            ),
        ]
    )
    ours, theirs = found[SMALL.name, REFERENCE], found[SMALL.name, "s5cmd"]
    ratio = measures.ratio(MEASURES["cpu_us_per_object"], theirs, ours)
    assert ratio is not None
    assert (ratio.value, ratio.low, ratio.high) == pytest.approx((4.0, 4.0, 4.0))


def test_rounds_of_different_sessions_are_not_paired() -> None:
    """Round 0 of today is not the same moment as round 0 of yesterday."""
    ours = [Trial(a_run(session="today"))]
    theirs = [Trial(a_run("s5cmd", session="yesterday"))]
    assert measures.ratio(MEASURES["wall_s"], theirs, ours) is None


def test_what_was_not_verified_does_not_count() -> None:
    """A failed run is no trial, and a failed baseline no baseline."""
    some = [a_run(), a_run(objects=1, baseline=True, status="failed"), a_run(status="failed")]
    assert list(measures.trials(some).values()) == [[Trial(some[0], None)]]


@given(st.lists(st.floats(0.1, 1e6), min_size=1))
def test_an_interval_holds_its_median(values: list[float]) -> None:
    """The median is between the smallest and the largest, and all three come from the values."""
    found = measures.interval(values)
    assert found.low <= found.value <= found.high
    assert {found.low, found.high} <= set(values)
    assert found.count == len(values)


@given(st.lists(st.floats(0, 1e3), min_size=1))
def test_percentiles_are_values_in_order(values: list[float]) -> None:
    """Percentiles rise, end in the maximum, and name values that were measured."""
    found = list(percentiles(values).values())
    assert found == sorted(found)
    assert found[-1] == round(max(values), 3)
    assert set(found) <= {round(each, 3) for each in values}


def test_what_blocks_the_loop_at_start_is_told_apart() -> None:
    """A wake-up that was due before the copy went flat out belongs to the start."""
    neighbour = Neighbour(late=[(1.0, 0.4), (2.0, 0.001), (3.0, 0.002)], flat_out_at=1.5)
    found = neighbour.figures()
    assert found["starting_late_ms"] == pytest.approx(400)
    assert found["loop_late_ms"] == {"p50": 1.0, "p99": 2.0, "p99_9": 2.0, "max": 2.0}


def test_a_limit_is_judged_after_five_seconds_and_to_its_end() -> None:
    """The search for a limit does not count, nor does the emptying of the queue at the end."""
    series = slots((5, 50, 50), (5, 90, 10), (5, 10, 90), (5, 49, 1), (1, 5, 0))
    found = slowdown.judge(series, [Phase(0.0, 1_000.0), Phase(10.0, 500.0)])
    assert found["utilisation"] == pytest.approx(0.9)
    assert found["recovered_utilisation"] == pytest.approx(0.98)
    refused, total = 50 * 10 + 49 * 1, 50 * 100 + 49 * 50
    assert found["refused_share"] == pytest.approx(refused / total)


def test_a_run_too_short_for_a_limit_says_nothing_of_it() -> None:
    """Nothing is made up for a phase that had not settled."""
    assert slowdown.judge(slots((4, 10, 0)), [Phase(0.0, 100.0)]) == {}
    assert slowdown.judge([], [Phase(0.0, 100.0)]) == {}


def test_the_ideal_wall_time_is_that_of_full_waves() -> None:
    """8,192 parts, 64 in flight, are 128 waves of 50 ms; one part more is a wave more."""
    huge = scenarios.BY_NAME["one-huge-object"]
    assert findings.ideal_wall_s(huge, 8_192) == pytest.approx(6.4)
    assert findings.ideal_wall_s(huge, 8_193) == pytest.approx(6.45)
    assert findings.ideal_wall_s(scenarios.BY_NAME["relay-large"], 8_192) == 0
