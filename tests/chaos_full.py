"""The long chaos: more seeds, more faults, both clients, relay, kills; a quarter of an hour.

Its name keeps it out of ``pytest tests``: ``make test-chaos`` names it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from async_s3copy.testing import Fault, Seen, fault_proxy
from async_s3copy.testing.seaweedfs import Identity
from benchmarks.simulator import Simulator, SimulatorConfig, simulator
from tests.chaos import (
    ACCESS_KEY,
    COUNT,
    DESTINATION,
    LANDING,
    SECRET_KEY,
    SEED,
    Course,
    Weather,
    at_once,
    hurried,
    inside,
    relayed,
    run_through,
    source_keys,
)
from tests.support import open_client, seed

pytestmark = pytest.mark.timeout(1_200)

RATE: Final = 0.1
KILLS: Final = 4
KILLED_COUNT: Final = 4_000
ADMIN: Final = Identity.generate("admin", "Admin")
WAYS: Final[dict[str, Callable[..., Course]]] = {
    "wire": lambda **given: inside(client="wire", **given),
    "wire-hostile-keys": lambda **given: inside(client="wire", keys="nonascii", **given),
    "relay": lambda **given: relayed(client="wire", **given),
    "boto": lambda **given: inside(client="boto", **given),
    "boto-relay": lambda **given: relayed(COUNT // 4, client="boto", **given),
}
SEEDS: Final = {"wire": 3, "wire-hostile-keys": 1, "relay": 2, "boto": 1, "boto-relay": 1}


@pytest.fixture(scope="module")
def running() -> Iterator[Simulator]:
    with simulator(SimulatorConfig()) as sim:
        yield sim


@pytest.fixture
def sim(running: Simulator) -> Simulator:
    """The running simulator, empty."""
    running.reset()
    return running


@pytest.mark.parametrize(
    "way, number", [(way, number) for way, seeds in SEEDS.items() for number in range(seeds)]
)
async def test_a_copy_through_a_storm_is_exact(sim: Simulator, way: str, number: int) -> None:
    """One request in ten goes wrong: nothing lost, wrong, too much or left open."""
    # Waits being short here, more refusals in a row than are in flight would outlast a request.
    burst = 0 if way.startswith("boto") else 200
    weather = Weather(seed=SEED + number, rate=RATE, burst=burst)
    verdict = await run_through(WAYS[way](), sim, weather)
    verdict.check()


@pytest.mark.parametrize("way", ["wire", "relay"])
async def test_what_exists_is_never_replaced_in_a_storm(sim: Simulator, way: str) -> None:
    """Twenty thousand with overwrite=False: every tenth key is taken, and stays as it was."""
    course = WAYS[way](overwrite=False)
    there = {course.target(key): b"was here before" for key in source_keys(course)[::10]}
    async with open_client(sim.url, ADMIN) as client:
        await seed(client, DESTINATION, there)
    verdict = await run_through(course, sim, Weather(rate=RATE))
    verdict.check(before=frozenset(there))


class Killer:
    """A storm in which the process that sends the requests is killed after so many of them."""

    def __init__(self, pid: int, after: int) -> None:
        self._weather = Weather(burst=0)
        self._pid = pid
        self._left = after

    def __call__(self, seen: Seen) -> Fault | None:
        """Return what goes wrong with a request."""
        self._left -= 1
        if self._left == 0:
            os.kill(self._pid, signal.SIGKILL)
        return self._weather(seen)


async def test_a_command_killed_again_and_again_completes(sim: Simulator, tmp_path: Path) -> None:
    """``kill -9`` in a storm, four times: the last run ends well, all is there, no upload open."""
    course = Course(
        bucket=f"src-hex-{KILLED_COUNT}-1kib-mix40-1100mib-128mib",
        prefix="data/",
        options=hurried(),
    )
    ends = []
    async with fault_proxy(sim.url, sleep=at_once, keeps_calls=False) as proxy:
        for number in range(KILLS + 1):
            process = await _command(course, proxy.url, tmp_path)
            after = KILLED_COUNT // 4 if number < KILLS else 0
            proxy.script = Killer(process.pid, after)
            ends.append(await process.wait())
    assert ends == [-signal.SIGKILL] * KILLS + [0]
    audit = sim.audit(course.bucket, course.prefix, DESTINATION, LANDING)
    assert audit.wrong == {}
    assert audit.right == {course.target(key) for key in source_keys(course)}
    assert sim.counters()["uploads_open"] == 0


async def _command(course: Course, url: str, folder: Path) -> asyncio.subprocess.Process:
    environment = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": url,
    }
    source, destination = f"s3://{course.bucket}/{course.prefix}", f"s3://{DESTINATION}/{LANDING}"
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "async_s3copy", "cp", source, destination, "--recursive"),
        *("--method", "server-side", "--checkpoint", str(folder / "checkpoint.json")),
        env=environment,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
