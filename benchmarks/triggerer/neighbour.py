"""The neighbour: a trigger that notices what the others do to the event loop they share."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

from airflow.triggers.base import BaseTrigger, TriggerEvent

from benchmarks.triggerer.home import READY, SEEN, STOP
from benchmarks.triggerer.turns import TurnWatch

CLASSPATH: Final = "benchmarks.triggerer.neighbour.NeighbourTrigger"

_SLEEP_S: Final = 0.05
# One alone would wake up a thousand times a minute: the worst thousandth of that is one moment.
_SLEEPERS: Final = 10


class NeighbourTrigger(BaseTrigger):
    """Sleep 50 ms, over and over, and remember how late each sleep ended.

    Args:
        folder: Where it says that it is there, is told to go, and leaves what it has seen.
    """

    def __init__(self, folder: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's has no annotations
        self.folder = folder
        self._late: list[tuple[float, float]] = []
        self._busy: list[tuple[float, float]] = []

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what builds it again."""
        return CLASSPATH, {"folder": self.folder}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Live beside the other triggers until told to go; then write down what was seen."""
        folder = Path(self.folder)
        turns = TurnWatch(asyncio.get_running_loop())
        async with asyncio.TaskGroup() as group:
            sleepers = [group.create_task(self._sleep(number)) for number in range(_SLEEPERS)]
            (folder / READY).touch()
            while not (folder / STOP).exists():
                await asyncio.sleep(_SLEEP_S)
                self._busy.append((time.monotonic(), turns.busy_s))
            for sleeper in sleepers:
                sleeper.cancel()
        seen = {"late": self._late, "turns": turns.longer, "busy": self._busy}
        (folder / SEEN).write_text(json.dumps(seen))
        yield TriggerEvent({"status": "success"})  # type: ignore[no-untyped-call]  # likewise

    async def _sleep(self, number: int) -> None:
        await asyncio.sleep(_SLEEP_S * number / _SLEEPERS)
        while True:
            due = time.monotonic() + _SLEEP_S
            await asyncio.sleep(_SLEEP_S)
            self._late.append((due, time.monotonic() - due))
