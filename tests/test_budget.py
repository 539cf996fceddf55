"""The bound on bytes held in memory: never exceeded, first come first served, nothing lost."""

from __future__ import annotations

import asyncio

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_s3copy.engine.budget import ByteBudget
from tests.harness import all_idle


@given(st.lists(st.integers(0, 10), min_size=1, max_size=30))
def test_the_bound_is_never_exceeded_and_order_is_kept(sizes: list[int]) -> None:
    """Whatever is asked for, no more than the total is held, and requests are served in order."""

    async def main() -> list[int]:
        budget, held, order = ByteBudget(10), 0, list[int]()

        async def hold(number: int, size: int) -> None:
            nonlocal held
            async with budget.holding(size):
                order.append(number)
                held += size
                assert held <= budget.used_bytes <= 10
                await anyio.lowlevel.checkpoint()
                held -= size

        async with anyio.create_task_group() as group:
            for number, size in enumerate(sizes):
                group.start_soon(hold, number, size)
        assert budget.used_bytes == 0
        return order

    assert asyncio.run(main()) == list(range(len(sizes)))


async def test_a_large_request_is_not_overtaken_by_small_ones() -> None:
    """Where bytes are free but not enough for the first in line, the small one behind it waits."""
    budget, served = ByteBudget(10), list[int]()

    async def reserve(size: int) -> None:
        await budget.reserve(size)
        served.append(size)

    await budget.reserve(6)
    async with anyio.create_task_group() as group:
        group.start_soon(reserve, 8)
        await all_idle()
        group.start_soon(reserve, 1)
        await all_idle()
        assert served == []
        budget.release(6)
        await all_idle()
        assert served == [8, 1]
    assert budget.used_bytes == 9


@pytest.mark.parametrize("freed", [False, True])
@pytest.mark.parametrize("native", [False, True])
async def test_a_waiter_that_is_cancelled_holds_nothing(freed: bool, native: bool) -> None:
    """Cancelled while waiting, or in the very moment it is served: nothing stays reserved."""
    budget = ByteBudget(10)
    await budget.reserve(10)

    async def hold() -> None:
        async with budget.holding(4):
            await anyio.sleep_forever()

    async with anyio.create_task_group() as group:
        if not native:
            group.start_soon(hold)
        task = asyncio.create_task(hold() if native else anyio.lowlevel.checkpoint())
        await all_idle()
        if freed:
            budget.release(10)
        task.cancel()
        group.cancel_scope.cancel()
    await asyncio.wait([task])
    assert budget.used_bytes == (0 if freed else 10)


async def test_a_cancelled_waiter_lets_the_next_one_through() -> None:
    """The small request behind a cancelled large one is served at once."""
    budget = ByteBudget(10)
    await budget.reserve(6)
    large = asyncio.create_task(budget.reserve(8))
    await all_idle()
    small = asyncio.create_task(budget.reserve(2))
    await all_idle()
    assert not small.done()
    large.cancel()
    await asyncio.wait([large])
    await asyncio.wait_for(small, 1)
    assert budget.used_bytes == 8


async def test_a_failing_block_gives_its_bytes_back() -> None:
    """The bytes are held for the time of the block, however it ends."""
    budget = ByteBudget(10)

    async def fail() -> None:
        async with budget.holding(7):
            assert budget.used_bytes == 7
            raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        await fail()
    assert budget.used_bytes == 0
