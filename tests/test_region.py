"""Buckets in another Region: found once and remembered, or one sentence says what to set."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
from aiohttp import web

from async_s3copy import Account, CopyFailedError, S3CopyOperation, S3Error
from async_s3copy.s3.boto_redirects import is_region
from tests.fault_server import Call, FaultServer, Handler, run_fault_server
from tests.real import quick, session_of

pytestmark = pytest.mark.stack_b

SOURCE, DESTINATION = "source-bucket", "destination-bucket"
HOME: Final = "eu-west-1"
OBJECTS: Final = 10
REFUSALS: Final = [
    (301, "PermanentRedirect"),
    (307, "TemporaryRedirect"),
    (400, "AuthorizationHeaderMalformed"),
    (400, "IllegalLocationConstraintException"),
]


class Regions:
    """Serves a bucket to requests that are signed for its Region only."""

    def __init__(self, server: FaultServer, status: int, code: str, hint: str) -> None:
        self.status, self.code, self.hint = status, code, hint
        self.tells: str | None = HOME
        self.home = HOME
        self.refused = 0
        for operation in ("ListObjectsV2", "CopyObject"):
            server.always(operation, self.answer)

    async def answer(
        self, server: FaultServer, request: web.Request, call: Call, handler: Handler
    ) -> web.StreamResponse:
        region = call.headers["authorization"].split("/")[2]
        if region == self.home:
            return await handler(server, call)
        self.refused += 1
        named = self.tells is not None
        headers = (
            {"x-amz-bucket-region": self.tells or ""} if named and self.hint == "header" else {}
        )
        inner = f"<Region>{self.tells}</Region>" if named and self.hint == "body" else ""
        text = f"<Error><Code>{self.code}</Code><Message>said</Message>{inner}</Error>"
        if request.method == "HEAD":
            headers, text = {}, ""
        return web.Response(
            status=self.status, text=text, headers=headers, content_type="application/xml"
        )


@pytest.fixture
async def server() -> AsyncIterator[FaultServer]:
    """A server with some objects."""
    async with run_fault_server() as running:
        for number in range(OBJECTS):
            running.put(SOURCE, f"in/{number:03}", b"s")
        yield running


def operation(server: FaultServer, **given: Any) -> S3CopyOperation:
    account = Account(
        session=session_of("AK", "secret"), region="us-east-1", endpoint_url=server.url
    )
    return S3CopyOperation(
        SOURCE,
        "in/",
        DESTINATION,
        "out/",
        recursive=True,
        source=account,
        destination=account,
        options=quick(),
        **given,
    )


@pytest.mark.parametrize("hint", ["header", "body"])
@pytest.mark.parametrize("status, code", REFUSALS)
async def test_a_region_that_is_named_is_followed_once_and_remembered(
    server: FaultServer, status: int, code: str, hint: str
) -> None:
    """One refused request a bucket, whichever way S3 says it; all others go there at once."""
    regions = Regions(server, status, code, hint)
    metrics = await operation(server).run()
    assert (metrics.files_copied_successfully, metrics.files_failed) == (OBJECTS, 0)
    assert regions.refused == 2


@pytest.mark.parametrize("status, code", REFUSALS)
async def test_without_a_hint_one_sentence_says_what_to_set(
    server: FaultServer, status: int, code: str
) -> None:
    """A refused request, a question that is not answered, and that is it: no retries."""
    regions = Regions(server, status, code, "none")
    with pytest.raises(S3Error, match=r"set region= of the (source|destination) account") as caught:
        await operation(server).run()
    assert caught.value.code == code
    assert regions.refused <= 4
    assert server.objects[DESTINATION] == {}


@pytest.mark.parametrize("status, code", REFUSALS)
@pytest.mark.parametrize("hint", ["header", "body"])
async def test_a_bucket_that_is_always_elsewhere_ends(
    server: FaultServer, status: int, code: str, hint: str
) -> None:
    """Followed to a Region that refuses as well: an error, not another round."""
    regions = Regions(server, status, code, hint)
    regions.home = "nowhere"
    with pytest.raises(S3Error, match="set region="):
        await operation(server).run()
    assert regions.refused <= 6


async def test_a_bucket_that_moves_in_mid_run_is_found_again(server: FaultServer) -> None:
    """A hint in the middle of a copy is followed, too."""
    regions = Regions(server, 301, "PermanentRedirect", "header")
    regions.home = regions.tells = "us-east-1"
    copied = 0

    async def move(
        server: FaultServer, request: web.Request, call: Call, handler: Handler
    ) -> web.StreamResponse:
        nonlocal copied
        copied += 1
        if copied > 3:
            regions.home = regions.tells = HOME
        return await regions.answer(server, request, call, handler)

    server.always("CopyObject", move)
    metrics = await operation(server).run()
    assert (metrics.files_copied_successfully, metrics.files_failed) == (OBJECTS, 0)


async def test_a_bucket_that_bounces_between_two_regions_ends(server: FaultServer) -> None:
    """Each Region names the other: each request is refused twice, none for ever."""
    Regions(server, 301, "PermanentRedirect", "header")
    refused = 0

    async def bounce(
        server: FaultServer, request: web.Request, call: Call, handler: Handler
    ) -> web.StreamResponse:
        nonlocal refused
        refused += 1
        there = "eu-west-1" if "us-east-1" in call.headers["authorization"] else "us-east-1"
        return web.Response(status=301, headers={"x-amz-bucket-region": there})

    server.always("CopyObject", bounce)
    with pytest.raises(CopyFailedError, match="set region="):
        await operation(server).run()
    assert refused <= 3 * OBJECTS


@pytest.mark.parametrize("hint", ["header", "body"])
@pytest.mark.parametrize("name", ["evil.example", "evil.example/", "a@b", "x#", "EU", "a" * 64])
async def test_a_name_that_is_no_regions_is_not_followed(
    server: FaultServer, name: str, hint: str
) -> None:
    """It becomes neither a part of a host's name nor of a signature."""
    regions = Regions(server, 400, "AuthorizationHeaderMalformed", hint)
    regions.tells = name
    with pytest.raises(S3Error, match="set region="):
        await operation(server).run()
    assert {call.headers["authorization"].split("/")[2] for call in server.calls} == {"us-east-1"}


@pytest.mark.parametrize(
    "name, is_one",
    [
        ("eu-west-1", True),
        ("us-gov-west-1", True),
        ("garage", True),
        ("1", True),
        ("", False),
        ("-", False),
        ("a-", False),
        ("a--b", False),
        ("a.b", False),
        ("eu-west-1\n", False),
        ("ü", False),
        (None, False),
    ],
)
def test_what_a_region_may_be_called(name: object, is_one: bool) -> None:
    """Lower-case letters and digits, with single hyphens between them."""
    assert is_region(name) is is_one
