"""A copy leaves nothing behind: no task, no socket, no warning, no open upload, however it ends."""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any, Final

import anyio
import pytest

from async_s3copy import (
    CopyCancelledError,
    CopyFailedError,
    Observer,
    OperationState,
)
from tests.real import LARGE, Place, place_on, quick
from tests.support import S3Server, list_open_uploads, seed

PHASES: Final = ("VALIDATING", "COPYING", "listed", "first part", "third part", "finished one")
LOOPS: Final = ["asyncio", *(["uvloop"] if importlib.util.find_spec("uvloop") else [])]


@pytest.fixture
async def place(seaweedfs: S3Server) -> AsyncIterator[Place]:
    """A bucket pair with two large objects and two small ones."""
    async with place_on(seaweedfs) as made:
        await seed_all(made)
        yield made


async def seed_all(place: Place) -> None:
    """Put two large objects and two small ones."""
    large = {"big-1": b"1" * LARGE, "big-2": b"2" * LARGE}
    await seed(place.admin, place.buckets.source, large | {"small-1": b"x", "small-2": b"y"})


def open_sockets() -> int:
    """Count this process's sockets."""
    count = 0
    for entry in Path("/proc/self/fd").iterdir():
        try:
            count += str(entry.readlink()).startswith("socket:")
        except FileNotFoundError:  # the directory's own descriptor
            continue
    return count


def run_on(loop: str, main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine on a fresh loop of that kind."""
    factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    if loop == "uvloop":
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main())


async def settle() -> None:
    """Let closed connections' callbacks run."""
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("ending", ["completed", "failed", "refused", "cancelled"])
@pytest.mark.parametrize("loop", LOOPS)
def test_no_task_socket_or_warning_is_left(
    seaweedfs: S3Server, monkeypatch: pytest.MonkeyPatch, loop: str, ending: str
) -> None:
    """Whichever way a copy ends, tasks and sockets are as before, nothing is collected late."""
    unraisable: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)

    async def main() -> None:
        async with place_on(seaweedfs) as place:
            await seed_all(place)
            tasks, sockets = asyncio.all_tasks(), open_sockets()
            await end_as(ending, place)
            await settle()
            assert asyncio.all_tasks() == tasks
            # The seeding client may lose connections meanwhile, never gain any.
            assert open_sockets() <= sockets

    run_on(loop, main)
    gc.collect()
    assert unraisable == []


async def end_as(ending: str, place: Place) -> None:
    """Run one copy to the given end."""
    stranger = place.server.account(place.server.identities.stranger)
    if ending == "completed":
        assert (await place.operation().run()).files_copied_successfully == 4
    elif ending == "failed":
        options = quick(method="server_side")
        with pytest.raises(CopyFailedError):
            await place.operation(destination=stranger, options=options).run()
    elif ending == "refused":
        with pytest.raises(Exception, match="s3:ListBucket"):
            await place.operation(source=stranger).run()
    else:
        operation = place.operation()
        operation.cancel()
        with pytest.raises(CopyCancelledError):
            await operation.run()


@pytest.mark.parametrize("loop", LOOPS)
def test_several_copies_run_at_once_in_one_loop(seaweedfs: S3Server, loop: str) -> None:
    """Copies side by side, by both methods, do not disturb each other, on either loop."""

    async def main() -> None:
        async with place_on(seaweedfs) as place:
            await seed_all(place)
            async with anyio.create_task_group() as group:
                for number in range(4):
                    options = quick(method="relay" if number % 2 else "server_side")
                    operation = place.operation(None, f"{number}/", options=options)
                    group.start_soon(operation.run)
            found = await place.bodies()
            for number in range(4):
                mine = [key for key in found if key.startswith(f"{number}/")]
                assert len(mine) == 4
                assert found[f"{number}/big-1"] == b"1" * LARGE

    run_on(loop, main)


class Stop(Observer):
    """Call a function when a phase is reached, once."""

    def __init__(self, phase: str, act: Callable[[], object]) -> None:
        self.phase = phase
        self.act = act
        self.parts = 0

    def state_changed(self, state: OperationState) -> None:
        self._reached(state.value)

    def objects_listed(self, count: int, size_bytes: int) -> None:
        self._reached("listed")

    def bytes_copied(self, size_bytes: int) -> None:
        self.parts += 1
        self._reached({1: "first part", 3: "third part"}.get(self.parts, ""))

    def object_finished(self, outcome: object) -> None:
        self._reached("finished one")

    def _reached(self, phase: str) -> None:
        if phase == self.phase:
            self.phase = "done"
            self.act()


@pytest.mark.parametrize("method", ["server_side", "relay"])
@pytest.mark.parametrize("phase", PHASES)
async def test_cancelling_the_task_leaves_no_upload(place: Place, method: str, phase: str) -> None:
    """The task cancelled in any phase: CancelledError passes and zero uploads stay open."""
    stop = Stop(phase, lambda: task.cancel())  # noqa: PLW0108 - not there yet
    operation = place.operation(options=quick(method=method), observer=stop)
    task = asyncio.ensure_future(operation.run())
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()
    assert stop.phase == "done"
    assert operation.state in (OperationState.VALIDATION_FAILED, OperationState.COPY_FAILED)
    assert operation.failure_reason == "cancelled"
    assert await list_open_uploads(place.admin, place.buckets.destination) == []


@pytest.mark.parametrize("method", ["server_side", "relay"])
@pytest.mark.parametrize("phase", ["COPYING", "first part", "third part"])
async def test_cancelling_the_operation_leaves_no_upload(
    place: Place, method: str, phase: str
) -> None:
    """op.cancel(): CopyCancelledError with metrics that add up, and zero open uploads."""
    stop = Stop(phase, lambda: operation.cancel())  # noqa: PLW0108 - not there yet
    operation = place.operation(options=quick(method=method), observer=stop)
    with pytest.raises(CopyCancelledError) as caught:
        await operation.run()
    metrics = caught.value.metrics
    assert metrics.end_time is not None
    assert metrics.files_copied_successfully < 4
    assert operation.state is OperationState.COPY_FAILED
    assert await list_open_uploads(place.admin, place.buckets.destination) == []


@pytest.mark.parametrize("method", ["server_side", "relay"])
async def test_a_second_cancellation_changes_nothing(place: Place, method: str) -> None:
    """Cancelled twice, the second time during the clean-up: the uploads are aborted."""
    stop = Stop("first part", lambda: task.cancel())  # noqa: PLW0108 - not there yet
    task = asyncio.ensure_future(place.operation(options=quick(method=method), observer=stop).run())
    while stop.phase != "done":  # noqa: ASYNC110
        await asyncio.sleep(0)
    await settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await list_open_uploads(place.admin, place.buckets.destination) == []
