"""What a server changes while a contender works."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Final, Self

from benchmarks.scenario import Scenario
from benchmarks.slowdown import Phase
from benchmarks.worlds import World

_POLL_S: Final = 0.05


class Timeline:
    """Apply a scenario's changes, counted from the contender's first object request.

    Attributes:
        phases: The limits so far, in the time of the server's series.
    """

    def __init__(self, world: World, scenario: Scenario) -> None:
        self._world = world
        self._changes = scenario.changes
        self._over = threading.Event()
        self._thread = threading.Thread(target=self.apply, name="timeline")
        limit = scenario.server.rate_per_s if scenario.server else None
        self.phases = [Phase(0.0, limit)] if limit else []

    def __enter__(self) -> Self:
        if self._changes:
            self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over.set()
        if self._changes:
            self._thread.join()

    def apply(self) -> None:
        """Wait for the time of each change and apply it, until the contender ends."""
        for change in self._changes:
            while (at_s := self._elapsed_s()) < change.after_s:
                if self._over.wait(_POLL_S):
                    return
            self._world.configure(**change.settings)
            self.phases.append(Phase(at_s, change.settings["rate_per_s"]))

    def _elapsed_s(self) -> float:
        """Return how far the series has come; it begins with the first object request."""
        series = self._world.series()
        return float(series[-1]["t_s"]) if series else 0.0
