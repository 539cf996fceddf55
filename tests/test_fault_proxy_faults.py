"""Each fault of the proxy, as both clients see it: the error the engine decides by, or none."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import pytest

from async_s3copy import Account, CopyOptions
from async_s3copy.errors import (
    AccessDeniedError,
    CredentialsError,
    InvalidResponseError,
    RetryableS3Error,
    S3ConnectionError,
    S3Error,
    ThrottledError,
)
from async_s3copy.s3.client import S3Client
from async_s3copy.s3.opening import open_client
from async_s3copy.s3.values import AS_IT_IS, CopySource
from async_s3copy.testing import (
    BackwardsPage,
    Drip,
    ExpiredToken,
    Fault,
    FaultProxy,
    KeepAliveThenError,
    LostAnswer,
    OkThenBroken,
    OkWithError,
    Redirect,
    RepeatedPage,
    ResetAfter,
    ResetBefore,
    Skewed,
    Status,
    TruncatedBody,
    WrongRegion,
    fault_proxy,
)
from tests.fault_server import FaultServer, run_fault_server
from tests.raw_server import raw_server
from tests.real import place_on, session_of
from tests.support import REGION, S3Server, put_object

pytestmark = pytest.mark.stack_b

BUCKET: Final = "bucket"
BODY: Final = b"0123456789" * 50_000
MD5: Final = hashlib.md5(b"new").digest()

Do = Callable[[S3Client], Awaitable[object]]


@pytest.fixture
async def server() -> AsyncIterator[FaultServer]:
    """A server with one object; its keys are ``AK`` and ``secret``."""
    async with run_fault_server() as running:
        running.put(BUCKET, "key", BODY)
        yield running


@asynccontextmanager
async def opened(proxy: FaultProxy) -> AsyncIterator[S3Client]:
    """Open the library's own client through the proxy, past what the wire has to learn."""
    account = Account(session=session_of("AK", "secret"), region=REGION, endpoint_url=proxy.url)
    async with open_client(account, "destination", CopyOptions()) as client:
        await client.head_object(BUCKET, "key")
        yield client


@asynccontextmanager
async def through(server: FaultServer) -> AsyncIterator[tuple[FaultProxy, S3Client]]:
    """Run a proxy before the server, and the library's own client through it."""
    keys = {"AK": "secret"}
    async with fault_proxy(server.url, credentials=keys) as proxy, opened(proxy) as client:
        yield proxy, client


async def copied(client: S3Client) -> object:
    return await client.copy_object(BUCKET, "new", CopySource(BUCKET, "key"))


async def created(client: S3Client) -> object:
    return await client.create_multipart_upload(BUCKET, "new", AS_IT_IS)


async def listed(client: S3Client) -> object:
    return await client.list_page(BUCKET, "")


async def got(client: S3Client) -> object:
    async with client.get_object(BUCKET, "key") as body:
        return b"".join([chunk async for chunk in body.chunks])


async def put(client: S3Client) -> object:
    return await client.put_object(BUCKET, "new", b"new", AS_IT_IS, md5=MD5)


async def headed(client: S3Client) -> object:
    return await client.head_object(BUCKET, "key")


CALLS: Final[dict[str, Do]] = {
    "CopyObject": copied,
    "CreateMultipartUpload": created,
    "ListObjectsV2": listed,
    "GetObject": got,
    "PutObject": put,
    "HeadObject": headed,
}
COPY, CREATE, LIST, GET, PUT, HEAD = CALLS

ANY: Final = tuple(CALLS)

# Fault, the calls it happens to, the error they raise, its code, and whether the server did it.
REFUSALS: Final[list[tuple[Fault, tuple[str, ...], type[S3Error], str, bool]]] = [
    (ResetBefore(), ANY, S3ConnectionError, "", False),
    (ResetAfter(), ANY, S3ConnectionError, "", True),
    (LostAnswer(), (CREATE,), S3ConnectionError, "", True),
    (TruncatedBody(0), (COPY, CREATE, LIST, GET), RetryableS3Error, "", True),
    (TruncatedBody(0.5), (COPY, CREATE, LIST, GET), RetryableS3Error, "", True),
    (TruncatedBody(3), (COPY, LIST, GET), RetryableS3Error, "", True),
    (Status(500, "InternalError"), ANY, RetryableS3Error, "InternalError", False),
    (Status(502), ANY, RetryableS3Error, "", False),
    (Status(504), ANY, RetryableS3Error, "", False),
    (Status(503, "SlowDown"), ANY, ThrottledError, "SlowDown", False),
    (Status(503), ANY, ThrottledError, "", False),
    (Status(403, "AccessDenied"), ANY, AccessDeniedError, "AccessDenied", False),
    (OkWithError("InternalError"), (COPY,), RetryableS3Error, "InternalError", False),
    (OkWithError("SlowDown"), (COPY,), ThrottledError, "SlowDown", False),
    (OkWithError("AccessDenied"), (COPY,), AccessDeniedError, "AccessDenied", False),
    (KeepAliveThenError("InternalError"), (COPY,), RetryableS3Error, "InternalError", False),
    (OkThenBroken("truncated"), (COPY, CREATE, LIST), RetryableS3Error, "", True),
    (OkThenBroken("empty"), (COPY, CREATE, LIST), InvalidResponseError, "", True),
    (OkThenBroken("html"), (COPY, CREATE, LIST), InvalidResponseError, "", False),
]


