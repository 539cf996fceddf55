"""Way: what the requests of one operation to one side pass before they are sent."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

from async_s3copy.engine.lanes import Kind, Lane
from async_s3copy.engine.permits import Permits
from async_s3copy.engine.shared import Place


@dataclass(slots=True)
class Way:
    """What the requests of one kind to one side pass: their lane, then their permits.

    Attributes:
        kind: What the requests do.
        lane: Their rate, shared with other operations.
        place: Where they go.
        permits: Each request takes one of each, in this order. The order is the same for every
            way, so that nobody waits in a ring.
        in_flight: Requests of this operation that hold their permits.
        waiting: Requests of this operation that wait for their turn or for a permit.
        served: Whether any request of this operation has succeeded here.
    """

    kind: Kind
    lane: Lane
    place: Place
    permits: tuple[Permits, ...]
    in_flight: int = 0
    waiting: int = 0
    served: bool = False

    def enter(self) -> bool:
        """Take all permits if all are free; tell whether they were."""
        for number, permits in enumerate(self.permits):
            if not permits.take():
                for taken in self.permits[:number]:
                    taken.release()
                return False
        self.in_flight += 1
        return True

    async def wait_to_enter(self) -> None:
        """Take all permits, and wait for them if need be; cancelled meanwhile, none is held."""
        with ExitStack() as taken:
            for permits in self.permits:
                await permits.acquire()
                taken.callback(permits.release)
            taken.pop_all()
        self.in_flight += 1

    def leave(self) -> None:
        """Give all permits back."""
        self.in_flight -= 1
        for permits in self.permits:
            permits.release()
