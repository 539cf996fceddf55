"""Thousands of objects through a storm of faults, and through this process."""

from __future__ import annotations

import pytest

from benchmarks.simulator import SimulatorConfig, simulator
from tests.chaos import FEWER, Weather, relayed, run_through

pytestmark = [pytest.mark.timeout(600)]


async def test_a_relay_through_all_faults_is_exact() -> None:
    """Nothing lost, wrong, too much or left open: every object has the MD5 of its source."""
    with simulator(SimulatorConfig()) as server:
        verdict = await run_through(relayed(FEWER, client="wire"), server, Weather(burst=0))
    verdict.check()
    assert verdict.metrics.files_relayed == verdict.metrics.files_copied_successfully
