"""Opening a client: what blocks happens in threads, never on the event loop's."""

from __future__ import annotations

import importlib.util
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from aiobotocore.session import AioSession
from botocore.exceptions import DataNotFoundError
from botocore.loaders import JSONFileLoader, create_loader

from async_s3copy import Account, CopyOptions, CredentialsError, S3Error
from async_s3copy.errors import Side
from async_s3copy.s3 import ahead
from async_s3copy.s3.opening import open_boto_client, open_client
from async_s3copy.s3.session import practise
from tests.fault_answers import raw
from tests.fault_server import run_fault_server
from tests.raw_server import certificate, raw_server, server_context
from tests.support import REGION

pytestmark = pytest.mark.stack_b

NOWHERE = "http://127.0.0.1:9"
KEYS: dict[str, Any] = {"access_key_id": "AK", "secret_access_key": "secret"}
ROLE = "arn:aws:iam::123456789012:role/copier"
ASSUMED = """<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>AKROLE</AccessKeyId>
<SecretAccessKey>secret</SecretAccessKey><SessionToken>token</SessionToken>
<Expiration>2100-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult>
</AssumeRoleResponse>"""
HEAD = b'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nETag: "e"\r\n\r\n'
PROGRAM = """
import asyncio, importlib, sys, threading
import anyio.to_thread

class Watch:
    on_the_loop, elsewhere = [], []

    def find_spec(self, name, path=None, target=None):
        own = threading.current_thread() is threading.main_thread()
        (self.on_the_loop if own else self.elsewhere).append(name)

async def main():
    await anyio.to_thread.run_sync(lambda: None)
    from async_s3copy import Account, CopyOptions
    opening = await anyio.to_thread.run_sync(importlib.import_module, "async_s3copy.s3.opening")
    sys.meta_path.insert(0, Watch())
    account = Account(access_key_id="AK", secret_access_key="secret", region="us-east-1")
    async with opening.open_client(account, "source", CopyOptions()):
        print(len(Watch.elsewhere), *Watch.on_the_loop)

asyncio.run(main())
"""


class Threads:
    """The threads in which watched functions have run."""

    def __init__(self) -> None:
        self._seen: list[threading.Thread] = []

    def watching(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*args: Any, **given: Any) -> Any:
            self._seen.append(threading.current_thread())
            return function(*args, **given)

        return watched

    def assert_others_only(self) -> None:
        assert self._seen
        assert threading.main_thread() not in self._seen


@pytest.fixture
def readers(monkeypatch: pytest.MonkeyPatch) -> Threads:
    """Watch who reads botocore's descriptions of services, as if none had been read yet."""
    ahead.shared_loader.cache_clear()
    threads = Threads()
    for kind in (JSONFileLoader, ahead._PlainFiles):
        monkeypatch.setattr(kind, "load_file", threads.watching(kind.load_file))
    return threads


@pytest.fixture
def bundle_readers(monkeypatch: pytest.MonkeyPatch) -> Threads:
    """Watch who reads CA bundles."""
    threads = Threads()
    load = threads.watching(ssl.SSLContext.load_verify_locations)
    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", load)
    return threads


def bare_session() -> AioSession:
    session = AioSession()
    session.set_credentials("AK", "secret")
    return session


def account(**given: Any) -> Account:
    return Account(region=REGION, **{"endpoint_url": NOWHERE, **given})


async def opened(account: Account, side: Side = "source") -> None:
    async with open_client(account, side, CopyOptions()):
        pass


@pytest.mark.parametrize("given", [KEYS, {}, KEYS | {"role_arn": ROLE}], ids=str)
async def test_service_descriptions_are_read_in_threads(
    readers: Threads, given: dict[str, Any]
) -> None:
    """Of a session made here: botocore finds them in the cache."""
    await opened(account(**given))
    readers.assert_others_only()


@pytest.mark.usefixtures("config_with_profile")
async def test_a_wrong_environment_harms_only_those_it_is_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """AWS_PROFILE names no profile: an account with a profile of its own does not care."""
    monkeypatch.setenv("AWS_PROFILE", "missing")
    practise.cache_clear()
    await opened(account(profile="there"))
    with pytest.raises(CredentialsError, match=r"source credentials: .*missing"):
        await opened(account())


