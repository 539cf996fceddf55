"""The servers that contenders work against, and how each tells whether the work was done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from benchmarks.jobs import Credentials, Job
from benchmarks.scenario import Scenario
from benchmarks.simulator import Simulator, SimulatorConfig, simulator


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a destination holds what it should.

    Attributes:
        ok: It does.
        details: What was compared, for the raw data.
    """

    ok: bool
    details: Mapping[str, Any] = field(default_factory=dict)


class World(Protocol):
    """A running server."""

    @property
    def url(self) -> str:
        """Its endpoint."""
        ...

    @property
    def ca_file(self) -> Path | None:
        """Its certificate authority; ``None`` over plain HTTP."""
        ...

    @property
    def credentials(self) -> Credentials:
        """An account that may do everything."""
        ...

    def prepare(self, job: Job) -> None:
        """Have the source filled, the destination empty and nothing counted."""
        ...

    def counters(self) -> dict[str, Any]:
        """Return what was counted since ``prepare``; empty where the server does not count."""
        ...

    def series(self) -> list[dict[str, Any]]:
        """Return object requests over time since ``prepare``; empty likewise."""
        ...

    def configure(self, **settings: Any) -> None:
        """Change how it behaves, while it runs.

        Raises:
            TypeError: This server cannot be changed.
        """
        ...

    def verify(self, job: Job) -> Verdict:
        """Compare the destination with the source."""
        ...

    def clear(self, job: Job) -> None:
        """Forget the destination."""
        ...


class SimulatedWorld:
    """The simulator: computed keys, set latencies, every request counted."""

    def __init__(self, server: Simulator, config: SimulatorConfig) -> None:
        self.server = server
        self.config = config
        self.url = server.url
        self.ca_file = server.ca_file
        self.credentials = Credentials()

    def prepare(self, job: Job) -> None:
        """Set what a scenario may have changed back, and empty the destinations."""
        del job
        self.server.configure(rate_per_s=self.config.rate_per_s)
        self.server.reset()

    def counters(self) -> dict[str, Any]:
        """Return the simulator's counters."""
        return self.server.counters()

    def series(self) -> list[dict[str, Any]]:
        """Return the simulator's series."""
        return self.server.series()

    def configure(self, **settings: Any) -> None:
        """Change the simulator's settings."""
        self.server.configure(**settings)

    def verify(self, job: Job) -> Verdict:
        """Let the simulator compare what was written with what should have been."""
        found = [
            self.server.verify(job.source_bucket, job.prefix, bucket, job.prefix)
            for bucket in job.destinations
        ]
        ok = all(each.complete and each.found == job.objects for each in found)
        # One that is wrong says more than those that are right.
        told = next((each for each in found if not each.complete), found[-1])
        return Verdict(ok=ok, details=asdict(told))

    def clear(self, job: Job) -> None:
        """Empty the destinations."""
        del job
        self.server.reset()


@contextmanager
def open_world(scenario: Scenario, cpu: int | None) -> Iterator[World]:
    """Start the server of a scenario, pinned to a CPU, and end it afterwards."""
    if scenario.server is None:
        # Its clients are in the environment of the benchmarks only.
        from benchmarks.seaweed import seaweed_world

        with seaweed_world(cpu) as world:
            yield world
        return
    config = SimulatorConfig(**{**asdict(scenario.server), "faults": (), "cpu": cpu})
    with simulator(config) as server:
        yield SimulatedWorld(server, config)
