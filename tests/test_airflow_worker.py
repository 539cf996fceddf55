"""Copies on a worker, on a real server: the same engine, and signals that end it in good order."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import pytest

from tests import airflow_home  # noqa: F401  # before anything of Airflow

# isort: split
from airflow.sdk.exceptions import AirflowException, AirflowTaskTimeout
from airflow.sdk.execution_time.timeout import timeout as execution_timeout

from async_s3copy.airflow import S3CopyOperator
from async_s3copy.airflow.progress import ProgressLog
from tests import airflow_gate, gate
from tests.airflow_connections import define_account
from tests.airflow_tasks import StateStore, copy_task, execute
from tests.real import LARGE, PART, Place
from tests.support import Buckets, S3Server, list_open_uploads, make_buckets, seed

SMALL: Final = {f"p/{number:02}": b"%d" % number for number in range(20)}
# The requests for parts of the large object, and for half of the small ones.
PARTS: Final = r"PUT /dst-[^/]*/q/large\?.*partNumber="
COPIES: Final = r"PUT /dst-[^/]*/q/1"
STOPPED: Final = "the task was ended on the worker while it copied; its open uploads are aborted"
OPTIONS: Final = {"multipart_threshold_bytes": PART, "part_size_bytes": PART, "retry_base_s": 0.001}


@dataclass(frozen=True)
class World:
    """Two accounts on a server, a bucket each."""

    server: S3Server
    buckets: Buckets
    patch: pytest.MonkeyPatch

    def connect(self, endpoint_url: str) -> None:
        """Define the connections: one account reads the source, the other may, too, and copies."""
        who = self.server.identities
        for name, identity in (("theirs", who.source_read_only), ("ours", who.copier)):
            define_account(self.patch, name, self.server, identity, endpoint_url=endpoint_url)

    def task(self, **given: Any) -> S3CopyOperator:
        """Return a task that copies the source's prefix on the worker, inside S3."""
        defaults: dict[str, Any] = {
            "source_bucket": self.buckets.source,
            "destination_bucket": self.buckets.destination,
            "source_aws_conn_id": "theirs",
            "dest_aws_conn_id": "ours",
            "method": "server_side",
            "options": OPTIONS,
        }
        return copy_task(**(defaults | given))

    def seed(self, objects: Mapping[str, bytes]) -> None:
        """Put objects into the source."""

        async def put() -> None:
            async with self.server.client() as admin:
                await seed(admin, self.buckets.source, objects)

        asyncio.run(put())

    def copied(self) -> dict[str, bytes]:
        """Read every object of the destination, by the source's key."""

        async def read() -> dict[str, bytes]:
            async with self.server.client() as admin:
                return await Place(self.server, self.buckets, admin).bodies()

        return {key.replace("q/", "p/", 1): body for key, body in asyncio.run(read()).items()}

    def open_uploads(self) -> list[str]:
        """List the keys of the destination's open uploads."""

        async def ask() -> list[str]:
            async with self.server.client() as admin:
                return await list_open_uploads(admin, self.buckets.destination)

        return asyncio.run(ask())


@pytest.fixture
def world(seaweedfs: S3Server, monkeypatch: pytest.MonkeyPatch) -> World:
    """Two accounts on SeaweedFS."""

    async def make() -> Buckets:
        async with seaweedfs.client() as admin:
            return await make_buckets(admin)

    made = World(seaweedfs, asyncio.run(make()), monkeypatch)
    made.connect(seaweedfs.endpoint_url)
    return made


@contextmanager
def held(world: World, pattern: str) -> Iterator[gate.Gate]:
    """Hold requests back that match, whoever sends them."""
    made = gate.Gate(world.server.endpoint_url, pattern)
    with gate.standing(made) as endpoint_url:
        world.connect(endpoint_url)
        yield made
        world.connect(world.server.endpoint_url)


def test_a_copy_on_the_worker_returns_the_metrics(world: World) -> None:
    """Without deferral the same engine copies between the accounts of two connections."""
    world.seed(SMALL)
    store = StateStore()
    metrics = execute(world.task(), store)
    assert (metrics["files_copied_successfully"], metrics["files_failed"]) == (len(SMALL), 0)
    assert metrics["total_bytes_transferred"] == sum(map(len, SMALL.values()))
    assert world.copied() == SMALL
    assert store.saved, "nothing to go on from, had the worker been killed"
    assert store.checkpoint is None


def test_a_retry_copies_only_what_failed(world: World) -> None:
    """The error names count, key and code, and the next try sends one copy instead of twenty."""
    world.seed(SMALL)
    store = StateStore()
    with airflow_gate.standing(urlsplit(world.server.endpoint_url).port or 0) as counter:
        world.connect(counter.endpoint_url)
        counter.set_rule(airflow_gate.Refuse(["q/07"]))
        with pytest.raises(AirflowException) as failed:
            execute(world.task(), store)
        counter.forget()
        metrics = execute(world.task(), store)
        assert counter.count("copy") == {"q/07": 1}
    first, detail = str(failed.value).splitlines()
    assert first.startswith("1 of 20 objects failed to copy")
    assert "p/07" in detail
    assert "AccessDenied" in detail
    assert (metrics["files_copied_successfully"], metrics["files_failed"]) == (20, 0)
    assert world.copied() == SMALL


@pytest.mark.parametrize("side", ["source_aws_conn_id", "dest_aws_conn_id"])
def test_a_missing_connection_fails_the_task_by_its_name(side: str) -> None:
    """It does not become the default chain; retries apply, because it may be made meanwhile."""
    given: dict[str, Any] = {"source_aws_conn_id": None, side: "nobody"}
    task = copy_task(**given)
    with pytest.raises(AirflowException, match=f"^{side}='nobody' must be an Airflow connection"):
        execute(task)


