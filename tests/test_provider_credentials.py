"""The bridge from a blocking boto3 session: its keys, its settings, refreshed off the loop."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import anyio.from_thread
import anyio.to_thread
import boto3
import botocore.session
import pytest
from aiobotocore.credentials import AioDeferredRefreshableCredentials
from botocore import UNSIGNED
from botocore.credentials import DeferredRefreshableCredentials, RefreshableCredentials
from botocore.exceptions import ParamValidationError

from async_s3copy import CredentialsError, ValidationError
from async_s3copy.s3.ahead import shared_loader
from async_s3copy.s3.provider_credentials import bridged_session, client_config, raise_no_session
from async_s3copy.s3.wire.keys import KeySource

pytestmark = pytest.mark.stack_b

HOUR_S = 3600


class Clock:
    """A clock that stands until it is moved on."""

    def __init__(self) -> None:
        self.now = datetime.now(tz=UTC)

    def __call__(self) -> datetime:
        return self.now

    def move_on(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)


class Issuer:
    """Issue keys for an hour, one set after another; remember which threads asked."""

    def __init__(self, clock: Clock, before: Callable[[], object] = lambda: None) -> None:
        self.threads: list[int] = []
        self.clock = clock
        self._before = before

    def __call__(self) -> dict[str, str]:
        self._before()
        self.threads.append(threading.get_ident())
        return self.keys(len(self.threads), HOUR_S)

    def keys(self, number: int, valid_s: float) -> dict[str, str]:
        """Return a set of temporary keys, as botocore's refreshers return them."""
        return {
            "access_key": f"ASIA{number}",
            "secret_key": f"secret-{number}",
            "token": f"token-{number}",
            "expiry_time": (self.clock.now + timedelta(seconds=valid_s)).isoformat(),
        }


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock by which all credentials made from now on end."""
    made = Clock()
    for kind in (RefreshableCredentials, AioDeferredRefreshableCredentials):
        monkeypatch.setattr(
            kind, "_time_fetcher", property(lambda _: made, lambda _, ignored: None), raising=False
        )
    return made


def refreshing(issuer: Issuer, valid_s: float) -> Any:
    """Return a boto3 session whose keys, the issuer's number 0, end in so many seconds."""
    first = issuer.keys(0, valid_s)
    return holding(RefreshableCredentials.create_from_metadata(first, issuer, "test"))


def holding(credentials: Any) -> Any:
    """Return a boto3 session with the given credentials."""
    session = botocore.session.get_session()
    session._credentials = credentials
    return boto3.session.Session(botocore_session=session)


async def bridge(session: Any) -> Any:
    """Return the credentials of the bridged session, made in a thread as it must be."""
    bridged = await anyio.to_thread.run_sync(bridged_session, session)
    return await bridged.get_credentials()


async def keys_of(credentials: Any, count: int) -> list[str]:
    """Have so many signers ask at once; return the access keys they got."""
    found: list[str] = []

    async def sign() -> None:
        found.append((await credentials.get_frozen_credentials()).access_key)

    async with anyio.create_task_group() as group:
        for _ in range(count):
            group.start_soon(sign)
    return found


async def test_static_keys_are_carried_over() -> None:
    """Keys given to the boto3 session sign on the loop, token included."""
    session = boto3.session.Session("key", "secret", "token")
    frozen = await (await bridge(session)).get_frozen_credentials()
    assert (frozen.access_key, frozen.secret_key, frozen.token) == ("key", "secret", "token")


async def test_no_credentials_stay_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the boto3 session does not find is not looked for elsewhere, where another's may be."""
    session = boto3.session.Session()
    assert session.get_credentials() is None
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "another's")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another's")
    monkeypatch.setattr(session, "get_credentials", lambda: None)
    assert await bridge(session) is None


@pytest.fixture
def profile(isolated_aws_environment: Path) -> str:
    """A profile of the AWS config file, with a Region and an endpoint."""
    isolated_aws_environment.write_text(
        "[profile here]\nregion = eu-west-1\nendpoint_url = http://127.0.0.1:9\n"
        "aws_access_key_id = key\naws_secret_access_key = secret\n"
    )
    return "here"


