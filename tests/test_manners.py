"""Servers differ from AWS: parsed leniently, detected where it matters, never copied wrongly."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from async_s3copy import CopyFailedError, S3Error
from tests.fault_answers import error, raw
from tests.fault_server import FaultServer, error_response
from tests.real import LARGE
from tests.test_faults import BODY, DESTINATION, SOURCE, operation, server

pytestmark = pytest.mark.stack_b
__all__ = ["server"]


def arrived(server: FaultServer) -> dict[str, bytes]:
    """Return what the destination holds."""
    return {key: stored.body for key, stored in server.objects[DESTINATION].items()}


def uuids(_: bytes) -> str:
    """Return an ETag that is no MD5 of anything."""
    return uuid.uuid4().hex + "-not-md5"


ODDITIES: dict[str, dict[str, Any]] = {
    "unquoted ETags": {"quotes_etags": False},
    "no storage class": {"names_storage_class": False},
    "encoding-type ignored": {"encodes_listing": False},
    "one key a page": {"page_keys": 1},
    "truncated without token": {"page_keys": 1, "gives_tokens": False},
}


@pytest.mark.parametrize("method", ["server_side", "relay"])
@pytest.mark.parametrize("oddity", ODDITIES)
async def test_harmless_oddities_do_no_harm(server: FaultServer, oddity: str, method: str) -> None:
    """ETags without quotes, fields left out, small pages: everything arrives by both methods."""
    for name, value in ODDITIES[oddity].items():
        setattr(server.manners, name, value)
    server.put(SOURCE, "a b+c%2F&<ü>", b"odd key")
    await operation(server, options={"method": method}).run()
    assert arrived(server) == {"small": b"s", "large": BODY, "a b+c%2F&<ü>": b"odd key"}


async def test_listings_of_several_full_pages_arrive_complete(
    server: FaultServer, client_choice: str
) -> None:
    """More keys than a listing page holds arrive, each once, with one request each."""
    server.objects[SOURCE].clear()
    bodies = {f"n/{number:05}": b"%d" % number for number in range(1_050)}
    for key, body in bodies.items():
        server.put(SOURCE, key, body)
    metrics = await operation(server, batch_size=7).run()
    assert arrived(server) == bodies
    assert metrics.total_files_found == server.count("CopyObject") == 1_050
    learnt = client_choice == "wire"  # from a page of one key
    assert metrics.requests_sent == 1_050 + 3 + 1 + learnt


@pytest.mark.parametrize("method", ["server_side", "relay"])
async def test_etags_that_are_no_md5_are_no_obstacle(server: FaultServer, method: str) -> None:
    """Opaque ETags: everything arrives; a relay says that only the size is proven."""
    server.manners.etag_of = uuids
    server.put(SOURCE, "small", b"s")
    server.put(SOURCE, "large", BODY)
    metrics = await operation(server, options={"method": method}).run()
    assert arrived(server) == {"small": b"s", "large": BODY}
    degraded = metrics.degradations.get("verified_by_size", 0)
    assert degraded == (2 if method == "relay" else 0)


@pytest.mark.parametrize("method", ["server_side", "relay"])
async def test_etags_that_look_like_an_md5_and_are_none(server: FaultServer, method: str) -> None:
    """Random 32 hex digits as ETag, small objects: they arrive, and nothing is called damaged."""
    server.manners.etag_of = lambda _: uuid.uuid4().hex
    server.objects[SOURCE].clear()
    server.put(SOURCE, "small", b"s")
    await operation(server, options={"method": method}).run()
    assert arrived(server) == {"small": b"s"}


async def test_a_listing_that_repeats_itself_ends(server: FaultServer) -> None:
    """Pages that repeat for ever end the run with an error instead of never ending."""
    server.manners.page_keys = 1
    server.manners.repeats_pages = True
    with pytest.raises(CopyFailedError, match="repeats the same page for ever"):
        await operation(server).run()
    assert server.count("ListObjectsV2") < 10


async def test_a_condition_answered_501_falls_back_to_looking(server: FaultServer) -> None:
    """If-None-Match answered NotImplemented: existing objects stay, new ones arrive, counted."""
    server.put(DESTINATION, "small", b"old")

    async def picky(server: FaultServer, _: object, call: Any, handler: Any) -> Any:
        if "if-none-match" in call.headers:
            return error_501
        return await handler(server, call)

    error_501 = error_response(501, "NotImplemented")
    server.always("CopyObject", picky)
    server.put(SOURCE, "new", b"n")
    server.objects[SOURCE].pop("large")
    metrics = await operation(server, overwrite=False).run()
    assert arrived(server) == {"small": b"old", "new": b"n"}
    assert metrics.degradations == {"unprotected_writes": 1}
    assert (metrics.files_skipped, metrics.files_copied_successfully) == (1, 1)


@pytest.mark.parametrize("key", ["small", "large"])
async def test_a_server_that_always_refuses_the_pin(server: FaultServer, key: str) -> None:
    """copy-source-if-match refused for ever: copied without the pin, and counted as such."""

    async def refuse_pins(server: FaultServer, _: object, call: Any, handler: Any) -> Any:
        if "x-amz-copy-source-if-match" in call.headers:
            return await error(412, "PreconditionFailed")(server, None, call, handler)  # type: ignore[arg-type]
        return await handler(server, call)

    for name in ("CopyObject", "UploadPartCopy"):
        server.always(name, refuse_pins)
    metrics = await operation(server, key, options={"method": "server_side"}).run()
    assert arrived(server) == {key: server.objects[SOURCE][key].body}
    assert metrics.degradations == {"unpinned_copies": 1}
    assert server.uploads == {}


async def test_a_bare_403_lets_auto_relay(server: FaultServer) -> None:
    """A 403 without a body to auto's question who may read: it relays instead of failing."""
    server.next("GetObject", raw(403, ""))
    metrics = await operation(server).run()
    assert metrics.files_relayed == 2
    assert arrived(server) == {"small": b"s", "large": BODY}


@pytest.mark.parametrize("status, code", [(403, "AccessDenied"), (404, "NoSuchKey")])
async def test_a_bare_head_answer_for_a_single_object(
    server: FaultServer, status: int, code: str
) -> None:
    """HEAD has no body: the status alone becomes a code, and the operation fails validating."""
    server.always("HeadObject", raw(status, ""))
    with pytest.raises(S3Error) as caught:
        await operation(server, "small").run()
    assert (caught.value.code, caught.value.side) == (code, "source")
    assert arrived(server) == {}


async def test_the_request_limit_holds_on_the_wire(server: FaultServer) -> None:
    """Never more requests in flight than max_concurrent_requests, large parts included."""
    now, most = 0, 0

    async def counted(server: FaultServer, _: object, call: Any, handler: Any) -> Any:
        nonlocal now, most
        now += 1
        most = max(most, now)
        try:
            return await handler(server, call)
        finally:
            now -= 1

    for name in ("CopyObject", "UploadPartCopy", "UploadPart", "GetObject", "ListObjectsV2"):
        server.always(name, counted)
    for number in range(6):
        server.put(SOURCE, f"large-{number}", b"l" * LARGE)
    await operation(server, options={"max_concurrent_requests": 3}).run()
    assert 1 <= most <= 3
    assert len(arrived(server)) == 8
