"""Clocks that differ: signatures carry the server's time, or one sentence says by how much."""

from __future__ import annotations

import calendar
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any, Final

import pytest
from aiohttp import web

from async_s3copy import Account, ClockSkewError, CopyFailedError, S3CopyOperation
from async_s3copy.s3.clock import SigningClock
from async_s3copy.s3.codes import s3_error
from async_s3copy.s3.wire.sigv4 import Keys, is_signed_with
from tests.fault_server import Call, FaultServer, Handler, error_response, run_fault_server
from tests.real import LARGE, quick, session_of
from tests.support import REGION

pytestmark = pytest.mark.stack_b

SOURCE, DESTINATION = "source-bucket", "destination-bucket"
HOUR_S: Final = 3600.0
NOW_S: Final = 1_700_000_000.0
OBJECTS: Final = 20
KEYS: Final = Keys("AK", "secret")


class OwnTime:
    """Refuses requests signed more than 15 minutes from its own time, as S3 does.

    What it accepts is signed, with that time, as it should be.
    """

    def __init__(self, server: FaultServer, ahead_s: float) -> None:
        self.ahead_s = ahead_s
        self.tells_time = True
        self.changes_s = 0.0
        self.refused = 0
        for operation in (*("CopyObject", "HeadObject", "ListObjectsV2", "UploadPartCopy"),):
            server.always(operation, self.answer)
        for operation in ("CreateMultipartUpload", "CompleteMultipartUpload", "GetObjectTagging"):
            server.always(operation, self.answer)

    async def answer(
        self, server: FaultServer, request: web.Request, call: Call, handler: Handler
    ) -> web.StreamResponse:
        signed_s = calendar.timegm(time.strptime(call.headers["x-amz-date"], "%Y%m%dT%H%M%SZ"))
        here_s = time.time() + self.ahead_s
        if abs(signed_s - here_s) <= 900:
            url = server.url + request.raw_path
            assert is_signed_with(KEYS, request.method, url, call.headers, REGION, "s3")
            return await handler(server, call)
        self.refused += 1
        self.ahead_s += self.changes_s
        date = formatdate(here_s, usegmt=True) if self.tells_time else "soon"
        return error_response(403, "RequestTimeTooSkewed", headers={"Date": date})


@pytest.fixture
async def server() -> AsyncIterator[FaultServer]:
    """A server with small objects and a large one."""
    async with run_fault_server() as running:
        for number in range(OBJECTS):
            running.put(SOURCE, f"in/{number:03}", b"s")
        running.put(SOURCE, "in/large", b"b" * LARGE)
        yield running


def operation(server: FaultServer, **given: Any) -> S3CopyOperation:
    account = Account(session=session_of("AK", "secret"), region=REGION, endpoint_url=server.url)
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


@pytest.mark.parametrize("ahead_s", [HOUR_S, -2 * HOUR_S, 23 * HOUR_S])
async def test_a_clock_that_is_off_from_the_start_is_corrected(
    server: FaultServer, ahead_s: float
) -> None:
    """On either client: the server's time is signed with after one refusal a side."""
    own = OwnTime(server, ahead_s)
    metrics = await operation(server).run()
    assert (metrics.files_copied_successfully, metrics.files_failed) == (OBJECTS + 1, 0)
    assert 0 < own.refused <= 2


async def test_a_clock_that_jumps_in_mid_run_is_corrected(server: FaultServer) -> None:
    """As after a virtual machine was suspended: requests under way are signed anew, none fails."""
    own = OwnTime(server, 0)
    copied = 0

    async def jump(
        server: FaultServer, request: web.Request, call: Call, handler: Handler
    ) -> web.StreamResponse:
        nonlocal copied
        copied += 1
        own.ahead_s = HOUR_S if copied > 5 else 0
        return await own.answer(server, request, call, handler)

    server.always("CopyObject", jump)
    metrics = await operation(server).run()
    assert (metrics.files_copied_successfully, metrics.files_failed) == (OBJECTS + 1, 0)
    assert own.refused > 0


async def test_a_clock_days_away_is_an_error_that_says_by_how_much(server: FaultServer) -> None:
    """A machine whose clock is wrong by more than a day has other troubles than ours."""
    OwnTime(server, 49 * HOUR_S)
    copy = operation(server)
    with pytest.raises(ClockSkewError, match=r"clock is 2 days, \d:\d\d:\d\d behind that of the"):
        await copy.run()
    assert len(server.calls) <= 2


async def test_a_server_that_does_not_tell_its_time_is_no_loop(server: FaultServer) -> None:
    """Without a Date there is nothing to correct by."""
    OwnTime(server, HOUR_S).tells_time = False
    with pytest.raises(ClockSkewError, match="differs too much"):
        await operation(server).run()
    assert len(server.calls) <= 2


async def test_a_server_whose_time_runs_away_is_no_loop(server: FaultServer) -> None:
    """What is corrected once and is far off at once again is not corrected for ever."""
    own = OwnTime(server, HOUR_S)
    own.changes_s = HOUR_S
    with pytest.raises((ClockSkewError, CopyFailedError), match="this machine's clock is"):
        await operation(server).run()
    assert len(server.calls) <= 4


def clock() -> SigningClock:
    return SigningClock("source", clock=lambda: NOW_S, monotonic=lambda: 0.0)


def refusal(code: str, status: int, ahead_s: float | None) -> Any:
    error = s3_error(code, status, "", operation="HeadObject", side="source", bucket="b")
    if ahead_s is not None:
        error.server_time = datetime.fromtimestamp(NOW_S + ahead_s, UTC)
    return error


@pytest.mark.parametrize(
    "code, status, ahead_s, is_corrected",
    [
        ("403", 403, HOUR_S, True),  # a HEAD has no code
        ("403", 403, 600, False),  # accepted by S3, so it is about something else
        ("403", 403, 30 * HOUR_S, False),
        ("403", 403, None, False),
        ("404", 404, HOUR_S, False),
        ("SlowDown", 503, HOUR_S, False),
        ("RequestTimeTooSkewed", 403, HOUR_S, True),
        ("RequestTimeTooSkewed", 403, -HOUR_S, True),
        ("RequestExpired", 400, HOUR_S, True),
    ],
)
def test_only_a_refusal_about_the_clock_corrects_it(
    code: str, status: int, ahead_s: float | None, is_corrected: bool
) -> None:
    """A row each: what S3 answers, how far its Date is ahead, and whether that is taken over."""
    signing = clock()
    assert signing.heed(refusal(code, status, ahead_s)) is is_corrected
    assert signing() == NOW_S + (ahead_s if is_corrected and ahead_s else 0)


def test_a_request_signed_before_the_correction_is_only_sent_again() -> None:
    """The clock is corrected once, however many refusals of the old time arrive."""
    signing = clock()
    for _ in range(5):
        assert signing.heed(refusal("RequestTimeTooSkewed", 403, HOUR_S))
        assert signing.offset_s == HOUR_S


def test_two_servers_of_different_times_are_no_loop() -> None:
    """The second correction within two minutes is refused, with the first one's difference out."""
    signing = clock()
    assert signing.heed(refusal("RequestTimeTooSkewed", 403, HOUR_S))
    with pytest.raises(ClockSkewError, match="clock is 1:00:00 ahead of that of the source server"):
        signing.heed(refusal("RequestTimeTooSkewed", 403, -HOUR_S))
    assert not signing.heed(refusal("403", 403, -HOUR_S))
