"""Transfer: what every worker of one operation shares."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto

import anyio

from async_s3copy.engine.budget import ByteBudget
from async_s3copy.engine.conditions import OverwriteGuard
from async_s3copy.engine.governor import Governor
from async_s3copy.engine.journal import Journal
from async_s3copy.engine.plan import KeyMapping
from async_s3copy.metrics import MetricsRecorder
from async_s3copy.model import CopyMethod, S3Object, quoted
from async_s3copy.options import CopyOptions
from async_s3copy.s3.client import CopySource, ObjectHead, S3Client


class Tagging(Enum):
    """Whether a side answers GetObjectTagging."""

    UNKNOWN = auto()
    ANSWERS = auto()
    REFUSES = auto()


@dataclass(slots=True)
class Transfer:
    """Hold the two clients, the limits and the findings of one operation.

    Attributes:
        source: Client that lists and reads.
        destination: Client that copies and writes.
        mapping: Where each key goes.
        overwrite: Whether existing destination objects are replaced.
        options: The engine's knobs.
        governor: Passes every request.
        recorder: Counts everything.
        journal: Knows what is done, and what earlier runs have done.
        method: How objects travel; ``"auto"`` may turn it from server-side to relay.
        may_relay: Whether an object the destination's credentials cannot read may be relayed.
        server_side_proven: Whether one server-side copy has succeeded.
        source_tagging: Whether the source answers GetObjectTagging.
        part_slots: Bounds the part tasks of all objects together.
        memory: Bounds the bytes of all relayed objects together.
        guard: Passes every write, so that ``overwrite=False`` holds.
    """

    source: S3Client
    destination: S3Client
    mapping: KeyMapping
    overwrite: bool
    options: CopyOptions
    governor: Governor
    recorder: MetricsRecorder
    journal: Journal
    method: CopyMethod = CopyMethod.SERVER_SIDE
    may_relay: bool = False
    server_side_proven: bool = False
    source_tagging: Tagging = Tagging.UNKNOWN
    part_slots: anyio.CapacityLimiter = field(init=False)
    memory: ByteBudget = field(init=False)
    guard: OverwriteGuard = field(init=False)

    def __post_init__(self) -> None:
        self.part_slots = anyio.CapacityLimiter(self.options.max_concurrent_requests)
        self.memory = ByteBudget(self.options.relay_memory_bytes)
        self.guard = OverwriteGuard(
            self.destination, self.governor, self.recorder, overwrite=self.overwrite
        )

    async def head_source(
        self, item: S3Object, *, part_number: int | None = None, checksums: bool = False
    ) -> ObjectHead:
        """Read a source object's head, or that of one of its parts, with the source's credentials.

        Raises:
            S3Error: The object is gone or may not be read.
        """
        return await self.governor.call(
            lambda: self.source.head_object(
                item.bucket,
                item.key,
                version_id=item.version_id,
                part_number=part_number,
                checksums=checksums,
            ),
            side="source",
        )


def pinned(item: S3Object) -> CopySource:
    """Return the copy source that pins an object to what was listed."""
    return CopySource(
        bucket=item.bucket, key=item.key, version_id=item.version_id, if_match=quoted(item.etag)
    )
