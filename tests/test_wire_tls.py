"""The wire over TLS: the same exchanges, and whom it trusts."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from pathlib import Path

import pytest

from async_s3copy.s3.wire.http import (
    ConnectionLostError,
    TlsError,
)
from tests.raw_server import OK, certificate, raw_server, server_context
from tests.wire_pools import (
    GET_REQUEST,
    on_both_loops,
    pool_to,
    put,
    read_all,
    served,
)

pytestmark = pytest.mark.stack_b

MIB = 1024 * 1024


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    """A key and certificate for localhost."""
    return certificate(tmp_path, "localhost")


def trusting(pem: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(pem))


@on_both_loops
async def test_exchanges_over_tls(pem: Path) -> None:
    """Requests, large bodies and streams go over TLS as they do without, on one connection."""
    body = hashlib.shake_128(b"seed").digest(5 * MIB)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    async with (
        raw_server(server_context(pem)) as server,
        pool_to(server, host="localhost", tls=trusting(pem)) as pool,
    ):
        assert await served(server, pool, put(body), head + body) == body
        peer = server.peers[0]
        answering = asyncio.create_task(peer.answer(head + body))
        async with pool.stream(GET_REQUEST) as response:
            assert await read_all(response) == body
        await answering
        assert pool.statistics().opened == 1


@on_both_loops
async def test_a_dead_connection_is_replaced_over_tls(pem: Path) -> None:
    """A kept-alive TLS connection that the server closes is replaced like any other."""
    async with (
        raw_server(server_context(pem)) as server,
        pool_to(server, host="localhost", tls=trusting(pem)) as pool,
    ):
        await served(server, pool, GET_REQUEST, OK)
        again = asyncio.create_task(pool.send(GET_REQUEST))
        await server.peers[0].request()
        server.peers[0].close()
        await (await server.accept()).answer(OK)
        assert (await again).body == b"ok"


@on_both_loops
async def test_an_unknown_certificate_is_refused(pem: Path) -> None:
    """A certificate that nobody trusted has signed ends the request, saying so."""
    async with (
        raw_server(server_context(pem)) as server,
        pool_to(server, host="localhost", tls=ssl.create_default_context()) as pool,
    ):
        with pytest.raises(TlsError, match=r"certificate was refused \(self.signed certificate"):
            await pool.send(GET_REQUEST)
        assert pool.statistics().open == 0


@on_both_loops
async def test_a_certificate_for_another_host_is_refused(pem: Path) -> None:
    """A trusted certificate must name the host that was asked for."""
    async with (
        raw_server(server_context(pem)) as server,
        pool_to(server, host="127.0.0.1", tls=trusting(pem)) as pool,
    ):
        with pytest.raises(TlsError, match=r"not valid for '127\.0\.0\.1'"):
            await pool.send(GET_REQUEST)


@on_both_loops
async def test_a_server_without_tls_is_refused(pem: Path) -> None:
    """A server that answers a handshake in plain HTTP is no TLS server."""
    async with raw_server() as server, pool_to(server, tls=trusting(pem)) as pool:
        sending = asyncio.create_task(pool.send(GET_REQUEST))
        peer = await server.accept()
        await peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        with pytest.raises(TlsError, match="handshake failed"):
            await sending


@pytest.mark.parametrize("polite", [False, True])
@on_both_loops
async def test_a_body_without_an_end_needs_tls_to_end_it(pem: Path, polite: bool) -> None:
    """A body that ends with its connection is whole only if TLS says so: a cut is no end."""
    async with (
        raw_server(server_context(pem)) as server,
        pool_to(server, host="localhost", tls=trusting(pem)) as pool,
    ):
        sending = asyncio.create_task(pool.send(GET_REQUEST))
        peer = await server.accept()
        await peer.answer(b"HTTP/1.1 200 OK\r\n\r\nabc")
        if polite:
            peer.close()
            assert (await sending).body == b"abc"
        else:
            peer.writer.transport.abort()
            with pytest.raises(ConnectionLostError):
                await sending
