"""From an Airflow connection to an Account, by the amazon provider's own rules."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import anyio.to_thread
from airflow.providers.amazon.aws.hooks import base_aws
from airflow.providers.amazon.aws.utils.connection_wrapper import AwsConnectionWrapper
from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

from async_s3copy.errors import S3CopyError, Side, ValidationError
from async_s3copy.s3.account import Account
from async_s3copy.s3.provider_credentials import bridged_session, client_config, raise_no_session
from async_s3copy.s3.redact import redact_debug_logs

CUSTOMER_KEY_EXTRA: Final = "sse_customer_secret_key"
"""Field of a connection's extra that holds the key of its objects (SSE-C) in base64; Airflow masks
fields with ``secret`` in their name."""


async def resolve_account(
    conn_id: str | None,
    *,
    name: str,
    region_name: str | None = None,
    verify: bool | str | None = None,
    botocore_config: Mapping[str, Any] | None = None,
) -> Account:
    """Return the account that an Airflow connection stands for.

    Endpoint, Region, role, profile, certificate checks and everything else a connection of the
    amazon provider can hold mean what they mean there, a custom ``[aws] session_factory``
    included. Its extra may also hold ``sse_customer_secret_key``: the key that its bucket's objects
    are encrypted with on the server (SSE-C), in base64. Credentials that expire are refreshed for
    as long as the account is used.

    The connection is looked up by the calling task itself, without blocking: call this before
    starting any other. Whatever blocks, such as the request for a role, takes place in a thread,
    which a cancelled caller does not wait for.

    Args:
        conn_id: Id of the connection; ``None`` is the default credential chain, as it is for the
            provider's hooks.
        name: The parameter that named it, ``"source_aws_conn_id"`` or ``"dest_aws_conn_id"``.
        region_name: Region of the bucket; ``None`` takes the connection's.
        verify: As for the provider's hooks: whether to check TLS certificates, or a CA bundle;
            ``None`` takes the connection's.
        botocore_config: Keyword arguments of botocore's ``Config``; ``None`` takes the
            connection's.

    Returns:
        The account. Its session holds the credentials; no text of it shows them.

    Raises:
        ValidationError: There is no such connection (the default chain never takes its place),
            this task may not read it, or it holds settings that make no account.
        CredentialsError: The connection's credentials cannot be had: an unknown profile, a role
            that may not be assumed, an issuer that cannot be reached.
    """
    config = client_config("botocore_config", botocore_config)
    connection = None if conn_id is None else await _look_up(conn_id, name)
    wanted = _Wanted(connection, region_name, verify, config)
    # The request for a role is made below, and botocore would log it.
    redact_debug_logs()
    side: Side = "source" if name.startswith("source") else "destination"
    try:
        return await anyio.to_thread.run_sync(wanted.account, abandon_on_cancel=True)
    except ValidationError as error:
        raise ValidationError(name, conn_id, f"hold valid settings, but {error}") from error
    except S3CopyError:
        raise
    except Exception as error:
        origin = "the default chain" if conn_id is None else f"connection {conn_id!r}"
        raise_no_session(side, origin, error)


@dataclass(frozen=True, slots=True)
class _Connection:
    """What the provider reads of a connection.

    Airflow's own object sends a message to its supervisor whenever ``extra_dejson`` is read;
    in a thread, that would wait for the loop.
    """

    conn_id: str
    conn_type: str | None
    login: str | None = field(repr=False)
    password: str | None = field(repr=False)
    schema: str | None
    extra_dejson: dict[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A connection and what overrides it."""

    connection: _Connection | None
    region_name: str | None
    verify: bool | str | None
    config: Any

    def account(self) -> Account:
        """Make the account; it blocks, as the provider does."""
        connection: Any = self.connection
        wrapper = AwsConnectionWrapper(
            conn=connection,
            region_name=self.region_name,
            botocore_config=self.config,
            verify=self.verify,
        )
        session = base_aws.SessionFactory(
            conn=wrapper, region_name=wrapper.region_name, config=wrapper.botocore_config
        ).create_session()
        extra = {} if self.connection is None else self.connection.extra_dejson
        return Account(
            customer_key=extra.get(CUSTOMER_KEY_EXTRA),
            session=bridged_session(session),
            region=session.region_name,
            endpoint_url=wrapper.get_service_endpoint_url("s3") or None,
            verify=wrapper.verify,
            config=wrapper.botocore_config,
        )


async def _look_up(conn_id: str, name: str) -> _Connection:
    try:
        found = await _connection(conn_id)
    except AirflowNotFoundException:
        raise ValidationError(name, conn_id, "be an Airflow connection that exists") from None
    except PermissionError:
        raise ValidationError(name, conn_id, "be a connection this task may read") from None
    if not _is_json_object(found.extra or "{}"):
        # Airflow takes it for an empty one: without its role, say, it is another account.
        raise ValidationError(name, conn_id, "be a connection whose extra is a JSON object")
    return _Connection(
        conn_id=found.conn_id,
        conn_type=found.conn_type,
        login=found.login,
        password=found.password,
        schema=found.schema,
        extra_dejson=await _extra(found),
    )


async def _connection(conn_id: str) -> Any:
    look_up = getattr(BaseHook, "aget_connection", None)
    if look_up is not None:
        return await look_up(conn_id)
    return await anyio.to_thread.run_sync(BaseHook.get_connection, conn_id)


async def _extra(connection: Any) -> dict[str, Any]:
    """Return a connection's extra; reading it has Airflow mask its secrets in the logs."""
    read = getattr(connection, "aextra_dejson", None)
    if read is not None:
        extra: dict[str, Any] = await read()
        return extra
    return await anyio.to_thread.run_sync(lambda: dict(connection.extra_dejson))


def _is_json_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False
