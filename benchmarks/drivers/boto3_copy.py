"""boto3 on a pool of threads: ``client.copy_object``, or the managed ``client.copy``."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final

import boto3
from botocore.config import Config

from benchmarks.drivers import common

# Submitting every key at once would hold every key of the bucket in memory.
_AHEAD: Final = 2_000


def copy_object(client: Any, job: dict[str, Any], key: str) -> None:
    """Send one CopyObject."""
    source = {"Bucket": job["source_bucket"], "Key": key}
    client.copy_object(Bucket=job["destination_bucket"], Key=key, CopySource=source)


def copy(client: Any, job: dict[str, Any], key: str) -> None:
    """Use the managed copy, which looks at the object first and splits large ones."""
    client.copy({"Bucket": job["source_bucket"], "Key": key}, job["destination_bucket"], key)


def keys(client: Any, job: dict[str, Any]) -> Iterator[str]:
    """List the prefix."""
    paginator = client.get_paginator("list_objects_v2")
    for page in paginator.paginate(Bucket=job["source_bucket"], Prefix=job["prefix"]):
        yield from (item["Key"] for item in page.get("Contents", ()))


def main() -> None:
    """Copy the prefix."""
    job = common.job()
    function: Callable[..., None] = copy if "managed" in sys.argv[2:] else copy_object
    config = Config(max_pool_connections=job["concurrency"])
    client = boto3.client("s3", endpoint_url=job["url"], config=config)
    running: deque[Future[None]] = deque()
    with ThreadPoolExecutor(job["concurrency"]) as pool:
        for key in keys(client, job):
            running.append(pool.submit(function, client, job, key))
            if len(running) >= _AHEAD:
                running.popleft().result()
        for future in running:
            future.result()


if __name__ == "__main__":
    main()
