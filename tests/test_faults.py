"""A server that fails by script: each fault ends in the right outcome, counted as what it is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import pytest
from aiohttp.web import StreamResponse

from async_s3copy import Account, CopyFailedError, S3CopyOperation, TransferMetrics
from tests.fault_answers import error, raw, reset_after, reset_before, truncated_body
from tests.fault_server import Answer, Call, FaultServer, Handler, run_fault_server
from tests.real import LARGE, PART, quick, session_of
from tests.support import REGION

SOURCE, DESTINATION = "source-bucket", "destination-bucket"
BODY: Final = b"b" * LARGE

TRANSIENT: Final[dict[str, Callable[[], Answer]]] = {
    "200 InternalError": lambda: error(200, "InternalError"),
    "200 SlowDown": lambda: error(200, "SlowDown"),
    "200 spaces, then InternalError": lambda: error(200, "InternalError", lead=" \n" * 50),
    "200 truncated XML": lambda: raw(200, "<?xml version='1.0'?><CopyObjectResult><ETag>"),
    "200 empty": lambda: raw(200, ""),
    "200 without ETag": lambda: raw(200, "<Result></Result>"),
    "500 InternalError": lambda: error(500, "InternalError"),
    "500 empty": lambda: raw(500, ""),
    "502 from a proxy": lambda: raw(502, "<html><body>Bad Gateway</body></html>"),
    "503 SlowDown": lambda: error(503, "SlowDown"),
    "503 SlowDown, Retry-After": lambda: error(503, "SlowDown", headers={"Retry-After": "1"}),
    "503 empty": lambda: raw(503, ""),
    "504 empty": lambda: raw(504, ""),
    "429": lambda: error(429, "TooManyRequests"),
    "reset before": reset_before,
    "reset after": reset_after,
}
# S3 sends no 200 with an error for these two.
BODIES_ARE_DATA: Final = ("GetObject", "HeadObject", "PutObject", "UploadPart")
THROTTLED: Final = ("200 SlowDown", "503 SlowDown", "503 SlowDown, Retry-After", "503 empty", "429")


@pytest.fixture
async def server() -> AsyncIterator[FaultServer]:
    """A server with one small and one large object."""
    async with run_fault_server() as running:
        running.put(SOURCE, "small", b"s")
        running.put(SOURCE, "large", BODY)
        yield running


def operation(server: FaultServer, key: str | None = None, **given: Any) -> S3CopyOperation:
    """Prepare a copy of one object, or of the whole bucket."""
    account = Account(session=session_of("AK", "secret"), region=REGION, endpoint_url=server.url)
    options = quick(**given.pop("options", {}))
    return S3CopyOperation(
        SOURCE,
        key,
        DESTINATION,
        key,
        recursive=key is None,
        source=account,
        destination=account,
        options=options,
        **given,
    )


async def failure(prepared: S3CopyOperation) -> tuple[str, TransferMetrics]:
    """Run an operation whose one object must fail; return the code and the metrics."""
    with pytest.raises(CopyFailedError) as caught:
        await prepared.run()
    assert len(caught.value.failures) == 1
    return caught.value.failures[0].code, caught.value.metrics


REQUESTS = [
    ("CopyObject", "small", "server_side"),
    ("CreateMultipartUpload", "large", "server_side"),
    ("UploadPartCopy", "large", "server_side"),
    ("CompleteMultipartUpload", "large", "server_side"),
    ("ListObjectsV2", None, "server_side"),
    ("PutObject", "small", "relay"),
    ("UploadPart", "large", "relay"),
    ("GetObject", "small", "relay"),
    ("HeadObject", "large", "relay"),
]


def can_happen(name: str, fault: str) -> bool:
    """Tell whether a request can meet a fault: not every answer is XML."""
    if fault.startswith("200") and name in BODIES_ARE_DATA:
        return False
    # The first listing only asks whether the destination is there: any 200 will do.
    return name != "ListObjectsV2" or fault not in ("200 without ETag", "200 empty")


@pytest.mark.parametrize(
    "name, key, method, fault",
    [
        (*request, fault)
        for request in REQUESTS
        for fault in TRANSIENT
        if can_happen(request[0], fault)
    ],
)
async def test_a_passing_fault_is_retried(
    server: FaultServer, name: str, key: str | None, method: str, fault: str
) -> None:
    """One fault at any request: the copy completes, whole, with at least one retry counted."""
    server.next(name, TRANSIENT[fault]())
    metrics = await operation(server, key, options={"method": method}).run()
    wanted = (
        {"small": b"s", "large": BODY} if key is None else {key: server.objects[SOURCE][key].body}
    )
    assert {k: stored.body for k, stored in server.objects[DESTINATION].items()} == wanted
    assert metrics.requests_retried >= 1
    assert metrics.requests_sent == len(server.calls)
    assert metrics.requests_throttled == (fault in THROTTLED)
    # Also where the answer of Create was lost, and a second upload opened.
    assert server.uploads == {}


@pytest.mark.parametrize("code", ["InternalError", "SlowDown", "AccessDenied", "NoSuchKey"])
async def test_an_error_in_a_200_counts_as_its_code(server: FaultServer, code: str) -> None:
    """200 with an <Error>, for ever: the object fails with that code; only some are retried."""
    server.always("CopyObject", error(200, code, lead=" \n"))
    options = {"method": "server_side", "max_attempts": 3}
    found, metrics = await failure(operation(server, "small", options=options))
    assert found == code
    retried = code in ("InternalError", "SlowDown")
    assert server.count("CopyObject") == (3 if retried else 1)
    assert metrics.requests_throttled == (3 if code == "SlowDown" else 0)
    assert DESTINATION not in server.objects or not server.objects[DESTINATION]


@pytest.mark.parametrize(
    "name", ["UploadPartCopy", "CompleteMultipartUpload", "CreateMultipartUpload"]
)
async def test_a_multipart_copy_that_fails_for_good_is_aborted(
    server: FaultServer, name: str
) -> None:
    """Whatever step fails for good, no upload is left and nothing was written."""
    server.always(name, error(200 if name != "CreateMultipartUpload" else 403, "AccessDenied"))
    found, _ = await failure(operation(server, "large", options={"method": "server_side"}))
    assert found == "AccessDenied"
    assert server.uploads == {}
    assert not server.objects[DESTINATION]


async def test_a_completion_whose_answer_is_lost_for_good_is_recognised(
    server: FaultServer,
) -> None:
    """Complete succeeded, its answers are lost, retries see NoSuchUpload: it counts as copied."""
    server.next("CompleteMultipartUpload", reset_after())
    metrics = await operation(server, "large").run()
    assert metrics.files_copied_successfully == 1
    assert server.objects[DESTINATION]["large"].body == BODY
    assert server.count("AbortMultipartUpload") == 0


async def test_a_lost_answer_under_overwrite_false_is_our_own_object(server: FaultServer) -> None:
    """The copy arrived, the answer did not, and If-None-Match now refuses: copied, not skipped."""
    server.put(SOURCE, "first", b"f")
    await operation(server, "first", overwrite=False).run()
    server.next("CopyObject", reset_after())
    metrics = await operation(server, "small", overwrite=False).run()
    assert server.objects[DESTINATION]["small"].body == b"s"
    assert metrics.files_copied_successfully == 1


@pytest.mark.parametrize("key", ["small", "large"])
async def test_a_truncated_body_is_read_again(server: FaultServer, key: str) -> None:
    """A GET that ends early is retried; what arrives is whole."""
    server.next("GetObject", truncated_body(0 if key == "small" else PART // 2))
    metrics = await operation(server, key, options={"method": "relay"}).run()
    assert server.objects[DESTINATION][key].body == server.objects[SOURCE][key].body
    assert metrics.requests_retried == 1


async def test_a_body_that_is_always_truncated_fails(server: FaultServer) -> None:
    """A GET that never arrives whole fails the object; nothing is written."""
    server.always("GetObject", truncated_body(0))
    options = {"method": "relay", "max_attempts": 2}
    _, metrics = await failure(operation(server, "small", options=options))
    assert not server.objects[DESTINATION]
    assert metrics.requests_retried == 1


async def test_damaged_bytes_never_become_an_object(server: FaultServer) -> None:
    """A GET that brings other bytes than the ETag tells fails the object: nothing is written."""
    etag = f'"{server.objects[SOURCE]["small"].etag}"'
    server.next("GetObject", raw(200, "X", {"ETag": etag}))
    code, _ = await failure(operation(server, "small", options={"method": "relay"}))
    assert code == "IntegrityMismatch"
    assert not server.objects[DESTINATION]


async def rightly(server: FaultServer, _: object, call: Call, handler: Handler) -> StreamResponse:
    """Answer by S3's rules: a place-holder in a script."""
    return await handler(server, call)


@pytest.mark.parametrize("body", ["", "<Result></Result>"], ids=["empty", "something-else"])
async def test_an_empty_answer_is_no_empty_bucket(server: FaultServer, body: str) -> None:
    """A 200 without a ListBucketResult must not pass for a source without objects."""
    server.next("ListObjectsV2", rightly, raw(200, body))
    metrics = await operation(server).run()
    assert metrics.files_copied_successfully == 2


async def test_a_listing_that_fails_midway_copies_what_it_found(
    server: FaultServer, client_choice: str
) -> None:
    """The second page fails for good: the first page's objects arrive, and the run has failed."""
    server.manners.page_keys = 1
    server.next("ListObjectsV2", rightly, rightly)
    if client_choice == "wire":  # which learns from a page of one key first
        server.next("ListObjectsV2", rightly)
    server.always("ListObjectsV2", error(500, "InternalError"))
    with pytest.raises(CopyFailedError, match="the listing of s3://source-bucket/ broke off") as e:
        await operation(server, options={"max_attempts": 2}).run()
    assert e.value.metrics.files_copied_successfully == 1
    assert list(server.objects[DESTINATION]) == ["large"]
