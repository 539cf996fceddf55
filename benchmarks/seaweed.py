"""SeaweedFS as a world: seeded through boto3, and judged by it."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import boto3
from botocore.config import Config

from async_s3copy.testing.seaweedfs import SeaweedFS
from benchmarks.jobs import REGION, Credentials, Job
from benchmarks.pinning import pinned
from benchmarks.worlds import Verdict

_THREADS: Final = 16


@dataclass(frozen=True, slots=True)
class Stored:
    """What a listing tells of an object."""

    size_bytes: int
    etag: str


class SeaweedWorld:
    """A real server with real bytes."""

    ca_file = None

    def __init__(self, server: SeaweedFS) -> None:
        admin = server.admin
        self.url = server.endpoint_url
        self.credentials = Credentials(
            access_key_id=admin.access_key_id, secret_access_key=admin.secret_access_key
        )
        self._client: Any = boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=admin.access_key_id,
            aws_secret_access_key=admin.secret_access_key,
            config=Config(max_pool_connections=_THREADS),
        )

    def prepare(self, job: Job) -> None:
        """Fill the source once, and make the destination."""
        known = {each["Name"] for each in self._client.list_buckets()["Buckets"]}
        if job.source_bucket not in known:
            self._client.create_bucket(Bucket=job.source_bucket)
            self._seed(job)
        self._client.create_bucket(Bucket=job.destination_bucket)

    def counters(self) -> dict[str, Any]:
        """Return nothing: this server does not count."""
        return {}

    def series(self) -> list[dict[str, Any]]:
        """Return nothing, likewise."""
        return []

    def configure(self, **settings: Any) -> None:
        """Refuse: a real server is what it is.

        Raises:
            TypeError: Always.
        """
        raise TypeError(f"{', '.join(settings)}: SeaweedFS cannot be changed while it runs")

    def verify(self, job: Job) -> Verdict:
        """Compare the listings, and the content where the ETags are made in different ways."""
        source = self._listed(job.source_bucket, job.prefix)
        copied = self._listed(job.destination_bucket, job.prefix)
        wrong = [key for key in source.keys() & copied if not self._same(job, key, source, copied)]
        missing, extra = source.keys() - copied.keys(), copied.keys() - source.keys()
        return Verdict(
            ok=len(source) == job.objects and not missing and not extra and not wrong,
            details={
                "expected": len(source),
                "found": len(copied.keys() & source) - len(wrong),
                "missing": len(missing),
                "wrong": len(wrong) + len(extra),
            },
        )

    def clear(self, job: Job) -> None:
        """Delete the destination."""
        for key in self._listed(job.destination_bucket, ""):
            self._client.delete_object(Bucket=job.destination_bucket, Key=key)
        self._client.delete_bucket(Bucket=job.destination_bucket)

    def _seed(self, job: Job) -> None:
        body = random.Random(job.size_bytes).randbytes(job.size_bytes)

        def put(number: int) -> None:
            # The number makes each object another one: a mix-up would not go unnoticed.
            own = number.to_bytes(8, "big")[-min(8, job.size_bytes) :] + body[8:]
            key = f"{job.prefix}{number % 16:x}/key-{number:08}"
            self._client.put_object(Bucket=job.source_bucket, Key=key, Body=own)

        with ThreadPoolExecutor(_THREADS) as pool:
            for _ in pool.map(put, range(job.objects)):
                pass

    def _listed(self, bucket: str, prefix: str) -> dict[str, Stored]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return {
            item["Key"]: Stored(item["Size"], item["ETag"].strip('"'))
            for page in pages
            for item in page.get("Contents", ())
        }

    def _same(
        self, job: Job, key: str, source: Mapping[str, Stored], copied: Mapping[str, Stored]
    ) -> bool:
        if source[key].size_bytes != copied[key].size_bytes:
            return False
        if source[key].etag == copied[key].etag:
            return True
        # An ETag with a dash depends on the parts an object was written in.
        if "-" not in source[key].etag + copied[key].etag:
            return False
        return self._digest(job.source_bucket, key) == self._digest(job.destination_bucket, key)

    def _digest(self, bucket: str, key: str) -> bytes:
        digest = hashlib.sha256()
        for chunk in self._client.get_object(Bucket=bucket, Key=key)["Body"].iter_chunks(2**20):
            digest.update(chunk)
        return digest.digest()


@contextmanager
def seaweed_world(cpu: int | None) -> Iterator[SeaweedWorld]:
    """Start SeaweedFS on one CPU, and end it with its data afterwards."""
    with pinned(cpu):
        server = SeaweedFS().start()
    try:
        yield SeaweedWorld(server)
    finally:
        server.stop()
