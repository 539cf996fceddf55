"""Copies to be cancelled at every await: on the fake server, and over HTTP with either client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import pytest
from aiobotocore.httpsession import AIOHTTPSession

from async_s3copy import Account, CopyCancelledError, CopyOptions, S3CopyOperation
from async_s3copy.s3.session import s3_client_context
from tests.every_await import Struck
from tests.fake_server import OTHER, FakeS3
from tests.fault_server import FaultServer, run_fault_server
from tests.harness import World, settle
from tests.real import by_way, session_of
from tests.support import REGION

SOURCE, DESTINATION = "source-bucket", "target-bucket"
PART: Final = 8
LARGE: Final = bytes(range(2 * PART + 3))
SCENES: Final = ("multipart", "relay_put", "relay_multipart", "listing")
ENGINE_SCENES: Final = (*SCENES, "guarded", "several")
"""Also on a server that must be asked before each write, and with workers on large and small."""
PREFIXES: Final = ("listing", "several")
Complaint = dict[str, Any]

# An upload waits for a checkpoint before it begins, and checkpoints wait for a second to pass.
NO_GAP: Final = ("async_s3copy.engine.saver._LEAST_GAP_S", 0)


def scene_options(scene: str, **given: Any) -> CopyOptions:
    """Two requests in flight at most; parts of eight bytes, where S3 wants five million."""
    way = {"listing": "single", "guarded": "multipart", "several": "multipart"}.get(scene, scene)
    options = by_way(way, max_concurrent_requests=2, **given)
    for name in ("part_size_bytes", "relay_part_size_bytes"):
        object.__setattr__(options, name, PART)
    if scene == "several":
        object.__setattr__(options, "multipart_threshold_bytes", PART)
    return options


@dataclass
class Scene:
    """One copy that can be made again and again.

    Attributes:
        make: Makes the operation anew, its destination empty.
        open_uploads: Counts the uploads left open.
        arrived: The objects at the destination, by key.
        wanted: What a complete copy makes of it.
        at_rest: Whether the server sees no connection and no request.
        complaints: What the event loop complained about.
    """

    make: Callable[[], S3CopyOperation]
    open_uploads: Callable[[], int]
    arrived: Callable[[], dict[str, bytes]]
    wanted: dict[str, bytes]
    at_rest: Callable[[], bool] = lambda: True
    complaints: list[Complaint] = field(default_factory=list)
    operation: S3CopyOperation = field(init=False)

    async def run(self) -> object:
        """Make the copy."""
        self.operation = self.make()
        return await self.operation.run()

    def cancel(self) -> bool:
        """Cancel the operation instead of its task."""
        self.operation.cancel()
        return True

    async def check(self, run: Struck) -> None:
        """Check what a run has left: nothing, and of its objects whole ones only.

        Where its task was struck, the cancellation has come out, too.
        """
        ended = self._end_of(run)
        if ended == "completed":
            assert self.arrived() == self.wanted
        else:
            assert self.operation.failure_reason == "cancelled"
        metrics = self.operation.metrics
        assert metrics.files_failed == 0
        done = metrics.files_copied_successfully + metrics.files_skipped
        assert metrics.total_files_found == done
        assert self.operation.checkpoint()["uploads"] == []
        assert self.arrived().items() <= self.wanted.items()
        assert self.open_uploads() == 0
        assert "uploads_left_open" not in metrics.degradations
        assert all(task.done() for task in run.tasks)
        await settle(self.at_rest)
        assert self.complaints == []

    def _end_of(self, run: Struck) -> str:
        if run.cancel is None:
            assert run.task.cancelled() == run.was_struck, run
        if run.task.cancelled():
            return "cancelled"
        error = run.task.exception()
        if error is not None:
            # Cancelled too late for that, an operation completes.
            assert isinstance(error, CopyCancelledError), run
            assert run.was_struck
            return "cancelled"
        return "completed"


def source_of(scene: str) -> dict[str, bytes]:
    """The objects a scene copies."""
    if scene == "listing":
        return {f"in/{number}": b"x" for number in range(7)}
    if scene == "several":
        return {f"in/{number}": LARGE if number % 2 else b"x" for number in range(4)}
    return {"in/k": LARGE}


def target_of(scene: str) -> dict[str, bytes]:
    """What arrives."""
    return {key.replace("in/", "out/"): body for key, body in source_of(scene).items()}


def places_of(scene: str) -> dict[str, Any]:
    """The operation's source and destination."""
    keys = ("in/", "out/") if scene in PREFIXES else ("in/k", "out/k")
    return {
        "source_bucket": SOURCE,
        "source_key": keys[0],
        "destination_bucket": DESTINATION,
        "destination_key": keys[1],
        "recursive": scene in PREFIXES,
        "overwrite": scene != "guarded",
        "batch_size": 2,
        "on_checkpoint": _ignored,
        "checkpoint_interval_s": 3600,
    }


