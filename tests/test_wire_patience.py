"""How long the wire waits: for a sign of life, and for the end of an answer."""

from __future__ import annotations

import asyncio

import pytest
from aiobotocore.session import AioSession
from hypothesis import given
from hypothesis import strategies as st

from async_s3copy import Account, CopyOptions, S3ConnectionError
from async_s3copy.s3.boto import BotoClient
from async_s3copy.s3.session import s3_client_context
from async_s3copy.s3.wire.http import ReadTimeoutError
from async_s3copy.s3.wire.patience import patience
from tests.raw_server import OK, raw_server
from tests.virtual_time import VirtualLoop, run
from tests.wire_pools import (
    GET_REQUEST,
    Timers,
    on_both_loops,
    pool_to,
    put,
    until,
)

pytestmark = pytest.mark.stack_b

MIB = 1024 * 1024


@on_both_loops
async def test_silence_ends_a_request() -> None:
    """A server that says nothing for the read timeout loses the request and the connection."""
    timers = Timers()
    async with (
        raw_server() as server,
        pool_to(server, read_timeout_s=30, call_later=timers.call_later) as pool,
    ):
        sending = asyncio.create_task(pool.send(GET_REQUEST))
        peer = await server.accept()
        await peer.request()
        timers.tick(patience(30).silent_ticks - 1)
        assert not sending.done()
        timers.tick()
        with pytest.raises(ReadTimeoutError, match=r"silent for 30 s \(read_timeout_s\)"):
            await sending
        assert await peer.gone() == b""


@on_both_loops
async def test_a_byte_is_a_sign_of_life() -> None:
    """A slow answer that goes on arriving is no silence; one that never ends is cut off."""
    timers = Timers()
    limits = patience(30)
    async with (
        raw_server() as server,
        pool_to(server, read_timeout_s=30, call_later=timers.call_later) as pool,
    ):
        sending = asyncio.create_task(pool.send(GET_REQUEST))
        peer = await server.accept()
        await peer.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n")
        connection = next(iter(pool._live))
        for _ in range(limits.total_ticks // (limits.silent_ticks - 1)):
            seen = connection._parser.body_bytes
            await peer.send(b" ")
            await until(lambda seen=seen: connection._parser.body_bytes > seen)  # type: ignore[misc]
            timers.tick(limits.silent_ticks - 1)
            assert not sending.done()
        timers.tick(limits.silent_ticks - 1)
        with pytest.raises(ReadTimeoutError):
            await sending


@on_both_loops
async def test_an_upload_that_moves_is_a_sign_of_life() -> None:
    """While the server takes the body, its silence is not counted."""
    timers = Timers()
    ticks = patience(30).silent_ticks - 1
    body = bytes(32 * MIB)
    async with (
        raw_server() as server,
        pool_to(server, read_timeout_s=30, call_later=timers.call_later) as pool,
    ):
        sending = asyncio.create_task(pool.send(put(body)))
        peer = await server.accept()
        await peer.reader.readuntil(b"\r\n\r\n")
        for _ in range(4):
            timers.tick(ticks)
            await peer.reader.readexactly(8 * MIB)
        timers.tick(ticks)
        await peer.send(OK)
        assert (await sending).status == 200


def test_a_drip_has_an_end_on_the_reference_client_too() -> None:
    """aiohttp forgives an answer any drip; after twenty read timeouts it counts as lost."""

    async def drip(loop: VirtualLoop) -> float:
        async def for_ever(**_: object) -> None:
            await asyncio.Event().wait()

        session = AioSession()
        session.set_credentials("AK", "secret")
        account = Account(session=session, region="eu-west-1", endpoint_url="http://127.0.0.1:9")
        options = CopyOptions(read_timeout_s=30)
        async with s3_client_context(session, account, options) as entered:
            entered.meta.events.register("before-send.s3", for_ever)
            began = loop.time()
            with pytest.raises(S3ConnectionError, match="20 read timeouts") as caught:
                await BotoClient(entered, "source", session).head_object("b", "k")
        assert caught.value.code == "ReadTimeout"
        return loop.time() - began

    assert run(drip) == pytest.approx(600, abs=2)


@given(st.floats(0.01, 3600))
def test_patience_lasts_as_long_as_asked(read_timeout_s: float) -> None:
    """Silence is given its whole time though the first tick may come at once, and little more."""
    limits = patience(read_timeout_s)
    assert read_timeout_s <= (limits.silent_ticks - 1) * limits.tick_s * (1 + 1e-9)
    assert limits.silent_ticks * limits.tick_s <= read_timeout_s + 2 * limits.tick_s
    assert 0.05 <= limits.tick_s <= 1
    assert limits.total_ticks == 20 * limits.silent_ticks
