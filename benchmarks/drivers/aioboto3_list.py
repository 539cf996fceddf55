"""aioboto3: its paginator, page after page."""

from __future__ import annotations

import aioboto3

from benchmarks.drivers import common


async def work(neighbour: common.Neighbour) -> None:
    """List the prefix."""
    job = common.job()
    keys = 0
    async with aioboto3.Session().client("s3", endpoint_url=job["url"]) as client:
        neighbour.flat_out()
        paginator = client.get_paginator("list_objects_v2")
        async for page in paginator.paginate(Bucket=job["source_bucket"], Prefix=job["prefix"]):
            keys += len(page.get("Contents", ()))
    common.tell(keys=keys)


if __name__ == "__main__":
    common.run(work)
