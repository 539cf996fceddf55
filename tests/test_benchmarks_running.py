"""The benchmarks' runner: a contender is measured from outside, and its work is verified."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import (
    children,
    contenders,
    findings,
    measures,
    plan,
    runner,
    scenarios,
)
from benchmarks.contenders import REFERENCE, Contender
from benchmarks.jobs import Command, Credentials, Job
from benchmarks.machine import Cpus
from benchmarks.measures import Trial
from benchmarks.plan import Request, Turn
from benchmarks.scenario import Scenario
from benchmarks.slowdown import Phase
from benchmarks.timeline import Timeline
from benchmarks.worlds import Verdict
from tests.benchmark_runs import SMALL, slots


def python(code: str) -> Command:
    """Return a command that runs a few lines of Python."""
    return Command(argv=(sys.executable, "-I", "-S", "-c", code))


def measured(code: str, **environment: str) -> children.Usage:
    """Run a few lines of Python under the meter."""
    return children.run(python(code), environment, cpu=None, timeout_s=60)


def test_the_meter_sees_memory_and_cpu_time_of_the_child() -> None:
    """64 MiB written and half a second computed are in the account; the runner's are not."""
    usage = measured(
        "import time\nheld = bytearray(b'x') * 2**26\n"
        "while time.process_time() < 0.5: pass\nprint('{\"keys\": 3}')"
    )
    assert usage.status == 0
    assert usage.max_rss_bytes > 2**26
    assert usage.cpu_s >= 0.5
    assert usage.wall_s > 0
    assert usage.said == {"keys": 3}


def test_the_memory_of_the_runner_is_not_charged_to_the_child() -> None:
    """A bare interpreter is small however much this process holds."""
    held = bytearray(b"x") * 2**27
    assert measured("pass").max_rss_bytes < len(held)


def test_the_meter_counts_the_children_of_the_child() -> None:
    """CPU time of a process that the program starts and waits for is the program's."""
    usage = measured(
        "import subprocess, sys\n"
        "loop = 'import time\\nwhile time.process_time() < 0.5: pass'\n"
        "subprocess.run([sys.executable, '-I', '-S', '-c', loop], check=True)"
    )
    assert usage.cpu_s >= 0.5


def test_a_contender_sees_nothing_of_the_callers_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No variable reaches a contender but those of a bare account and its job's own."""
    monkeypatch.setenv("AWS_PROFILE", "someone")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    usage = measured("import json, os; print(json.dumps({'names': list(os.environ)}))", GIVEN="1")
    assert set(usage.said["names"]) <= {"PATH", "HOME", "TMPDIR", "LANG", "LC_CTYPE", "GIVEN"}
    assert "GIVEN" in usage.said["names"]


def test_a_command_finds_its_files_in_its_home() -> None:
    """Files of a command lie in the empty folder it starts in."""
    command = replace(python("print(open('settings').read() * 2)"), files={"settings": "a\nb\n"})
    assert children.run(command, {}, cpu=None, timeout_s=60).lines == 5


def test_a_run_that_takes_too_long_is_ended_with_its_children() -> None:
    """Time that runs out is a failure that names the time."""
    usage = children.run(python("while True: pass"), {}, cpu=None, timeout_s=0.2)
    assert usage.status is None
    assert findings.reason(usage, Verdict(ok=False), 0.2) == "it was not finished after 0 s"


def test_a_child_is_pinned_before_it_starts() -> None:
    """The CPU it is given is the only one it may use."""
    if not hasattr(os, "sched_getaffinity"):
        assert Cpus.choose() == Cpus(None, None)
        return
    cpu = max(os.sched_getaffinity(0))
    code = "import json, os; print(json.dumps({'cpus': list(os.sched_getaffinity(0))}))"
    assert children.run(python(code), {}, cpu=cpu, timeout_s=60).said["cpus"] == [cpu]


