"""aioboto3: the loop everyone writes, a paginator that feeds workers through a bounded queue."""

from __future__ import annotations

import asyncio
from typing import Any

import aioboto3
from aiobotocore.config import AioConfig

from benchmarks.drivers import common


async def work(neighbour: common.Neighbour) -> None:
    """Copy the prefix."""
    job = common.job()
    config = AioConfig(max_pool_connections=job["concurrency"])
    session = aioboto3.Session()
    async with session.client("s3", endpoint_url=job["url"], config=config) as client:
        neighbour.flat_out()
        await copy_all(client, job)


async def copy_all(client: Any, job: dict[str, Any]) -> None:
    """List, and copy what is listed."""
    queue: asyncio.Queue[str | None] = asyncio.Queue(2_000)
    async with asyncio.TaskGroup() as group:
        for _ in range(job["concurrency"]):
            group.create_task(copy_each(client, queue, job))
        paginator = client.get_paginator("list_objects_v2")
        async for page in paginator.paginate(Bucket=job["source_bucket"], Prefix=job["prefix"]):
            for item in page.get("Contents", ()):
                await queue.put(item["Key"])
        for _ in range(job["concurrency"]):
            await queue.put(None)


async def copy_each(client: Any, queue: asyncio.Queue[str | None], job: dict[str, Any]) -> None:
    """Copy one key after the other until there are no more."""
    while (key := await queue.get()) is not None:
        await client.copy_object(
            Bucket=job["destination_bucket"],
            Key=key,
            CopySource={"Bucket": job["source_bucket"], "Key": key},
        )


if __name__ == "__main__":
    common.run(work)
