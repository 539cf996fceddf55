"""Accounts from Airflow connections: the provider's rules, and nothing blocking on the loop."""

from __future__ import annotations

import base64
import logging
import threading
from collections.abc import AsyncIterator
from typing import Any

import anyio
import boto3
import pytest

from tests import airflow_home  # noqa: F401  # before anything of Airflow

# isort: split
from airflow.providers.amazon.aws.hooks import base_aws
from airflow.providers.common.compat.sdk import BaseHook
from airflow.sdk import Connection
from airflow.sdk.log import mask_logs
from botocore import UNSIGNED

from async_s3copy.airflow.connections import CUSTOMER_KEY_EXTRA, resolve_account
from async_s3copy.errors import ValidationError
from async_s3copy.s3 import redact
from async_s3copy.s3.account import Secret
from tests.airflow_connections import (
    DESTINATION,
    ROLE,
    SOURCE,
    define,
    define_account,
    keyed,
    keys_of,
    resolved,
)
from tests.real import LARGE, Place, place_on
from tests.support import S3Server, seed

pytestmark = pytest.mark.stack_b

OBJECTS = {"p/a": b"1", "p/b": b"22", "p/big": b"b" * LARGE}


@pytest.fixture
async def place(seaweedfs: S3Server) -> AsyncIterator[Place]:
    """A bucket pair on SeaweedFS with two small objects and a large one in the source."""
    async with place_on(seaweedfs) as made:
        await seed(made.admin, made.buckets.source, OBJECTS)
        yield made


