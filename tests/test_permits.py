"""Permits: never too many, first come, first served, and none lost to a cancellation."""

from __future__ import annotations

import asyncio
import random

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_s3copy.engine.permits import Permits
from tests.harness import all_idle, settle


async def test_a_free_permit_is_taken_without_yielding() -> None:
    """Neither form gives the event loop a turn while permits are free."""
    permits, turns = Permits(2), 0

    def count() -> None:
        nonlocal turns
        turns += 1

    asyncio.get_running_loop().call_soon(count)
    assert permits.take()
    await permits.acquire()
    assert (permits.held, turns) == (2, 0)
    assert not permits.take()


async def test_permits_are_given_first_come_first_served() -> None:
    """Nobody overtakes: not even a task that finds a permit free while others wait for theirs."""
    permits, order = Permits(1), list[int]()
    assert permits.take()

    async def task(number: int) -> None:
        await permits.acquire()
        order.append(number)

    async with anyio.create_task_group() as group:
        for number in range(5):
            group.start_soon(task, number)
        await settle(lambda: permits.waiting == 5)
        for _ in range(5):
            permits.release()
            assert not permits.take()
            await all_idle(5)
    assert order == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("before_it_runs", [False, True])
async def test_a_cancelled_task_takes_no_permit_with_it(before_it_runs: bool) -> None:
    """Cancelled while it waits, or served and cancelled before it ran: the next one is served."""
    permits = Permits(1)
    assert permits.take()
    first, second = (asyncio.create_task(permits.acquire()) for _ in range(2))
    await settle(lambda: permits.waiting == 2)
    if before_it_runs:
        permits.release()
    first.cancel()
    await asyncio.wait([first])
    assert first.cancelled()
    if not before_it_runs:
        permits.release()
    await second
    assert (permits.held, permits.waiting) == (1, 0)


async def test_a_higher_limit_serves_those_who_wait() -> None:
    """And a lower one takes nothing away: it waits until enough were given back."""
    permits = Permits(1)
    tasks = [asyncio.create_task(permits.acquire()) for _ in range(4)]
    await settle(lambda: permits.waiting == 3)
    permits.limit = 3
    await settle(lambda: sum(task.done() for task in tasks) == 3)
    permits.limit = 1
    permits.release()
    permits.release()
    await all_idle(5)
    assert (permits.held, permits.waiting) == (1, 1)
    permits.release()
    await asyncio.wait(tasks)
    assert permits.held == 1


@given(limit=st.integers(1, 4), tasks=st.integers(0, 12), seed=st.integers(0, 2**16))
def test_whatever_is_cancelled_when_the_books_balance(limit: int, tasks: int, seed: int) -> None:
    """Tasks cancelled at random: the limit holds all the time, and nothing is held at the end."""
    dice = random.Random(seed)

    async def main() -> None:
        permits, now = Permits(limit), 0

        async def task() -> None:
            nonlocal now
            await permits.acquire()
            now += 1
            assert now <= permits.held <= limit
            try:
                for _ in range(dice.randrange(3)):
                    await anyio.lowlevel.checkpoint()
            finally:
                now -= 1
                permits.release()

        running = [asyncio.create_task(task()) for _ in range(tasks)]
        while any(not each.done() for each in running):
            dice.choice(running).cancel() if dice.random() < 0.3 else None
            await asyncio.sleep(0)
        assert [each for each in running if not each.cancelled() and each.exception()] == []
        assert (permits.held, permits.waiting, now) == (0, 0, 0)

    asyncio.run(main())
