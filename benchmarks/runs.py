"""One run: what was done, what it used, and whether the work was really done."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, Self

Status = Literal["ok", "failed", "missing"]
"""``ok``: verified; ``failed``: ended badly or did not do the work; ``missing``: not installed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One contender, once, in one scenario: a line of the raw data.

    Attributes:
        scenario: Name of the scenario.
        contender: Name of the contender.
        session: When the command that made this run was started; rounds are numbered within it.
        round: Number of the repetition, from 0; contenders take turns within a round.
        baseline: Whether this run had a single object, to know what starting costs.
        objects: Objects it was given.
        size_bytes: Size of each.
        status: Whether the figures count.
        reason: Why they do not.
        wall_s: From its start to its end.
        user_s: CPU time in the program.
        system_s: CPU time in the kernel for it.
        max_rss_bytes: Peak resident memory.
        requests: Requests the server saw, by kind; empty where the server does not count.
        figures: What else was found, by name.
        verification: How the destination compared with the source.
        command: The command line.
        versions: What the contender consists of.
        machine: Where it ran.
        started: When, in UTC.
        quick: Whether it belongs to the short set.
    """

    scenario: str
    contender: str
    session: str = ""
    round: int
    baseline: bool = False
    objects: int
    size_bytes: int = 0
    status: Status
    reason: str = ""
    wall_s: float = 0.0
    user_s: float = 0.0
    system_s: float = 0.0
    max_rss_bytes: int = 0
    requests: Mapping[str, int] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)
    verification: Mapping[str, Any] = field(default_factory=dict)
    command: Sequence[str] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    machine: Mapping[str, Any] = field(default_factory=dict)
    started: str = ""
    quick: bool = False

    @property
    def cpu_s(self) -> float:
        """CPU time in all."""
        return self.user_s + self.system_s

    def to_json(self) -> str:
        """Return one line of JSON."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, line: str) -> Self:
        """Read one line; names it does not know are from another version and left out."""
        known = {each.name for each in fields(cls)}
        return cls(**{name: value for name, value in json.loads(line).items() if name in known})


def read(paths: Iterable[Path]) -> list[Run]:
    """Read the runs of files of JSON lines."""
    return [
        Run.from_json(line)
        for path in paths
        for line in path.read_text().splitlines()
        if line.strip()
    ]
