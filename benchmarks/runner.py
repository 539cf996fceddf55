"""Run contenders in turn, and write down what each used and whether it did the work."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from benchmarks import children, findings, machine, plan
from benchmarks.children import Usage
from benchmarks.contenders import BY_NAME
from benchmarks.jobs import Job
from benchmarks.machine import Cpus
from benchmarks.plan import Request, Turn
from benchmarks.runs import Run
from benchmarks.scenario import Scenario
from benchmarks.slowdown import Phase
from benchmarks.timeline import Timeline
from benchmarks.worlds import Verdict, World, open_world


def now() -> str:
    """Return the time as it is written down."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@lru_cache
def _versions(contender: str) -> Mapping[str, str]:
    return machine.versions(BY_NAME[contender])


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """Run what was asked for.

    Attributes:
        request: What was asked for.
        cpus: Who is pinned where.
        starting: Is told of each turn before it begins.
        session: Names this command's runs.
        machine: Where they run.
    """

    request: Request
    cpus: Cpus = field(default_factory=Cpus.choose)
    starting: Callable[[Turn], None] = lambda _: None
    session: str = field(default_factory=now)
    machine: Mapping[str, Any] = field(default_factory=machine.describe)

    def run(self, scenario: Scenario) -> Iterator[Run]:
        """Yield the runs of a scenario as they end."""
        turns = list(plan.turns(self.request, scenario))
        gone = {turn.contender.name: turn.contender.why_missing(scenario.action) for turn in turns}
        for turn in turns:
            if turn.round == 0 and not turn.baseline and gone[turn.contender.name]:
                yield self._record(turn, status="missing", reason=gone[turn.contender.name])
        present = [turn for turn in turns if not gone[turn.contender.name]]
        if present:
            yield from self._run_in_turn(scenario, present)

    def _run_in_turn(self, scenario: Scenario, turns: Sequence[Turn]) -> Iterator[Run]:
        failed: set[str] = set()
        with open_world(scenario, self.cpus.server) as world:
            for turn in turns:
                # Who failed once would fail again, and may take its whole time for it.
                if turn.contender.name in failed:
                    continue
                self.starting(turn)
                run = self.once(turn, world)
                if run.status == "failed":
                    failed.add(turn.contender.name)
                yield run

    def once(self, turn: Turn, world: World) -> Run:
        """Give a contender its turn: prepare, run, verify, clear."""
        work = plan.job(turn, world)
        world.prepare(work)
        command = turn.contender.commands[work.action](work)
        started = now()
        with Timeline(world, turn.scenario) as timeline:
            usage = children.run(
                command,
                work.environment(),
                cpu=self.cpus.client,
                timeout_s=turn.scenario.timeout_s,
            )
        figures = _figures(turn, usage, world, timeline.phases)
        requests = world.counters().get("requests", {})
        verdict = judge(turn, work, usage, world)
        world.clear(work)
        return self._record(
            turn,
            status="ok" if verdict.ok else "failed",
            reason="" if verdict.ok else findings.reason(usage, verdict, turn.scenario.timeout_s),
            requests=requests,
            figures=figures,
            verification=verdict.details,
            command=findings.shown(command),
            started=started,
            **_used(usage),
        )

    def _record(self, turn: Turn, **given: Any) -> Run:
        return Run(
            scenario=turn.scenario.name,
            contender=turn.contender.name,
            session=self.session,
            round=turn.round,
            baseline=turn.baseline,
            objects=turn.objects,
            size_bytes=turn.scenario.size_bytes,
            versions=_versions(turn.contender.name),
            machine=self.machine,
            quick=self.request.quick,
            **given,
        )


def judge(turn: Turn, work: Job, usage: Usage, world: World) -> Verdict:
    """Say whether the work was done; a program that ended badly has not done it."""
    if usage.status != 0:
        return Verdict(ok=False, details={"status": usage.status})
    if turn.scenario.action in ("copy", "neighbour") and turn.contender.works:
        return world.verify(work)
    if turn.scenario.action == "list":
        return findings.listed(usage, turn.objects)
    return Verdict(ok=True)


def _used(usage: Usage) -> dict[str, Any]:
    return {
        "wall_s": usage.wall_s,
        "user_s": usage.user_s,
        "system_s": usage.system_s,
        "max_rss_bytes": usage.max_rss_bytes,
    }


def _figures(turn: Turn, usage: Usage, world: World, phases: Sequence[Phase]) -> dict[str, Any]:
    found = {**usage.said, **findings.from_counters(turn.scenario, usage, world.counters())}
    if turn.scenario.changes and not turn.baseline:
        found |= findings.throttle(world.series(), phases)
    return found
