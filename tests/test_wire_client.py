"""The wire before botocore: when it takes over, when it does not, and when it asks again."""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiobotocore.config import AioConfig
from aiobotocore.httpsession import AIOHTTPSession
from aiobotocore.session import AioSession
from aiohttp import web

from async_s3copy import Account, CopyOptions, S3Error, ValidationError
from async_s3copy.s3.boto import BotoClient
from async_s3copy.s3.client import S3Client
from async_s3copy.s3.opening import open_boto_client, open_client
from async_s3copy.s3.transport import tls_context
from async_s3copy.s3.wire.client import WireClient
from async_s3copy.s3.wire.ordinary import timeouts
from tests.fault_answers import error
from tests.fault_server import Call, FaultServer, Handler, run_fault_server
from tests.real import session_of
from tests.support import REGION

pytestmark = pytest.mark.stack_b

BUCKET = "source-bucket"


@pytest.fixture
async def scripted() -> AsyncIterator[FaultServer]:
    """A server with one object."""
    async with run_fault_server() as running:
        running.put(BUCKET, "k", b"body")
        yield running


def account(url: str, **more: Any) -> Account:
    if "session" not in more:
        more["session"] = session_of("AK", "secret")
    return Account(region=REGION, endpoint_url=url, **more)


def came_by_boto(call: Call) -> bool:
    """The reference client's requests carry botocore's own headers."""
    return "amz-sdk-invocation-id" in call.headers


def ways(server: FaultServer) -> list[bool]:
    return [came_by_boto(call) for call in server.calls]


async def list_twice(client: S3Client) -> None:
    for _ in range(2):
        page = await client.list_page(BUCKET, "", max_keys=1)
        assert [item.key for item in page.objects] == ["k"]


@pytest.mark.parametrize("choice", ["auto", "wire"])
async def test_a_buckets_first_call_teaches_and_the_rest_is_the_wires(
    scripted: FaultServer, choice: Any
) -> None:
    """botocore makes one request about each bucket; all further ones come by the wire."""
    scripted.put("another-bucket", "k", b"body")
    options = CopyOptions(client=choice)
    async with open_client(account(scripted.url), "source", options) as client:
        assert isinstance(client, WireClient)
        await list_twice(client)
        assert (await client.head_object(BUCKET, "k")).object.size == 4
        assert (await client.head_object("another-bucket", "k")).object.size == 4
        assert (await client.head_object("another-bucket", "k")).object.size == 4
    assert ways(scripted) == [True, False, False, True, False]


async def test_a_full_page_is_never_read_by_botocore(scripted: FaultServer) -> None:
    """The first page of a bucket follows a page of one key, which teaches and is counted."""
    counted: list[bool] = []
    async with open_client(
        account(scripted.url), "source", CopyOptions(), counted.append
    ) as client:
        page = await client.list_page(BUCKET, "")
        await client.list_page(BUCKET, "")
    assert [item.key for item in page.objects] == ["k"]
    assert ways(scripted) == [True, False, False]
    assert counted == [False]


async def test_boto_by_name_stays_botos(scripted: FaultServer) -> None:
    """``client="boto"``: the reference client itself, for every call."""
    options = CopyOptions(client="boto")
    async with open_client(account(scripted.url), "source", options) as client:
        assert isinstance(client, BotoClient)
        await list_twice(client)
    assert ways(scripted) == [True, True]


async def test_a_refused_first_call_teaches_nothing(scripted: FaultServer) -> None:
    """Only what has succeeded is taken over."""
    scripted.next("ListObjectsV2", error(403, "AccessDenied"))
    async with open_client(account(scripted.url), "source", CopyOptions()) as client:
        with pytest.raises(S3Error):
            await client.list_page(BUCKET, "", max_keys=1)
        await list_twice(client)
    assert ways(scripted) == [True, True, False]


async def own_hook(**_: Any) -> None:
    """A hook as a program might register."""


def hooked_session() -> AioSession:
    session = AioSession()
    session.set_credentials("AK", "secret")
    session.register("before-sign.s3", own_hook)
    return session


class OwnTransport(AIOHTTPSession):  # type: ignore[misc]  # aiobotocore is untyped
    """A transport as a program might bring."""


UNUSUAL: list[tuple[str, dict[str, Any]]] = [
    ("a hook on 'before-sign' from tests.test_wire_client", {"session": hooked_session}),
    ("a proxy is configured", {"config": {"proxies": {"http": "http://127.0.0.1:9"}}}),
    ("connector_args force_close are", {"config": {"connector_args": {"force_close": True}}}),
    ("its HTTP session is OwnTransport", {"config": {"http_session_cls": OwnTransport}}),
    ("a client certificate is", {"config": {"client_cert": "/nowhere/cert.pem"}}),
]


def unusual_account(url: str, made: dict[str, Any]) -> Account:
    more = {name: value() if callable(value) else value for name, value in made.items()}
    if "config" in more:
        more["config"] = AioConfig(**more["config"])
    return account(url, **more)


