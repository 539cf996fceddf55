"""The fault-injecting proxy: what it is not told to alter passes as it is, and nothing is left."""

from __future__ import annotations

import asyncio
import hashlib
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiobotocore.config import AioConfig
from botocore.exceptions import ClientError, ConnectionClosedError, EndpointConnectionError

from async_s3copy.testing import (
    Delay,
    Exchange,
    Fault,
    FaultProxy,
    Hold,
    IgnoreParameters,
    ProxyError,
    ResetBefore,
    Seen,
    Status,
    fault_proxy,
)
from async_s3copy.testing.seaweedfs import Identity
from tests.fault_server import FaultServer, run_fault_server
from tests.hostile_keys import MOTO, keys_for
from tests.raw_server import raw_server
from tests.real import session_of
from tests.support import (
    REGION,
    S3Server,
    Stored,
    list_keys,
    make_buckets,
    open_client,
    put_multipart,
    put_object,
    read_object,
)

if TYPE_CHECKING:
    from types_aiobotocore_s3.client import S3Client

pytestmark = pytest.mark.stack_b

MIB = 1024 * 1024
ADMIN = Identity("admin", "AK", "secret")
RICH = Stored(
    headers={"content-type": "text/x", "cache-control": "no-cache", "content-encoding": "gzip"},
    metadata={"camera": "x100", "note": "a=b; c & d"},
    tags={"kind": "photo", "project": "A & B"},
)


@asynccontextmanager
async def before(upstream: S3Server) -> AsyncIterator[tuple[FaultProxy, S3Client]]:
    """Run a proxy before a server, and a plain client of its admin through it."""
    admin = upstream.admin
    keys = {admin.access_key_id: admin.secret_access_key}
    async with (
        fault_proxy(upstream.endpoint_url, credentials=keys) as proxy,
        open_client(proxy.url, admin) as client,
    ):
        yield proxy, client


@pytest.fixture
async def scripted() -> AsyncIterator[FaultServer]:
    """A server in this process, with one object."""
    async with run_fault_server() as running:
        running.put("bucket", "key", b"body")
        yield running


@asynccontextmanager
async def proxied(
    scripted: FaultServer, **given: Any
) -> AsyncIterator[tuple[FaultProxy, S3Client]]:
    """Run a proxy before the scripted server, and a plain client through it."""
    async with fault_proxy(scripted.url, **given) as proxy, open_client(proxy.url, ADMIN) as client:
        yield proxy, client


# Passing on ------------------------------------------------------------------------------------


async def test_what_passes_is_what_was_sent(seaweedfs: S3Server) -> None:
    """Objects written, copied and listed through the proxy are those a direct client sees."""
    parts = [b"p" * 5 * MIB, b"q" * 1_234_567]
    async with before(seaweedfs) as (proxy, client), seaweedfs.client() as direct:
        buckets = await make_buckets(client)
        bucket = buckets.source
        put = await put_object(client, bucket, "small", Stored(**{**vars_of(RICH), "body": b"s"}))
        large = await put_multipart(client, bucket, "large", parts, RICH)
        source = {"Bucket": bucket, "Key": "large"}
        await client.copy_object(Bucket=bucket, Key="copied", CopySource=source)  # type: ignore[arg-type]
        for key, etag in (("small", put), ("large", large), ("copied", None)):
            through = await read_object(client, bucket, key)
            assert through == await read_object(direct, bucket, key)
            assert etag in (None, through.etag)
        assert (await read_object(client, bucket, "large")).body == b"".join(parts)
        assert await list_keys(client, bucket) == await list_keys(direct, bucket)
        assert all(call.fault is None for call in proxy.calls)
        assert proxy.count() == len(proxy.calls)
        assert proxy.count("UploadPart") == 2


def vars_of(stored: Stored) -> dict[str, Any]:
    return {name: getattr(stored, name) for name in ("headers", "metadata", "tags")}


async def test_heads_and_ranges_pass(seaweedfs: S3Server) -> None:
    """A HEAD keeps its length without a body; a range of a large object brings that range."""
    body = bytes(range(256)) * 8192
    async with before(seaweedfs) as (_, client):
        bucket = (await make_buckets(client)).source
        await put_object(client, bucket, "k", body)
        head = await client.head_object(Bucket=bucket, Key="k")
        assert head["ContentLength"] == len(body)
        answer = await client.get_object(Bucket=bucket, Key="k", Range="bytes=1000000-1999999")
        async with answer["Body"] as stream:
            assert await stream.read() == body[1_000_000:2_000_000]
        assert answer["ContentRange"] == f"bytes 1000000-1999999/{len(body)}"


