"""Whole copies through the fault-injecting proxy: right, or reported as failed; never wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest

from async_s3copy import Account, CopyFailedError, S3CopyError, S3CopyOperation, TransferMetrics
from async_s3copy.testing import (
    PASSING_FAULTS,
    BackwardsPage,
    ExpiredToken,
    Fault,
    FaultProxy,
    IgnoreParameters,
    OkWithError,
    RandomFaults,
    Redirect,
    RepeatedPage,
    Seen,
    Skewed,
    Status,
    WrongRegion,
    fault_proxy,
)
from tests.fault_server import FaultServer, run_fault_server
from tests.real import LARGE, Watch, quick, session_of
from tests.support import REGION

SOURCE, DESTINATION = "source-bucket", "destination-bucket"
SMALL: Final = {f"s/{number:03}": b"%d" % number for number in range(30)}
BODIES: Final = {**SMALL, "large": b"l" * LARGE}
COPIES: Final = ("CopyObject", "PutObject", "CompleteMultipartUpload")


@pytest.fixture
async def server() -> AsyncIterator[FaultServer]:
    """A server with small objects and a large one, ten to a page."""
    async with run_fault_server() as running:
        running.manners.page_keys = 10
        for key, body in BODIES.items():
            running.put(SOURCE, key, body)
        yield running


@asynccontextmanager
async def proxied(server: FaultServer) -> AsyncIterator[FaultProxy]:
    """Run a proxy before the server that may alter requests, with a clock that does not wait."""

    async def sleep(_: float) -> None:
        """Wait for nothing."""

    async with fault_proxy(server.url, credentials={"AK": "secret"}, sleep=sleep) as proxy:
        yield proxy


def operation(proxy: FaultProxy, watch: Watch | None = None, **given: Any) -> S3CopyOperation:
    """Prepare a copy of the whole source bucket through the proxy."""
    account = Account(session=session_of("AK", "secret"), region=REGION, endpoint_url=proxy.url)
    options = quick(**given.pop("options", {}))
    return S3CopyOperation(
        SOURCE,
        given.pop("key", None),
        DESTINATION,
        None,
        recursive=given.pop("recursive", True),
        source=account,
        destination=account,
        options=options,
        observer=watch,
        **given,
    )


async def ended(prepared: S3CopyOperation) -> TransferMetrics:
    """Run an operation to whatever end; return its metrics."""
    try:
        return await prepared.run()
    except CopyFailedError as error:
        return error.metrics


def arrived(server: FaultServer) -> dict[str, bytes]:
    """Return what the destination holds."""
    return {key: stored.body for key, stored in server.objects[DESTINATION].items()}


def lost_uploads(proxy: FaultProxy) -> int:
    """Count the uploads that were begun and whose id never reached the client, at most."""
    return sum(
        call.operation == "CreateMultipartUpload" and call.fault is not None for call in proxy.calls
    )


@pytest.mark.parametrize("method", ["server_side", "relay"])
async def test_faults_that_pass_leave_no_trace(server: FaultServer, method: str) -> None:
    """A third of all requests go wrong, in every way that passes: every object arrives, whole."""
    async with proxied(server) as proxy:
        proxy.script = RandomFaults(7, 0.35, PASSING_FAULTS, max_in_a_row=1)
        metrics = await operation(proxy, options={"method": method}).run()
        assert arrived(server) == BODIES
        assert metrics.files_copied_successfully == metrics.total_files_found == len(BODIES)
        assert metrics.requests_sent == proxy.count()
        assert len(server.uploads) <= lost_uploads(proxy)
        assert len(proxy.faults) >= 10


async def test_a_run_can_be_repeated(server: FaultServer) -> None:
    """The same seed, another concurrency: each object's copies meet the same faults in turn."""
    met = []
    for concurrency in (2, 64):
        async with proxied(server) as proxy:
            proxy.script = RandomFaults(11, 0.3, PASSING_FAULTS, max_in_a_row=1)
            options = {"max_concurrent_requests": concurrency, "method": "server_side"}
            await operation(proxy, options=options).run()
            calls = (call for call in proxy.calls if call.operation == "CopyObject")
            met.append({(call.key, call.attempt): call.fault for call in calls})
    assert met[0] == met[1]
    assert any(met[0].values())