@pytest.mark.parametrize("reason, made", UNUSUAL)
async def test_what_is_not_ordinary_stays_with_botocore_and_one_line_says_why(
    scripted: FaultServer,
    caplog: pytest.LogCaptureFixture,
    reason: str,
    made: dict[str, Any],
) -> None:
    """Hooks, proxies, other transports: the reference client, and one line in the log."""
    caplog.set_level(logging.INFO, "async_s3copy")
    unusual = unusual_account(scripted.url, made)
    async with open_client(unusual, "source", CopyOptions()) as client:
        assert isinstance(client, BotoClient)
    lines = [r.getMessage() for r in caplog.records if r.name == "async_s3copy"]
    assert len(lines) == 1
    assert lines[0].startswith("client.boto: the source side's requests go through aiobotocore: ")
    assert reason in lines[0]


@pytest.mark.parametrize("reason, made", UNUSUAL)
async def test_the_wire_by_name_refuses_what_is_not_ordinary(
    scripted: FaultServer, reason: str, made: dict[str, Any]
) -> None:
    """``client="wire"`` is never replaced silently: one sentence with the reason."""
    with pytest.raises(ValidationError, match="client='wire' must be 'auto' or 'boto'") as caught:
        async with open_client(
            unusual_account(scripted.url, made), "source", CopyOptions(client="wire")
        ):
            pass
    assert reason in str(caught.value)
    assert scripted.calls == []


@pytest.mark.parametrize("choice", ["auto", "wire"])
async def test_another_signer_is_found_out_by_the_first_request(
    scripted: FaultServer, caplog: pytest.LogCaptureFixture, choice: Any
) -> None:
    """Signature Version 2 stays with botocore under auto, once said; by name it is refused."""
    caplog.set_level(logging.INFO, "async_s3copy")
    old = account(scripted.url, config=AioConfig(signature_version="s3"))
    async with open_client(old, "source", CopyOptions(client=choice)) as client:
        if choice == "wire":
            with pytest.raises(ValidationError, match="its signer is AWS, not AWS4-HMAC-SHA256"):
                await client.list_page(BUCKET, "", max_keys=1)
            return
        await list_twice(client)
        await list_twice(client)
    assert ways(scripted) == [True] * 4
    assert sum("client.boto" in r.getMessage() for r in caplog.records) == 1


ELSEWHERE = [
    error(301, "PermanentRedirect"),
    error(307, "TemporaryRedirect"),
    error(400, "AuthorizationHeaderMalformed"),
]


@pytest.mark.parametrize("answer", ELSEWHERE)
async def test_a_bucket_that_is_elsewhere_is_asked_about_anew(
    scripted: FaultServer, answer: Any
) -> None:
    """botocore makes that call, and what it shows then holds; nothing fails."""

    async def only_the_wire(
        server: FaultServer, request: web.Request, call: Call, handler: Handler
    ) -> web.StreamResponse:
        if came_by_boto(call):
            return await handler(server, call)
        scripted.always("ListObjectsV2", by_the_rules)
        moved: web.StreamResponse = await answer(server, request, call, handler)
        return moved

    async with open_client(account(scripted.url), "source", CopyOptions()) as client:
        await client.list_page(BUCKET, "", max_keys=1)
        scripted.always("ListObjectsV2", only_the_wire)
        await list_twice(client)
    assert ways(scripted) == [True, False, True, False]


async def by_the_rules(
    server: FaultServer, _: web.Request, call: Call, handler: Handler
) -> web.StreamResponse:
    return await handler(server, call)


async def test_a_download_that_is_elsewhere_is_asked_about_anew(scripted: FaultServer) -> None:
    """The same holds for a call whose answer is streamed."""
    async with open_client(account(scripted.url), "source", CopyOptions()) as client:
        await client.list_page(BUCKET, "", max_keys=1)
        scripted.next("GetObject", error(301, "PermanentRedirect"))
        async with client.get_object(BUCKET, "k") as body:
            assert b"".join([chunk async for chunk in body.chunks]) == b"body"
    assert ways(scripted) == [True, False, True]


async def test_a_client_without_credentials_says_so(scripted: FaultServer) -> None:
    """Where botocore found no keys, its own error comes, not one of the wire."""
    empty = Account(endpoint_url=scripted.url, region=REGION)
    async with open_client(empty, "source", CopyOptions()) as client:
        with pytest.raises(Exception, match="source credentials"):
            await client.list_page(BUCKET, "", max_keys=1)


def test_verification_is_as_botocore_was_told(tmp_path: Path) -> None:
    """On by default with host names checked, off where told so, by a bundle where one is named."""
    usual = tls_context(True)
    assert (usual.verify_mode, usual.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert usual.cert_store_stats()["x509_ca"] > 0
    off = tls_context(False)
    assert (off.verify_mode, off.check_hostname) == (ssl.CERT_NONE, False)
    with pytest.raises(FileNotFoundError):
        tls_context(str(tmp_path / "missing.pem"))


async def test_timeouts_of_a_config_hold_on_the_wire_too(scripted: FaultServer) -> None:
    """An account's own botocore ``Config`` wins over the options, on either client."""
    config = AioConfig(connect_timeout=3, read_timeout=7)
    options = CopyOptions(connect_timeout_s=1, read_timeout_s=2)
    async with open_boto_client(account(scripted.url, config=config), "source", options) as plain:
        assert timeouts(plain.client) == (3, 7)
    async with open_boto_client(account(scripted.url), "source", options) as plain:
        assert timeouts(plain.client) == (1, 2)