async def test_hostile_keys_pass_byte_for_byte(moto: S3Server) -> None:
    """Keys that break URLs arrive as they are, and are seen as they are."""
    async with before(moto) as (proxy, client), moto.client() as direct:
        bucket = (await make_buckets(direct)).source
        for key in HOSTILE:
            await put_object(client, bucket, key, key.encode())
        assert sorted(await list_keys(direct, bucket)) == sorted(HOSTILE)
        assert [call.key for call in proxy.calls] == HOSTILE
        for key in HOSTILE:
            assert await body_of(client, bucket, key) == key.encode()


# A sample: that clients send every such key right is for other tests.
HOSTILE = keys_for(MOTO, in_xml=True)[::4]


@pytest.mark.parametrize("size", [0, 1, 3 * MIB])
@pytest.mark.parametrize("signs", [True, False])
async def test_botocores_chunked_bodies_pass(seaweedfs: S3Server, size: int, signs: bool) -> None:
    """Bodies in aws-chunked form, behind Expect: 100-continue, arrive whole."""
    body = b"c" * size
    async with before(seaweedfs) as (proxy, admin):
        bucket = (await make_buckets(admin)).source
        config = AioConfig(
            s3={"addressing_style": "path", "payload_signing_enabled": signs},
            request_checksum_calculation="when_supported",
        )
        keys = seaweedfs.admin
        session = session_of(keys.access_key_id, keys.secret_access_key)
        async with session.create_client(
            "s3", region_name=REGION, endpoint_url=proxy.url, config=config
        ) as client:
            await client.put_object(Bucket=bucket, Key="k", Body=body, ChecksumAlgorithm="SHA256")
        sent = next(call for call in proxy.calls if call.operation == "PutObject")
        assert sent.headers["expect"] == "100-continue"
        answer = await admin.get_object(Bucket=bucket, Key="k")
        async with answer["Body"] as stream:
            assert await stream.read() == body


async def test_a_chunked_body_without_a_length_passes(scripted: FaultServer) -> None:
    """Transfer-Encoding: chunked in the request: the server reads the same bytes."""

    async def pieces() -> AsyncIterator[bytes]:
        for number in range(5):
            yield b"%d" % number * 100_000

    async with fault_proxy(scripted.url) as proxy, aiohttp.ClientSession() as session:
        async with session.put(f"{proxy.url}/bucket/chunked", data=pieces()) as answer:
            assert answer.status == 200
        stored = scripted.objects["bucket"]["chunked"].body
        assert (
            hashlib.md5(stored).digest()
            == hashlib.md5(b"".join([p async for p in pieces()])).digest()
        )


async def test_a_server_that_dies_in_mid_answer_is_passed_on_as_that() -> None:
    """Half a body from the server is half a body to the client, and no answer is made up."""
    async with (
        raw_server() as raw,
        fault_proxy(f"http://127.0.0.1:{raw.port}") as proxy,
        aiohttp.ClientSession() as session,
        asyncio.TaskGroup() as group,
    ):
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n"
        served = group.create_task(raw.answer(head + b"x" * 100_000))
        async with session.get(f"{proxy.url}/bucket/key") as answer:
            (await served).close()
            with pytest.raises(aiohttp.ClientPayloadError):
                await answer.read()


async def test_a_server_that_is_not_there_is_a_reset() -> None:
    """No server behind the proxy: the client's connection ends, and nothing is logged or left."""
    async with fault_proxy("http://127.0.0.1:1") as proxy, aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectionError):
            await session.get(f"{proxy.url}/bucket/key")
        assert proxy.calls[0].fault is None


async def test_what_cannot_pass_is_refused_aloud() -> None:
    """A header that is no UTF-8 would arrive as another: the proxy says so instead."""
    with pytest.raises(ProxyError, match="header X-Amz-Meta-A holds bytes that are no UTF-8"):
        await send_raw(b"GET /b/k HTTP/1.1\r\nHost: x\r\nX-Amz-Meta-A: caf\xe9\r\n\r\n")


async def send_raw(request: bytes) -> None:
    """Send bytes to a proxy that has no server."""
    async with fault_proxy("http://127.0.0.1:1") as proxy:
        await is_reset(proxy, request)


