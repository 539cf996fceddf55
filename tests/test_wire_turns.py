"""Answers that arrive together leave the event loop to others in between."""

from __future__ import annotations

import asyncio

import pytest

from async_s3copy.s3.wire.turns import Turns

pytestmark = pytest.mark.stack_b


async def test_results_come_in_order_and_so_many_a_turn() -> None:
    """A burst of 60 wakes 12 tasks per turn of the loop, in the order of arrival."""
    loop = asyncio.get_running_loop()
    turns = Turns()
    futures = [loop.create_future() for _ in range(60)]
    for number, future in enumerate(futures):
        turns.give(future, number)
    done_after_turn = []
    while not futures[-1].done():
        await asyncio.sleep(0)
        done_after_turn.append(sum(future.done() for future in futures))
    assert done_after_turn == [12, 24, 36, 48, 60]
    assert [future.result() for future in futures] == list(range(60))


async def test_a_later_burst_is_served_too() -> None:
    """After the last result the next one begins a turn of its own."""
    loop = asyncio.get_running_loop()
    turns = Turns()
    for number in range(3):
        future: asyncio.Future[int] = loop.create_future()
        turns.give(future, number)
        assert await future == number


async def test_a_cancelled_future_is_left_alone() -> None:
    """Its task has gone; the others get their results."""
    loop = asyncio.get_running_loop()
    turns = Turns()
    gone, there = loop.create_future(), loop.create_future()
    turns.give(gone, 1)
    turns.give(there, 2)
    gone.cancel()
    assert await there == 2
    assert gone.cancelled()


async def test_another_callback_has_its_turn_between() -> None:
    """What is due meanwhile waits for 12 tasks, not for the whole burst."""
    loop = asyncio.get_running_loop()
    turns = Turns()
    futures = [loop.create_future() for _ in range(60)]
    for future in futures:
        turns.give(future, None)
    done_when_called: list[int] = []
    loop.call_soon(lambda: done_when_called.append(sum(future.done() for future in futures)))
    await futures[-1]
    assert done_when_called == [12]
