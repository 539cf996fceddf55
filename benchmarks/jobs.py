"""What a contender is asked to do, and the command that makes it do it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

Action = Literal["copy", "list", "parse", "start", "neighbour"]
"""``copy`` a prefix, ``list`` it, ``parse`` recorded pages of it, only ``start`` and end, or be the
``neighbour`` of copies in a triggerer."""

REGION: Final = "us-east-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """One S3 account; it reaches a contender through its environment, never its command line."""

    access_key_id: str = "AKBENCHMARK"
    secret_access_key: str = field(default="benchmark-only", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One piece of work, the same for every contender.

    Attributes:
        action: What to do.
        url: Endpoint of the server; path-style addressing.
        ca_file: Certificate authority of the server; ``None`` over plain HTTP.
        credentials: Of both sides.
        source_bucket: Bucket to read.
        destination_bucket: Bucket to write, empty when the job starts.
        prefix: What is copied or listed in the source; the destination has the same.
        objects: How many objects are there.
        size_bytes: Size of each.
        concurrency: Requests in flight, however the contender calls them.
        listers: Listing requests in flight, where a contender can choose.
        method: ``"server_side"`` or ``"relay"``: whether the bytes travel through the contender.
        max_requests_per_second: A cap on the rate, where a contender has one.
        copies: Copies at the same time, each of all the objects: see ``destinations``.
        watch_loop: Measure how late a neighbour task on the contender's event loop wakes up.
    """

    action: Action
    url: str
    ca_file: Path | None = None
    credentials: Credentials = Credentials()
    source_bucket: str
    destination_bucket: str
    prefix: str = "data/"
    objects: int
    size_bytes: int
    concurrency: int
    listers: int = 1
    method: str = "server_side"
    max_requests_per_second: float | None = None
    copies: int = 1
    watch_loop: bool = False

    @property
    def destinations(self) -> tuple[str, ...]:
        """The buckets to write: one for each copy."""
        if self.copies == 1:
            return (self.destination_bucket,)
        return tuple(f"{self.destination_bucket}-{number}" for number in range(self.copies))

    def to_json(self) -> str:
        """Return what a driver needs, without the credentials."""
        shown: dict[str, Any] = asdict(self)
        del shown["credentials"]
        shown["ca_file"] = str(self.ca_file) if self.ca_file else None
        shown |= {"region": REGION, "destinations": self.destinations}
        return json.dumps(shown)

    def environment(self) -> dict[str, str]:
        """Return the environment that every AWS client understands."""
        given = {
            "AWS_ACCESS_KEY_ID": self.credentials.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.credentials.secret_access_key,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        if self.ca_file is not None:
            given |= {"AWS_CA_BUNDLE": str(self.ca_file), "SSL_CERT_FILE": str(self.ca_file)}
        return given


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command line, with what it needs around it.

    Attributes:
        argv: Program and arguments; no shell.
        env: Variables besides the job's own.
        files: Files to write into the command's empty home folder first, by name.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