async def test_settings_of_the_session_are_carried_over(profile: str) -> None:
    """A profile and a Region set on the session hold for the clients of the bridged one."""
    session = boto3.session.Session(profile_name=profile, region_name="eu-north-1")
    bridged = await anyio.to_thread.run_sync(bridged_session, session)
    async with bridged.create_client("s3") as client:
        assert client.meta.region_name == "eu-north-1"
        assert client.meta.endpoint_url == "http://127.0.0.1:9"


def test_what_botocore_knows_of_s3_is_shared() -> None:
    """A bridged session takes S3's description from where all others do: parsing it takes long."""
    session = boto3.session.Session("key", "secret", region_name="eu-west-1")
    loader = bridged_session(session).get_component("data_loader")
    assert loader is shared_loader(None)


async def test_fresh_keys_are_not_refreshed(clock: Clock) -> None:
    """Keys that last are handed out as they are, however many ask."""
    issuer = Issuer(clock)
    credentials = await bridge(refreshing(issuer, HOUR_S))
    assert await keys_of(credentials, 20) == ["ASIA0"] * 20
    assert issuer.threads == []


async def test_ending_keys_are_refreshed_once_and_off_the_loop(clock: Clock) -> None:
    """Signers that find the keys ending get new ones of one request, made in another thread."""
    issuer = Issuer(clock)
    credentials = await bridge(refreshing(issuer, 60))
    assert await keys_of(credentials, 20) == ["ASIA1"] * 20
    assert len(issuer.threads) == 1
    assert issuer.threads[0] != threading.get_ident()


async def test_keys_are_refreshed_each_time_they_end(clock: Clock) -> None:
    """A copy of many hours outlives many keys."""
    issuer = Issuer(clock)
    credentials = await bridge(refreshing(issuer, HOUR_S))
    for number in range(4):
        assert await keys_of(credentials, 5) == [f"ASIA{number}"] * 5
        clock.move_on(HOUR_S - 30)
    assert len(issuer.threads) == 3


async def test_keys_still_good_are_used_while_new_ones_are_fetched(clock: Clock) -> None:
    """Fifteen minutes ahead, one signer waits for the issuer and the others do not."""
    may_answer, asked = threading.Event(), anyio.Event()
    issuer = Issuer(clock, _tells(asked, may_answer))
    credentials = await bridge(refreshing(issuer, HOUR_S))
    assert await keys_of(credentials, 1) == ["ASIA0"]
    clock.move_on(HOUR_S - 14 * 60)
    async with anyio.create_task_group() as group:
        group.start_soon(keys_of, credentials, 1)
        await asked.wait()
        assert await keys_of(credentials, 5) == ["ASIA0"] * 5
        may_answer.set()
    assert await keys_of(credentials, 5) == ["ASIA1"] * 5


async def test_a_cancelled_signer_does_not_wait_for_the_issuer(clock: Clock) -> None:
    """A copy that is stopped leaves a slow issuer alone; who asks afterwards gets its answer."""
    may_answer, asked = threading.Event(), anyio.Event()
    issuer = Issuer(clock, _tells(asked, may_answer))
    credentials = await bridge(refreshing(issuer, 60))
    async with anyio.create_task_group() as group:
        group.start_soon(keys_of, credentials, 1)
        await asked.wait()
        group.cancel_scope.cancel()
    assert issuer.threads == []
    may_answer.set()
    assert await keys_of(credentials, 5) == ["ASIA1"] * 5
    assert len(issuer.threads) == 1


class TellingLock:
    """A lock that tells when someone has to wait for it."""

    def __init__(self, waiting: anyio.Event) -> None:
        self._lock = threading.Lock()
        self._waiting = waiting

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            anyio.from_thread.run_sync(self._waiting.set)
            self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


