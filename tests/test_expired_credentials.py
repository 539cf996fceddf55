"""Keys that S3 stops accepting in mid-run: renewed once for all, or the end of the run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from aiobotocore.credentials import AioRefreshableCredentials
from aiobotocore.session import AioSession
from aiohttp import web

from async_s3copy import Account, CopyFailedError, CredentialsError, S3CopyOperation
from tests.fault_server import Call, FaultServer, Handler, error_response, run_fault_server
from tests.real import LARGE, quick
from tests.support import REGION

pytestmark = pytest.mark.stack_b

SOURCE, DESTINATION = "source-bucket", "destination-bucket"
OBJECTS: Final = 60
OPERATIONS: Final = (
    "CopyObject",
    "HeadObject",
    "GetObject",
    "PutObject",
    "ListObjectsV2",
    "CreateMultipartUpload",
    "UploadPart",
    "UploadPartCopy",
    "CompleteMultipartUpload",
    "AbortMultipartUpload",
    "ListParts",
)


class Gate:
    """Lets requests pass by their token, as S3 does: until it has seen so many, then no more."""

    def __init__(self, server: FaultServer, *, code: str = "ExpiredToken") -> None:
        self.code = code
        self.good = {"token-1"}
        self.lasts_requests = 10**9
        self.refused = 0
        for operation in OPERATIONS:
            server.always(operation, self.answer)

    async def answer(
        self, server: FaultServer, request: web.Request, call: Call, handler: Handler
    ) -> web.StreamResponse:
        token = call.headers.get("x-amz-security-token", call.headers["authorization"])
        self.lasts_requests -= 1
        if self.lasts_requests == 0:
            self.good = {"token-2"}
        if not any(good in token for good in self.good):
            self.refused += 1
            return error_response(400 if self.code == "ExpiredToken" else 403, self.code)
        return await handler(server, call)


class Issuer:
    """Issues temporary keys that, they say, hold for an hour."""

    def __init__(self) -> None:
        self.issued = 0

    async def issue(self) -> dict[str, Any]:
        self.issued += 1
        return {
            "access_key": f"AK{self.issued}",
            "secret_key": "secret",
            "token": f"token-{self.issued}",
            "expiry_time": (datetime.now(UTC) + timedelta(hours=1)).isoformat(),
        }


async def renewing_session(issuer: Issuer) -> AioSession:
    session = AioSession()
    session._credentials = AioRefreshableCredentials.create_from_metadata(
        await issuer.issue(), issuer.issue, "test"
    )
    return session


def static_session(token: str) -> AioSession:
    session = AioSession()
    session.set_credentials("AK", "secret", token)
    return session


@pytest.fixture
async def server() -> AsyncIterator[FaultServer]:
    """A server with many small objects and a large one."""
    async with run_fault_server() as running:
        for number in range(OBJECTS):
            running.put(SOURCE, f"in/{number:03}", b"s")
        running.put(SOURCE, "in/large", b"b" * LARGE)
        yield running


def operation(server: FaultServer, session: AioSession, **given: Any) -> S3CopyOperation:
    account = Account(session=session, region=REGION, endpoint_url=server.url)
    return S3CopyOperation(
        SOURCE,
        "in/",
        DESTINATION,
        "out/",
        recursive=True,
        source=account,
        destination=account,
        options=quick(**given.pop("options", {})),
        **given,
    )


@pytest.mark.parametrize("method", ["server_side", "relay"])
async def test_keys_that_expire_in_mid_run_are_renewed_once_and_the_copy_goes_on(
    server: FaultServer, method: str
) -> None:
    """However many requests are refused at once, one renewal serves them all; no object fails."""
    gate, issuer = Gate(server), Issuer()
    gate.lasts_requests = 30
    metrics = await operation(
        server, await renewing_session(issuer), options={"method": method, "max_attempts": 1}
    ).run()
    assert gate.refused > 0
    assert issuer.issued == 2
    assert (metrics.files_copied_successfully, metrics.files_failed) == (OBJECTS + 1, 0)
    assert metrics.requests_retried > 0
    assert server.uploads == {}
    assert len(server.objects[DESTINATION]) == OBJECTS + 1


@pytest.mark.parametrize("code", ["ExpiredToken", "InvalidToken", "InvalidAccessKeyId"])
async def test_static_keys_that_expire_end_the_run_and_fail_no_object(
    server: FaultServer, code: str
) -> None:
    """One reason, told once; a checkpoint lets a run with new keys copy what is left."""
    gate = Gate(server, code=code)
    gate.lasts_requests = 30
    copy = operation(server, static_session("token-1"))
    with pytest.raises(CopyFailedError) as caught:
        await copy.run()
    cause = caught.value.__cause__
    assert isinstance(cause, CredentialsError)
    assert code in str(cause)
    assert caught.value.reason == str(cause)
    metrics = caught.value.metrics
    assert metrics.files_failed == 0
    assert caught.value.failures == ()
    assert 0 < metrics.files_copied_successfully < OBJECTS
    resumed = operation(server, static_session("token-2"), resume_from=copy.checkpoint())
    assert (await resumed.run()).files_failed == 0
    assert {key.removeprefix("out/") for key in server.objects[DESTINATION]} == {
        key.removeprefix("in/") for key in server.objects[SOURCE]
    }
    assert server.uploads == {}


async def test_an_expired_token_is_found_while_validating(server: FaultServer) -> None:
    """Nothing is written, and the error is about the credentials."""
    Gate(server)
    copy = operation(server, static_session("token-0"))
    with pytest.raises(CredentialsError, match="the session token has expired"):
        await copy.run()
    assert server.objects[DESTINATION] == {}
