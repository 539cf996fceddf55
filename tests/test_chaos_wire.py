"""Twenty thousand objects through a storm of faults, over the wire."""

from __future__ import annotations

import pytest

from benchmarks.simulator import SimulatorConfig, simulator
from tests.chaos import Weather, inside, run_through

pytestmark = [pytest.mark.timeout(600)]


async def test_a_copy_through_all_faults_is_exact_over_the_wire() -> None:
    """Nothing lost, wrong, too much or left open, and every number exact, within the server."""
    with simulator(SimulatorConfig()) as server:
        verdict = await run_through(inside(client="wire"), server, Weather())
    verdict.check()