async def test_a_request_left_alone_is_not_overtaken(clock: Clock) -> None:
    """Who asks while a cancelled signer's request is under way gets that one's answer."""
    may_answer, asked, waiting = threading.Event(), anyio.Event(), anyio.Event()
    issuer = Issuer(clock, _tells(asked, may_answer))
    credentials = await bridge(refreshing(issuer, 14 * 60))
    credentials._refresh_using._one_at_a_time = TellingLock(waiting)
    async with anyio.create_task_group() as group:
        group.start_soon(keys_of, credentials, 1)
        await asked.wait()
        group.cancel_scope.cancel()

    async def ask() -> None:
        assert await keys_of(credentials, 1) == ["ASIA1"]

    async with anyio.create_task_group() as group:
        group.start_soon(ask)
        await waiting.wait()
        may_answer.set()
    assert len(issuer.threads) == 1


def _tells(asked: anyio.Event, may_answer: threading.Event) -> Callable[[], object]:
    """Return what an issuer does first, in its thread: say that it was asked, and wait."""

    def tell() -> None:
        anyio.from_thread.run_sync(asked.set)
        may_answer.wait()

    return tell


async def test_keys_that_are_fetched_on_first_use_are_fetched_off_the_loop(clock: Clock) -> None:
    """A web identity has no keys until the first request; that one is not made on the loop."""
    issuer = Issuer(clock)
    credentials = await bridge(holding(DeferredRefreshableCredentials(issuer, "test")))
    assert issuer.threads == []
    assert await keys_of(credentials, 5) == ["ASIA1"] * 5
    assert threading.get_ident() not in issuer.threads
    assert len(issuer.threads) == 1


async def test_an_issuer_that_refuses_is_heard(clock: Clock) -> None:
    """Once the keys have ended, the issuer's refusal reaches who wants to sign."""

    def refuse() -> None:
        raise ConnectionError("no issuer")

    credentials = await bridge(refreshing(Issuer(clock, refuse), -1))
    with pytest.raises(ConnectionError, match="no issuer"):
        await credentials.get_frozen_credentials()


def test_plain_values_make_a_config() -> None:
    """Values reach botocore's Config; nothing stays nothing, so that a connection's may hold."""
    config = client_config("botocore_config", {"read_timeout": 7})
    assert config is not None
    assert config.read_timeout == 7
    assert client_config("botocore_config", None) is None


def test_unsigned_can_be_said_in_json() -> None:
    """The text "unsigned" stands for botocore.UNSIGNED, as in a connection's config_kwargs."""
    config = client_config("botocore_config", {"signature_version": "unsigned"})
    assert config is not None
    assert config.signature_version is UNSIGNED


def test_an_unknown_setting_is_named_without_the_values() -> None:
    """What botocore does not know is named; a password in the other settings is not shown."""
    settings = {"bogus": 1, "proxies": {"http": "http://me:hunter2@proxy"}}
    with pytest.raises(ValidationError, match="'bogus'") as caught:
        client_config("botocore_config", settings)
    assert "hunter2" not in str(caught.value)


def test_a_rejected_parameter_is_not_quoted() -> None:
    """botocore quotes what it rejects, a role's external id for one; our traceback does not."""
    sts = boto3.session.Session("key", "secret").client("sts", region_name="us-east-1")
    with pytest.raises(ParamValidationError, match="123454321") as caught:
        sts.assume_role(RoleArn="a" * 20, RoleSessionName="me", ExternalId=123454321)
    with pytest.raises(CredentialsError) as ours:
        raise_no_session("source", "connection 'x'", caught.value)
    assert str(ours.value) == (
        "source credentials: connection 'x' makes no session: "
        "botocore rejects a parameter of the request for credentials"
    )
    assert "123454321" not in "".join(traceback.format_exception(ours.value))


async def test_keys_that_s3_refuses_are_renewed_before_their_time(clock: Clock) -> None:
    """The blocking session would give the same keys again: they have an hour to live."""
    credentials = await bridge(refreshing(issuer := Issuer(clock), HOUR_S))
    source = KeySource(credentials, "source")
    refused = await source.fetch()
    assert refused.access_key_id == "ASIA0"
    source.put_away(refused, "ExpiredToken")
    assert (await source.fetch()).access_key_id == "ASIA1"
    assert len(issuer.threads) == 1
