"""Transfer: what every worker of one operation shares."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum, auto

import anyio

from async_s3copy.engine.budget import ByteBudget
from async_s3copy.engine.conditions import OverwriteGuard
from async_s3copy.engine.fidelity import Fidelity
from async_s3copy.engine.governor import Governor
from async_s3copy.engine.journal import Journal
from async_s3copy.engine.plan import KeyMapping
from async_s3copy.engine.refusals import Refusals
from async_s3copy.engine.trust import Trust
from async_s3copy.metrics import MetricsRecorder
from async_s3copy.model import CopyMethod, S3Object, quoted
from async_s3copy.options import CopyOptions
from async_s3copy.s3.client import S3Client
from async_s3copy.s3.values import CopySource, ObjectHead


class Tagging(Enum):
    """Whether a side answers GetObjectTagging."""

    UNKNOWN = auto()
    ANSWERS = auto()
    REFUSES = auto()
    UNHEARD_OF = auto()
    """The server does not know the call: its objects have no tags."""


@dataclass(slots=True)
class CopiedTags:
    """Remember how the tags of single copies fare, which S3 carries if it may.

    Attributes:
        refused: Whether S3 has refused to carry them: the destination's credentials may not read
            the source's tags, or not write any.
        expected: Whether the last object copied had some. Objects of one prefix are alike: where
            the last one had tags, they are read and sent at once (two requests); where it had none,
            the copy is tried without (one request, or three).
    """

    refused: bool = False
    expected: bool = False


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
        fidelity: Decides what each object carries.
        refusals: Sends it, and again without what the destination refuses.
        copied_tags: Who carries the tags of a single copy.
        trust: Whether ETags that differ mean anything.
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
    copied_tags: CopiedTags = field(init=False, default_factory=CopiedTags)
    trust: Trust = field(init=False, default_factory=Trust)
    part_slots: anyio.CapacityLimiter = field(init=False)
    memory: ByteBudget = field(init=False)
    guard: OverwriteGuard = field(init=False)
    fidelity: Fidelity = field(init=False)
    refusals: Refusals = field(init=False)

    def __post_init__(self) -> None:
        self.part_slots = anyio.CapacityLimiter(self.options.max_concurrent_requests)
        self.memory = ByteBudget(self.options.relay_memory_bytes)
        self.guard = OverwriteGuard(
            self.destination, self.governor, self.recorder, overwrite=self.overwrite
        )
        self.fidelity = Fidelity(self.options)
        self.refusals = Refusals(self.fidelity, self.recorder)

    async def head_source(
        self, item: S3Object, *, part_number: int | None = None, checksums: bool = False
    ) -> ObjectHead:
        """Read a source object's head, or that of one of its parts, with the source's credentials.

        Raises:
            S3Error: The object is gone or may not be read.
        """
        head = await self.governor.call(
            lambda: self.source.head_object(
                item.bucket,
                item.key,
                version_id=item.version_id,
                part_number=part_number,
                checksums=checksums,
            ),
            side="source",
        )
        return as_asked_for(head, item)

    async def head_current(self, item: S3Object) -> ObjectHead:
        """Read the head of a key's current version, which it names where the bucket has versions.

        Raises:
            S3Error: The object is gone or may not be read.
        """
        return await self.governor.call(
            lambda: self.source.head_object(item.bucket, item.key), side="source"
        )


def as_asked_for(head: ObjectHead, item: S3Object) -> ObjectHead:
    """Name the version that was asked for, not the one that answered.

    To read by version takes permissions of its own (s3:GetObjectVersion); the ETag pins as well.
    """
    found = head.object
    if found.version_id == item.version_id:
        return head
    return replace(
        head,
        object=S3Object.reported(
            found.bucket,
            found.key,
            found.size,
            found.last_modified,
            found.etag,
            found.metadata,
            found.storage_class,
            item.version_id,
        ),
    )


def pinned(item: S3Object) -> CopySource:
    """Return the copy source that pins an object to what was listed."""
    return CopySource(
        bucket=item.bucket, key=item.key, version_id=item.version_id, if_match=quoted(item.etag)
    )
