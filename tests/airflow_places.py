"""Two accounts on a real S3 server behind a gate, and the Airflow connections that lead to them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import md5
from typing import Any, Final

from async_s3copy.testing.seaweedfs import SeaweedFS
from tests.airflow_gate import Gate, standing
from tests.airflow_world import Connection
from tests.support import (
    Buckets,
    Identities,
    S3Server,
    list_open_uploads,
    make_buckets,
    open_client,
    seed,
)

PREFIX: Final = "data/"
LANDING: Final = "landing/"


@dataclass(frozen=True, slots=True)
class Place:
    """The server, its accounts, and the gate that Airflow's requests pass.

    Attributes:
        server: The server itself: tests seed and read there, past the gate.
        gate: Before it.
    """

    server: S3Server
    gate: Gate

    @property
    def connections(self) -> dict[str, Connection]:
        """The accounts as Airflow's connections: the source's lists and reads, the other copies."""
        accounts = {
            "source_account": self.server.identities.source_read_only,
            "destination_account": self.server.identities.copier,
        }
        return {
            name: Connection(who.access_key_id, who.secret_access_key, self.gate.endpoint_url)
            for name, who in accounts.items()
        }

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must be found nowhere."""
        return tuple(connection.secret_access_key for connection in self.connections.values())

    def fill(self, objects: Mapping[str, bytes]) -> Buckets:
        """Make a pair of buckets, the source with these objects."""

        async def fill() -> Buckets:
            async with self.server.client() as admin:
                buckets = await make_buckets(admin)
                await seed(admin, buckets.source, objects)
                return buckets

        return asyncio.run(fill())

    def arrived(self, buckets: Buckets) -> dict[str, str]:
        """Return the MD5 of every object in the destination by its name below the prefix.

        A large object is read for it; that of a small one is its ETag.
        """
        return asyncio.run(self._arrived(buckets.destination))

    def open_uploads(self, buckets: Buckets) -> list[str]:
        """Return the keys of open multipart uploads in the destination."""

        async def ask() -> list[str]:
            async with self.server.client() as admin:
                return await list_open_uploads(admin, buckets.destination)

        return asyncio.run(ask())

    async def _arrived(self, bucket: str) -> dict[str, str]:
        found: dict[str, str] = {}
        async with open_client(self.server.endpoint_url, self.server.admin) as admin:
            pages = admin.get_paginator("list_objects_v2").paginate(Bucket=bucket)
            async for page in pages:
                for item in page.get("Contents", ()):
                    name = item["Key"].removeprefix(LANDING)
                    etag = item["ETag"].strip('"')
                    found[name] = await _md5(admin, bucket, item["Key"]) if "-" in etag else etag
        return found


async def _md5(client: Any, bucket: str, key: str) -> str:
    answer = await client.get_object(Bucket=bucket, Key=key)
    async with answer["Body"] as stream:
        return md5(await stream.read()).hexdigest()


def digests(objects: Mapping[str, bytes]) -> dict[str, str]:
    """Return what ``Place.arrived`` returns when all of these objects have arrived."""
    return {key.removeprefix(PREFIX): md5(body).hexdigest() for key, body in objects.items()}


def small(count: int) -> dict[str, bytes]:
    """Return so many small objects, each with a body of its own."""
    return {f"{PREFIX}{number:05}": f"body {number}".encode() for number in range(count)}


def conf(buckets: Buckets, prefix: str = PREFIX) -> dict[str, str]:
    """Return the configuration of a DAG run that copies from one bucket to the other."""
    return {"source": buckets.source, "destination": buckets.destination, "prefix": prefix}


@contextmanager
def place() -> Iterator[Place]:
    """Run a server and the gate before it."""
    identities = Identities()
    with SeaweedFS(identities.all()) as server:
        port = int(server.endpoint_url.rpartition(":")[2])
        with standing(port) as gate:
            yield Place(S3Server(server.endpoint_url, server.admin, identities), gate)
