"""The benchmark in Airflow's triggerer: what is said of a neighbour follows from what it saw."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import airflow_home  # noqa: F401  # before anything of Airflow

# isort: split
from benchmarks import contenders, plan, runner, scenarios
from benchmarks.children import Usage
from benchmarks.contenders import REFERENCE
from benchmarks.jobs import Job
from benchmarks.plan import Request
from benchmarks.simulator import SimulatorConfig
from benchmarks.simulator.config import Verification
from benchmarks.triggerer import home, neighbour
from benchmarks.triggerer.process import Triggerer
from benchmarks.triggerer.sightings import Moments, Sightings, lateness
from benchmarks.triggerer.turns import TurnWatch
from benchmarks.worlds import SimulatedWorld, Verdict, World
from tests.benchmark_runs import a_job

MOMENTS = Moments(asked=10.0, copying=20.0, one_ended=30.0, all_ended=40.0)
NEIGHBOUR = scenarios.BY_NAME["neighbour"]
BLOCKED = "Triggerer's async thread was blocked for 0.29 seconds\n"


@given(st.lists(st.floats(0.001, 0.5), max_size=20), st.floats(0.0, 10.0), st.floats(0.001, 0.5))
def test_lateness_leaves_no_more_than_the_share(
    turns: list[float], rest: float, share: float
) -> None:
    """The time at which a sleeper would be later is the share asked for, and no larger."""
    busy = sum(turns) + rest
    found = lateness(turns, busy, share)
    beyond = sum(turn - found for turn in turns if turn > found)
    assert beyond <= share * busy + 1e-9
    earlier = found - 2e-5
    assert earlier <= 0 or sum(max(0.0, turn - earlier) for turn in turns) > share * busy


def test_each_phase_has_its_own_figures() -> None:
    """A late moment counts for the phase it was due in: starting, flat out, or only for all."""
    late = [(5.0, 0.9), (15.0, 0.2), (25.0, 0.01), (35.0, 0.3)]
    turns = [(5.0, 0.8), (15.0, 0.1), (25.0, 0.004), (35.0, 0.25)]
    found = Sightings(late, turns, busy=[(21.0, 1.0), (29.0, 9.0)]).figures(MOMENTS)
    assert found["starting_late_ms"] == pytest.approx(200.0)
    assert found["loop_late_ms"]["max"] == pytest.approx(10.0)
    assert found["whole_late_ms"]["max"] == pytest.approx(300.0)
    assert found["starting_turn_ms"] == pytest.approx(100.0)
    assert found["turn_late_ms"]["max"] == pytest.approx(4.0)
    assert (found["starting_s"], found["work_s"], found["wakes"]) == (10.0, 10.0, 1)


async def test_a_turn_is_as_long_as_the_cpu_time_it_takes() -> None:
    """A callback that computes is noted with at least its own CPU time; sleeping is no turn."""
    watch = TurnWatch(asyncio.get_running_loop())
    done = asyncio.Event()

    def compute() -> None:
        end = time.thread_time() + 0.02
        while time.thread_time() < end:
            pass
        asyncio.get_running_loop().call_soon(done.set)

    asyncio.get_running_loop().call_later(0.001, compute)
    await done.wait()
    assert max(cpu_s for _, cpu_s in watch.longer) >= 0.02
    assert watch.busy_s >= 0.02


def test_only_warnings_since_the_copies_began_count(tmp_path: Path) -> None:
    """What Airflow complained about before, as it loaded other triggers, is not charged to them."""
    log = tmp_path / "log"
    log.write_text(f"[info] starting\n{BLOCKED}")
    with subprocess.Popen((sys.executable, "-I", "-S", "-c", "")) as process:
        triggerer = Triggerer(process, log)
        assert len(triggerer.warnings()) == 1
        triggerer.forget_warnings()
        assert triggerer.warnings() == []
        log.write_text(f"[info] starting\n{BLOCKED}trigger starting\n{BLOCKED}")
        assert triggerer.warnings() == [BLOCKED.rstrip()]


def test_a_triggerer_that_has_ended_is_not_waited_for(tmp_path: Path) -> None:
    """What can no longer come is an error with the end of the log."""
    log = tmp_path / "log"
    log.write_text("it broke")
    with subprocess.Popen((sys.executable, "-I", "-S", "-c", "raise SystemExit(3)")) as process:
        process.wait()
        with pytest.raises(RuntimeError, match="ended with status 3: it broke"):
            Triggerer(process, log).wait_until(lambda: False)


def test_each_copy_has_a_bucket_of_its_own() -> None:
    """Copies at the same time never write into the same bucket; a driver is told all of them."""
    assert a_job().destinations == ("dst-1",)
    job = a_job(copies=2)
    assert job.destinations == ("dst-1-0", "dst-1-1")
    assert '"destinations": ["dst-1-0", "dst-1-1"]' in job.to_json()


def test_every_bucket_name_of_the_scenario_is_one() -> None:
    """A contender with a space in its name does not make a bucket that S3 would refuse."""
    for turn in plan.turns(Request(), NEIGHBOUR):
        assert " " not in plan.job(turn, FakeWorld()).destination_bucket


class FakeWorld(SimulatedWorld):
    """A simulator that finds in each bucket what it was told to find."""

    def __init__(self, *found: Verification) -> None:
        self.url, self.ca_file, self.credentials = "http://127.0.0.1:1", None, a_job().credentials
        self.config = SimulatorConfig()
        self.server: Any = self
        self._found = list(found)

    def verify(self, job: Job | str, *_: str) -> Any:
        """Answer the world's question, or a bucket's."""
        return super().verify(job) if isinstance(job, Job) else self._found.pop(0)


def test_one_incomplete_copy_of_two_fails_the_run() -> None:
    """All copies are verified, and the details are those of the one that is wrong."""
    right = Verification(expected=10, found=10, missing=0, wrong=0, duplicates=0)
    short = replace(right, found=9, missing=1)
    job = a_job(copies=2)
    assert FakeWorld(right, right).verify(job).ok
    for found in ((short, right), (right, short)):
        verdict = FakeWorld(*found).verify(job)
        assert not verdict.ok
        assert verdict.details["missing"] == 1


@pytest.mark.parametrize("contender, verified", [(REFERENCE, True), ("no copies", False)])
def test_only_who_copies_is_verified(contender: str, verified: bool) -> None:
    """Whoever shows what happens without copies need not have copied; all others must."""
    turn = next(plan.turns(Request(contenders=(contender,)), NEIGHBOUR))
    world: World = FakeWorld(
        *(Verification(expected=10, found=0, missing=10, wrong=0, duplicates=0) for _ in range(2))
    )
    usage = Usage(
        status=0,
        wall_s=1.0,
        user_s=0.0,
        system_s=0.0,
        max_rss_bytes=0,
        lines=1,
        said={},
        errors="",
    )
    verdict: Verdict = runner.judge(turn, plan.job(turn, world), usage, world)
    assert verdict.ok is not verified


def test_who_does_not_copy_is_given_no_objects() -> None:
    """The table does not claim objects for the run that shows what happens without copies."""
    found = {turn.contender.name: turn.objects for turn in plan.turns(Request(), NEIGHBOUR)}
    assert found == {REFERENCE: 200_000, "no copies": 0, "aioboto3": 5_000}


def test_an_action_in_another_environment_needs_that_one(tmp_path: Path) -> None:
    """A contender whose own program is there is missing where the action's interpreter is not."""
    here = replace(
        contenders.BY_NAME[REFERENCE],
        program=Path(sys.executable),
        elsewhere={"neighbour": tmp_path / "python"},
    )
    assert here.why_missing() == here.why_missing("copy") == ""
    assert "make bench-env" in here.why_missing("neighbour")


