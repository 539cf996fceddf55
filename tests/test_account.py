"""Accounts: whose credentials, which rules, and that no credential is ever shown."""

from __future__ import annotations

import base64
import copy
import json
import logging
import pickle
import pprint
from dataclasses import asdict, replace
from typing import Any

import aiobotocore.session
import botocore.session
import pytest
from aiobotocore.config import AioConfig

from async_s3copy import Account, ValidationError
from async_s3copy.s3.account import Secret, as_account

KEY_ID, KEY, TOKEN, EXTERNAL = "AKIDEXAMPLE", "very-secret-key", "session-token", "external-id"
CREDENTIALS = (KEY_ID, KEY, TOKEN, EXTERNAL)


def an_account(**changes: Any) -> Account:
    fields: dict[str, Any] = {
        "access_key_id": KEY_ID,
        "secret_access_key": KEY,
        "session_token": TOKEN,
        "external_id": EXTERNAL,
        "region": "eu-west-1",
    }
    return Account(**(fields | changes))


def shows_a_credential(text: str) -> bool:
    return any(credential in text for credential in CREDENTIALS)


def test_no_way_of_printing_shows_a_credential() -> None:
    """repr, str, format, pprint and asdict of an account or a secret show none."""
    account, secret = an_account(), Secret(KEY)
    for value in (account, secret):
        texts = [
            repr(value),
            str(value),
            f"{value}",
            f"{value!r}",
            f"{value!s}",
            pprint.pformat(value),
        ]
        texts += ["%s %r" % (value, value), "{}".format(value)]  # noqa: UP031, UP032
        assert not any(shows_a_credential(text) for text in texts)
    fields = asdict(account)
    fields.pop(
        "external_id"
    )  # given away to the third party by design; hidden from repr all the same
    assert not shows_a_credential(repr(fields))
    assert "eu-west-1" in repr(account)


def test_no_log_record_shows_a_credential(caplog: pytest.LogCaptureFixture) -> None:
    """Neither as argument nor as message, nor in a traceback that holds the account."""
    caplog.set_level(logging.DEBUG)
    logging.getLogger("async_s3copy").warning("%s %r", an_account(), Secret(KEY))
    try:
        raise ValueError(an_account())
    except ValueError:
        logging.getLogger("async_s3copy").exception("failed")
    assert caplog.records
    assert not shows_a_credential(caplog.text)


def test_copies_keep_the_secret_and_its_cover() -> None:
    """Deep and shallow copies work, reveal the same value to S3, and print as little."""
    for account in (copy.deepcopy(an_account()), copy.copy(an_account()), replace(an_account())):
        assert account == an_account()
        assert isinstance(account.secret_access_key, Secret)
        assert account.secret_access_key.reveal() == KEY
        assert not shows_a_credential(repr(account))


def test_a_credential_is_never_serialised() -> None:
    """Pickle and JSON refuse instead of writing it down."""
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        for value in (Secret(KEY), an_account()):
            with pytest.raises(TypeError):
                pickle.dumps(value, protocol)
    with pytest.raises(TypeError, match="not JSON serializable"):
        json.dumps(asdict(an_account()))


def test_secrets_compare_by_value() -> None:
    """Equal credentials are equal and hash alike; a secret never equals a plain string."""
    assert Secret("a") == Secret("a")
    assert hash(Secret("a")) == hash(Secret("a"))
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"


def test_nothing_given_means_the_default_chain() -> None:
    """An empty account and ``None`` are the same."""
    assert as_account("source", None) == Account()


def test_accounts_pass_unchanged() -> None:
    """An account is handed on as it is."""
    account = an_account()
    assert as_account("source", account) is account


@pytest.mark.parametrize("name", ["access_key_id", "secret_access_key", "session_token"])
def test_credentials_are_not_empty(name: str) -> None:
    """An environment variable that is set and empty must not become anonymous access."""
    with pytest.raises(ValidationError, match="not be empty") as caught:
        an_account(**{name: ""})
    assert caught.value.name == name


@pytest.mark.parametrize(
    "given, name",
    [
        ({"access_key_id": KEY_ID}, "secret_access_key"),
        ({"secret_access_key": KEY}, "access_key_id"),
        ({"session_token": TOKEN}, "access_key_id"),
    ],
)
def test_half_a_key_is_refused(given: dict[str, Any], name: str) -> None:
    """The message names the missing half, and shows nothing of the given one."""
    with pytest.raises(ValidationError) as caught:
        Account(**given)
    assert caught.value.name == name
    assert not shows_a_credential(str(caught.value) + repr(caught.value))


@pytest.mark.parametrize(
    "one, other", [("profile", "keys"), ("profile", "session"), ("keys", "session")]
)
def test_sources_of_credentials_exclude_each_other(one: str, other: str) -> None:
    """Profile, explicit keys and session: one of them."""
    choices: dict[str, dict[str, Any]] = {
        "profile": {"profile": "name"},
        "keys": {"access_key_id": KEY_ID, "secret_access_key": KEY},
        "session": {"session": aiobotocore.session.AioSession()},
    }
    with pytest.raises(ValidationError, match="not be given together with") as caught:
        Account(**choices[one], **choices[other])
    assert not shows_a_credential(str(caught.value) + repr(caught.value))


def test_a_profile_is_not_empty() -> None:
    """An empty profile is a mistake, not the default chain."""
    with pytest.raises(ValidationError, match="profile=''"):
        Account(profile="")


