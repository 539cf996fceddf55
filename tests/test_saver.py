"""Checkpoints are stored on time, one at a time, and never at the copy's expense."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import anyio
import pytest

from async_s3copy.engine.saver import CheckpointSaver
from async_s3copy.engine.tasks import task_group
from async_s3copy.metrics import MetricsRecorder
from tests.virtual_time import VirtualLoop, pause, run


class Store:
    """Keep what is stored, and when; take a while over each."""

    def __init__(self, loop: VirtualLoop, takes_s: float = 0.0) -> None:
        self.loop = loop
        self.takes_s = takes_s
        self.kept: list[tuple[float, int]] = []
        self.at_work = 0
        self.version = 0
        self.recorder = MetricsRecorder("test")

    def saver(self, interval_s: float) -> CheckpointSaver:
        return CheckpointSaver(self.store, self.take, interval_s, self.recorder)

    def take(self) -> dict[str, Any]:
        return {"version": self.version}

    async def store(self, checkpoint: dict[str, Any]) -> None:
        assert not self.at_work
        self.at_work += 1
        if self.takes_s:
            await pause(self.takes_s)
        self.at_work -= 1
        self.kept.append((self.loop.time() - 1_000, checkpoint["version"]))


def test_stores_every_interval() -> None:
    """One checkpoint every ``interval_s``, from the beginning on."""

    async def main(loop: VirtualLoop) -> None:
        store = Store(loop)
        async with task_group() as group:
            group.start_soon(store.saver(10).run)
            await pause(35)
            group.cancel_scope.cancel()
        assert [at for at, _ in store.kept] == [0, 10, 20, 30]

    run(main)


def test_a_save_is_of_what_was_there_when_it_was_asked_for() -> None:
    """Whoever waits for a save finds in it what was there before, however many wait."""

    async def main(loop: VirtualLoop) -> None:
        store = Store(loop, takes_s=0.3)
        saver = store.saver(10)

        async def need(version: int) -> None:
            store.version = version
            await saver.save()
            assert any(kept >= version for _, kept in store.kept)

        async with task_group() as group:
            for number in range(1, 101):
                group.start_soon(need, number)
                if number == 50:
                    await pause(0.1)
        assert len(store.kept) == 2, "those that waited meanwhile share one"
        assert store.kept[1][0] - store.kept[0][0] >= 1, "a second apart"

    run(main)


def test_the_last_one_does_not_wait() -> None:
    """At the end a checkpoint is stored at once, although one was stored just before."""

    async def main(loop: VirtualLoop) -> None:
        store = Store(loop)
        saver = store.saver(10)
        await saver.save()
        await saver.save(at_once=True)
        assert [at for at, _ in store.kept] == [0, 0]

    run(main)


async def test_a_failing_store_is_counted_and_told_by_its_kind_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What storing raises is logged without its text, counted, and does not reach the copy."""
    recorder = MetricsRecorder("test")

    async def refuse(checkpoint: dict[str, Any]) -> None:
        raise OSError("secret-in-a-message")

    saver = CheckpointSaver(refuse, dict, 10, recorder)
    with caplog.at_level(logging.WARNING):
        await saver.save()
        await saver.save(at_once=True)
    assert recorder.snapshot().degradations == {"checkpoints_not_saved": 2}
    assert "OSError" in caplog.text
    assert "secret-in-a-message" not in caplog.text


async def test_a_cancelled_save_leaves_the_next_one_its_turn() -> None:
    """Cancelled while it stores, a save does not keep others from storing."""
    began, stored = anyio.Event(), 0
    recorder = MetricsRecorder("test")

    async def hang_once(checkpoint: dict[str, Any]) -> None:
        nonlocal stored
        if not began.is_set():
            began.set()
            await anyio.sleep_forever()
        stored += 1

    saver = CheckpointSaver(hang_once, dict, 10, recorder)
    first = asyncio.ensure_future(saver.save())
    await began.wait()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    await saver.save(at_once=True)
    assert stored == 1
