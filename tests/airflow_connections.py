"""Airflow connections for tests: in the environment, where Airflow's SDK looks first."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from tests import airflow_home  # noqa: F401  # before anything of Airflow

# isort: split
from async_s3copy import Account
from async_s3copy.airflow.connections import resolve_account
from async_s3copy.testing.seaweedfs import Identity
from tests.support import REGION, S3Server

SOURCE: Final = "source_aws_conn_id"
DESTINATION: Final = "dest_aws_conn_id"
ROLE: Final = "arn:aws:iam::123456789012:role/copier"


def define(patch: pytest.MonkeyPatch, conn_id: str, /, **fields: Any) -> str:
    """Define a connection; return its id. ``extra`` may be a dict or the text of one."""
    content = json.dumps({"conn_type": "aws", **fields})
    patch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", content)
    return conn_id


def define_account(
    patch: pytest.MonkeyPatch, conn_id: str, server: S3Server, identity: Identity, **extra: Any
) -> str:
    """Define the connection of an identity of a test server; return its id."""
    return define(
        patch,
        conn_id,
        login=identity.access_key_id,
        password=identity.secret_access_key,
        extra={"endpoint_url": server.endpoint_url, "region_name": REGION, **extra},
    )


async def resolved(conn_id: str | None, **given: Any) -> Account:
    """Resolve a connection of the source."""
    return await resolve_account(conn_id, name=SOURCE, **given)


async def keys_of(account: Account) -> tuple[str, str, str | None]:
    """Return an account's keys: id, secret and token."""
    credentials = await account.session.get_credentials()
    frozen = await credentials.get_frozen_credentials()
    return frozen.access_key, frozen.secret_key, frozen.token


def keyed(patch: pytest.MonkeyPatch, conn_id: str = "some", **extra: Any) -> str:
    """Define a connection with keys and some extra."""
    return define(patch, conn_id, login="login-key", password="pass-word", extra=extra)
