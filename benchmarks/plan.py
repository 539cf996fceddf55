"""Which runs a command asks for: scenarios, contenders, objects and rounds. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.contenders import BY_NAME, Contender
from benchmarks.jobs import Job
from benchmarks.scenario import Scenario
from benchmarks.scenarios import SCENARIOS
from benchmarks.worlds import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the command line asked for.

    Attributes:
        scenarios: Names; empty for all, or all of the short set.
        contenders: Names; empty for all.
        quick: Take the short set.
        repeats: Rounds; ``None`` takes the scenario's.
        objects: Objects; ``None`` takes the scenario's.
    """

    scenarios: Sequence[str] = ()
    contenders: Sequence[str] = ()
    quick: bool = False
    repeats: int | None = None
    objects: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One contender's turn in a round.

    Attributes:
        scenario: In which scenario.
        contender: Whose turn.
        round: Of which round.
        objects: How many objects it is given.
        baseline: Whether this is the run with a single one.
    """

    scenario: Scenario
    contender: Contender
    round: int
    objects: int
    baseline: bool


def chosen(request: Request) -> list[Scenario]:
    """Return the scenarios that were asked for, in the order of the table."""
    wanted = set(request.scenarios)
    return [
        each
        for each in SCENARIOS
        if (each.name in wanted if wanted else each.quick is not None or not request.quick)
    ]


def contenders(request: Request, scenario: Scenario) -> list[Contender]:
    """Return who takes part, in the order of the scenario."""
    short = scenario.quick.contenders if request.quick and scenario.quick else ()
    names = request.contenders or short or scenario.contenders
    return [BY_NAME[name] for name in scenario.contenders if name in names]


def turns(request: Request, scenario: Scenario) -> Iterator[Turn]:
    """Yield the runs in their order: in every round each contender has its turn."""
    wanted, repeats = _amount(request, scenario)
    for number in range(repeats):
        for contender in contenders(request, scenario):
            objects = contender.objects(wanted)
            sizes = (1, objects) if scenario.baseline and objects > 1 else (objects,)
            for size in sizes:
                yield Turn(
                    scenario=scenario,
                    contender=contender,
                    round=number,
                    objects=size,
                    baseline=size != objects,
                )


def _amount(request: Request, scenario: Scenario) -> tuple[int, int]:
    objects, repeats = scenario.objects, scenario.repeats
    if request.quick and scenario.quick:
        objects, repeats = scenario.quick.objects, scenario.quick.repeats
    return request.objects or objects, request.repeats or repeats


def job(turn: Turn, world: World) -> Job:
    """Return what the contender is told."""
    scenario = turn.scenario
    kind = "one" if turn.baseline else "all"
    return Job(
        action=scenario.action,
        url=world.url,
        ca_file=world.ca_file,
        credentials=world.credentials,
        source_bucket=scenario.source_bucket(turn.objects),
        destination_bucket=f"dst-{turn.contender.name.replace(' ', '-')}-{turn.round}-{kind}",
        objects=turn.objects,
        size_bytes=scenario.size_bytes,
        concurrency=scenario.concurrency,
        listers=scenario.listers,
        method=scenario.method,
        max_requests_per_second=scenario.max_requests_per_second,
        copies=scenario.copies,
        watch_loop=scenario.watch_loop,
    )
