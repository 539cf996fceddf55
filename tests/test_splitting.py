"""Where ranges are cut: simulated listings in virtual time, on keys of every shape."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from async_s3copy.engine.ranges import KeyRange, RangeTable
from async_s3copy.engine.splitting import Confidence, Splitter
from async_s3copy.model import S3Object
from async_s3copy.s3.values import ListPage
from benchmarks.simulator.keyspaces import KEYSPACES, KeySpace
from tests.fakes import LONG_AGO

# As many pages as a million keys make, in a tenth of the time.
PAGE_KEYS = 100
PAGES = 1_000
LISTERS = 32
Seek = Callable[[str], int]


@dataclass
class Simulation:
    """Listers that ask and are answered after a while, without a clock."""

    keys: Sequence[S3Object]
    seek: Seek
    listers: int = LISTERS
    latency: Callable[[], float] = lambda: 1.0
    pages: int = 0
    found: int = 0
    duration: float = 0.0
    answers: list[tuple[float, int, KeyRange]] = field(default_factory=list)

    def run(self) -> Simulation:
        table = RangeTable(Splitter("data/", self.listers))
        first = table.take(divide=False)
        assert first is not None
        self.ask(first)
        while self.answers:
            self.duration, _, key_range = heapq.heappop(self.answers)
            self.found += len(table.accept(key_range, self.page(key_range)).objects)
            if not key_range.done:
                self.ask(key_range)
            while len(self.answers) < self.listers and (more := table.take(divide=True)):
                self.ask(more)
        return self

    def ask(self, key_range: KeyRange) -> None:
        heapq.heappush(self.answers, (self.duration + self.latency(), self.pages, key_range))
        self.pages += 1

    def page(self, key_range: KeyRange) -> ListPage:
        first = 0 if key_range.last is None else self.seek(key_range.last)
        more = first + PAGE_KEYS < len(self.keys)
        return ListPage(self.keys[first : first + PAGE_KEYS], "t" if more else None, more)


def simulated(name: str, pages: int = PAGES, **more: object) -> Simulation:
    space = KeySpace.parse(f"src-{name}-{pages * PAGE_KEYS}")
    keys = [
        S3Object.reported("source-bucket", space.key(n), 1, LONG_AGO, "") for n in range(len(space))
    ]
    return Simulation(keys, space.seek, **more).run()  # type: ignore[arg-type]


def jittered(seed: int) -> Callable[[], float]:
    """Latencies as networks have them: log-normal, one on average, three now and then."""
    dice = random.Random(seed)
    return lambda: dice.lognormvariate(-0.08, 0.4)


@pytest.mark.parametrize("latency", [lambda: 1.0, jittered(1), jittered(2)])
@pytest.mark.parametrize("name", KEYSPACES)
def test_32_listers_are_15_times_faster_on_every_key_space(
    name: str, latency: Callable[[], float]
) -> None:
    """1,000 pages in a fifteenth of the time of one lister, with at most 15 % more of them."""
    run = simulated(name, latency=latency)
    assert run.found == PAGES * PAGE_KEYS
    assert PAGES / run.duration >= 15
    assert run.pages <= 1.15 * PAGES


@pytest.mark.parametrize("name", KEYSPACES)
def test_8_listers_are_4_times_faster(name: str) -> None:
    """The default number of listers, on 200 pages: half of the time may go into finding its way."""
    run = simulated(name, pages=200, listers=8)
    assert run.found == 200 * PAGE_KEYS
    assert 200 / run.duration >= 4
    assert run.pages <= 1.15 * 200


@pytest.mark.parametrize("pages", [1, 2, 3, 5, 10])
@pytest.mark.parametrize("name", KEYSPACES)
def test_a_short_listing_costs_few_pages_more(name: str, pages: int) -> None:
    """What is spent before anything is known is bounded by one answer for each lister."""
    run = simulated(name, pages=pages, listers=8)
    assert run.found == pages * PAGE_KEYS
    assert run.pages <= 1.1 * pages + 8 + 2
    assert run.duration <= pages


def test_one_page_is_one_request() -> None:
    """Nothing is cut that has ended."""
    assert simulated("hex", pages=1, listers=32).pages == 1


def test_identical_beginnings_do_not_stop_a_division() -> None:
    """Keys that share hundreds of characters are told apart where they differ."""
    stem = "data/" + "x" * 900
    keys = [f"{stem}{n:06}" for n in range(200 * PAGE_KEYS)]
    objects = [S3Object.reported("source-bucket", key, 1, LONG_AGO, "") for key in keys]
    places = {key: place for place, key in enumerate(keys, 1)}

    def seek(key: str) -> int:
        if key in places:
            return places[key]
        return sum(each <= key for each in keys)

    run = Simulation(objects, seek, listers=8).run()
    assert run.found == len(keys)
    assert 200 / run.duration >= 5


def test_bets_grow_as_they_pay_and_shrink_as_they_do_not() -> None:
    """As a connection's window opens and closes; one is always allowed."""
    confidence = Confidence()
    seen = []
    for paid in (True, True, True, False, False, False, False):
        confidence.outstanding += 1
        confidence.answered(paid=paid)
        seen.append(confidence.window)
    assert seen == [3, 4, 5, 2.5, 1.25, 1, 1]
    assert 0 < confidence.trust < 0.2
    assert confidence.may_bet
    confidence.outstanding = 1
    assert not confidence.may_bet
