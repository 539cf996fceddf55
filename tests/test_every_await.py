"""Cancelled at every await point there is, over all tasks: nothing is left, whatever the client."""

from __future__ import annotations

import pytest

from tests.cancel_scenes import (
    ENGINE_SCENES,
    SCENES,
    kept_clients,
    on_the_fake,
    over_http,
    without_tls,
)
from tests.every_await import Moment, every_second_strike, every_strike, some_second_strikes

MOMENTS = ["pending", "completed"]
# What the newest aiobotocore changes is the reference client.
CLIENTS = ["wire", pytest.param("boto", marks=pytest.mark.stack_b)]
# Opening, a request of each kind and closing suspend at least as often.
FEWEST_POINTS = 12


@pytest.mark.parametrize("how", ["task", "operation"])
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("scene", ENGINE_SCENES)
async def test_of_the_engine(
    scene: str, moment: Moment, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every await of the engine itself: the cancellation comes out, and nothing is left."""
    staged = on_the_fake(scene, monkeypatch)
    cancel = staged.cancel if how == "operation" else None
    async for run in every_strike(staged.run, moment, cancel):
        await staged.check(run)
    assert run.points >= FEWEST_POINTS


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("client", CLIENTS)
async def test_of_a_copy_over_http(
    client: str, scene: str, moment: Moment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every await of engine and client: no upload, task, connection or half-written object."""
    async with kept_clients(monkeypatch), over_http(scene, client) as staged:
        async for run in every_strike(staged.run, moment):
            await staged.check(run)
    assert run.points >= FEWEST_POINTS


@pytest.mark.parametrize("client", CLIENTS)
async def test_of_opening_and_closing(client: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With clients that are made anew for each run, as they are outside of tests: the same."""
    without_tls(monkeypatch)
    async with over_http("single", client) as staged:
        async for run in every_strike(staged.run):
            await staged.check(run)
    assert run.points >= FEWEST_POINTS


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("scene", [*SCENES, "guarded"])
async def test_of_the_engine_and_again_at_every_await_of_the_cleanup(
    scene: str, moment: Moment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every pair of a cancellation and a later one: the second changes nothing."""
    staged = on_the_fake(scene, monkeypatch)
    twice = 0
    async for run in every_second_strike(staged.run, moment):
        await staged.check(run)
        twice += run.strikes == 2
    assert twice >= FEWEST_POINTS


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("client", CLIENTS)
async def test_of_a_copy_over_http_and_again(
    client: str, scene: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some of those pairs with the real clients; ``cancel_twice_full.py`` has all of them."""
    twice = 0
    async with kept_clients(monkeypatch), over_http(scene, client) as staged:
        async for run in some_second_strikes(staged.run, seed=5, times=15):
            await staged.check(run)
            twice += run.strikes == 2
    assert twice > 0
