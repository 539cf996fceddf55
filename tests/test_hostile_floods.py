"""A hostile endpoint cannot fill the memory: every answer that does not end is hung up on."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator, Callable
from typing import Final

import pytest
from aiohttp import web

from async_s3copy import S3CopyError
from tests.cancel_scenes import kept_clients
from tests.fault_answers import raw
from tests.fault_server import FaultServer, run_fault_server
from tests.harness import outcome_of
from tests.hostile import (
    BODY,
    DESTINATION,
    KEY,
    PATIENCE_BYTES,
    REQUESTS,
    SOURCE,
    Flood,
    operation,
)

CLIENTS: Final = ("wire", pytest.param("boto", marks=pytest.mark.stack_b))
OK: Final = b'HTTP/1.1 200 OK\r\nETag: "0"\r\n'
# Whole, the largest answer a client takes is 8 MiB; the sockets between the two hold some more.
FEW_BYTES: Final = 24 * 1024 * 1024

FLOODS: dict[str, Callable[[], Flood]] = {
    "a header without end": lambda: Flood(OK + b"x-amz-meta-a: ", b"a"),
    "headers without end": lambda: Flood(OK, b"x-amz-meta-a: 0123456789012345678901234567890\r\n"),
    "a status line without end": lambda: Flood(b"HTTP/1.1 200 ", b"a"),
    "a body without end": lambda: Flood(
        OK + b"Transfer-Encoding: chunked\r\n\r\n", b"4000\r\n" + b"a" * 0x4000 + b"\r\n"
    ),
    "a body without length": lambda: Flood(OK + b"Connection: close\r\n\r\n", b"<a>"),
    "a body of an exabyte": lambda: Flood(
        OK + b"Content-Length: 1152921504606846976\r\n\r\n", b"a"
    ),
    "an error without end": lambda: Flood(
        b"HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n<Error><Message>", b"a"
    ),
}


@pytest.fixture
async def endpoint() -> AsyncIterator[FaultServer]:
    """A server with one object."""
    async with run_fault_server() as running:
        running.put(SOURCE, KEY, BODY)
        yield running


@pytest.mark.parametrize("flood", FLOODS)
@pytest.mark.parametrize("client", CLIENTS)
async def test_an_answer_without_end_is_left(
    endpoint: FaultServer, client: str, flood: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever request it answers: a few megabytes are taken, then the request has failed."""
    async with kept_clients(monkeypatch):
        for name, way in REQUESTS:
            flooding = FLOODS[flood]()
            endpoint.always(name, flooding)
            found = await outcome_of(operation(endpoint, way, client).run())
            endpoint.obey(name)
            if flooding.sent_bytes >= FEW_BYTES:
                pytest.fail(f"{name} took {flooding.sent_bytes:,} bytes")
            # What follows the head of an answer that needs no body may be left unread.
            if name not in ("HeadObject", "PutObject", "UploadPart"):
                assert isinstance(found, S3CopyError), (name, found)


@pytest.mark.parametrize("size", [0, len(BODY)])
@pytest.mark.parametrize("flood", ["a body without end", "a body of an exabyte"])
@pytest.mark.parametrize("client", CLIENTS)
async def test_no_more_is_read_of_an_object_than_was_listed(
    endpoint: FaultServer, client: str, flood: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An object that grows while it is read, an empty one included, is never collected whole."""
    endpoint.put(SOURCE, KEY, bytes(size))
    flooding = FLOODS[flood]()
    endpoint.always("GetObject", flooding)
    async with kept_clients(monkeypatch):
        found = await outcome_of(operation(endpoint, "relay_put", client).run())
    assert isinstance(found, S3CopyError)
    assert flooding.sent_bytes < PATIENCE_BYTES // 4
    assert endpoint.objects[DESTINATION] == {}


@pytest.mark.parametrize("client", CLIENTS)
async def test_nothing_is_unpacked(
    endpoint: FaultServer, client: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A listing that is packed a thousand times smaller than it is, is no listing."""
    bomb = gzip.compress(b"<ListBucketResult>" + bytes(32 * 1024 * 1024))
    headers = {"Content-Encoding": "gzip"}

    async def answer(*_: object) -> web.StreamResponse:
        return web.Response(body=bomb, headers=headers)

    endpoint.always("ListObjectsV2", answer)
    async with kept_clients(monkeypatch):
        found = await outcome_of(operation(endpoint, "listing", client).run())
    assert isinstance(found, S3CopyError)
    assert endpoint.objects[DESTINATION] == {}


@pytest.mark.parametrize("wait", ["9" * 30, "9" * 400, "9" * 5_000, "-1", "1e308", "nan", "٣"])
@pytest.mark.parametrize("client", CLIENTS)
async def test_no_server_decides_how_long_is_waited(
    endpoint: FaultServer, client: str, wait: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Retry-After of a lifetime, or of no number, is bounded by ``retry_max_s``."""
    endpoint.next("CopyObject", raw(503, "", {"Retry-After": wait}))
    async with kept_clients(monkeypatch):
        given = operation(endpoint, "single", client)
        object.__setattr__(given.options, "max_attempts", 2)
        metrics = await given.run()
    assert metrics.files_copied_successfully == 1
