"""Which rate a server's refusals stand for: plain decisions over plain numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_s3copy.engine.rates import (
    ENOUGH,
    FIRST_EVIDENCE,
    FORGET_S,
    KEPT,
    LOWEST_RATE,
    SLOTS,
    Counts,
    Cut,
    Observed,
    RateFinder,
    cut,
)

NOW = 1_000.0


def observed(
    rate: float, *, count: int = 500, refusing: bool = False, waiting: bool = False
) -> Observed:
    return Observed(rate, count, refusing, waiting)


def finder_under_load(rate: int, seconds: int = 1) -> RateFinder:
    """A finder that has seen requests served evenly, until NOW."""
    finder = RateFinder()
    for number in range(rate * seconds):
        finder.served(NOW - seconds + number / rate)
    return finder


def refuse(finder: RateFinder, times: int, *, now: float = NOW, waiting: bool = False) -> int:
    """Let requests of the current generation be refused; return the cuts they led to."""
    generation = finder.generation
    return sum(finder.refused(now, generation, waiting=waiting) for _ in range(times))


def test_after_a_steady_cut_the_rate_recovers_pauses_and_accelerates() -> None:
    """97 % of the limit at once, all of it after 5 s, 102 % after 9 s, twice after 21 s."""
    found = Cut(NOW, 1_000, steady=True)
    at = {after: found.rate(NOW + after) for after in (0, 4.93, 9, 21)}
    assert at[0] == pytest.approx(970)
    assert at[4.93] == pytest.approx(1_000, rel=1e-4)
    assert at[9] == pytest.approx(1_020, rel=5e-3)
    assert at[21] == pytest.approx(2_000, rel=0.05)


def test_a_rate_that_was_not_measured_at_the_limit_grows_fast() -> None:
    """Fourfold each second: from 10 to 10,000 a second in five seconds."""
    found = Cut(NOW, 10, steady=False)
    assert found.rate(NOW) == pytest.approx(10 * KEPT)
    assert found.rate(NOW + 5) == pytest.approx(10 * KEPT * 4**5)


@given(st.floats(LOWEST_RATE, 1e6), st.booleans(), st.floats(0, 300), st.floats(0, 10))
def test_without_refusals_the_rate_never_falls(
    limit: float, steady: bool, age_s: float, more_s: float
) -> None:
    """It starts just below the limit, only rises, and is forgotten in the end."""
    found = Cut(NOW, limit, steady=steady)
    first, earlier, later = (found.rate(NOW + t) for t in (0, age_s, age_s + more_s))
    assert first == pytest.approx(KEPT * limit)
    if later is not None:
        assert earlier is not None
        assert KEPT * limit * (1 - 1e-9) <= earlier <= later * (1 + 1e-9)
    assert found.rate(NOW + 2 * FORGET_S + 1) is None


@pytest.mark.parametrize(
    "limit, steady, forgotten_s", [(100, True, 60), (5, True, 120), (5, False, 60)]
)
def test_a_limit_is_forgotten(limit: float, steady: bool, forgotten_s: float) -> None:
    """After a minute; after two where each probe is dear."""
    found = Cut(NOW, limit, steady=steady)
    assert found.rate(NOW + forgotten_s - 1) is not None
    assert found.rate(NOW + forgotten_s + 1) is None


@pytest.mark.parametrize(
    "seen, before, limit, steady",
    [
        # Nothing was held back: what was served is a first guess.
        (observed(3_000), None, 3_000, False),
        (observed(0, count=0), None, LOWEST_RATE, False),
        # Sent at the allowed rate, and yet refused: what was served is the limit.
        (observed(950, waiting=True), Cut(NOW, 1_000, steady=True), 950, True),
        # Refused all the time, whoever waited.
        (observed(950, refusing=True), Cut(NOW, 1_000, steady=False), 950, True),
        # Less was asked for than allowed: the server's limit is unknown.
        (observed(800), Cut(NOW, 1_000, steady=True), 800, False),
        # Too few answers to measure by.
        (observed(900, count=ENOUGH - 1, waiting=True), Cut(NOW, 1_000, steady=True), 900, False),
        # The rate has just been growing: hold it, and measure.
        (observed(700, waiting=True), Cut(NOW, 1_000, steady=False), 970, True),
        # Never less than half at once, never more than is allowed now.
        (observed(10, waiting=True), Cut(NOW, 1_000, steady=True), 485, True),
        (observed(5_000, waiting=True), Cut(NOW, 1_000, steady=True), 970, True),
        (observed(0, count=0), Cut(NOW, 1, steady=True), LOWEST_RATE, False),
        # A forgotten limit is none.
        (observed(3_000), Cut(NOW - 100, 100, steady=True), 3_000, False),
    ],
)
def test_a_cut_follows_from_what_was_seen(
    seen: Observed, before: Cut | None, limit: float, steady: bool
) -> None:
    """One row per rule."""
    found = cut(NOW, seen, before)
    assert (found.at, found.steady) == (NOW, steady)
    assert found.limit == pytest.approx(limit)


def test_stray_refusals_are_no_limit() -> None:
    """A few within ten seconds are tried again and nothing more; the fifth is evidence."""
    finder = finder_under_load(100)
    assert refuse(finder, FIRST_EVIDENCE - 1) == 0
    assert finder.rate(NOW) is None
    assert refuse(finder, 1) == 1
    assert finder.rate(NOW) == pytest.approx(100 * KEPT, rel=0.1)


def test_stray_refusals_do_not_add_up_for_ever() -> None:
    """One every three seconds, for an hour: never a limit."""
    finder = RateFinder()
    assert sum(refuse(finder, 1, now=NOW + 3 * number) for number in range(1_200)) == 0


def test_a_small_share_of_refusals_is_tolerated() -> None:
    """Up to half a percent of the last second's answers; beyond, the rate is lowered."""
    finder = finder_under_load(2_000)
    assert refuse(finder, 9) == 0
    assert refuse(finder, 3) == 1