def test_airflow_of_a_run_lives_in_its_folder_alone(tmp_path: Path) -> None:
    """Home, database and DAGs of a run are in its folder, and its secret is its own."""
    settings = home.settings(tmp_path)
    assert settings["AIRFLOW_HOME"] == str(tmp_path)
    assert str(tmp_path) in settings["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
    assert settings["AIRFLOW__CORE__DAGS_FOLDER"].startswith(str(tmp_path))
    secret = "AIRFLOW__API_AUTH__JWT_SECRET"
    assert settings[secret] != home.settings(tmp_path)[secret]
    assert len(settings[secret]) >= 64


def test_the_triggers_can_be_built_from_what_they_serialise_to(tmp_path: Path) -> None:
    """Airflow builds a trigger from its class path and keywords: the same, again."""
    trigger = neighbour.NeighbourTrigger(str(tmp_path))
    classpath, keywords = trigger.serialize()
    assert classpath == f"{neighbour.__name__}.NeighbourTrigger"
    assert neighbour.NeighbourTrigger(**keywords).serialize() == (classpath, keywords)


async def test_the_neighbour_leaves_what_it_saw(tmp_path: Path) -> None:
    """It says that it is there, lives until told to go, writes, and fires one event."""
    (tmp_path / home.STOP).touch()
    events = [event async for event in neighbour.NeighbourTrigger(str(tmp_path)).run()]
    assert [event.payload for event in events] == [{"status": "success"}]
    assert (tmp_path / home.READY).exists()
    assert (tmp_path / home.SEEN).exists()
