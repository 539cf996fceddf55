"""A hostile listing cannot have anything copied that was not asked for, nor written elsewhere."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import pytest
from aiohttp import web

from async_s3copy import CopyFailedError, S3CopyError, S3Error
from tests.cancel_scenes import kept_clients
from tests.fault_server import Answer, Call, FaultServer, Handler, run_fault_server
from tests.harness import outcome_of
from tests.hostile import BODY, DESTINATION, SOURCE, listing_of, operation

CLIENTS: Final = ("wire", pytest.param("boto", marks=pytest.mark.stack_b))
WRITES: Final = ("CopyObject", "PutObject", "CreateMultipartUpload")


@pytest.fixture
async def endpoint() -> AsyncIterator[FaultServer]:
    """A server with objects within the prefix and outside of it."""
    async with run_fault_server() as running:
        for key in ("in/a", "in/b", "in/../up", "in//twice", "in//etc/passwd", "secret", "io/a"):
            running.put(SOURCE, key, BODY)
        running.put("other-bucket", "in/a", b"another's")
        yield running


@pytest.mark.parametrize(
    "keys",
    [
        ("secret",),
        ("in/a", "secret"),
        ("in/a", "secret", "in/b"),
        ("in/b", "in", "in/a"),
        ("/in/a",),
        ("../in/a",),
        ("IN/a",),
    ],
    ids=str,
)
@pytest.mark.parametrize("client", CLIENTS)
async def test_a_key_outside_of_the_prefix_ends_the_listing(
    endpoint: FaultServer, client: str, keys: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """First, last or between others: such a page is refused whole, and nothing of it is copied."""
    endpoint.always("ListObjectsV2", listing_of(*keys)())
    async with kept_clients(monkeypatch):
        found = await outcome_of(operation(endpoint, "listing", client).run())
    assert isinstance(found, S3CopyError)
    assert "ignores the prefix" in str(found)
    assert [call for call in endpoint.calls if call.operation in WRITES] == []


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_key_is_a_name_and_no_path(
    endpoint: FaultServer, client: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dots, slashes at the front and doubled ones stay what they are: below the destination."""
    endpoint.always("ListObjectsV2", listing_of("in/../up", "in//etc/passwd", "in//twice")())
    async with kept_clients(monkeypatch):
        await operation(endpoint, "listing", client).run()
    written = {(call.bucket, call.key) for call in endpoint.calls if call.operation in WRITES}
    keys = {"out/../up", "out//etc/passwd", "out//twice"}
    assert written == {(DESTINATION, key) for key in keys}


@pytest.mark.parametrize("client", CLIENTS)
async def test_the_bucket_a_listing_names_is_not_asked(
    endpoint: FaultServer, client: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the answer says of bucket and prefix changes nothing: the given ones are read."""
    more = "<Name>other-bucket</Name><Prefix>../</Prefix><Delimiter>x</Delimiter>"
    endpoint.always("ListObjectsV2", listing_of("in/a", more=more)())
    async with kept_clients(monkeypatch):
        await operation(endpoint, "listing", client).run()
    copies = [call for call in endpoint.calls if call.operation == "CopyObject"]
    assert {call.headers["x-amz-copy-source"] for call in copies} == {f"{SOURCE}/in/a"}
    assert endpoint.objects[DESTINATION]["out/a"].body == BODY


@pytest.mark.parametrize("client", CLIENTS)
async def test_an_upload_id_is_a_name_and_no_query(
    endpoint: FaultServer, client: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An id that would end the query, or the request, reaches the server as it came from it."""
    hostile = "x&amp;partNumber=99&amp;tagging#/../../other-bucket?a=b c%0d%0aX-Evil: 1"
    wanted = "x&partNumber=99&tagging#/../../other-bucket?a=b c%0d%0aX-Evil: 1"

    async def create(
        server: FaultServer, request: web.Request, call: Call, handler: Handler
    ) -> web.StreamResponse:
        text = f"<R><UploadId>{hostile}</UploadId></R>".replace(
            "R>", "InitiateMultipartUploadResult>"
        )
        return web.Response(text=text, content_type="application/xml")

    answer: Answer = create
    endpoint.put(SOURCE, "in/k", BODY)
    endpoint.always("CreateMultipartUpload", answer)
    async with kept_clients(monkeypatch):
        with pytest.raises((CopyFailedError, S3Error)):
            await operation(endpoint, "multipart", client).run()
    later = [call for call in endpoint.calls if "uploadId" in call.query]
    assert {call.operation for call in later} == {"UploadPartCopy", "AbortMultipartUpload"}
    assert {(call.bucket, call.key) for call in later} == {(DESTINATION, "out/k")}
    assert {call.query["uploadId"] for call in later} == {wanted}
    assert all("x-evil" not in call.headers for call in later)
