"""The bounded queue between the listers and the workers."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Sequence

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from async_s3copy.engine.batches import Batch, BatchQueue, batches
from async_s3copy.engine.spans import Span
from async_s3copy.model import S3Object
from tests.fakes import LONG_AGO
from tests.harness import all_idle


def objects(first: int, size: int) -> Sequence[S3Object]:
    return [
        S3Object.reported("my-bucket", f"{n:05}", 1, LONG_AGO, "0" * 32)
        for n in range(first, first + size)
    ]


def batch(first: int, size: int) -> Batch[S3Object]:
    return Batch(objects(first, size))


async def test_the_lister_waits_while_the_queue_is_full() -> None:
    """Exactly ``max_batches`` are queued, however often the lister is woken."""
    queue, queued = BatchQueue[S3Object](3), 0

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
    queue = BatchQueue[S3Object](bound)
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
    queue = BatchQueue[S3Object](1)
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
    queue = BatchQueue[S3Object](5)
    await queue.put(batch(0, 3))
    await queue.put(batch(3, 2))
    queue.close()
    keys = [item.key for _ in range(5) if (item := await queue.take())]
    assert keys == ["00000", "00001", "00002", "00003", "00004"]
    assert await queue.take() is None


async def test_closing_ends_waiting_workers_and_leaves_no_object_behind() -> None:
    """Workers that wait for a batch end; objects still queued are handed out first."""
    queue = BatchQueue[S3Object](5)
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
    queue = BatchQueue[S3Object](2)
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
    queue = BatchQueue[S3Object](1)
    await queue.put(batch(0, 1))
    async with anyio.create_task_group() as group:
        group.start_soon(queue.put, batch(1, 1))
        await all_idle()
        group.cancel_scope.cancel()
    queue.close()
    assert await queue.take() is not None
    assert await queue.take() is None


async def test_a_batch_wakes_as_many_workers_as_it_has_objects() -> None:
    """Hundreds of idle workers do not all look for the same few objects."""
    queue, looks = BatchQueue[S3Object](5), 0

    class Looked(deque[S3Object]):
        def __bool__(self) -> bool:
            nonlocal looks
            looks += 1
            return len(self) > 0

    queue._current = Looked()
    async with anyio.create_task_group() as group:
        for _ in range(100):
            group.start_soon(queue.take)
        await all_idle()
        before = looks
        await queue.put(batch(0, 3))
        await all_idle()
        # Each of the three looks when it is woken, and one of them once more for the new batch.
        assert looks - before == 4
        group.cancel_scope.cancel()


async def test_an_object_at_hand_is_taken_at_once() -> None:
    """No turn of the event loop is lost where nothing has to be waited for."""
    queue = BatchQueue[S3Object](5)
    await queue.put(batch(0, 2))
    taking = queue.take()
    with pytest.raises(StopIteration) as taken:
        taking.send(None)
    assert taken.value.value.key == "00000"


async def test_workers_starve_only_after_there_was_something_to_do() -> None:
    """Before the first batch nobody is starving; nor while an object waits."""
    queue, seen = BatchQueue[S3Object](2), []
    async with anyio.create_task_group() as group:
        for workers, objects in ((1, 0), (0, 2), (2, 0), (0, 1)):
            for _ in range(workers):
                group.start_soon(queue.take)
            if objects:
                await queue.put(batch(0, objects))
            await all_idle()
            seen.append(queue.starving)
    # One waits from the start; then one object is left; then one waits; then it is served.
    assert seen == [False, False, True, False]


async def test_several_listers_share_the_room_there_is() -> None:
    """Each batch that leaves lets one waiting lister in; one cancelled then lets the next in."""
    queue = BatchQueue[S3Object](1)
    await queue.put(batch(0, 1))
    listers = [asyncio.create_task(queue.put(batch(n, 1))) for n in (1, 2, 3)]
    await all_idle()
    assert await queue.take() is not None
    listers[0].cancel()
    await all_idle()
    assert [lister.done() for lister in listers] == [True, True, False]
    assert listers[0].cancelled()
    for key in ("00002", "00003"):
        item = await queue.take()
        assert item is not None
        assert item.key == key
        await all_idle()
    assert listers[2].done()


@settings(deadline=None)
@given(
    bound=st.integers(1, 4),
    sizes=st.lists(st.integers(1, 5), min_size=1, max_size=20),
    workers=st.integers(1, 9),
    listers=st.integers(1, 4),
    cancelled=st.sets(st.integers(0, 40)),
)
async def test_nothing_is_lost_or_stuck_whoever_is_cancelled(
    bound: int, sizes: list[int], workers: int, listers: int, cancelled: set[int]
) -> None:
    """Workers that are cancelled while they wait give their call to others; all objects come."""
    queue, turns = BatchQueue[S3Object](bound), itertools.count()
    taken: list[str] = []
    firsts = list(itertools.accumulate(sizes, initial=0))
    shares = [list(zip(firsts, sizes, strict=False))[n::listers] for n in range(listers)]

    async def work() -> None:
        while True:
            with anyio.CancelScope() as scope:
                if next(turns) in cancelled:
                    asyncio.get_running_loop().call_soon(scope.cancel)
                item = await queue.take()
                if item is None:
                    return
                taken.append(item.key)
            await anyio.lowlevel.checkpoint()

    async def put(share: list[tuple[int, int]]) -> None:
        for first, size in share:
            await queue.put(batch(first, size))

    async with anyio.create_task_group() as group:
        for _ in range(workers):
            group.start_soon(work)
        async with anyio.create_task_group() as putting:
            for share in shares:
                putting.start_soon(put, share)
        queue.close()
    assert sorted(taken) == [f"{n:05}" for n in range(sum(sizes))]


@given(
    size=st.integers(0, 40),
    batch_size=st.integers(1, 12),
    after=st.sampled_from([None, "", "0"]),
    until=st.sampled_from([None, "99999"]),
)
def test_batches_share_the_span_of_their_page(
    size: int, batch_size: int, after: str | None, until: str | None
) -> None:
    """Cut from one page, batches hold its objects in order, and their spans meet."""
    page = objects(0, size)
    cut = batches(page, Span(after, until), batch_size)
    assert [item for each in cut for item in each.objects] == page
    assert all(0 < len(each.objects) <= batch_size for each in cut)
    place = after
    for each in cut:
        assert each.span is not None
        assert each.span.after == place
        assert all(item.key in each.span for item in each.objects)
        place = each.span.until
    assert place == (until if cut else after)


def test_batches_without_a_span() -> None:
    """Where a page's span cannot be told, neither can those of its batches."""
    assert [each.span for each in batches(objects(0, 5), None, 2)] == [None] * 3


async def test_a_span_begins_with_the_first_object_taken() -> None:
    """The queue tells of a batch's span when workers take from it, and not before."""
    begun: list[Span] = []
    queue = BatchQueue[S3Object](5, begun.append)
    for each in batches(objects(0, 4), Span("a", "b"), 2):
        await queue.put(each)
    assert begun == []
    taken = [await queue.take(), await queue.take()]
    assert begun == [Span("a", "00001")]
    assert list(queue.current) == []
    taken.append(await queue.take())
    assert begun == [Span("a", "00001"), Span("00001", "b")]
    assert [item.key for item in queue.current] == ["00003"]
    assert [item.key for item in taken if item] == ["00000", "00001", "00002"]