async def is_reset(proxy: FaultProxy, request: bytes) -> None:
    """Send bytes, and see them answered by an RST."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(proxy.url.rpartition(":")[2]))
    writer.write(request)
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()
    with pytest.raises(ConnectionResetError):
        await writer.wait_closed()


# Scripts ---------------------------------------------------------------------------------------


async def code_of(client: S3Client, key: str = "key") -> str:
    """Get an object; return the code it was refused with, or its body."""
    try:
        return (await body_of(client, "bucket", key)).decode()
    except ClientError as error:
        return str(error.response["Error"]["Code"])


async def body_of(client: S3Client, bucket: str, key: str) -> bytes:
    answer = await client.get_object(Bucket=bucket, Key=key)
    async with answer["Body"] as stream:
        return bytes(await stream.read())


async def test_next_goes_before_always_and_always_before_the_script(scripted: FaultServer) -> None:
    """The three ways to script, and what ends each; the calls tell what was done."""
    async with proxied(scripted) as (proxy, client):
        proxy.next("GetObject", Status(500, "One"), Status(500, "Two"))
        proxy.always("GetObject", Status(500, "Always"))
        proxy.script = lambda seen: Status(500, seen.operation)
        assert [await code_of(client) for _ in range(4)] == ["One", "Two", "Always", "Always"]
        proxy.always("GetObject", None)
        assert await code_of(client) == "GetObject"
        proxy.script = None
        assert await code_of(client) == "body"
        assert [call.fault for call in proxy.calls][3:] == [
            Status(500, "Always"),
            Status(500, "GetObject"),
            None,
        ]
        assert proxy.faults[Status(500, "Always")] == 2
        assert scripted.count("GetObject") == 1


async def test_attempts_are_counted_for_each_request_of_its_own(scripted: FaultServer) -> None:
    """The same call again is another attempt; another key or range is another request."""
    async with proxied(scripted) as (proxy, client):
        for byte_range in ("0-3", "0-3", "0-1", "0-1", "0-3"):
            await client.get_object(Bucket="bucket", Key="key", Range=f"bytes={byte_range}")
        await code_of(client, "other")
        assert [call.attempt for call in proxy.calls] == [0, 1, 0, 1, 2, 0]


async def test_a_delay_waits_by_the_clock_it_was_given(scripted: FaultServer) -> None:
    """Delay waits with the proxy's sleep, for its seconds, and then passes on."""
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    async with proxied(scripted, sleep=sleep) as (proxy, client):
        proxy.next("GetObject", Delay(3_600.0))
        assert await code_of(client) == "body"
        assert waited == [3_600.0]


def holding(arrived: asyncio.Event, until: asyncio.Event) -> Callable[[Seen], Fault | None]:
    """Hold what asks for ``key``, and tell when it has come."""

    def script(seen: Seen) -> Fault | None:
        if seen.key != "key":
            return None
        arrived.set()
        return Hold(until)

    return script


async def test_a_held_request_goes_on_when_it_is_let_go(scripted: FaultServer) -> None:
    """Hold keeps a request from the server until its event is set."""
    arrived, let_go = asyncio.Event(), asyncio.Event()
    async with proxied(scripted) as (proxy, client), asyncio.TaskGroup() as group:
        proxy.script = holding(arrived, let_go)
        held = group.create_task(code_of(client))
        await arrived.wait()
        assert await code_of(client, "other") == "NoSuchKey"
        assert not held.done()
        let_go.set()
        assert await held == "body"
        assert [call.key for call in scripted.calls] == ["other", "key"]


async def test_a_request_held_for_ever_ends_with_the_proxy(scripted: FaultServer) -> None:
    """Leaving the block cuts what is held back; no task and no connection is left."""
    arrived = asyncio.Event()
    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
        async with fault_proxy(scripted.url) as proxy:
            proxy.script = holding(arrived, asyncio.Event())
            held = group.create_task(is_cut(session, f"{proxy.url}/bucket/key"))
            await arrived.wait()
        assert await held
    assert scripted.calls == []


async def is_cut(session: aiohttp.ClientSession, url: str) -> bool:
    """Tell whether a request ends without an answer."""
    try:
        async with session.get(url):
            return False
    except aiohttp.ClientConnectionError:
        return True


async def test_a_fault_of_your_own_is_a_class(scripted: FaultServer) -> None:
    """What a test needs and the kit has not is a few lines."""

    class Shouting(Fault):
        async def apply(self, exchange: Exchange) -> Any:
            whole = await exchange.fetch()
            return await exchange.answer(whole.status, whole.body.upper())

    async with proxied(scripted) as (proxy, client):
        proxy.next("GetObject", Shouting())
        assert await code_of(client) == "BODY"


async def test_a_script_that_raises_fails_the_test(scripted: FaultServer) -> None:
    """The client sees a reset, and the end of the block raises what the script did."""

    def broken(_: Seen) -> Fault:
        raise LookupError("no such fault")

    with pytest.raises(LookupError, match="no such fault"):
        await cut_by(scripted, broken)