async def test_two_connections_copy_across_accounts(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connections of two accounts that cannot see each other copy with both clients."""
    who = place.server.identities
    define_account(monkeypatch, "theirs", place.server, who.source)
    define_account(monkeypatch, "ours", place.server, who.destination)
    operation = place.operation(
        "p/",
        "p/",
        source=await resolve_account("theirs", name=SOURCE),
        destination=await resolve_account("ours", name=DESTINATION),
    )
    metrics = await operation.run()
    assert metrics.files_relayed == 3
    assert await place.bodies() == OBJECTS


@pytest.fixture
def new_loggers() -> None:
    """Have botocore's loggers as they are before anything of ours has run."""
    for name in redact._LOGGERS:
        logging.getLogger(name).removeFilter(redact._FILTER)


@pytest.mark.usefixtures("new_loggers")
async def test_a_role_copies(
    moto: S3Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A role is assumed in a thread, its keys sign, and no log holds a credential at DEBUG."""
    caplog.set_level(logging.DEBUG)
    threads = _watch_roles(monkeypatch)
    define(monkeypatch, "role", login="login-key", password="pass-word", extra=_role(moto))
    async with place_on(moto) as there:
        await seed(there.admin, there.buckets.source, {"p/a": b"1"})
        account = await resolved("role")
        await there.operation("p/", "p/", source=account, destination=account).run()
        assert await there.bodies() == {"p/a": b"1"}
    assert len(threads) == 1
    assert threads[0] != threading.get_ident()
    key, secret, token = await keys_of(account)
    assert key.startswith("ASIA")
    assert token is not None
    assert "AssumeRole" in caplog.text
    for credential in (key, secret, token, "login-key", "pass-word", "outside"):
        assert credential not in caplog.text
        assert credential not in repr(account)


def _role(server: S3Server) -> dict[str, Any]:
    return {
        "role_arn": ROLE,
        "assume_role_kwargs": {"ExternalId": "outside"},
        "region_name": "us-east-1",
        "endpoint_url": server.endpoint_url,
        "service_config": {"sts": {"endpoint_url": server.endpoint_url}},
    }


def _watch_roles(patch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that gets the thread of each request for a role."""
    threads: list[int] = []
    assume = base_aws.BaseSessionFactory._assume_role

    def watched(self: Any, sts_client: Any) -> Any:
        threads.append(threading.get_ident())
        return assume(self, sts_client)

    patch.setattr(base_aws.BaseSessionFactory, "_assume_role", watched)
    return threads


async def test_a_short_role_is_assumed_again_off_the_loop(
    moto: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys that end soon are replaced by the provider's own request, for all signers at once."""
    threads = _watch_roles(monkeypatch)
    extra = _role(moto)
    extra["assume_role_kwargs"]["DurationSeconds"] = 900
    account = await resolved(define(monkeypatch, "role", login="k", password="s", extra=extra))
    first = len(threads)
    keys: list[tuple[str, str, str | None]] = []

    async def sign() -> None:
        keys.append(await keys_of(account))

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(sign)
    # 900 s are within the 15 minutes ahead of the end in which botocore looks for new ones.
    assert len(threads) == first + 1
    assert threading.get_ident() not in threads
    assert len(keys) == 20
    assert len(set(keys)) == 1


async def test_an_airflow_without_asynchronous_lookups_is_asked_in_a_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where hooks have no aget_connection, the blocking lookup takes place off the loop."""
    connection = await BaseHook.aget_connection(keyed(monkeypatch))
    threads: list[int] = []

    def look_up(conn_id: str) -> Any:
        threads.append(threading.get_ident())
        return connection

    monkeypatch.setattr("async_s3copy.airflow.connections.BaseHook", _Old(look_up))
    assert (await keys_of(await resolved("some")))[0] == "login-key"
    assert threads != [threading.get_ident()]
    assert len(threads) == 1


class _Old:
    """A BaseHook of before aget_connection."""

    def __init__(self, look_up: Any) -> None:
        self.get_connection = look_up


async def test_the_connection_is_looked_up_once_and_never_blocking(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One asynchronous lookup; the provider makes no second, blocking one."""

    def refuse(conn_id: str) -> None:
        raise AssertionError(f"a blocking lookup of {conn_id}")

    keyed(monkeypatch)
    monkeypatch.setattr(BaseHook, "get_connection", refuse)
    assert await keys_of(await resolved("some")) == ("login-key", "pass-word", None)


@pytest.mark.parametrize(
    "extra, given, wanted",
    [
        ({"region_name": "eu-west-1"}, {}, {"region": "eu-west-1"}),
        ({"region_name": "eu-west-1"}, {"region_name": "us-west-2"}, {"region": "us-west-2"}),
        ({"verify": False}, {}, {"verify": False}),
        ({"verify": False}, {"verify": "/ca.pem"}, {"verify": "/ca.pem"}),
        ({"endpoint_url": "http://a"}, {}, {"endpoint_url": "http://a"}),
        ({"endpoint_url": ""}, {}, {"endpoint_url": None}),
        (
            {"endpoint_url": "http://a", "service_config": {"s3": {"endpoint_url": "http://s3"}}},
            {},
            {"endpoint_url": "http://s3"},
        ),
        (
            {"service_config": {"sts": {"endpoint_url": "http://sts"}}},
            {},
            {"endpoint_url": None},
        ),
    ],
)
async def test_settings_come_by_the_providers_rules(
    extra: dict[str, Any],
    given: dict[str, Any],
    wanted: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Arguments come before the extra, and S3's own endpoint before the general one."""
    account = await resolved(keyed(monkeypatch, **extra), **given)
    assert {name: getattr(account, name) for name in wanted} == wanted


async def test_config_kwargs_and_its_override(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection's config_kwargs hold unless a botocore_config is given instead."""
    keyed(monkeypatch, config_kwargs={"read_timeout": 7, "signature_version": "unsigned"})
    config = (await resolved("some")).config
    assert config.read_timeout == 7
    assert config.signature_version is UNSIGNED
    assert (await resolved("some", botocore_config={"read_timeout": 8})).config.read_timeout == 8


async def test_a_connection_as_a_uri(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection may be written as a URI, its keys and its extra quoted."""
    monkeypatch.setenv("AIRFLOW_CONN_SOME", "aws://key:se%2Fcret@/?region_name=eu-west-1")
    account = await resolved("some")
    assert await keys_of(account) == ("key", "se/cret", None)
    assert account.region == "eu-west-1"


@pytest.mark.parametrize(
    "extra, keys",
    [
        ({"aws_session_token": "t"}, ("login-key", "pass-word", "t")),
        ({"aws_access_key_id": "k", "aws_secret_access_key": "s"}, ("login-key", "pass-word")),
    ],
)
async def test_keys_with_a_token(
    extra: dict[str, str], keys: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Login and password come before keys in the extra; the token is always there."""
    found = await keys_of(await resolved(keyed(monkeypatch, **extra)))
    assert tuple(part for part in found if part) == keys


@pytest.mark.parametrize(
    "extra",
    [
        {"aws_access_key_id": "k", "aws_secret_access_key": "s"},
        {"session_kwargs": {"aws_access_key_id": "k", "aws_secret_access_key": "s"}},
    ],
)
async def test_keys_in_the_extra(extra: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without login and password, the extra's keys sign."""
    account = await resolved(define(monkeypatch, "some", extra=extra))
    assert await keys_of(account) == ("k", "s", None)


async def test_a_customer_key_in_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key of the bucket's objects (SSE-C) belongs to the account, and no text shows it."""
    key = base64.b64encode(bytes(range(32))).decode()
    extra = {CUSTOMER_KEY_EXTRA: key}
    account = await resolved(keyed(monkeypatch, **extra))
    assert account.customer_key == Secret(key)
    assert key not in repr(account)
    assert (await resolved(keyed(monkeypatch))).customer_key is None


async def test_what_is_no_customer_key_names_the_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The error says which connection holds it, and shows nothing of it."""
    conn_id = keyed(monkeypatch, **{CUSTOMER_KEY_EXTRA: "sesame"})
    with pytest.raises(ValidationError, match="customer_key") as refused:
        await resolved(conn_id)
    assert "sesame" not in str(refused.value)
    assert conn_id in str(refused.value)


@pytest.fixture
def profile(isolated_aws_environment: Any) -> str:
    """A profile of the AWS config file."""
    isolated_aws_environment.write_text(
        "[profile theirs]\nregion = eu-south-1\nendpoint_url = http://127.0.0.1:9\n"
        "aws_access_key_id = key\naws_secret_access_key = secret\n"
    )
    return "theirs"


async def test_a_profile_is_taken(profile: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """profile_name takes keys, Region and endpoint from the AWS config files."""
    account = await resolved(define(monkeypatch, "some", extra={"profile_name": profile}))
    assert await keys_of(account) == ("key", "secret", None)
    assert account.region == "eu-south-1"
    async with account.session.create_client("s3") as client:
        assert client.meta.endpoint_url == "http://127.0.0.1:9"


async def test_a_connection_of_another_type_warns(monkeypatch: pytest.MonkeyPatch) -> None:
    """The provider takes any connection, and says that the type is not aws."""
    define(monkeypatch, "odd", conn_type="s3", login="login-key", password="pass-word")
    with pytest.warns(UserWarning, match="expected connection type 'aws', got 's3'"):
        account = await resolved("odd")
    assert (await keys_of(account))[0] == "login-key"


async def test_a_session_factory_of_the_users_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """[aws] session_factory makes the session, also where there is no connection."""

    class Own(base_aws.BaseSessionFactory):
        def create_session(self, deferrable: bool = False) -> Any:
            return boto3.session.Session("own", "s", region_name=f"{self.region_name}-own")

    monkeypatch.setattr(base_aws, "SessionFactory", Own)
    for conn_id in (keyed(monkeypatch), None):
        account = await resolved(conn_id, region_name="r")
        assert await keys_of(account) == ("own", "s", None)
        assert account.region == "r-own"


async def test_secrets_are_known_to_airflows_masker(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the lookup Airflow masks what the connection holds, should anyone log it."""
    extra = {"aws_session_token": "some-token"}
    define(monkeypatch, "masked", login="login-key", password="a-password", extra=extra)
    await resolved("masked")
    masked = mask_logs(None, "info", {"event": "a-password and some-token"})
    assert masked["event"] == "*** and ***"


async def test_secrets_in_the_extra_are_masked_whoever_looked_it_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Airflow learns each secret of an extra even where the lookup did not tell it."""
    found = Connection(conn_id="x", conn_type="aws", extra='{"aws_session_token": "token-of-x"}')

    async def look_up(conn_id: str) -> Connection:
        return found

    monkeypatch.setattr(BaseHook, "aget_connection", look_up)
    await resolved("x")
    assert mask_logs(None, "info", {"event": "a token-of-x"})["event"] == "a ***"
