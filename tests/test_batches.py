"""The bounded queue between the lister and the workers."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
import anyio.lowlevel
import pytest

from async_s3copy.engine.batches import BatchQueue
from async_s3copy.model import S3Object
from tests.fakes import LONG_AGO
from tests.harness import all_idle


def batch(first: int, size: int) -> Sequence[S3Object]:
    return [
        S3Object.reported("my-bucket", f"{n:05}", 1, LONG_AGO, "0" * 32)
        for n in range(first, first + size)
    ]


async def test_the_lister_waits_while_the_queue_is_full() -> None:
    """Exactly ``max_batches`` are queued, however often the lister is woken."""
    queue, queued = BatchQueue(3), 0

    async def put_all() -> None:
        nonlocal queued
        for n in range(10):
            await queue.put(batch(10 * n, 10))
            queued += 1

    async with anyio.create_task_group() as group:
        group.start_soon(put_all)
        await all_idle()
        assert (queued, queue.queued_batches) == (3, 3)
        for taken in range(1, 101):
            assert (await queue.take()) is not None
            await all_idle(20)
            # A batch leaves the queue as soon as a worker takes its first object.
            begun = (taken + 9) // 10
            assert queued == min(10, begun + 3)
            assert queue.queued_batches <= 3


@pytest.mark.parametrize("workers", [1, 2, 7, 50])
@pytest.mark.parametrize("bound", [1, 2, 100])
async def test_every_object_is_handed_out_exactly_once(workers: int, bound: int) -> None:
    """Many workers share one lister: nothing is lost, nothing is handed out twice, all end."""
    queue = BatchQueue(bound)
    taken: list[str] = []

    async def work() -> None:
        while (item := await queue.take()) is not None:
            await anyio.lowlevel.checkpoint()
            taken.append(item.key)

    async with anyio.create_task_group() as group:
        for _ in range(workers):
            group.start_soon(work)
        for n in range(20):
            await queue.put(batch(13 * n, 13))
        queue.close()
    assert sorted(taken) == [f"{n:05}" for n in range(260)]


async def test_one_batch_keeps_all_workers_busy() -> None:
    """Objects of one batch go to several workers, not to the one that took the batch."""
    queue = BatchQueue(1)
    busy = 0

    async def work() -> None:
        nonlocal busy
        assert await queue.take() is not None
        busy += 1

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(work)
        await all_idle()
        await queue.put(batch(0, 5))
        await all_idle()
        assert busy == 5


async def test_objects_come_in_the_listings_order() -> None:
    """First listed, first handed out."""
    queue = BatchQueue(5)
    await queue.put(batch(0, 3))
    await queue.put(batch(3, 2))
    queue.close()
    keys = [item.key for _ in range(5) if (item := await queue.take())]
    assert keys == ["00000", "00001", "00002", "00003", "00004"]
    assert await queue.take() is None


async def test_closing_ends_waiting_workers_and_leaves_no_object_behind() -> None:
    """Workers that wait for a batch end; objects still queued are handed out first."""
    queue = BatchQueue(5)
    ended = 0

    async def work() -> None:
        nonlocal ended
        while await queue.take() is not None:
            pass
        ended += 1

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(work)
        await all_idle()
        await queue.put(batch(0, 4))
        assert ended == 0
        queue.close()
    assert ended == 3
    assert queue.queued_batches == 0


async def test_a_cancelled_worker_loses_no_object() -> None:
    """A worker cancelled while it waits takes nothing with it."""
    queue = BatchQueue(2)
    async with anyio.create_task_group() as group:
        group.start_soon(queue.take)
        await all_idle()
        group.cancel_scope.cancel()
    await queue.put(batch(0, 1))
    item = await queue.take()
    assert item is not None
    assert item.key == "00000"


async def test_a_cancelled_lister_queues_nothing() -> None:
    """A lister cancelled while the queue is full leaves the queue as it was."""
    queue = BatchQueue(1)
    await queue.put(batch(0, 1))
    async with anyio.create_task_group() as group:
        group.start_soon(queue.put, batch(1, 1))
        await all_idle()
        group.cancel_scope.cancel()
    queue.close()
    assert await queue.take() is not None
    assert await queue.take() is None