@pytest.mark.parametrize(
    "library", ["aiobotocore", *(["aioboto3"] if importlib.util.find_spec("aioboto3") else [])]
)
async def test_service_descriptions_of_a_given_session_are_read_in_threads(
    readers: Threads, library: str
) -> None:
    """A session of the program's own has its own cache, which is filled the same way."""
    session: Any = bare_session()
    if library == "aioboto3":
        session = importlib.import_module("aioboto3").Session(botocore_session=session)
    await opened(account(session=session))
    readers.assert_others_only()


async def test_a_role_is_assumed_without_reading_on_the_loop(readers: Threads) -> None:
    """The description of STS is there before the first refresh, as before every later one."""
    async with run_fault_server() as sts:
        sts.always("ListObjectsV2", raw(200, ASSUMED))
        role = account(**KEYS, role_arn=ROLE, sts_endpoint_url=sts.url)
        async with open_boto_client(role, "source", CopyOptions()) as client:
            keys = await (await client.credentials()).get_frozen_credentials()
    assert keys.access_key == "AKROLE"
    readers.assert_others_only()


def test_the_first_client_of_a_process_imports_in_threads() -> None:
    """botocore imports a lot when it makes its first client; none of it on the loop."""
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True
    )
    elsewhere, *on_the_loop = result.stdout.split()
    assert on_the_loop == []
    if importlib.util.find_spec("aioboto3") is not None:
        assert int(elsewhere) > 0


def test_plain_files_are_botocores() -> None:
    """What is read the quick way equals what botocore reads."""
    usual, quick = create_loader(None), create_loader(None)
    quick.file_loader = ahead._PlainFiles()
    for name in ("endpoints", "partitions", "s3/2006-03-01/service-2"):
        assert quick.load_data(name) == usual.load_data(name)
    with pytest.raises(DataNotFoundError):
        quick.load_data("absent")


@pytest.fixture
def config_with_profile(isolated_aws_environment: Path) -> None:
    """A config file with one profile."""
    keys = "aws_access_key_id = AK\naws_secret_access_key = secret"
    isolated_aws_environment.write_text(f"[profile there]\n{keys}\n")


@pytest.fixture
def broken_config(isolated_aws_environment: Path) -> None:
    """A config file that is none."""
    isolated_aws_environment.write_text("no section\n")


@pytest.mark.usefixtures("broken_config")
async def test_a_broken_config_file_is_an_error_of_its_side() -> None:
    """What the thread finds wrong arrives as every error does that makes no client."""
    with pytest.raises(S3Error, match=r"CreateClient .*\[destination\]: ConfigParseError"):
        await opened(account(**KEYS), "destination")


async def test_the_reference_client_reads_its_ca_bundle_in_a_thread(
    tmp_path: Path, bundle_readers: Threads
) -> None:
    """The usual authorities take 20 ms; requests that start together wait for one session."""
    pem = certificate(tmp_path, "localhost")
    async with raw_server(server_context(pem)) as server:
        secure = account(**KEYS, endpoint_url=f"https://localhost:{server.port}", verify=str(pem))
        async with (
            open_boto_client(secure, "source", CopyOptions()) as client,
            anyio.create_task_group() as group,
        ):
            for _ in range(2):
                group.start_soon(client.head_object, "bucket", "key")
            for _ in range(2):
                await server.answer(HEAD)
            assert len(client.client._endpoint.http_session._sessions) == 1
    bundle_readers.assert_others_only()


async def test_the_reference_client_refuses_a_certificate_of_another_host(tmp_path: Path) -> None:
    """A trusted certificate must name the host, which aiobotocore 2 by itself does not check."""
    pem = certificate(tmp_path, "localhost")
    async with raw_server(server_context(pem)) as server:
        secure = account(**KEYS, endpoint_url=f"https://127.0.0.1:{server.port}", verify=str(pem))
        async with open_boto_client(secure, "source", CopyOptions()) as client:
            with pytest.raises(S3Error, match="SSLError"):
                await client.head_object("bucket", "key")