class FakeWorld:
    """A server that remembers what it was asked, and finds what it was told to find."""

    url = "http://127.0.0.1:1"
    ca_file = None
    credentials = Credentials()

    def __init__(self, *, complete: bool = True) -> None:
        self.calls: list[str] = []
        self._complete = complete

    def prepare(self, job: Job) -> None:
        """Remember the call."""
        self.calls.append(f"prepare {job.destination_bucket}")

    def counters(self) -> dict[str, Any]:
        """Return what a server counts of ten copies."""
        return {"requests": {"CopyObject": 10, "ListObjectsV2": 1}, "in_flight_peak": 3}

    def series(self) -> list[dict[str, Any]]:
        """Return six seconds, all of them accepted."""
        return slots((11, 10, 0))

    def configure(self, **settings: Any) -> None:
        """Remember the change."""
        self.calls.append(f"configure {settings}")

    def verify(self, job: Job) -> Verdict:
        """Return the verdict asked for."""
        self.calls.append(f"verify {job.objects}")
        return Verdict(ok=self._complete, details={"expected": job.objects, "missing": 4})

    def clear(self, job: Job) -> None:
        """Remember the call."""
        self.calls.append(f"clear {job.destination_bucket}")


def turn_of(code: str, scenario: Scenario = SMALL) -> Turn:
    """Return a turn of a contender that runs a few lines of Python."""
    contender = Contender(
        name=REFERENCE,
        about="a few lines",
        program=Path(sys.executable),
        commands={"copy": lambda _: python(code), "list": lambda _: python(code)},
    )
    return Turn(scenario=scenario, contender=contender, round=0, objects=10, baseline=False)


@pytest.fixture
def a_runner() -> runner.Runner:
    """Return a runner that pins nothing."""
    return runner.Runner(request=Request(), cpus=Cpus(None, None), machine={"cpu": "a CPU"})


def test_a_run_is_verified_before_it_counts(a_runner: runner.Runner) -> None:
    """A verified run has figures, the server's counts and its surroundings, and is cleared."""
    world = FakeWorld()
    found = a_runner.once(turn_of("pass"), world)
    assert (found.status, found.reason) == ("ok", "")
    assert found.wall_s > 0
    assert found.max_rss_bytes > 0
    assert found.requests == {"CopyObject": 10, "ListObjectsV2": 1}
    assert measures.requests_per_object(Trial(found)) == pytest.approx(1.1)
    assert found.machine == {"cpu": "a CPU"}
    bucket = f"dst-{REFERENCE}-0-all"
    assert world.calls == [f"prepare {bucket}", "verify 10", f"clear {bucket}"]


def test_a_contender_that_did_not_do_the_work_has_failed(a_runner: runner.Runner) -> None:
    """A clean exit is not enough: the destination is what counts."""
    found = a_runner.once(turn_of("pass"), FakeWorld(complete=False))
    assert found.status == "failed"
    assert found.reason == "it ended well, but did not do the work: expected 10, missing 4"


def test_a_contender_that_ends_badly_has_failed(a_runner: runner.Runner) -> None:
    """Its exit status and the last line of its errors are the reason."""
    found = a_runner.once(turn_of("import sys; sys.exit('no such bucket')"), FakeWorld())
    assert found.status == "failed"
    assert found.reason == "it ended with status 1: no such bucket"


@pytest.mark.parametrize(
    "code, status",
    [
        ("print('{\"keys\": 10}')", "ok"),
        ("print('key\\n' * 9 + 'key')", "ok"),
        ("print('{\"keys\": 9}')", "failed"),
        ("print('one key')", "failed"),
    ],
)
def test_a_listing_counts_when_every_key_was_found(
    a_runner: runner.Runner, code: str, status: str
) -> None:
    """A lister says how many keys it found, or prints a line for each."""
    scenario = scenarios.BY_NAME["listing-serial-hex"]
    assert a_runner.once(turn_of(code, scenario), FakeWorld()).status == status


def test_a_contender_that_is_not_installed_is_reported(
    a_runner: runner.Runner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It has a run that says so, instead of silently not being there."""
    gone = replace(contenders.BY_NAME["python"], program=tmp_path / "gone")
    monkeypatch.setattr(plan, "BY_NAME", {**contenders.BY_NAME, "python": gone})
    request = Request(contenders=("python",), repeats=2)
    (found,) = replace(a_runner, request=request).run(scenarios.BY_NAME["import"])
    assert found.status == "missing"
    assert found.reason == "gone is not installed: `make bench-env` brings it"


def test_a_limit_changes_while_a_contender_works() -> None:
    """The change is applied once its time has come, and is known as a phase of the series."""
    scenario = scenarios.BY_NAME["slow-down"]
    world = FakeWorld()
    timeline = Timeline(world, scenario)
    timeline.apply()
    assert world.calls == ["configure {'rate_per_s': 1750.0}"]
    assert timeline.phases == [Phase(0.0, 3_500.0), Phase(10.9, 1_750.0)]
