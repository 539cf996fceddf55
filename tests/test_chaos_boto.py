"""Thousands of objects through a storm of faults, by the reference client."""

from __future__ import annotations

import pytest

from benchmarks.simulator import SimulatorConfig, simulator
from tests.chaos import FEWER, Weather, inside, run_through

pytestmark = [pytest.mark.timeout(600)]


async def test_a_copy_through_all_faults_is_exact_by_the_reference_client() -> None:
    """Nothing lost, wrong, too much or left open, and every number exact, with hostile keys."""
    with simulator(SimulatorConfig()) as server:
        verdict = await run_through(
            inside(FEWER, client="boto", keys="nonascii"), server, Weather(burst=0)
        )
    verdict.check()