@pytest.mark.parametrize(
    "arn",
    ["arn:aws:iam::123456789012:role/path/name", "arn:aws-us-gov:iam::123456789012:role/a+=,.@-_"],
)
def test_roles_are_arns(arn: str) -> None:
    """A role's ARN passes, alone or with a profile."""
    assert Account(role_arn=arn, profile="p").role_arn == arn


@pytest.mark.parametrize(
    "arn",
    [
        "",
        "name",
        "arn:aws:iam::123456789012:user/name",
        "arn:aws:iam::12345:role/name",
        "arn:aws:iam::123456789012:role/",
        "arn:aws:iam::123456789012:role/name\n",
    ],
)
def test_what_is_no_role_arn_is_refused(arn: str) -> None:
    """Anything else than a role's ARN is refused by name."""
    with pytest.raises(ValidationError, match="role_arn"):
        Account(role_arn=arn)


@pytest.mark.parametrize("name", ["endpoint_url", "sts_endpoint_url"])
@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:8333",
        "ftp://host",
        "http://",
        "https:///path",
        "http://host:0",
        "http://host:99999",
        "http://host:port",
        "http://[::1",
        "http://host?query",
        "http://host#fragment",
    ],
)
def test_endpoints_are_http_urls_with_a_host(name: str, url: str) -> None:
    """Scheme, host and a valid port; neither query nor fragment."""
    fields: dict[str, Any] = {name: url}
    with pytest.raises(ValidationError) as caught:
        Account(**fields)
    assert caught.value.name == name


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8333", "https://s3.example.com", "http://[::1]:9000/"]
)
def test_ordinary_endpoints_pass(url: str) -> None:
    """Addresses, names and IPv6, with a port or without."""
    assert Account(endpoint_url=url).endpoint_url == url


@pytest.mark.parametrize(
    "url",
    [
        f"http://{KEY_ID}:{KEY}@host",
        f"http://{KEY_ID}:{KEY}@host:8333",
        f"http://{KEY_ID}:{KEY}@host:99999",
        f"http://{KEY_ID}:{KEY}@host:port",
        f"http://:{KEY}@host",
        f"ftp://{KEY_ID}:{KEY}@host",
    ],
)
def test_an_endpoints_user_info_is_refused_and_not_shown(url: str) -> None:
    """User name and password in a URL are credentials, whatever else is wrong with it."""
    with pytest.raises(ValidationError) as caught:
        Account(endpoint_url=url)
    assert not shows_a_credential(f"{caught.value} {caught.value!r} {caught.value.__cause__}")


def test_both_asynchronous_kinds_of_session_are_accepted() -> None:
    """aioboto3's and aiobotocore's sessions, bare or inside an account."""
    aioboto3 = pytest.importorskip("aioboto3")
    for session in (aioboto3.Session(), aiobotocore.session.AioSession()):
        assert as_account("source", session).session is session
        assert Account(session=session, region="eu-west-1").session is session


def test_a_subclass_of_a_session_is_one() -> None:
    """Programs that derive their own session keep working."""

    class Mine(aiobotocore.session.AioSession):  # type: ignore[misc]
        pass

    assert as_account("source", Mine()).session is not None


@pytest.mark.parametrize(
    "session",
    [
        botocore.session.Session(),
        "default",
        object(),
        aiobotocore.session.AioSession,
    ],
)
@pytest.mark.parametrize("name", ["source", "destination"])
def test_blocking_sessions_and_anything_else_are_refused(name: str, session: object) -> None:
    """A botocore session would stop the event loop: the message says what is accepted."""
    with pytest.raises(ValidationError, match=r"aioboto3\.Session or an aiobotocore") as caught:
        as_account(name, session)
    assert caught.value.name == name
    assert not shows_a_credential(str(caught.value))
    with pytest.raises(ValidationError):
        Account(session=session)


def test_a_boto3_session_is_refused() -> None:
    """The best known session is a blocking one; its keys do not appear in the message."""
    boto3 = pytest.importorskip("boto3")
    session = boto3.Session(aws_access_key_id=KEY_ID, aws_secret_access_key=KEY)
    with pytest.raises(
        ValidationError, match=r"'boto3\.session\.Session' must be an Account"
    ) as caught:
        as_account("source", session)
    assert not shows_a_credential(str(caught.value))


def test_what_is_not_a_session_is_refused_whichever_library_it_is_from() -> None:
    """An aiobotocore config or client is no session."""
    with pytest.raises(ValidationError):
        as_account("source", AioConfig())


# ---------------------------------------------------------------------------------- customer keys

CUSTOMER_KEY = bytes(range(32))


@pytest.mark.parametrize(
    "given", [CUSTOMER_KEY, bytearray(CUSTOMER_KEY), base64.b64encode(CUSTOMER_KEY).decode()]
)
def test_a_customer_key_is_32_bytes_or_their_base64(given: Any) -> None:
    """Both spellings are one key, and nothing that prints an account shows it."""
    account = Account(customer_key=given)
    assert isinstance(account.customer_key, Secret)
    assert account.customer_key.reveal() == base64.b64encode(CUSTOMER_KEY).decode()
    assert base64.b64encode(CUSTOMER_KEY).decode() not in repr(account)
    assert replace(account, region="eu-west-1").customer_key == account.customer_key


@pytest.mark.parametrize(
    "given", [b"short", "no base64!", "", 7, base64.b64encode(CUSTOMER_KEY + b"x")]
)
def test_what_is_no_customer_key_is_refused_and_not_shown(given: Any) -> None:
    """The error names the rule; what was given could be most of a key."""
    with pytest.raises(ValidationError, match=r"customer_key='\.\.\.' must be 32 bytes"):
        Account(customer_key=given)
