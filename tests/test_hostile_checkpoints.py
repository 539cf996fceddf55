"""A forged checkpoint cannot reach beyond the copy that it is given to."""

from __future__ import annotations

from typing import Any

import pytest

from async_s3copy import ValidationError
from tests.harness import World


async def forged(world: World, **changes: Any) -> dict[str, Any]:
    """Take a copy's checkpoint, and change it."""
    for key in ("in/a", "secret"):
        world.source.put("source-bucket", key, b"x")
    await world.operation().run()
    world.destination.buckets["target-bucket"].clear()
    return {**world.operation().checkpoint(), **changes}


@pytest.mark.parametrize(
    "changes",
    [
        {"pending": ["in/a", "secret"]},
        {"failed": ["secret"]},
        {"failed": ["i"]},
        {"uploads": [["another's/backup", "upload-1"]]},
        {"uploads": [["another's/backup", None]]},
    ],
    ids=str,
)
async def test_keys_of_no_such_copy_are_refused(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    """Objects beside the prefix are not copied, uploads beside it not aborted: nothing is sent."""
    world = World().install(monkeypatch)
    checkpoint = await forged(world, **changes)
    sent = len(world.source.calls)
    with pytest.raises(ValidationError, match="name keys of this copy only"):
        await world.operation(resume_from=checkpoint).run()
    assert len(world.source.calls) == sent
    assert world.destination.buckets["target-bucket"] == {}


async def test_a_single_copy_is_of_its_own_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no prefix is copied, no key but the one is noted."""
    world = World().install(monkeypatch)
    world.source.put("source-bucket", "in/a", b"x")
    given = world.operation("in/a", "out/a", recursive=False).checkpoint()
    checkpoint = {**given, "pending": ["in/ab"]}
    with pytest.raises(ValidationError, match="name keys of this copy only"):
        await world.operation("in/a", "out/a", recursive=False, resume_from=checkpoint).run()
    assert world.source.calls == []
