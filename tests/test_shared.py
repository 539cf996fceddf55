"""What operations share: one state per endpoint and event loop, kept for a minute, never leaked."""

from __future__ import annotations

import asyncio
import gc
import weakref
from contextlib import ExitStack

import anyio
import anyio.lowlevel
import pytest

from async_s3copy import CopyOptions
from async_s3copy.engine.governor import Governor, governed
from async_s3copy.engine.shared import KEPT_S, Loads, Place, loads_of_this_loop
from async_s3copy.metrics import MetricsRecorder
from tests.harness import settle

HERE = Place("http://here", "my-bucket")
THERE = Place("http://there", "my-bucket")


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def governor_for(stack: ExitStack, *, limit: int = 2, source: Place = HERE) -> Governor:
    options = CopyOptions(max_concurrent_requests=limit)
    recorder = MetricsRecorder("test")
    return stack.enter_context(governed(options, recorder, source=source, destination=HERE))


@pytest.mark.parametrize("limits, bound", [((2, 2), 2), ((1, 3), 3), ((3, 1), 3)])
async def test_the_largest_limit_bounds_the_operations_together(
    limits: tuple[int, int], bound: int
) -> None:
    """Two operations at one endpoint have no more requests in flight than one of them might."""
    release, most, now = anyio.Event(), 0, 0

    async def request() -> None:
        nonlocal most, now
        now += 1
        most = max(most, now)
        await release.wait()
        now -= 1

    with ExitStack() as stack:
        governors = [governor_for(stack, limit=limit) for limit in limits]
        async with anyio.create_task_group() as group:
            for _ in range(5):
                for governor in governors:
                    group.start_soon(governor.call, request)
            await settle(lambda: now == bound)
            waiting = [governor.statistics().waiting for governor in governors]
            assert sum(waiting) == 10 - bound
            release.set()
    assert most == bound


async def test_operations_take_turns() -> None:
    """First come, first served between them: neither runs before the other's earlier request."""
    order = list[str]()
    with ExitStack() as stack:
        governors = {name: governor_for(stack, limit=1) for name in ("a", "b")}
        async with anyio.create_task_group() as group:

            async def worker(name: str) -> None:
                async def request() -> None:
                    order.append(name)
                    await anyio.lowlevel.checkpoint()

                for _ in range(5):
                    await governors[name].call(request)

            for name in governors:
                group.start_soon(worker, name)
    assert order == ["a", "b"] * 5


async def test_another_endpoint_is_another_state() -> None:
    """Requests to the source's endpoint do not wait for those to the destination's."""
    release = anyio.Event()
    with ExitStack() as stack:
        busy = governor_for(stack, limit=1)
        other = governor_for(stack, limit=1, source=THERE)
        async with anyio.create_task_group() as group:
            group.start_soon(busy.call, release.wait)
            await settle(lambda: busy.statistics().in_flight == 1)
            await other.call(anyio.lowlevel.checkpoint, side="source")
            group.start_soon(other.call, release.wait)
            await settle(lambda: other.statistics().waiting == 1)
            release.set()


async def test_cancelled_at_a_full_endpoint_an_operation_keeps_its_own_permits() -> None:
    """What was taken before the wait is given back: the operation goes on afterwards."""
    release = anyio.Event()
    with ExitStack() as stack:
        busy, other = governor_for(stack, limit=1), governor_for(stack, limit=1)
        first = asyncio.create_task(busy.call(release.wait))
        await settle(lambda: busy.statistics().in_flight == 1)
        second = asyncio.create_task(other.call(release.wait))
        await settle(lambda: other.statistics().waiting == 1)
        second.cancel()
        await asyncio.wait([second])
        release.set()
        await first
        await other.call(anyio.lowlevel.checkpoint)
        assert [permits.held for way in other._ways.values() for permits in way.permits] == [0] * 10


def test_a_bucket_and_a_kind_have_a_lane_of_their_own() -> None:
    """What one bucket refuses says nothing about another, nor copying about listing."""
    loads = Loads()
    elsewhere = Place(HERE.url, "other-bucket")
    with ExitStack() as stack:
        one, same, other = (
            stack.enter_context(loads.joined(place, 1)) for place in (HERE, HERE, elsewhere)
        )
        assert one.lanes["object"] is same.lanes["object"]
        assert one.permits is same.permits is other.permits
        lanes = [*one.lanes.values(), *other.lanes.values()]
        assert len(set(map(id, lanes))) == 4


@pytest.mark.parametrize("passed_s, kept", [(KEPT_S - 1, True), (KEPT_S + 1, False)])
def test_what_was_learnt_is_kept_for_a_minute(passed_s: float, kept: bool) -> None:
    """The next operation finds the same lanes; later, new ones."""
    clock = Clock()
    loads = Loads(clock)
    with loads.joined(HERE, 1) as share:
        first = share.lanes["object"]
    clock.now += passed_s
    with loads.joined(HERE, 1) as share:
        assert (share.lanes["object"] is first) is kept


def test_a_process_that_copies_for_ever_does_not_gather_endpoints() -> None:
    """A new endpoint every ten seconds, and a new bucket: only the last minute's are there."""
    clock = Clock()
    loads = Loads(clock)
    with loads.joined(Place("http://always", "b"), 1):
        for number in range(100):
            clock.now += 10
            with loads.joined(Place(f"http://{number}", "b"), 1):
                pass
    assert len(loads) <= 2 + KEPT_S / 10


def test_the_limit_falls_when_the_largest_operation_leaves() -> None:
    """Permits beyond the remaining operations' limit are not given out any more."""
    loads = Loads()
    with loads.joined(HERE, 2) as share:
        with loads.joined(HERE, 100):
            assert share.permits.limit == 100
        assert share.permits.limit == 2


def test_an_event_loop_has_its_own_state_and_takes_it_along() -> None:
    """Two loops share nothing, and a closed one leaves nothing behind."""
    seen: list[weakref.ref[Loads]] = []

    async def main() -> None:
        with ExitStack() as stack:
            await governor_for(stack).call(anyio.lowlevel.checkpoint)
        seen.append(weakref.ref(loads_of_this_loop()))
        assert loads_of_this_loop() is seen[-1]()

    for _ in range(2):
        asyncio.run(main())
    gc.collect()
    assert [each() for each in seen] == [None, None]


def test_two_loops_share_nothing() -> None:
    """Another loop, perhaps in another thread, has its own."""

    async def main() -> Loads:
        return loads_of_this_loop()

    with asyncio.Runner() as one, asyncio.Runner() as two:
        first = one.run(main())
        assert one.run(main()) is first
        assert two.run(main()) is not first
