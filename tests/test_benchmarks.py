"""The benchmarks: scenarios and contenders are consistent, and so is the plan of their runs."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from benchmarks import (
    contenders,
    findings,
    plan,
    scenarios,
    targets,
    tools,
    views,
)
from benchmarks.__main__ import main, parser
from benchmarks.contenders import CONTENDERS, REFERENCE, Contender
from benchmarks.jobs import Credentials
from benchmarks.measures import MEASURES
from benchmarks.places import ROOT
from benchmarks.plan import Request
from benchmarks.scenario import Scenario
from benchmarks.scenarios import SCENARIOS
from benchmarks.simulator.config import SimulatorConfig
from tests.benchmark_runs import SMALL, a_job


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: each.name)
def test_every_scenario_names_things_that_exist(scenario: Scenario) -> None:
    """A scenario's contenders can do its action, and it has columns and a measure to compare by."""
    for name in scenario.contenders:
        assert scenario.action in contenders.BY_NAME[name].commands
    assert scenario.contenders
    assert scenario.measure in views.columns(scenario)
    assert set(views.columns(scenario)) <= MEASURES.keys()
    if scenario.quick:
        assert set(scenario.quick.contenders) <= set(scenario.contenders)
        assert scenario.quick.objects <= scenario.objects
    if scenario.server:
        known = {field.name for field in fields(SimulatorConfig)}
        assert all(change.settings.keys() <= known for change in scenario.changes)


def test_names_are_unique() -> None:
    """No two scenarios and no two contenders share a name."""
    assert len(scenarios.BY_NAME) == len(SCENARIOS)
    assert len(contenders.BY_NAME) == len(CONTENDERS)


@pytest.mark.parametrize("target", targets.TARGETS, ids=lambda each: each.what)
def test_every_target_has_scenarios_our_contender_is_in(target: targets.Target) -> None:
    """A figure to reach is computed from scenarios that exist and that measure us."""
    assert target.scenarios
    for name in target.scenarios:
        assert REFERENCE in scenarios.BY_NAME[name].contenders


@pytest.mark.parametrize("contender", CONTENDERS, ids=lambda each: each.name)
def test_no_command_line_shows_a_secret(contender: Contender) -> None:
    """Credentials reach a contender through its environment only."""
    job = a_job(credentials=Credentials(access_key_id="AKX", secret_access_key="hidden-secret"))
    for build in contender.commands.values():
        command = build(job)
        assert "hidden-secret" not in " ".join(command.argv)
        assert "hidden-secret" not in "".join(command.files.values())
    assert "hidden-secret" not in repr(job)
    assert job.environment()["AWS_SECRET_ACCESS_KEY"] == "hidden-secret"


@pytest.mark.parametrize("name", ["aws-cli", "s5cmd", "rclone", "juicefs"])
def test_every_program_is_told_the_same_concurrency(name: str) -> None:
    """The number of requests in flight reaches each program, as an option or in a file."""
    command = contenders.BY_NAME[name].commands["copy"](a_job(concurrency=77))
    assert "77" in " ".join((*command.argv, *command.files.values())).split()


def test_a_contender_gets_a_certificate_authority_only_over_tls(tmp_path: Path) -> None:
    """Over plain HTTP nothing names a certificate authority."""
    authority = tmp_path / "ca.pem"
    assert "AWS_CA_BUNDLE" not in a_job().environment()
    assert a_job(ca_file=authority).environment()["SSL_CERT_FILE"] == str(authority)


def test_juicefs_is_told_when_there_is_no_tls() -> None:
    """juicefs takes HTTPS unless it is told otherwise."""
    assert "--no-https" in tools.juicefs_copy(a_job()).argv
    assert "--no-https" not in tools.juicefs_copy(a_job(url="https://127.0.0.1:1")).argv


def test_contenders_take_turns_in_every_round() -> None:
    """Each round has every contender once, its baseline before it."""
    request = Request(contenders=("aioboto3", "s5cmd"), repeats=2, objects=10)
    found = [(turn.round, turn.contender.name, turn.objects) for turn in plan.turns(request, SMALL)]
    one_round = [("aioboto3", 1), ("aioboto3", 10), ("s5cmd", 1), ("s5cmd", 10)]
    assert found == [(number, *each) for number in (0, 1) for each in one_round]


def test_a_slow_contender_gets_fewer_objects() -> None:
    """What would run for many minutes is given less, and its runs say how much."""
    request = Request(contenders=("airflow",), repeats=1)
    assert [turn.objects for turn in plan.turns(request, SMALL)] == [1, 200]


def test_the_quick_set_is_a_part_of_the_whole() -> None:
    """The short set has only scenarios that say what is different in it."""
    quick = plan.chosen(Request(quick=True))
    assert quick
    assert all(each.quick for each in quick)
    assert plan.chosen(Request()) == list(SCENARIOS)
    assert plan.chosen(Request(scenarios=("import",), quick=True))[0].name == "import"


def test_the_command_line_lists_everything(capsys: pytest.CaptureFixture[str]) -> None:
    """``list`` names every scenario and every contender."""
    assert main(["list"]) == 0
    shown = capsys.readouterr().out
    for name in (*scenarios.BY_NAME, *contenders.BY_NAME):
        assert name in shown


@pytest.mark.parametrize(
    "arguments",
    [["run", "--scenario", "unknown"], ["run", "--repeat", "0"], ["report"], []],
)
def test_the_command_line_refuses_what_it_does_not_know(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """An unknown name, no round, no file or no command is a usage error."""
    with pytest.raises(SystemExit) as refused:
        parser().parse_args(arguments)
    assert refused.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_a_command_line_is_written_down_without_the_folder_of_the_clone() -> None:
    """Raw data does not depend on where the clone lies."""
    command = contenders.BY_NAME["s5cmd"].commands["copy"](a_job())
    assert str(ROOT) in command.argv[0]
    assert not any(str(ROOT) in each for each in findings.shown(command))
