"""What a scenario is; ``scenarios`` has the table of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.jobs import Action
from benchmarks.simulator.config import SimulatorConfig
from benchmarks.simulator.keyspaces import KeySpace


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A setting of the simulator that changes while a contender works.

    Attributes:
        after_s: Seconds after the first copy.
        settings: Fields of ``SimulatorConfig`` with their new values.
    """

    after_s: float
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quick:
    """What is different in the short set.

    Attributes:
        objects: Objects at most.
        repeats: Rounds.
        contenders: The only contenders; empty for all of the scenario's.
    """

    objects: int
    repeats: int = 1
    contenders: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One experiment.

    Attributes:
        name: Its name on the command line.
        title: Its heading in the report.
        about: What it shows, in a sentence or two.
        action: What contenders do.
        server: The simulator's settings; ``None`` takes SeaweedFS, with real bytes on disk.
        key_space: Shape of the keys.
        size: Size of each object, as the simulator spells it.
        objects: How many objects.
        concurrency: Requests in flight.
        listers: Listing requests in flight.
        method: Whether the bytes travel through the contender.
        max_requests_per_second: A cap, for those that have one.
        copies: Copies at the same time, each of all the objects.
        watch_loop: Measure what a neighbour on the contender's event loop notices.
        changes: What the simulator changes meanwhile.
        contenders: Who takes part, in this order.
        baseline: Also run with a single object, so that starting up can be told from working.
        measure: Name of the measure that contenders are compared by, see ``measures``.
        repeats: Rounds.
        quick: What is different in the short set; ``None``: it is not part of it.
        timeout_s: Longest time of one run.
    """

    name: str
    title: str
    about: str
    action: Action = "copy"
    server: SimulatorConfig | None = field(default_factory=SimulatorConfig)
    key_space: str = "hex"
    size: str = "1kib"
    objects: int
    concurrency: int = 256
    listers: int = 8
    method: str = "server_side"
    max_requests_per_second: float | None = None
    copies: int = 1
    watch_loop: bool = False
    changes: tuple[Change, ...] = ()
    contenders: tuple[str, ...]
    baseline: bool = False
    measure: str
    repeats: int = 5
    quick: Quick | None = None
    timeout_s: float = 600.0

    @property
    def size_bytes(self) -> int:
        """Size of each object."""
        return KeySpace.parse(self.source_bucket(1)).size_bytes

    def source_bucket(self, objects: int) -> str:
        """Return the name that makes the simulator hold that many objects."""
        return f"src-{self.key_space}-{objects}-{self.size}"
