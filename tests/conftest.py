"""Fixtures of all tests: none of the developer's AWS set-up, real servers, no task left over."""

from __future__ import annotations

import asyncio
import importlib.util
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final, get_args

import pytest
import pytest_asyncio
from botocore.handlers import BUILTIN_HANDLERS
from hypothesis import settings
from moto.server import ThreadedMotoServer

from async_s3copy.options import ClientChoice, CopyOptions
from async_s3copy.testing.seaweedfs import Identity, SeaweedFS
from tests.support import Buckets, Identities, S3Server, make_buckets


@pytest.fixture(autouse=True)
def isolated_aws_environment(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Take the developer's AWS set-up away; return the (empty) config file in its place."""
    home = tmp_path_factory.mktemp("home")
    for name in os.environ:
        if name.startswith(("AWS_", "BOTO_")):
            monkeypatch.delenv(name)
    for variable, name in {
        "AWS_CONFIG_FILE": "config",
        "AWS_SHARED_CREDENTIALS_FILE": "credentials",
    }.items():
        (home / name).touch(mode=0o600)
        monkeypatch.setenv(variable, str(home / name))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("TERM", "xterm")
    return home / "config"


# How long an example takes says nothing on a machine that other tests keep busy.
settings.register_profile("busy", deadline=None)
settings.load_profile("busy")

# Importing moto, even for its server alone, hooks every botocore client of the process; the wire
# rightly keeps away from such clients.
BUILTIN_HANDLERS[:] = [
    entry for entry in BUILTIN_HANDLERS if not type(entry[1]).__module__.startswith("moto.")
]

SERVERS: Final = frozenset(("seaweedfs", "moto", "server"))
WIRE_ON_STACK_B: Final = (
    "test_account_sources",
    "test_airflow_connections",
    "test_manners",
)
# Long ones, whose reference client is the newest one's.
BOTO_ON_STACK_B: Final = (
    "test_accounts",
    "test_fidelity",
    "test_hostile_keys",
)
# They do not copy through the library, give the client themselves, or are about something else.
NOT_BY_CLIENT: Final = (
    "test_airflow_trigger",
    "test_airflow_worker",
    "test_arrival_real",
    "test_cli",
    "test_cli_demo",
    "test_docs",
    "test_fault_proxy",
    "test_leaks",
    "test_listing_real",
    "test_overwrite",
    "test_source_changed",
    "test_testing_seaweedfs",
)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every test that copies on a real or scripted server with both clients."""
    on_a_server = not SERVERS.isdisjoint(metafunc.fixturenames)
    module = metafunc.module.__name__.rpartition(".")[2]
    if on_a_server and module not in NOT_BY_CLIENT:
        metafunc.parametrize("client_choice", _choices(module), indirect=True)


def _choices(module: str) -> tuple[str, ...]:
    """Return the clients to test with.

    What the newest aiobotocore changes is the reference client, and what the wire learns from it.
    """
    both = get_args(ClientChoice)[1:]
    if importlib.util.find_spec("aioboto3") is None:
        return both if module in WIRE_ON_STACK_B else ("boto",)
    return ("wire",) if module in BOTO_ON_STACK_B else both


@pytest.fixture(autouse=True)
def client_choice(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make a client the default of every operation: the wire by name refuses to be replaced."""
    choice: str = getattr(request, "param", "auto")
    defaults = CopyOptions.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "client", choice)
    return choice


@pytest.fixture(autouse=True)
def no_task_left(request: pytest.FixtureRequest) -> None:
    """Fail every async test that leaves a task behind."""
    if pytest_asyncio.is_async_test(request.node):
        # As the first async fixture of the test it is torn down last, on the test's own loop.
        request.getfixturevalue("_task_watch")


@pytest.fixture
async def _task_watch() -> AsyncIterator[None]:
    before = asyncio.all_tasks()
    yield
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    assert not left, f"tasks left behind: {left}"


@pytest.fixture(scope="session")
def seaweedfs() -> Iterator[S3Server]:
    """One SeaweedFS server for this worker: checks permissions, conditions and part numbers."""
    identities = Identities()
    with SeaweedFS(identities.all()) as server:
        yield S3Server(server.endpoint_url, server.admin, identities)


@pytest.fixture(scope="session")
def moto() -> Iterator[S3Server]:
    """One moto server for this worker: keeps any key, checks neither permissions nor conditions."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        admin = Identity.generate("admin", "Admin")
        yield S3Server(f"http://{host}:{port}", admin, Identities())
    finally:
        server.stop()


@pytest.fixture
async def buckets(seaweedfs: S3Server) -> AsyncIterator[Buckets]:
    """Give a fresh bucket pair on SeaweedFS, deleted with all it holds."""
    async with seaweedfs.client() as admin:
        pair = await make_buckets(admin)
        yield pair
        for bucket in (pair.source, pair.destination):
            await admin.delete_bucket(Bucket=bucket)


@pytest.fixture
async def moto_buckets(moto: S3Server) -> Buckets:
    """Give a fresh bucket pair on moto."""
    async with moto.client() as admin:
        return await make_buckets(admin)