def test_a_timeout_ends_the_copy_and_the_next_try_goes_on(world: World) -> None:
    """``timeout`` holds on the worker, too, and leaves a checkpoint."""
    world.seed(SMALL)
    store = StateStore()
    with pytest.raises(AirflowTaskTimeout, match="the copy did not end by its deadline"):
        execute(world.task(timeout=1e-6), store)
    assert execute(world.task(), store)["files_copied_successfully"] == len(SMALL)


# ------------------------------------------------------------------------------------- signals


@contextmanager
def handlers_restored() -> Iterator[None]:
    """Put the handlers of signals back that a test changes."""
    before = {
        each: signal.getsignal(each) for each in (signal.SIGALRM, signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@contextmanager
def once_held(gate: gate.Gate, do: Callable[[], object]) -> Iterator[None]:
    """Do something when the gate holds a request, in a thread."""
    (arrived,) = gate.arrived.values()

    def wait() -> None:
        arrived.wait()
        do()

    thread = threading.Thread(target=wait)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def sent(number: signal.Signals) -> Callable[[], None]:
    """Return what sends this process a signal."""
    return lambda: os.kill(os.getpid(), number)


def as_the_task_runner(task: S3CopyOperator) -> AbstractContextManager[Any]:
    """Handle SIGTERM as Airflow's task runner does."""
    signal.signal(signal.SIGTERM, lambda *_: task.on_kill())
    return nullcontext()


def as_execution_timeout(task: S3CopyOperator | None = None) -> AbstractContextManager[Any]:
    """Handle SIGALRM as Airflow does while ``execution_timeout`` runs."""
    context: AbstractContextManager[Any] = execution_timeout(60)  # type: ignore[no-untyped-call]
    return context


def as_python(task: S3CopyOperator) -> AbstractContextManager[Any]:
    """Handle SIGINT as Python does, also where the tests run in the background of a shell."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return nullcontext()


@pytest.mark.parametrize(
    "number, handled, raised",
    [
        (signal.SIGTERM, as_the_task_runner, AirflowException),
        (signal.SIGALRM, as_execution_timeout, AirflowTaskTimeout),
        (signal.SIGINT, as_python, KeyboardInterrupt),
    ],
    ids=lambda each: getattr(each, "name", ""),
)
def test_a_signal_ends_the_copy_in_good_order(
    world: World,
    number: signal.Signals,
    handled: Callable[[S3CopyOperator], AbstractContextManager[Any]],
    raised: type[BaseException],
) -> None:
    """The open upload is aborted, the checkpoint is stored, and only then Airflow's handler has its
    say; the next try copies what was left."""
    world.seed({**SMALL, "p/large": b"x" * LARGE})
    task, store = world.task(), StateStore()
    with handlers_restored(), handled(task), held(world, PARTS) as parts:
        before = signal.getsignal(number)
        with pytest.raises(raised), once_held(parts, sent(number)):
            execute(task, store)
        assert signal.getsignal(number) == before
        assert world.open_uploads() == []
    assert store.checkpoint is not None
    assert execute(world.task(), store)["files_copied_successfully"] == len(SMALL) + 1
    assert world.copied() == {**SMALL, "p/large": b"x" * LARGE}


def test_a_time_limit_that_passes_amid_a_callback_is_not_lost(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """asyncio would log what Airflow's handler raises there, and copy on."""
    world.seed(SMALL)

    def list_late(*_: int) -> None:
        asyncio.get_running_loop().call_soon(signal.raise_signal, signal.SIGALRM)

    monkeypatch.setattr(ProgressLog, "objects_listed", list_late)
    store = StateStore()
    with handlers_restored(), as_execution_timeout(), pytest.raises(AirflowTaskTimeout):
        execute(world.task(), store)
    assert store.checkpoint is not None


def test_on_kill_stops_a_copy_in_another_thread(world: World) -> None:
    """``on_kill`` is enough, whoever calls it, and signals are left alone outside the main
    thread."""
    world.seed(SMALL)
    task, ends = world.task(), list[BaseException]()

    def run() -> None:
        try:
            execute(task)
        except AirflowException as error:
            ends.append(error)

    thread = threading.Thread(target=run)
    with held(world, COPIES) as copies, once_held(copies, task.on_kill):
        thread.start()
        thread.join()
    assert [str(each) for each in ends] == [STOPPED]


def test_a_copy_killed_before_it_began_does_not_begin() -> None:
    """SIGTERM may come while the task still starts: the handler's call is not lost."""
    task = copy_task(source_aws_conn_id="nobody")
    task.on_kill()
    with pytest.raises(AirflowException, match=STOPPED):
        execute(task)


HELD = """
import os, signal
from async_s3copy.airflow.signals import HeldSignals
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, signal.SIG_DFL)
stopped = []
with HeldSignals(lambda: stopped.append(1)):
    os.kill(os.getpid(), signal.{name})
    os.kill(os.getpid(), signal.{name})
    print("stopped", len(stopped), flush=True)
print("survived")
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda each: each.name)
def test_a_signal_that_kills_kills_afterwards(number: signal.Signals) -> None:
    """In a task's process SIGINT has no handler: it ends the process, but not the abort of its
    uploads."""
    code = HELD.replace("{name}", number.name)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == -number, done.stderr
    assert done.stdout == "stopped 2\n"