async def _ignored(checkpoint: Mapping[str, object]) -> None:
    """Take a checkpoint, with an await of its own."""
    await asyncio.sleep(0)


def on_the_fake(scene: str, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """Stage a scene on the Protocol in memory."""
    monkeypatch.setattr(*NO_GAP)
    world = World(FakeS3(OTHER) if scene == "guarded" else FakeS3()).install(monkeypatch)
    world.source.page_size = 3
    for key, body in source_of(scene).items():
        world.source.put(SOURCE, key, body)

    def make() -> S3CopyOperation:
        world.source.buckets[DESTINATION].clear()
        world.transfers.clear()
        return S3CopyOperation(**places_of(scene), options=scene_options(scene))

    def at_rest() -> bool:
        world.assert_clean()
        return True

    stored = world.source.buckets[DESTINATION]
    return Scene(
        make,
        open_uploads=lambda: len(world.source.uploads),
        arrived=lambda: {key: each.data for key, each in stored.items()},
        wanted=target_of(scene),
        at_rest=at_rest,
    )


@asynccontextmanager
async def over_http(scene: str, client: str) -> AsyncIterator[Scene]:
    """Stage a scene on a server in this process, with one of the two real clients."""
    async with run_fault_server() as server:
        server.manners.page_keys = 3
        for key, body in source_of(scene).items():
            server.put(SOURCE, key, body)
        account = Account(
            session=session_of("AK", "secret"), region=REGION, endpoint_url=server.url
        )

        def make() -> S3CopyOperation:
            server.objects[DESTINATION].clear()
            options = scene_options(scene, client=client)
            places = places_of(scene)
            return S3CopyOperation(**places, options=options, source=account, destination=account)

        staged = Scene(
            make,
            open_uploads=lambda: len(server.uploads),
            arrived=lambda: _bodies(server),
            wanted=target_of(scene),
            at_rest=lambda: server.connections() == 0,
        )
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, what: staged.complaints.append(what))
        yield staged


def _bodies(server: FaultServer) -> dict[str, bytes]:
    return {key: stored.body for key, stored in server.objects[DESTINATION].items()}


@asynccontextmanager
async def kept_clients(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Make botocore's clients once: that takes several times as long as the whole copy.

    What they hold of connections is closed whenever an operation closes them.
    """
    made: dict[tuple[object, ...], _Kept] = {}

    def context(session: Any, account: Account, options: CopyOptions) -> _Kept:
        place = (account.endpoint_url, options.client)
        if place not in made or made[place].is_worn:
            made[place] = _Kept(s3_client_context(session, account, options))
        return made[place]

    monkeypatch.setattr("async_s3copy.s3.opening.s3_client_context", context)
    monkeypatch.setattr(*NO_GAP)
    without_tls(monkeypatch)
    try:
        yield
    finally:
        for each in made.values():
            if not each.is_worn:
                await each.close()


def without_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let aiobotocore 3 make no TLS settings, which plain HTTP never uses: 0.1 s each time."""
    name = "_build_ssl_contexts"
    monkeypatch.setattr(AIOHTTPSession, name, lambda *_: (False, None), raising=False)


# Each use adds a layer around the client's own methods.
_MOST_USES: Final = 200


class _Kept:
    def __init__(self, context: Any) -> None:
        self._context = context
        self._client: Any = None
        self._users = self._uses = 0
        self.is_worn = False

    async def __aenter__(self) -> Any:
        self._users += 1
        self._uses += 1
        if self._client is None:
            self._client = await self._context.__aenter__()
        return self._client

    async def __aexit__(self, *_: object) -> None:
        self._users -= 1
        if not self._users and self._uses > _MOST_USES:
            self.is_worn = True
            await self.close()
        elif not self._users:
            http = self._client._endpoint.http_session
            await http.__aexit__(None, None, None)
            await http.__aenter__()

    async def close(self) -> None:
        await self._context.__aexit__(None, None, None)
