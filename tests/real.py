"""What the tests on real servers share: options small enough to try, observers, checked runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeVar

import anyio
from aiobotocore.session import AioSession

from async_s3copy import Account, CopyOptions, Observer, OperationState, Outcome, S3CopyOperation
from async_s3copy.operation import AccountLike
from tests.support import REGION, Buckets, S3Server, Stored, list_keys, make_buckets, read_object

if TYPE_CHECKING:
    from types_aiobotocore_s3.client import S3Client

T = TypeVar("T")

MIB: Final = 1024 * 1024
PART: Final = 5 * MIB
LARGE: Final = 2 * PART + 1_234_567

WAYS: Final = ("single", "multipart", "relay_put", "relay_multipart")


def quick(**given: Any) -> CopyOptions:
    """Return options with S3's smallest parts and no waits worth mentioning."""
    defaults: dict[str, Any] = {
        "multipart_threshold_bytes": PART,
        "part_size_bytes": PART,
        "relay_multipart_threshold_bytes": PART,
        "relay_part_size_bytes": PART,
        "retry_base_s": 0.001,
        "retry_max_s": 0.002,
        "max_concurrent_requests": 16,
    }
    return CopyOptions(**(defaults | given))


def by_way(way: str, **given: Any) -> CopyOptions:
    """Return options that send objects of any size, 1 byte included, one of the four ways.

    The threshold of a multipart copy has a floor of 5 MiB; one part may be smaller, so a test
    that goes below it needs 140 bytes where it would have to move 700 MiB.
    """
    method = "relay" if way.startswith("relay") else "server_side"
    options = quick(method=method, **given)
    for name in ("multipart_threshold_bytes", "relay_multipart_threshold_bytes"):
        if way.endswith("multipart"):
            object.__setattr__(options, name, 1)
    return options


@cache
def session_of(access_key_id: str, secret_access_key: str) -> AioSession:
    """Return one session for these keys: it keeps botocore's parsed model, half a second a copy."""
    session = AioSession()
    session.set_credentials(access_key_id, secret_access_key)
    return session


@dataclass
class Watch(Observer):
    """Remember what an observer is told."""

    states: list[OperationState] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    copied_bytes: int = 0

    def state_changed(self, state: OperationState) -> None:
        self.states.append(state)

    def object_finished(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)

    def notice(self, text: str) -> None:
        self.notices.append(text)

    def bytes_copied(self, size_bytes: int) -> None:
        self.copied_bytes += size_bytes


@dataclass(frozen=True)
class Place:
    """A server, a bucket pair on it, and its admin's client."""

    server: S3Server
    buckets: Buckets
    admin: S3Client

    def url(self, side: str, key: str = "") -> str:
        """Return the s3:// URL of a key in the ``"source"`` or ``"destination"`` bucket."""
        return f"s3://{getattr(self.buckets, side)}/{key}"

    @property
    def admin_account(self) -> Account:
        """Return the account that may do everything."""
        admin = self.server.admin
        return Account(
            session=session_of(admin.access_key_id, admin.secret_access_key),
            endpoint_url=self.server.endpoint_url,
            region=REGION,
        )

    async def bodies(self, side: str = "destination") -> dict[str, bytes]:
        """Read every object of a bucket."""
        bucket = getattr(self.buckets, side)
        found: dict[str, bytes] = {}

        async def read(key: str) -> None:
            answer = await self.admin.get_object(Bucket=bucket, Key=key)
            async with answer["Body"] as stream:
                found[key] = await stream.read()

        await for_each(await list_keys(self.admin, bucket), read)
        return found

    async def stored(self, key: str, side: str = "destination") -> Stored:
        """Read one object with all that a copy must carry."""
        return await read_object(self.admin, getattr(self.buckets, side), key)

    def operation(
        self,
        source_key: str | None = None,
        destination_key: str | None = None,
        *,
        source: AccountLike = None,
        destination: AccountLike = None,
        to: Place | None = None,
        **given: Any,
    ) -> S3CopyOperation:
        """Prepare a copy from this place's source bucket; the admin's, and recursive, by default.

        ``to`` names the place of the destination, where that is another.
        """
        target = to or self
        settings: dict[str, Any] = {"recursive": True, "options": quick(), **given}
        return S3CopyOperation(
            self.buckets.source,
            source_key,
            target.buckets.destination,
            destination_key,
            source=source or self.admin_account,
            destination=destination or target.admin_account,
            **settings,
        )


@asynccontextmanager
async def place_on(server: S3Server) -> AsyncIterator[Place]:
    """Make a fresh bucket pair on a server, for a block."""
    async with server.client() as admin:
        buckets = await make_buckets(admin)
        yield Place(server, buckets, admin)


async def for_each(items: Iterable[T], function: Callable[[T], Awaitable[object]]) -> None:
    """Call a function for each item, several at a time."""
    queue = iter(items)

    async def work() -> None:
        for item in queue:
            await function(item)

    async with anyio.create_task_group() as group:
        for _ in range(16):
            group.start_soon(work)


def first_differences(
    found: Mapping[str, bytes], wanted: Mapping[str, bytes]
) -> Sequence[tuple[str, str]]:
    """Return the first keys that are missing, too many, or hold something else."""
    keys = sorted(found.keys() | wanted.keys(), key=str.encode)
    return [
        (key, "missing" if key not in found else "extra" if key not in wanted else "differs")
        for key in keys
        if found.get(key) != wanted.get(key)
    ][:10]
