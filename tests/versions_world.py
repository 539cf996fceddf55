"""What the tests of versions share: histories made, killed runs, and histories compared."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, TypeAlias

import pytest

from async_s3copy import OperationState
from async_s3copy.model import S3Object
from tests.fake_reads import FakeReads
from tests.fake_server import Call, FakeS3, Phase
from tests.fake_store import Stored
from tests.harness import World, fast_options

Event: TypeAlias = tuple[str, bytes | None]
"""A key, and what is put there; ``None`` deletes it."""
History: TypeAlias = dict[str, list[bytes | None]]
"""By key, what each version holds, the oldest first; ``None`` is a delete marker."""


def versioned_world(monkeypatch: pytest.MonkeyPatch, *, page_size: int = 1_000) -> World:
    """Two buckets with versioning on one in-memory server, whose clock stands at now.

    So all versions tie in their times; ``ages`` gives others to some, by version id.
    """
    world = World(FakeS3(page_size=page_size)).install(monkeypatch)
    for bucket in ("source-bucket", "target-bucket"):
        world.source.set_versioning(bucket, "Enabled")
    now, told = datetime.now(UTC), FakeReads._object

    def told_now(self: FakeReads, bucket: str, key: str, stored: Stored) -> S3Object:
        found = told(self, bucket, key, stored)
        object.__setattr__(found, "last_modified", now)
        return found

    monkeypatch.setattr(FakeReads, "_object", told_now)
    return world


def make(world: World, events: Iterable[Event], *, bucket: str = "source-bucket") -> None:
    """Put and delete, one after the other."""
    for key, data in events:
        if data is None:
            world.source.delete(bucket, key)
        else:
            world.source.put(bucket, key, data)


def histories(world: World, bucket: str, prefix: str) -> History:
    """Read the histories of a bucket, by their keys without a prefix."""
    return {
        key.removeprefix(prefix): [
            None if each.delete_marker else each.data for each in reversed(versions)
        ]
        for key, versions in world.source.versions[bucket].items()
        if versions and key.startswith(prefix)
    }


def source_histories(world: World, prefix: str = "in/") -> History:
    return histories(world, "source-bucket", prefix)


def arrived_histories(world: World, prefix: str = "out/") -> History:
    return histories(world, "target-bucket", prefix)


async def killed_at(world: World, point: int, **more: Any) -> dict[str, Any]:
    """Run until the server has seen so many points, then vanish; return the checkpoint of then.

    As after ``kill -9``: nothing that was under way arrives, nothing is stored any more.
    """
    taken: list[dict[str, Any]] = []
    more.setdefault("options", fast_options(cleanup_timeout_s=1e-3))
    operation = world.operation(all_versions=True, **more)
    begin = world.source.points

    async def hook(call: Call, phase: Phase) -> None:
        if operation.state is OperationState.COPYING and world.source.points - begin >= point:
            if not taken:
                taken.append(json.loads(json.dumps(operation.checkpoint())))
            await asyncio.get_running_loop().create_future()

    world.source.hook = hook
    task = asyncio.ensure_future(operation.run())
    for _ in range(50_000):
        if task.done() or taken:
            break
        await asyncio.sleep(0)
    world.source.hook = None
    if not task.done():
        task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return taken[0] if taken else operation.checkpoint()
