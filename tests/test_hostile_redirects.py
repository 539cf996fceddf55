"""A hostile endpoint cannot make either client turn to another host: no credential goes astray."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

import pytest
from aiobotocore.awsrequest import AioAWSResponse

from async_s3copy import Account, CopyOptions, S3CopyError, S3Error
from async_s3copy.s3.opening import open_boto_client
from async_s3copy.s3.transport import OneAttempt
from tests.cancel_scenes import kept_clients
from tests.fault_answers import raw
from tests.fault_server import Answer, FaultServer, run_fault_server
from tests.harness import outcome_of
from tests.hostile import BODY, KEY, REQUESTS, SOURCE, operation, watched_network
from tests.real import session_of

CLIENTS: Final = ("wire", pytest.param("boto", marks=pytest.mark.stack_b))
REGIONS: Final = (
    "evil.example/#",
    "evil.example:80/?",
    "a@evil.example",
    "evil.example",
    "..",
    "eu-west-1/../../evil",
    "%2f%2fevil.example",
    "x" * 300,
    "eu west",
    "-",
)


@pytest.fixture
async def endpoint() -> AsyncIterator[FaultServer]:
    """A server with one object."""
    async with run_fault_server() as running:
        running.put(SOURCE, KEY, BODY)
        yield running


@pytest.fixture
async def elsewhere() -> AsyncIterator[FaultServer]:
    """Another server, which nobody has asked for anything."""
    async with run_fault_server() as running:
        yield running


def away(elsewhere: FaultServer, status: int, code: str, region: str) -> Answer:
    """Answer with a redirect that names the other server in every place there is."""
    host = elsewhere.url.removeprefix("http://")
    body = (
        f"<Error><Code>{code}</Code><Message>m</Message><Endpoint>{host}</Endpoint>"
        f"<Region>{escape(region)}</Region><Bucket>{host}</Bucket></Error>"
    )
    headers = {
        "Location": f"{elsewhere.url}/{SOURCE}/{KEY}",
        "Refresh": f"0; url={elsewhere.url}",
        "Content-Location": elsewhere.url,
        "Alt-Svc": f'http/1.1="{host}"',
        "x-amz-bucket-region": region,
    }
    return raw(status, body, headers)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("client", CLIENTS)
async def test_no_redirect_is_followed_to_another_host(
    endpoint: FaultServer,
    elsewhere: FaultServer,
    client: str,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whichever request is redirected, the other host sees no connection; the request fails."""
    async with kept_clients(monkeypatch):
        with watched_network(monkeypatch) as reached:
            for name, way in REQUESTS:
                endpoint.always(name, away(elsewhere, status, "TemporaryRedirect", "eu-west-1"))
                assert isinstance(
                    await outcome_of(operation(endpoint, way, client).run()), S3CopyError
                ), name
                endpoint.obey(name)
    assert elsewhere.calls == []
    assert reached.addresses == {_address(endpoint)}


@pytest.mark.parametrize("client", CLIENTS)
async def test_no_name_of_a_region_leads_to_another_host(
    endpoint: FaultServer, elsewhere: FaultServer, client: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a server of our own says the bucket's Region is, it stays the one that is asked."""
    async with kept_clients(monkeypatch):
        with watched_network(monkeypatch) as reached:
            for region in REGIONS:
                for status, code in ((301, "PermanentRedirect"), (400, _MALFORMED)):
                    endpoint.always("ListObjectsV2", away(elsewhere, status, code, region))
                    found = await outcome_of(operation(endpoint, "listing", client).run())
                    assert isinstance(found, S3Error), (region, found)
    assert elsewhere.calls == []
    assert reached.addresses == {_address(endpoint)}
    assert reached.hosts <= {"127.0.0.1"}


_MALFORMED: Final = "AuthorizationHeaderMalformed"


@pytest.mark.stack_b
@pytest.mark.parametrize("status, code", [(301, "PermanentRedirect"), (400, _MALFORMED)])
async def test_no_name_of_a_region_leads_away_from_aws(
    status: int, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where botocore makes host names of Regions, none is made of what is no Region's name."""
    asked: list[str] = []
    named = ""

    async def send(self: object, request: Any) -> AioAWSResponse:
        asked.append(request.url)
        body = f"<Error><Code>{code}</Code><Region>{escape(named)}</Region></Error>"
        headers = {"x-amz-bucket-region": named, "location": "https://evil.example/"}
        return AioAWSResponse(request.url, status, headers, _Body(body))

    monkeypatch.setattr(OneAttempt, "send", send)
    account = Account(session=session_of("AK", "secret"), region="us-east-1")
    for region in REGIONS:
        named = region
        async with open_boto_client(account, "source", CopyOptions()) as client:
            with pytest.raises(S3Error):
                await client.list_page("my-bucket", "")
    hosts = {urlsplit(url).hostname or "" for url in asked}
    assert all(host.endswith(".amazonaws.com") for host in hosts), hosts
    assert all(set(urlsplit(url).netloc).isdisjoint("@:%") for url in asked)


class _Body:
    def __init__(self, text: str) -> None:
        self.text = text

    async def read(self) -> bytes:
        return self.text.encode()


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_server_sets_no_cookie(
    endpoint: FaultServer, client: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing a server says is sent back to it: a request could be made to grow without end."""
    headers = {"Set-Cookie": "a=b; Path=/"}
    endpoint.next("HeadObject", raw(500, "", headers))
    async with kept_clients(monkeypatch):
        given = operation(endpoint, "multipart", client)
        object.__setattr__(given.options, "max_attempts", 3)
        await given.run()
    assert endpoint.count("HeadObject") >= 2
    assert all("cookie" not in call.headers for call in endpoint.calls)


def _address(endpoint: FaultServer) -> tuple[str, int]:
    url = urlsplit(endpoint.url)
    return (url.hostname or "", url.port or 0)