@pytest.mark.parametrize(
    "fault, code",
    [(OkWithError("AccessDenied"), "AccessDenied"), (Status(409, "Odd"), "Odd")],
    ids=["error-in-200", "status"],
)
async def test_a_refusal_is_that_objects_failure(
    server: FaultServer, fault: Fault, code: str
) -> None:
    """Refused copies are reported by key and code; all others arrive; nothing is left open."""
    watch = Watch()
    async with proxied(server) as proxy:
        proxy.script = refusing({"s/003", "s/017", "large"}, fault)
        with pytest.raises(CopyFailedError) as caught:
            await operation(proxy, watch, options={"method": "server_side"}).run()
    failed = {failure.source.key: failure.code for failure in caught.value.failures}
    assert failed == dict.fromkeys(("s/003", "s/017", "large"), code)
    assert arrived(server) == {key: body for key, body in BODIES.items() if key not in failed}
    metrics = caught.value.metrics
    assert metrics.total_files_found == metrics.files_copied_successfully + metrics.files_failed
    assert server.uploads == {}


def refusing(keys: set[str], fault: Fault) -> Callable[[Seen], Fault | None]:
    """Refuse the calls that write these keys."""
    return lambda seen: fault if seen.key in keys and seen.operation in COPIES else None


@pytest.mark.parametrize(
    "fault",
    [
        Skewed(3_600),
        WrongRegion("eu-central-1"),
        WrongRegion("eu-central-1", header=False, status=400),
    ],
    ids=str,
)
async def test_what_a_client_can_mend_it_mends(server: FaultServer, fault: Fault) -> None:
    """A bucket in another Region, a server with another clock: all objects arrive."""
    async with proxied(server) as proxy:
        proxy.script = lambda _: fault
        await operation(proxy).run()
        assert arrived(server) == BODIES
        assert proxy.faults[fault] > 0
        assert proxy.calls[-1].fault is None


@pytest.mark.parametrize(
    "fault",
    [
        WrongRegion("eu-central-1"),
        WrongRegion("eu-central-1", header=False, status=400),
        Skewed(3_600),
        Status(503, "SlowDown"),
    ],
    ids=str,
)
async def test_each_request_is_counted(server: FaultServer, fault: Fault) -> None:
    """A Region followed, a clock corrected, a retry: what is counted is what was received."""
    async with proxied(server) as proxy:
        proxy.next("CopyObject", fault)
        metrics = await operation(
            proxy, options={"method": "server_side", "max_concurrent_requests": 1}
        ).run()
        assert arrived(server) == BODIES
        assert metrics.requests_sent == proxy.count()


async def test_keys_that_expire_in_mid_run_end_it(server: FaultServer) -> None:
    """ExpiredToken for good: what is there is right, and the run ends with an error."""
    async with proxied(server) as proxy:
        proxy.script = lambda _: ExpiredToken() if proxy.count("CopyObject") > 10 else None
        prepared = operation(proxy, options={"method": "server_side"})
        with pytest.raises(S3CopyError, match=r"expired|accept"):
            await prepared.run()
        assert arrived(server).items() <= BODIES.items()
        assert 0 < len(arrived(server)) < len(BODIES)


async def test_a_hostile_redirect_copies_nothing_and_goes_nowhere(server: FaultServer) -> None:
    """A server that sends copies elsewhere: they fail, and the other server is not spoken to."""
    async with run_fault_server() as elsewhere, proxied(server) as proxy:
        url = f"{elsewhere.url}/{DESTINATION}/stolen"
        proxy.script = refusing(set(BODIES), Redirect(url))
        metrics = await ended(operation(proxy, options={"method": "server_side"}))
        assert metrics.files_failed == metrics.total_files_found == len(BODIES)
        assert arrived(server) == {}
        assert elsewhere.calls == []


