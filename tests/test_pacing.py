"""Pacer: an even rate, one timer, and no turn lost to a cancellation; in virtual time."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from async_s3copy.engine.pacing import CREDIT_S, TICK_S, Pacer
from tests.virtual_time import VirtualLoop, pause, run


@pytest.mark.parametrize("rate", [0.2, 5.0, 100.0, 3_500.0])
def test_requests_set_off_at_the_rate(rate: float) -> None:
    """In every stretch of time as many as the rate allows, give or take the credit and one tick."""

    async def main(loop: VirtualLoop) -> list[float]:
        pacer, times = Pacer(lambda _now: rate, loop.time), list[float]()

        async def request() -> None:
            await pacer.turn()
            times.append(loop.time())

        await asyncio.wait([asyncio.create_task(request()) for _ in range(50)])
        return times

    times = run(main)
    tolerance_s = CREDIT_S + TICK_S + 1e-6
    for number, begun in enumerate(times):
        for count, at in enumerate(times[number:]):
            assert at - begun == pytest.approx(count / rate, abs=tolerance_s)


def test_one_timer_serves_all_who_wait() -> None:
    """A thousand waiting requests are one timer of the loop, not a thousand."""

    async def main(loop: VirtualLoop) -> int:
        pacer = Pacer(lambda _now: 1.0, loop.time)
        tasks = [asyncio.create_task(pacer.turn()) for _ in range(1_000)]
        await asyncio.sleep(0)
        timers = len(loop._scheduled)  # type: ignore[attr-defined]  # asyncio's own heap
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        return timers

    assert run(main) == 1


def test_after_a_pause_little_is_made_up_for() -> None:
    """An hour of silence does not buy a burst: what the credit allows, no more."""

    async def main(loop: VirtualLoop) -> int:
        pacer = Pacer(lambda _now: 1_000.0, loop.time)
        await pacer.turn()
        await pause(3_600)
        return sum(pacer.admit() for _ in range(1_000))

    assert run(main) == pytest.approx(CREDIT_S * 1_000, abs=1)


def test_without_a_rate_nobody_waits() -> None:
    """Requests that wait when the limit is forgotten all set off when the next one is due."""

    async def main(loop: VirtualLoop) -> float:
        rate: list[float | None] = [1.0]
        pacer = Pacer(lambda _now: rate[0], loop.time)
        begun = loop.time()
        tasks = [asyncio.create_task(pacer.turn()) for _ in range(500)]
        await asyncio.sleep(0)
        rate[0] = None
        await asyncio.wait(tasks)
        assert pacer.admit()
        return loop.time() - begun

    assert run(main) == pytest.approx(1 - CREDIT_S)


def test_a_cancelled_wait_delays_nobody() -> None:
    """Those behind a cancelled request move up; the order stays."""

    async def main(loop: VirtualLoop) -> list[tuple[int, float]]:
        pacer, served = Pacer(lambda _now: 10.0, loop.time), list[tuple[int, float]]()
        begun = loop.time()

        async def request(number: int) -> None:
            await pacer.turn()
            served.append((number, loop.time() - begun))

        tasks = [asyncio.create_task(request(number)) for number in range(6)]
        await asyncio.sleep(0)
        for number in (1, 3):
            tasks[number].cancel()
        await asyncio.wait(tasks)
        assert pacer.waiting == 0
        return served

    numbers, times = zip(*run(main), strict=True)
    assert numbers == (0, 2, 4, 5)
    assert times == pytest.approx((0.0, 0.1, 0.2, 0.3), abs=CREDIT_S)


def test_a_turn_that_comes_due_while_its_request_is_cancelled_is_nobodys() -> None:
    """The timer strikes between a cancellation and the moment it is felt: the others go on."""

    async def main(loop: VirtualLoop) -> bool:
        pacer = Pacer(lambda _now: 10.0, loop.time)
        await pacer.turn()
        cancelled, other = (asyncio.create_task(pacer.turn()) for _ in range(2))
        await asyncio.sleep(0)
        cancelled.cancel()
        pacer._next = loop.time()
        pacer._disarm()
        pacer._tick()
        await asyncio.wait([cancelled, other])
        return cancelled.cancelled() and not other.cancelled()

    assert run(main)


def test_an_idle_pacer_lets_its_event_loop_go() -> None:
    """No timer is left when the last waiting request is cancelled: it would hold on to the loop."""
    loops: list[weakref.ref[VirtualLoop]] = []
    pacers: list[Pacer] = []

    async def main(loop: VirtualLoop) -> None:
        loops.append(weakref.ref(loop))
        pacers.append(Pacer(lambda _now: 1.0, lambda: 1_000.0))
        await pacers[0].turn()
        waiting = asyncio.create_task(pacers[0].turn())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])

    run(main)
    gc.collect()
    assert loops[0]() is None
