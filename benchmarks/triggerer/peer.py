"""The peer: a trigger that copies as one would with aioboto3."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import aioboto3
from aiobotocore.config import AioConfig
from airflow.triggers.base import BaseTrigger, TriggerEvent

from benchmarks.drivers.aioboto3_copy import copy_all

CLASSPATH: Final = "benchmarks.triggerer.peer.Aioboto3CopyTrigger"


class Aioboto3CopyTrigger(BaseTrigger):
    """Copy a prefix as one would with aioboto3: a paginator, a queue, workers, ``copy_object``.

    Args:
        job: What a driver is given.
    """

    def __init__(self, job: dict[str, Any]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's has no annotations
        self.job = job

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what builds it again."""
        return CLASSPATH, {"job": self.job}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Copy everything."""
        config = AioConfig(max_pool_connections=self.job["concurrency"])
        session = aioboto3.Session()
        async with session.client("s3", endpoint_url=self.job["url"], config=config) as client:
            await copy_all(client, self.job)
        yield TriggerEvent({"status": "success"})  # type: ignore[no-untyped-call]  # likewise
