"""An in-memory S3 server: scriptable and counted. No network, no clock.

``FakeS3`` is the server; a ``fakes.FakeClient`` speaks to it for one side. A call passes two
points, one before its effect and one between its effect and its answer. At each of them a hook may
look on or wait, a scripted fault may strike, and a cancellation may arrive.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

import anyio.lowlevel

from async_s3copy.errors import S3Error, Side
from async_s3copy.s3.codes import s3_error
from async_s3copy.s3.endpoint import Endpoint
from async_s3copy.s3.values import AS_IT_IS, ObjectProperties
from tests.fake_store import FakeStore, Stored, StoredUpload, assembled, checksum, md5_hex

__all__ = [
    "AWS",
    "OTHER",
    "Call",
    "Condition",
    "FakeS3",
    "Fault",
    "Hook",
    "Phase",
    "Stored",
    "StoredUpload",
    "assembled",
    "checksum",
    "md5_hex",
]

T = TypeVar("T")
Phase = Literal["before", "after"]
Condition = Literal["honoured", "ignored", "rejected"]

AWS = "https://s3.eu-west-1.amazonaws.com"
OTHER = "http://127.0.0.1:8333"


@dataclass(frozen=True)
class Call:
    """One request as the server saw it."""

    operation: str
    side: Side
    bucket: str
    key: str | None
    if_none_match: bool = False
    part: int | None = None
    token: str | None = None
    start_after: str | None = None
    storage_class: str = ""
    first_byte: int | None = None
    version_id: str | None = None
    properties: ObjectProperties = AS_IT_IS
    replaces_metadata: bool = False
    replaces_tags: bool = False

    def error(self, code: str, status: int = 0, *, retry_after_s: float | None = None) -> S3Error:
        """Make the error S3 would answer this very call with."""
        return s3_error(
            code,
            status,
            "scripted",
            operation=self.operation,
            side=self.side,
            bucket=self.bucket,
            key=self.key,
            retry_after_s=retry_after_s,
        )


@dataclass
class Fault:
    """Answer the next matching calls with an error; ``after`` carries the request out first."""

    operation: str
    code: str
    status: int = 0
    times: int = 1
    after: bool = False
    side: Side | None = None
    key: str | None = None

    def strikes(self, call: Call, phase: Phase) -> bool:
        return (
            self.times > 0
            and self.operation == call.operation
            and self.after == (phase == "after")
            and self.side in (None, call.side)
            and self.key in (None, call.key)
        )


Hook = Callable[[Call, Phase], Awaitable[None]]


class FakeS3(FakeStore):
    """The server: buckets, open uploads, a log of calls, and the script of what goes wrong."""

    def __init__(self, url: str = AWS, *, page_size: int = 1_000) -> None:
        super().__init__()
        self.endpoint = Endpoint(url, "eu-west-1")
        self.page_size = page_size
        self.uploads: dict[str, StoredUpload] = {}
        self.calls: list[Call] = []
        self.faults: list[Fault] = []
        self.denied: set[tuple[Side, str, str]] = set()
        self.conditions: dict[str, Condition] = {}
        self.hook: Hook | None = None
        self.reports_tag_count = True
        self.counts_tags = True
        self.honours_pins = True
        self.archived: set[str] = set()
        self.refuses_acls = False
        self.ignores_abort_times = 0
        self.ignores_start_after = False
        self.lists_unordered = False
        self.sorts_folders = False
        self.gives_tokens = True
        self.damages: Counter[str] = Counter()
        self.in_flight = 0
        self.flying: Counter[str | None] = Counter()
        self.most_in_flight = 0
        self.points = 0
        self._ids = 0

    def counts(self) -> Counter[str]:
        """Calls by operation."""
        return Counter(call.operation for call in self.calls)

    def made(self, operation: str) -> list[Call]:
        return [call for call in self.calls if call.operation == operation]

    def listed_after(self, bucket: str, token: str | None, start_after: str | None) -> list[str]:
        """The keys that follow a token or a key, in this server's order of listing."""
        keys = sorted(self.buckets[bucket], key=self._place)
        if token is None and self.ignores_start_after:
            return keys
        after = token or start_after
        if after is None:
            return keys
        if token is None and self.lists_unordered:
            return [key for key in keys if key.encode() > after.encode()]
        return [key for key in keys if self._place(key) > self._place(after)]

    def _place(self, key: str) -> list[bytes]:
        if self.lists_unordered:
            return [md5_hex(key.encode()).encode()]
        if self.sorts_folders:
            return key.encode().split(b"/")
        return [key.encode()]

    def damaged(self, call: Call, data: bytes) -> bytes:
        """Flip the first byte of a body as often as the script says."""
        if not data or self.damages[call.operation] <= 0:
            return data
        self.damages[call.operation] -= 1
        return bytes([data[0] ^ 1]) + data[1:]

    def new_upload(self, bucket: str, key: str, properties: ObjectProperties) -> str:
        self._ids += 1
        upload_id = f"upload-{self._ids}"
        self.uploads[upload_id] = StoredUpload(bucket, key, properties)
        return upload_id

    async def answer(self, call: Call, effect: Callable[[], T]) -> T:
        """Carry one call out between its two points."""
        self.calls.append(call)
        self.in_flight += 1
        self.flying[call.key] += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await self.point(call, "before")
            result = effect()
            await self.point(call, "after")
        finally:
            self.in_flight -= 1
            self.flying[call.key] -= 1
        return result

    async def point(self, call: Call, phase: Phase) -> None:
        self.points += 1
        if self.hook is not None:
            await self.hook(call, phase)
        await anyio.lowlevel.checkpoint()
        if phase == "before" and (call.side, call.operation, call.bucket) in self.denied:
            raise call.error("AccessDenied", 403)
        for fault in self.faults:
            if fault.strikes(call, phase):
                fault.times -= 1
                raise call.error(fault.code, fault.status)