async def cut_by(scripted: FaultServer, script: Callable[[Seen], Fault]) -> None:
    """Run a proxy whose script ends a signed listing without an answer."""
    async with proxied(scripted) as (proxy, client):
        proxy.script = script
        with pytest.raises((ConnectionClosedError, EndpointConnectionError)):
            await client.list_objects_v2(Bucket="bucket", StartAfter="a")


async def test_altering_a_request_needs_its_keys(scripted: FaultServer) -> None:
    """IgnoreParameters without credentials is an error that says what is missing."""
    with pytest.raises(ProxyError, match=r"ListObjectsV2 needs the secret key .* credentials"):
        await cut_by(scripted, lambda _: IgnoreParameters("start-after"))


async def test_an_altered_request_is_signed_anew(seaweedfs: S3Server) -> None:
    """A server that checks signatures takes requests without what was to be ignored."""
    async with before(seaweedfs) as (proxy, client):
        bucket = (await make_buckets(client)).source
        for key in ("a", "b"):
            await put_object(client, bucket, key, key.encode())
        proxy.always("ListObjectsV2", IgnoreParameters("start-after", "max-keys"))
        ignored = await client.list_objects_v2(Bucket=bucket, StartAfter="a", MaxKeys=1)
        assert [item["Key"] for item in ignored["Contents"]] == ["a", "b"]
        proxy.always("PutObject", IgnoreParameters("If-None-Match"))
        await client.put_object(Bucket=bucket, Key="a", Body=b"new", IfNoneMatch="*")
        assert (await read_object(client, bucket, "a")).body == b"new"
        proxy.always("CopyObject", IgnoreParameters("x-amz-copy-source-if-match"))
        source: Any = {"Bucket": bucket, "Key": "a"}
        await client.copy_object(
            Bucket=bucket, Key="c", CopySource=source, CopySourceIfMatch="0" * 32
        )
        assert (await read_object(client, bucket, "c")).body == b"new"


async def test_calls_are_not_kept_where_nobody_wants_them(scripted: FaultServer) -> None:
    """A run of millions of requests counts them, and keeps none."""
    async with proxied(scripted, keeps_calls=False) as (proxy, client):
        await code_of(client)
        assert (proxy.calls, proxy.count("GetObject"), proxy.counts()) == ([], 1, {"GetObject": 1})


async def test_a_reset_is_a_reset(scripted: FaultServer) -> None:
    """ResetBefore closes with an RST, as a host that dies does, and the server hears nothing."""
    async with fault_proxy(scripted.url) as proxy:
        proxy.next("GetObject", ResetBefore())
        await is_reset(proxy, b"GET /bucket/key HTTP/1.1\r\nHost: x\r\n\r\n")
    assert scripted.calls == []


async def test_signed_chunks_cannot_be_altered(scripted: FaultServer) -> None:
    """A body whose chunks are signed one by one would not fit another signature: it is said."""
    scope = "AK/20240102/us-east-1/s3/aws4_request"
    request = (
        "PUT /bucket/new HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nIf-None-Match: *\r\n"
        "X-Amz-Content-SHA256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD\r\nAuthorization: "
        f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0\r\n\r\n"
    )
    with pytest.raises(ProxyError, match="each chunk of its body is signed"):
        await alter(scripted, request.encode())
    assert scripted.calls == []


async def alter(scripted: FaultServer, request: bytes) -> None:
    async with fault_proxy(scripted.url, credentials={"AK": "secret"}) as proxy:
        proxy.always("PutObject", IgnoreParameters("if-none-match"))
        await is_reset(proxy, request)


# As a process ----------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["signal", "eof"])
async def test_it_runs_as_a_process_of_its_own(scripted: FaultServer, end: str) -> None:
    """The command prints its URL, injects by its seed, and ends at once with a summary."""
    command = [sys.executable, "-m", "async_s3copy.testing.proxy", "--upstream", scripted.url]
    process = await asyncio.create_subprocess_exec(
        *command,
        *("--rate", "1", "--mix", "all", "--max-in-a-row", "0", "--until-eof"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    url = (await process.stdout.readline()).decode().strip()
    async with open_client(url, ADMIN) as client:
        assert await code_of(client) == "body"
    if end == "signal":
        process.send_signal(signal.SIGTERM)
    else:
        process.stdin.close()
    assert json.loads(await process.stdout.read()) == {"requests": {"GetObject": 1}, "faults": {}}
    assert await process.wait() == 0
    process.stdin.close()
