"""Real operations and transfers on the in-memory server, and what must be true after each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from async_s3copy.engine.checkpoint import CopyScope
from async_s3copy.engine.governor import Governor
from async_s3copy.engine.journal import Journal
from async_s3copy.engine.plan import KeyMapping
from async_s3copy.engine.transfer import Transfer
from async_s3copy.errors import Side
from async_s3copy.metrics import MetricsRecorder
from async_s3copy.model import OperationState, Outcome, S3Location
from async_s3copy.observer import Observer
from async_s3copy.operation import S3CopyOperation
from async_s3copy.options import MIB, CopyOptions
from async_s3copy.s3.account import Account
from async_s3copy.s3.terms import NO_TERMS, Terms
from tests.fake_server import FakeS3
from tests.fakes import FakeClient


def fast_options(**changes: Any) -> CopyOptions:
    """Smallest parts, few requests in flight, and retries that do not wait."""
    defaults: dict[str, Any] = {
        "max_concurrent_requests": 4,
        "multipart_threshold_bytes": 5 * MIB,
        "part_size_bytes": 5 * MIB,
        "relay_multipart_threshold_bytes": 5 * MIB,
        "relay_part_size_bytes": 5 * MIB,
        "relay_memory_bytes": 20 * MIB,
        "max_attempts": 4,
        "retry_base_s": 1e-9,
        "retry_max_s": 1e-9,
    }
    return CopyOptions(**(defaults | changes))


class Log(Observer):
    """Keep everything an observer is told."""

    def __init__(self) -> None:
        self.states: list[OperationState] = []
        self.outcomes: list[Outcome] = []
        self.notices: list[str] = []
        self.listed = 0
        self.bytes = 0
        self.listing_ended = 0

    def state_changed(self, state: OperationState) -> None:
        self.states.append(state)

    def objects_listed(self, count: int, size_bytes: int) -> None:
        self.listed += count

    def listing_completed(self) -> None:
        self.listing_ended += 1

    def bytes_copied(self, size_bytes: int) -> None:
        self.bytes += size_bytes

    def object_finished(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)

    def notice(self, text: str) -> None:
        self.notices.append(text)


@dataclass
class World:
    """Two servers (one and the same unless said otherwise) and the operations between them."""

    source: FakeS3 = field(default_factory=FakeS3)
    destination: FakeS3 = field(init=False)
    transfers: list[Transfer] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.destination = self.source

    def install(self, monkeypatch: pytest.MonkeyPatch) -> World:
        """Put the fakes where an operation opens its clients; keep the transfers it makes."""

        @asynccontextmanager
        async def open_client(
            account: Account,
            side: Side,
            options: CopyOptions,
            count: Callable[[bool], object],
            terms: Terms = NO_TERMS,
        ) -> AsyncIterator[FakeClient]:
            yield FakeClient(self.source if side == "source" else self.destination, side)

        def make_transfer(**fields: Any) -> Transfer:
            self.transfers.append(Transfer(**fields))
            return self.transfers[-1]

        monkeypatch.setattr("async_s3copy.s3.opening.open_client", open_client)
        monkeypatch.setattr("async_s3copy.engine.run.Transfer", make_transfer)
        monkeypatch.setattr("async_s3copy.engine.upload._ABORT_PAUSE_S", 0)
        return self

    def operation(
        self,
        source_key: str | None = "in/",
        destination_key: str | None = "out/",
        *,
        recursive: bool = True,
        **more: Any,
    ) -> S3CopyOperation:
        more.setdefault("options", fast_options())
        return S3CopyOperation(
            "source-bucket",
            source_key,
            "target-bucket",
            destination_key,
            recursive=recursive,
            **more,
        )

    def assert_clean(self) -> None:
        """No open upload, no request in flight, no task, no slot, no permit, no byte held."""
        for server in (self.source, self.destination):
            assert server.uploads == {}
            assert server.in_flight == 0
        assert asyncio.all_tasks() == {asyncio.current_task()}
        for transfer in self.transfers:
            assert transfer.part_slots.borrowed_tokens == 0
            assert transfer.memory.used_bytes == 0
            load = transfer.governor.statistics()
            assert (load.in_flight, load.waiting) == (0, 0)


def transfer_of(
    source: FakeS3,
    destination: FakeS3 | None = None,
    *,
    source_key: str | None = "in/",
    destination_key: str | None = "out/",
    recursive: bool = True,
    overwrite: bool = True,
    options: CopyOptions | None = None,
) -> Transfer:
    """A transfer between two servers, as an operation makes it."""
    options = options or fast_options()
    recorder = MetricsRecorder("test")
    mapping = KeyMapping(
        S3Location("source-bucket", source_key),
        S3Location("target-bucket", destination_key),
        recursive,
    )
    return Transfer(
        source=FakeClient(source, "source"),
        destination=FakeClient(destination or source, "destination"),
        mapping=mapping,
        overwrite=overwrite,
        options=options,
        governor=Governor(options, recorder),
        recorder=recorder,
        journal=Journal(CopyScope(mapping), recorder),
    )


async def settle(done: Callable[[], bool]) -> None:
    """Let every other task run until the condition holds; fail where it never does."""
    for _ in range(10_000):
        if done():
            return
        await asyncio.sleep(0)
    raise AssertionError("the condition never came true")


async def all_idle(rounds: int = 200) -> None:
    """Let every other task run until it waits for something that does not come by itself."""
    for _ in range(rounds):
        await asyncio.sleep(0)


async def outcome_of(awaitable: Awaitable[Any]) -> Any:
    """Return what an awaitable returns or raises."""
    try:
        return await awaitable
    except BaseException as error:
        return error
