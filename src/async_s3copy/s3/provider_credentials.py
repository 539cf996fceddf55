"""A blocking boto3 session's credentials and settings, for the event loop.

Who resolves accounts by boto3's means, such as the amazon provider of Airflow, knows ways to
credentials that aiobotocore does not: SAML, factories of the user's own. Here they keep fetching
them, in threads, while requests are signed on the loop.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, NoReturn

import anyio.to_thread
from aiobotocore.credentials import (
    AioCredentialResolver,
    AioCredentials,
    AioDeferredRefreshableCredentials,
)
from aiobotocore.session import AioSession, get_session
from botocore import UNSIGNED
from botocore.config import Config
from botocore.credentials import CredentialProvider, RefreshableCredentials
from botocore.exceptions import BotoCoreError, ParamValidationError

from async_s3copy.errors import CredentialsError, Side, ValidationError
from async_s3copy.s3.ahead import shared_loader
from async_s3copy.s3.wire.keys import make_due


def client_config(name: str, settings: Mapping[str, Any] | None) -> Config | None:
    """Make a botocore ``Config`` of plain values, as JSON holds them.

    Args:
        name: The parameter, for the error.
        settings: Keyword arguments of botocore's ``Config``; a ``signature_version`` of
            ``"unsigned"`` stands for ``botocore.UNSIGNED``. ``None`` for no settings.

    Raises:
        ValidationError: botocore does not know one of them; names them, not their values.
    """
    if settings is None:
        return None
    given = dict(settings)
    if given.get("signature_version") == "unsigned":
        given["signature_version"] = UNSIGNED
    try:
        return Config(**given)
    except (BotoCoreError, TypeError, ValueError) as error:
        rule = f"hold keyword arguments of botocore's Config: {error}"
        raise ValidationError(name, sorted(given), rule) from error


def bridged_session(session: Any) -> AioSession:
    """Return an aiobotocore session with the credentials and settings of a boto3 session.

    It blocks, because the credentials are looked for: call it in a thread.

    Credentials that expire are refreshed by the boto3 session's own means, each time in a
    thread, once for all requests that wait. A request that is cancelled meanwhile does not wait
    for that thread. Event hooks of the session are not carried over.

    Args:
        session: A ``boto3.session.Session``. It must not be used elsewhere any more: the thread
            that refreshes would not be alone.

    Raises:
        Exception: Whatever the session's credential providers raise.
    """
    bridged = get_session()
    # boto3 has no public way to its botocore session.
    for name, value in session._session.instance_variables().items():
        bridged.set_config_variable(name, value)
    loader = shared_loader(bridged.get_config_variable("data_path"))
    bridged.register_component("data_loader", loader)
    # Also where there are none: aiobotocore's own chain would look elsewhere, and might find some.
    provider = _Found(_for_the_loop(session.get_credentials()))
    bridged.register_component("credential_provider", AioCredentialResolver([provider]))
    return bridged


def raise_no_session(side: Side, origin: str, error: Exception) -> NoReturn:
    """Raise what to tell when a boto3 session could not be made.

    Args:
        side: Whose session.
        origin: What it was to be made from, such as ``"connection 'aws_default'"``.
        error: What was raised; its text is passed on, unless it may quote a credential.

    Raises:
        CredentialsError: Always.
    """
    if isinstance(error, ParamValidationError):
        # It quotes the rejected values, such as the role's external id.
        text = "botocore rejects a parameter of the request for credentials"
        raise CredentialsError(side, f"{origin} makes no session: {text}") from None
    text = str(error) or type(error).__name__
    raise CredentialsError(side, f"{origin} makes no session: {text}") from error


class _Found(CredentialProvider):  # type: ignore[misc]  # botocore is untyped
    """Give the credentials that were found already."""

    METHOD = "boto3-session"

    def __init__(self, credentials: Any) -> None:
        super().__init__()
        self._credentials = credentials

    async def load(self) -> Any:
        """Return them; ``None`` where there are none."""
        return self._credentials


def _for_the_loop(found: Any) -> AioCredentials | AioDeferredRefreshableCredentials | None:
    if found is None:
        return None
    if isinstance(found, RefreshableCredentials):
        return AioDeferredRefreshableCredentials(_Refresh(found), found.method)
    keys = found.get_frozen_credentials()
    return AioCredentials(keys.access_key, keys.secret_key, keys.token, found.method)


class _Refresh:
    """Ask blocking credentials for what they are now, in a thread; they know when to refresh."""

    def __init__(self, credentials: Any) -> None:
        self._credentials = credentials
        self._one_at_a_time = threading.Lock()
        self._given: str | None = None

    async def __call__(self) -> dict[str, Any]:
        # Whoever cancels need not wait for a slow issuer: the thread changes nothing but the keys.
        found = await anyio.to_thread.run_sync(self._ask, abandon_on_cancel=True)
        self._given = found["token"]
        return found

    def _ask(self) -> dict[str, Any]:
        # A thread that was left to itself may still be refreshing: old keys would be taken
        # together with the new expiry.
        with self._one_at_a_time:
            keys = self._credentials.get_frozen_credentials()
            if keys.token == self._given:
                # Asked again before their time: S3 has refused them.
                make_due(self._credentials)
                keys = self._credentials.get_frozen_credentials()
            # botocore has no public way to ask when credentials expire.
            expires = self._credentials._expiry_time
        return {
            "access_key": keys.access_key,
            "secret_key": keys.secret_key,
            "token": keys.token,
            "expiry_time": expires.isoformat(),
        }