@pytest.mark.parametrize("name", CALLS)
async def test_a_fault_is_the_error_that_the_engine_decides_by(
    server: FaultServer, name: str
) -> None:
    """Each fault is raised as its class and code, the server has done it or not, and it passes."""
    async with through(server) as (proxy, client):
        for fault, calls, kind, code, is_done in REFUSALS:
            if name not in calls:
                continue
            before = server.count(name)
            proxy.always(name, fault)
            error = await error_of(CALLS[name], client)
            assert isinstance(error, kind), (fault, error)
            assert code in ("", error.code), (fault, error)
            assert (server.count(name) > before) == is_done, fault
            assert proxy.calls[-1].fault == fault
            assert fault.fits(name)
            proxy.always(name, None)
            assert await error_of(CALLS[name], client) is None, fault


async def error_of(call: Do, client: S3Client) -> Exception | None:
    """Make a call; return what it raises."""
    try:
        await call(client)
    except Exception as error:
        return error
    return None


async def test_retry_after_is_told(server: FaultServer) -> None:
    """The seconds a server asks to wait arrive with the error."""
    async with through(server) as (proxy, client):
        proxy.next(COPY, Status(503, "SlowDown", "Please wait.", retry_after_s=7))
        with pytest.raises(ThrottledError, match=r"Please wait\.") as caught:
            await copied(client)
        assert caught.value.retry_after_s == 7


async def test_a_dripping_answer_is_read_to_its_end(server: FaultServer) -> None:
    """An answer that comes byte by byte, head included, is the same answer."""
    async with through(server) as (proxy, client):
        for fault in (Drip(1), Drip(3, dripped_bytes=700)):
            for name in (COPY, CREATE, LIST, GET):
                proxy.next(name, fault)
                answer = await CALLS[name](client)
                assert name != GET or answer == BODY
            assert proxy.faults[fault] == 4


async def test_a_page_that_repeats_and_one_that_goes_back(server: FaultServer) -> None:
    """RepeatedPage gives the page before, BackwardsPage the one before that, by any cursor."""
    for name in ("l/a", "l/b c", "l/ü", "l/z"):
        server.put(BUCKET, name, b"x")
    async with through(server) as (proxy, client):
        first = await client.list_page(BUCKET, "l/", max_keys=1)
        second = await client.list_page(BUCKET, "l/", max_keys=1, token=first.next_token)
        proxy.always(LIST, RepeatedPage())
        assert await client.list_page(BUCKET, "l/", token=first.next_token) == first
        assert await client.list_page(BUCKET, "l/", start_after="l/b c") == second
        proxy.always(LIST, BackwardsPage())
        assert await client.list_page(BUCKET, "l/", token=second.next_token) == first
        assert await client.list_page(BUCKET, "l/", max_keys=1) == first
        assert proxy.calls[-1].fault is None


@pytest.mark.parametrize(
    "fault",
    [
        WrongRegion("eu-central-1"),
        WrongRegion("eu-central-1", status=400),
        WrongRegion("eu-central-1", header=False, status=400),
    ],
    ids=str,
)
async def test_a_bucket_elsewhere_is_found(server: FaultServer, fault: WrongRegion) -> None:
    """One refusal that names the Region: the call succeeds, signed for the Region it named."""
    async with through(server) as (proxy, client):
        proxy.always(COPY, fault)
        await copied(client)
        *refused, last = (call for call in proxy.calls if call.operation == COPY)
        assert [call.fault for call in refused] == [fault] * len(refused)
        assert refused
        assert last.fault is None
        assert "/eu-central-1/s3/" in last.headers["authorization"]


async def test_a_redirect_to_another_host_is_not_followed(server: FaultServer) -> None:
    """A hostile redirect ends in an error: the other host gets no connection, let alone keys."""
    async with raw_server() as elsewhere, through(server) as (proxy, client):
        url = f"http://127.0.0.1:{elsewhere.port}/bucket/new"
        for status in (301, 302, 307, 308):
            for name in (COPY, GET, PUT, LIST, HEAD):
                proxy.always(name, Redirect(url, status))
                error = await error_of(CALLS[name], client)
                assert isinstance(error, S3Error), (status, name, error)
        assert elsewhere.peers == []


async def test_expired_keys_are_credentials_and_not_the_object(server: FaultServer) -> None:
    """ExpiredToken: keys that nobody can renew are an error of the credentials, on every call."""
    async with through(server) as (proxy, client):
        for name in (COPY, CREATE, LIST, GET, PUT):
            proxy.always(name, ExpiredToken())
            with pytest.raises((AccessDeniedError, CredentialsError), match="expired"):
                await CALLS[name](client)
        assert {call.operation for call in server.calls} == {HEAD}


@pytest.mark.parametrize("seconds", [3_600, -80_000])
async def test_a_skewed_clock_is_taken_over(seaweedfs: S3Server, seconds: int) -> None:
    """Refused once by a server whose clock is off; dated by that clock, the next call passes.

    The server behind the proxy checks dates and signatures, and has the right time.
    """
    admin = seaweedfs.admin
    keys = {admin.access_key_id: admin.secret_access_key}
    account = Account(session=session_of(*next(iter(keys.items()))), region=REGION)
    async with (
        place_on(seaweedfs) as place,
        fault_proxy(seaweedfs.endpoint_url, credentials=keys) as proxy,
        open_client(
            dataclasses.replace(account, endpoint_url=proxy.url), "source", CopyOptions()
        ) as client,
    ):
        bucket = place.buckets.source
        await put_object(place.admin, bucket, "key", b"body")
        await client.head_object(bucket, "key")
        proxy.script = lambda _: Skewed(seconds)
        with pytest.raises(S3Error) as caught:
            await client.list_page(bucket, "")
        assert caught.value.code == "RequestTimeTooSkewed"
        page = await client.list_page(bucket, "")
        assert [item.key for item in page.objects] == ["key"]
        assert [call.fault for call in proxy.calls][-2:] == [Skewed(seconds), None]
        await place.admin.delete_object(Bucket=bucket, Key="key")
