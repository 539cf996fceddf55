"""Cancelled twice, at every pair of await points of a copy over HTTP; for ``make test-chaos``.

Not collected by name: 16,000 copies take half a minute. ``test_every_await.py`` has a sample.
"""

from __future__ import annotations

import pytest

from tests.cancel_scenes import SCENES, kept_clients, over_http
from tests.every_await import Moment, every_second_strike

pytestmark = pytest.mark.stack_b


@pytest.mark.parametrize("moment", ["pending", "completed"])
@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("client", ["wire", "boto"])
async def test_a_second_cancellation_anywhere_changes_nothing(
    client: str, scene: str, moment: Moment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the first and the second strike, every upload is aborted, nothing is left."""
    twice = 0
    async with kept_clients(monkeypatch), over_http(scene, client) as staged:
        async for run in every_second_strike(staged.run, moment):
            await staged.check(run)
            twice += run.strikes == 2
    assert twice > 100