def test_what_was_acted_upon_counts_no_more() -> None:
    """After a cut the tolerance begins anew: the refusals before it are settled."""
    finder = finder_under_load(2_000)
    assert refuse(finder, 20) == 1
    assert refuse(finder, 5, now=NOW + 0.1, waiting=True) == 0


def test_one_overload_is_one_cut() -> None:
    """The hundreds of refusals that were on their way already change nothing more."""
    finder = finder_under_load(1_000)
    generation = finder.generation
    cuts = sum(finder.refused(NOW, generation, waiting=False) for _ in range(300))
    assert (cuts, finder.generation) == (1, generation + 1)


def test_a_held_rate_is_lowered_at_the_first_evident_refusal() -> None:
    """Once the limit is known, refusals need not gather for ten seconds."""
    finder = finder_under_load(100)
    refuse(finder, FIRST_EVIDENCE)
    before = finder.rate(NOW)
    assert before is not None
    assert refuse(finder, 1, waiting=True) == 1
    after = finder.rate(NOW)
    assert after is not None
    assert after < before


def test_a_forgotten_limit_holds_nothing_back() -> None:
    """A minute later the finder is as it was in the beginning."""
    finder = finder_under_load(100)
    refuse(finder, FIRST_EVIDENCE)
    assert finder.rate(NOW + FORGET_S + 1) is None
    assert finder.found is None


@given(st.lists(st.floats(0, 30), max_size=60), st.floats(0, 5), st.floats(0.05, 9.9))
def test_counts_are_those_of_a_list_of_times(
    times: list[float], later_s: float, lately_s: float
) -> None:
    """Slots count what a list of all times would, to the slot."""
    times = sorted(NOW + each for each in times)
    now = (times[-1] if times else NOW) + later_s
    counts = Counts()
    for each in times:
        counts.add(each)
    inner = sum(now - lately_s + 0.1 <= each for each in times)
    outer = sum(now - lately_s - 0.1 <= each for each in times)
    assert inner <= counts.lately(now, lately_s) <= outer


@pytest.mark.parametrize("rate", [2, 16, 100, 3_500])
def test_an_even_rate_is_measured(rate: int) -> None:
    """To a slot's precision, whatever the rate: slow ones are looked at for longer."""
    counts = Counts()
    for number in range(rate * 10):
        counts.add(NOW + number / rate)
    measured, count = counts.rate(NOW + 10 - 1e-6)
    assert measured == pytest.approx(rate, rel=0.25)
    assert count >= min(ENOUGH, 10 * rate)


def test_silence_longer_than_the_memory_begins_anew() -> None:
    """A burst after a pause is measured by itself, not diluted by the pause."""
    counts = Counts()
    counts.add(NOW)
    later = NOW + SLOTS
    for number in range(100):
        counts.add(later + number / 1_000)
    measured, _ = counts.rate(later + 0.1)
    assert measured == pytest.approx(1_000, rel=0.5)


def test_refusing_all_the_time_means_in_every_slot() -> None:
    """One slot without a refusal, and what was served need not be the limit."""
    counts = Counts()
    for slot in range(6):
        counts.add(NOW + slot * 0.05 + 0.001)
    assert counts.in_every_slot(NOW + 0.26, 0.25)
    counts = Counts()
    for slot in (0, 1, 3, 4, 5):
        counts.add(NOW + slot * 0.05 + 0.001)
    assert not counts.in_every_slot(NOW + 0.26, 0.25)
