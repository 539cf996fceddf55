"""Airflow connections that make no account: told by name, and never replaced by another."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Iterator
from typing import Any

import anyio
import pytest

from tests import airflow_home  # noqa: F401  # before anything of Airflow

# isort: split
from airflow.providers.amazon.aws.hooks import base_aws
from airflow.providers.common.compat.sdk import BaseHook

from async_s3copy import CredentialsError, ValidationError
from async_s3copy.airflow.connections import resolve_account
from tests.airflow_connections import DESTINATION, ROLE, define, keyed, keys_of, resolved

pytestmark = pytest.mark.stack_b


@pytest.mark.parametrize("conn_id", ["nowhere", ""])
async def test_a_missing_connection_is_never_the_default_chain(
    conn_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that does not exist ends in its name, whatever keys the environment has."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "another")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "account")
    with pytest.raises(ValidationError) as caught:
        await resolve_account(conn_id, name=DESTINATION)
    assert str(caught.value) == (
        f"dest_aws_conn_id={conn_id!r} must be an Airflow connection that exists"
    )


async def test_no_connection_is_the_default_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    """None takes the keys of the environment, with the Region that is given."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "env-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "env-secret")
    account = await resolved(None, region_name="eu-west-3", verify=False)
    assert await keys_of(account) == ("env-key", "env-secret", None)
    assert (account.region, account.endpoint_url, account.verify) == ("eu-west-3", None, False)


async def test_a_connection_that_is_denied_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow's refusal to show a connection is an error of its own."""

    async def deny(conn_id: str) -> None:
        raise PermissionError(conn_id)

    monkeypatch.setattr(BaseHook, "aget_connection", deny)
    with pytest.raises(ValidationError, match="'secret' must be a connection this task may read"):
        await resolved("secret")


@pytest.mark.parametrize("extra", ["{role_arn: x}", "[1]", "3"])
async def test_a_broken_extra_is_refused(extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An extra that Airflow would take for an empty one is an error: it may have held the role."""
    define(monkeypatch, "broken", login="login-key", password="pass-word", extra=extra)
    with pytest.raises(ValidationError, match="be a connection whose extra is a JSON object"):
        await resolved("broken")


@pytest.mark.parametrize(
    "extra, reason",
    [
        ({"profile_name": "none"}, "The config profile (none) could not be found"),
        ({"role_arn": ROLE, "assume_role_method": "magic"}, "assume_role_method='magic'"),
        (
            {"role_arn": ROLE, "assume_role_kwargs": {"ExternalId": 123454321}},
            "botocore rejects a parameter of the request for credentials",
        ),
        (
            {
                "role_arn": ROLE,
                "config_kwargs": {"retries": {"total_max_attempts": 1}},
                "service_config": {"sts": {"endpoint_url": "http://127.0.0.1:1"}},
            },
            'Could not connect to the endpoint URL: "http://127.0.0.1:1/"',
        ),
        ({"config_kwargs": {"bogus": 1}}, "Got unexpected keyword argument 'bogus'"),
    ],
)
async def test_credentials_that_cannot_be_had(
    extra: dict[str, Any], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What keeps a connection from making a session is told with side and connection."""
    keyed(monkeypatch, region_name="us-east-1", **extra)
    with pytest.raises(CredentialsError) as caught:
        await resolved("some")
    text = str(caught.value)
    assert text.startswith("source credentials: connection 'some' makes no session: ")
    assert reason in text
    assert "123454321" not in "".join(traceback.format_exception(caught.value))


async def test_an_endpoint_of_another_shape_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint that is none names the connection; a password in it is not shown."""
    keyed(monkeypatch, endpoint_url="http://me:hunter2@here")
    with pytest.raises(ValidationError) as caught:
        await resolved("some")
    assert str(caught.value) == (
        "source_aws_conn_id='some' must hold valid settings, "
        "but endpoint_url='...' must not hold user name or password"
    )


async def test_a_wrong_config_is_found_before_the_lookup() -> None:
    """An unknown botocore setting is an error in itself."""
    with pytest.raises(ValidationError, match=r"botocore_config=.*'bogus'"):
        await resolved("nowhere", botocore_config={"bogus": 1})


@pytest.fixture
def slow_factory(monkeypatch: pytest.MonkeyPatch) -> Iterator[anyio.Event]:
    """Have sessions take for ever; the event is set when the first is being made."""
    asked, go_on = anyio.Event(), threading.Event()

    class Slow(base_aws.BaseSessionFactory):
        def create_session(self, deferrable: bool = False) -> Any:
            anyio.from_thread.run_sync(asked.set)
            go_on.wait()
            return super().create_session(deferrable)

    monkeypatch.setattr(base_aws, "SessionFactory", Slow)
    yield asked
    go_on.set()


async def test_a_cancelled_copy_does_not_wait_for_the_provider(
    slow_factory: anyio.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cancelled while a role is being assumed, the caller goes on at once."""
    keyed(monkeypatch)
    async with anyio.create_task_group() as group:
        group.start_soon(resolved, "some")
        await slow_factory.wait()
        group.cancel_scope.cancel()
    assert group.cancel_scope.cancelled_caught
