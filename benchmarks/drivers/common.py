"""What the drivers share: the job they were given, and how they tell what they found."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

LoopFactory = Callable[[], asyncio.AbstractEventLoop]

_NEIGHBOUR_SLEEP_S: Final = 0.005


def job() -> dict[str, Any]:
    """Return the job of this process."""
    given: dict[str, Any] = json.loads(sys.argv[1])
    return given


def tell(**figures: object) -> None:
    """Print figures that only this process can know."""
    sys.stdout.write(json.dumps(figures) + "\n")


@dataclass(slots=True)
class Neighbour:
    """A task that sleeps a moment, over and over, and remembers how late it woke up.

    Attributes:
        clock: Monotonic seconds.
        late: When it should have woken up, and how late it was, each time.
        flat_out_at: When starting was over.
    """

    clock: Callable[[], float] = time.perf_counter
    late: list[tuple[float, float]] = field(default_factory=list)
    flat_out_at: float = 0.0

    def flat_out(self) -> None:
        """Note that starting is over: clients are open, and listing and copying begin."""
        self.flat_out_at = self.clock()

    async def live(self) -> None:
        """Sleep until cancelled."""
        while True:
            due = self.clock() + _NEIGHBOUR_SLEEP_S
            await asyncio.sleep(_NEIGHBOUR_SLEEP_S)
            self.late.append((due, self.clock() - due))

    def figures(self) -> dict[str, object]:
        """Return how late it was while the copy started, and while it went on."""
        starting = [1_000 * late for due, late in self.late if due < self.flat_out_at]
        going_on = [1_000 * late for due, late in self.late if due >= self.flat_out_at]
        return {
            "starting_late_ms": max(starting, default=0.0),
            "loop_late_ms": percentiles(going_on) if going_on else {},
        }


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """Return median, 99th and 99.9th percentile and maximum, by nearest rank."""
    ordered = sorted(values)
    last = len(ordered) - 1
    shares = {"p50": 0.5, "p99": 0.99, "p99_9": 0.999, "max": 1.0}
    return {name: round(ordered[round(share * last)], 3) for name, share in shares.items()}


Work = Callable[[Neighbour], Coroutine[Any, Any, None]]


def run(work: Work, loop_factory: LoopFactory | None = None) -> None:
    """Run the work, beside a neighbour where the job asks for one; tell how long it was flat out.

    Args:
        work: What to run; it tells the neighbour when it goes flat out.
        loop_factory: Makes the event loop; ``None`` takes asyncio's own.
    """
    neighbour = Neighbour()
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(_beside(neighbour, work) if job()["watch_loop"] else work(neighbour))
    tell(work_s=neighbour.clock() - neighbour.flat_out_at)


async def _beside(neighbour: Neighbour, work: Work) -> None:
    living = asyncio.create_task(neighbour.live())
    # It goes to sleep first, or would not notice what blocks the loop from the start.
    await asyncio.sleep(0)
    try:
        await work(neighbour)
    finally:
        living.cancel()
    tell(**neighbour.figures())
