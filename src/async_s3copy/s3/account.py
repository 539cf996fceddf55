"""Account: whose credentials one side of a copy uses, and where its S3 is."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from typing import Any, NoReturn
from urllib.parse import urlsplit

from async_s3copy.errors import ValidationError

_ROLE_ARN = re.compile(r"arn:aws(?:-[a-z-]+)?:iam::\d{12}:role/[\w+=,.@/-]{1,512}")

# AES-256: https://docs.aws.amazon.com/AmazonS3/latest/userguide/ServerSideEncryptionCustomerKeys.html
_CUSTOMER_KEY_BYTES = 32


class Secret:
    """Hold a credential so that no print, repr, log, copy or pickle shows it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the credential; only ``async_s3copy.s3`` calls this."""
        return self._value

    def __repr__(self) -> str:
        return "<secret>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a credential is never serialised")


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Say whose credentials one side uses, and where its S3 is.

    With nothing given, the default chain decides, as for any AWS SDK: environment, config files,
    container or instance role. Explicit keys, ``profile`` and ``session`` exclude each other;
    ``role_arn`` is assumed with whichever of them is given, and refreshed while the copy runs.

    Attributes:
        profile: Profile of the AWS config files.
        access_key_id: Access key; needs ``secret_access_key``. Kept as a ``Secret``.
        secret_access_key: Secret key. Kept as a ``Secret``.
        session_token: Token of temporary keys. Kept as a ``Secret``.
        role_arn: Role to assume through AWS STS.
        external_id: External id the role's trust policy may ask for.
        region: Region of the bucket; ``None`` takes the profile's or environment's. A bucket
            elsewhere is found by following S3's redirect once.
        endpoint_url: URL of an S3-compatible server, such as ``"http://127.0.0.1:8333"``;
            ``None`` takes the profile's or environment's, and AWS without one.
        sts_endpoint_url: URL of the STS server that ``role_arn`` is assumed at; ``None`` is AWS.
        verify: ``True`` checks TLS certificates against the usual authorities, a path names a CA
            bundle, ``False`` checks nothing; ``None`` takes ``AWS_CA_BUNDLE`` or the usual ones.
        session: An ``aioboto3.Session`` or an aiobotocore ``AioSession`` to take credentials and
            settings from.
        customer_key: Key that this side's objects are encrypted with on the server (SSE-C): 32
            bytes, or their base64. S3 takes it over HTTPS only. Kept as a ``Secret``.
        config: A botocore ``Config`` with further settings (proxies, addressing style); retries
            stay off whatever it says, because the engine owns them.

    Raises:
        ValidationError: A value breaks its rule, or two of them exclude each other.
    """

    profile: str | None = None
    access_key_id: str | Secret | None = field(default=None, repr=False)
    secret_access_key: str | Secret | None = field(default=None, repr=False)
    session_token: str | Secret | None = field(default=None, repr=False)
    role_arn: str | None = None
    external_id: str | None = field(default=None, repr=False)
    region: str | None = None
    endpoint_url: str | None = None
    sts_endpoint_url: str | None = None
    verify: bool | str | None = None
    session: Any = None
    customer_key: bytes | str | Secret | None = field(default=None, repr=False)
    config: Any = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self._check_keys()
        if self.customer_key is not None and not isinstance(self.customer_key, Secret):
            object.__setattr__(self, "customer_key", Secret(_customer_key(self.customer_key)))
        self._check_sources()
        check_endpoint_url("endpoint_url", self.endpoint_url)
        check_endpoint_url("sts_endpoint_url", self.sts_endpoint_url)
        if self.role_arn is not None and not _ROLE_ARN.fullmatch(self.role_arn):
            raise ValidationError("role_arn", self.role_arn, "be an IAM role's ARN")
        if self.session is not None:
            check_session("session", self.session)

    def _check_keys(self) -> None:
        for name in ("access_key_id", "secret_access_key", "session_token"):
            value = getattr(self, name)
            if isinstance(value, str):
                if not value:
                    raise ValidationError(name, "", "not be empty")
                object.__setattr__(self, name, Secret(value))
        if (self.access_key_id is None) != (self.secret_access_key is None):
            missing = "access_key_id" if self.access_key_id is None else "secret_access_key"
            raise ValidationError(missing, None, "be given together with the other half of the key")
        if self.session_token is not None and self.access_key_id is None:
            raise ValidationError("access_key_id", None, "be given where session_token is")

    def _check_sources(self) -> None:
        given = [
            name
            for name, value in (
                ("profile", self.profile),
                ("access_key_id", self.access_key_id),
                ("session", self.session),
            )
            if value is not None
        ]
        if len(given) > 1:
            raise ValidationError(given[1], "...", f"not be given together with {given[0]}")
        if self.profile == "":
            raise ValidationError("profile", self.profile, "not be empty")


def _customer_key(value: bytes | str) -> str:
    """Return a key for SSE-C in base64; an error never shows it."""
    try:
        key = base64.b64decode(value, validate=True) if isinstance(value, str) else bytes(value)
    except (ValueError, TypeError):
        key = b""
    if len(key) != _CUSTOMER_KEY_BYTES:
        rule = f"be {_CUSTOMER_KEY_BYTES} bytes, or their base64"
        raise ValidationError("customer_key", "...", rule)
    return base64.b64encode(key).decode("ascii")


def as_account(name: str, value: object) -> Account:
    """Turn what a caller gave for one side into an Account.

    Args:
        name: ``"source"`` or ``"destination"``, for the error.
        value: An Account, an aioboto3 or aiobotocore session, or ``None`` for the default chain.

    Raises:
        ValidationError: Something else, such as a blocking boto3 session.
    """
    if value is None:
        return Account()
    if isinstance(value, Account):
        return value
    check_session(name, value)
    return Account(session=value)


def check_session(name: str, session: object) -> None:
    """Check that a session is one of the two asynchronous kinds.

    Raises:
        ValidationError: It is not; a blocking boto3 session would stop the event loop.
    """
    kinds = {(base.__module__.partition(".")[0], base.__name__) for base in type(session).__mro__}
    if kinds & {("aioboto3", "Session"), ("aiobotocore", "AioSession")}:
        return
    kind = f"{type(session).__module__}.{type(session).__qualname__}"
    raise ValidationError(
        name, kind, "be an Account, an aioboto3.Session or an aiobotocore AioSession"
    )


def check_endpoint_url(name: str, url: str | None) -> None:
    """Check an endpoint URL: http or https, a host, and no user info (it would be a credential).

    Raises:
        ValidationError: The URL has another shape.
    """
    if url is None:
        return
    if "@" in url:
        raise ValidationError(name, "...", "not hold user name or password")
    try:
        parts = urlsplit(url)
        port_is_valid = parts.port is None or parts.port > 0
    except ValueError:
        raise ValidationError(name, url, "be a valid http:// or https:// URL") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_valid:
        raise ValidationError(name, url, "be an http:// or https:// URL with a host")
    if parts.query or parts.fragment:
        raise ValidationError(name, url, "have no query and no fragment")
