"""Sessions: from an Account to a botocore client that has not been entered yet."""

from __future__ import annotations

import asyncio
import functools
import importlib.util
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any

import anyio.to_thread
from aiobotocore.config import AioConfig
from aiobotocore.credentials import (
    AioAssumeRoleCredentialFetcher,
    AioDeferredRefreshableCredentials,
)
from aiobotocore.httpsession import AIOHTTPSession
from aiobotocore.session import AioSession, get_session

from async_s3copy.errors import CredentialsError, Side
from async_s3copy.options import CopyOptions
from async_s3copy.s3.account import Account, Secret
from async_s3copy.s3.ahead import load_ahead, shared_loader
from async_s3copy.s3.redact import redact_debug_logs
from async_s3copy.s3.transport import OneAttempt

_ROLE_SESSION_NAME = "async-s3copy"


async def s3_session(account: Account, options: CopyOptions, side: Side) -> Any:
    """Return the session whose credentials one account stands for: aioboto3's or aiobotocore's.

    What takes long is read in a thread. Looking for credentials, which may take requests, is
    left to the event loop.

    Raises:
        CredentialsError: The role's own credentials cannot be found.
    """
    redact_debug_logs()
    session = await anyio.to_thread.run_sync(_loaded_session, account)
    if account.role_arn is not None:
        session = await _assuming_session(account, options, session, side)
    return session


def s3_client_context(
    session: Any, account: Account, options: CopyOptions
) -> AbstractAsyncContextManager[Any]:
    """Return the context manager of an S3 client for one account, not entered yet."""
    settings = {
        "region_name": account.region,
        "endpoint_url": account.endpoint_url,
        "verify": account.verify,
        "config": _config(account, options),
    }
    given = {name: value for name, value in settings.items() if value is not None}
    if isinstance(session, AioSession):
        context: AbstractAsyncContextManager[Any] = session.create_client("s3", **given)
    else:
        context = session.client("s3", **given)
    return context


def _loaded_session(account: Account) -> Any:
    """Take or make the account's session, and load what a client of it will need."""
    practise()
    session = account.session if account.session is not None else _session(account)
    load_ahead(_aiobotocore(session), "s3", *(("sts",) if account.role_arn is not None else ()))
    return session


@functools.cache
def practise() -> None:
    """Make a client that nobody needs: the first one of a process imports and compiles a lot."""

    async def make() -> None:
        session = _bare_session(Account())
        session.set_credentials("-", "-")
        account = Account(region="us-east-1")
        async with s3_client_context(_with_aioboto3(session), account, CopyOptions()):
            pass

    # What is wrong with the environment shows, with a side to name, when a client is needed.
    with suppress(Exception):
        asyncio.run(make())


def _session(account: Account) -> Any:
    """Make the default session: aioboto3's where it is installed, aiobotocore's otherwise."""
    session = _bare_session(account)
    if account.access_key_id is not None:
        session.set_credentials(
            _reveal(account.access_key_id),
            _reveal(account.secret_access_key),
            _reveal(account.session_token),
        )
    return _with_aioboto3(session)


def _bare_session(account: Account) -> AioSession:
    session = get_session()
    if account.profile is not None:
        session.set_config_variable("profile", account.profile)
    session.register_component(
        "data_loader", shared_loader(session.get_config_variable("data_path"))
    )
    return session


def _with_aioboto3(session: AioSession) -> Any:
    if importlib.util.find_spec("aioboto3") is None:
        return session
    import aioboto3  # noqa: PLC0415 - optional: the extra `aioboto3`

    return aioboto3.Session(botocore_session=session)


async def _assuming_session(
    account: Account, options: CopyOptions, session: Any, side: Side
) -> Any:
    """Return a session with the role's credentials, which botocore refreshes in time."""
    base = _aiobotocore(session)
    credentials = await base.get_credentials()
    if credentials is None:
        raise CredentialsError(side, f"none found to assume {account.role_arn} with")
    extra = {"RoleSessionName": _ROLE_SESSION_NAME}
    if account.external_id is not None:
        extra["ExternalId"] = account.external_id

    def create_client(service: str, **keys: Any) -> Any:
        return base.create_client(
            service,
            region_name=account.region,
            endpoint_url=account.sts_endpoint_url,
            verify=account.verify,
            # Without it botocore would retry on its own, below the governor's retries.
            config=_config(account, options),
            **keys,
        )

    fetcher = AioAssumeRoleCredentialFetcher(
        create_client, credentials, account.role_arn, extra_args=extra
    )
    assuming = await anyio.to_thread.run_sync(_bare_session, account)
    # botocore has no public way to hand a session refreshing credentials.
    assuming._credentials = AioDeferredRefreshableCredentials(
        refresh_using=fetcher.fetch_credentials, method="assume-role"
    )
    return _with_aioboto3(assuming)


def _aiobotocore(session: Any) -> AioSession:
    """Return the session within aioboto3's, which has no public way to it."""
    return session if isinstance(session, AioSession) else session._session


def _config(account: Account, options: CopyOptions) -> AioConfig:
    defaults = AioConfig(
        connect_timeout=options.connect_timeout_s,
        read_timeout=options.read_timeout_s,
        user_agent_extra="async-s3copy",
        # Content-MD5 and our own hashes prove the bytes; S3-compatible servers often reject the
        # SDK's default trailing checksums.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    owned = AioConfig(
        # One owner of retries: the governor.
        retries={"total_max_attempts": 1, "mode": "standard"},
        # The governor bounds requests in flight; a smaller pool would be a hidden second bound.
        max_pool_connections=options.max_concurrent_requests + 1,
    )
    if account.config is None:
        return _with_transport(defaults.merge(owned), defaults)
    return _with_transport(defaults.merge(account.config).merge(owned), account.config)


def _with_transport(config: AioConfig, given: Any) -> AioConfig:
    """Carry over what ``merge`` of aiobotocore 2 forgets, and let aiohttp retry nothing itself."""
    if getattr(given, "connector_args", None):
        config.connector_args = given.connector_args
    transport = getattr(given, "http_session_cls", AIOHTTPSession)
    config.http_session_cls = OneAttempt if transport is AIOHTTPSession else transport
    return config


def _reveal(secret: str | Secret | None) -> str | None:
    return secret.reveal() if isinstance(secret, Secret) else secret
