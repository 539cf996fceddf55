"""async-s3copy: its lister alone, without copying."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from async_s3copy import Account, CopyOptions
from async_s3copy.engine.checkpoint import CopyScope
from async_s3copy.engine.governor import Governor
from async_s3copy.engine.journal import Journal
from async_s3copy.engine.lister import Lister
from async_s3copy.engine.listing import first_page
from async_s3copy.engine.plan import KeyMapping
from async_s3copy.engine.spans import Span
from async_s3copy.engine.transfer import Transfer
from async_s3copy.metrics import MetricsRecorder
from async_s3copy.model import S3Location, S3Object
from async_s3copy.s3.client import S3Client
from async_s3copy.s3.opening import open_client
from benchmarks.drivers import common


async def work(neighbour: common.Neighbour) -> None:
    """List the prefix with as many listers as the job says."""
    job = common.job()
    account = Account(endpoint_url=job["url"], region=job["region"])
    options = CopyOptions(
        client="boto" if "boto" in sys.argv[2:] else "wire",
        max_concurrent_requests=job["concurrency"],
        max_concurrent_listings=job["listers"],
    )
    async with open_client(account, "source", options) as client:
        neighbour.flat_out()
        common.tell(keys=await count_keys(client, options, job))


async def count_keys(client: S3Client, options: CopyOptions, job: dict[str, Any]) -> int:
    """List with the engine's own lister, and count."""
    keys = 0

    async def emit(objects: Sequence[S3Object], span: Span | None) -> None:
        nonlocal keys
        keys += len(objects)

    transfer = listing_only(client, options, S3Location(job["source_bucket"], job["prefix"]))
    page = await first_page(transfer, max_attempts=options.max_attempts)
    await Lister(transfer, page).run(emit)
    return keys


def listing_only(client: S3Client, options: CopyOptions, source: S3Location) -> Transfer:
    """Return what the lister needs of an operation; nothing is ever written."""
    recorder = MetricsRecorder("listing")
    mapping = KeyMapping(source, S3Location("unused", source.key), recursive=True)
    return Transfer(
        source=client,
        destination=client,
        mapping=mapping,
        overwrite=True,
        options=options,
        governor=Governor(options, recorder),
        recorder=recorder,
        journal=Journal(CopyScope(mapping), recorder),
    )


if __name__ == "__main__":
    common.run(work)