# Listings --------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [RepeatedPage(), BackwardsPage()], ids=["repeated", "backwards"])
async def test_a_listing_that_does_not_get_on_ends(server: FaultServer, fault: Fault) -> None:
    """Pages that repeat or go back for ever: no endless loop, no key twice, and it is said."""
    watch = Watch()
    async with proxied(server) as proxy:
        proxy.script = lambda seen: fault if len(seen.query.get("continuation-token", "")) else None
        with pytest.raises(CopyFailedError, match="listing"):
            await operation(proxy, watch).run()
        assert proxy.count("ListObjectsV2") < 12
    written = Counter(str(outcome.destination) for outcome in watch.outcomes)
    assert set(written.values()) <= {1}
    assert arrived(server).items() <= BODIES.items()
    assert len(arrived(server)) == len(written) > 0


async def test_a_page_that_repeats_once_loses_and_doubles_nothing(server: FaultServer) -> None:
    """One page given twice: all objects arrive once, or the listing is reported as broken."""
    watch = Watch()
    async with proxied(server) as proxy:
        proxy.script = RandomFaults(3, 0.5, (RepeatedPage(), BackwardsPage()), max_in_a_row=1)
        metrics = await ended(operation(proxy, watch))
        assert sum(proxy.faults.values()) > 0
    counted = Counter(str(outcome.destination) for outcome in watch.outcomes)
    assert set(counted.values()) == {1}
    assert len(arrived(server)) == metrics.files_copied_successfully
    assert metrics.to_dict()["errors"] or arrived(server) == BODIES


async def test_a_server_that_ignores_start_after_loses_nothing(server: FaultServer) -> None:
    """Listed page by page instead, which is counted; each object is copied once."""
    many = {f"m/{number:04}": b"%d" % number for number in range(200)}
    for key, body in many.items():
        server.put(SOURCE, key, body)
    async with proxied(server) as proxy:
        fault = IgnoreParameters("start-after")
        proxy.always("ListObjectsV2", fault)
        metrics = await operation(proxy, options={"max_concurrent_requests": 64}).run()
        assert arrived(server) == {**BODIES, **many}
        assert proxy.count("CopyObject") == len(SMALL) + len(many)
        assert proxy.faults[fault] > 0
        assert metrics.degradations["serial_listing"] == 1


# Conditions ------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["server_side", "relay"])
async def test_a_server_that_ignores_if_none_match_replaces_nothing(
    server: FaultServer, method: str
) -> None:
    """overwrite=False looks first where the condition is ignored, and counts that it had to."""
    server.put(DESTINATION, "s/005", b"theirs")
    server.put(DESTINATION, "large", b"theirs, too")
    async with proxied(server) as proxy:
        for name in COPIES:
            proxy.always(name, IgnoreParameters("if-none-match"))
        metrics = await operation(proxy, overwrite=False, options={"method": method}).run()
        assert arrived(server) == {**BODIES, "s/005": b"theirs", "large": b"theirs, too"}
        assert metrics.files_skipped == 2
        assert metrics.degradations["unprotected_writes"] > 0


@pytest.mark.parametrize("ignores", [True, False])
async def test_a_source_that_changes_between_parts_is_never_mixed(
    server: FaultServer, ignores: bool
) -> None:
    """Overwritten after its first part: the copy is all new, or it has failed as changed."""
    new = b"n" * LARGE

    def overwrite(seen: Seen) -> Fault | None:
        if seen.operation == "UploadPartCopy" and server.count("UploadPartCopy") == 1:
            server.put(SOURCE, "large", new)
        if not ignores:
            return None
        return IgnoreParameters("x-amz-copy-source-if-match", "if-match")

    async with proxied(server) as proxy:
        proxy.script = overwrite
        options = {"method": "server_side", "max_concurrent_requests": 1}
        metrics = await ended(operation(proxy, key="large", recursive=False, options=options))
        assert server.objects[SOURCE]["large"].body == new
        assert arrived(server) in ({}, {"large": new})
        assert metrics.files_copied_successfully == len(arrived(server))
        assert server.uploads == {}
