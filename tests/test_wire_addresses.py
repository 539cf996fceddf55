"""Where the wire connects to: all addresses in turn, the dead ones last."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence

import pytest

from async_s3copy.s3.wire.addresses import Address, Addresses
from async_s3copy.s3.wire.http import ConnectError
from async_s3copy.s3.wire.pool import Pool
from tests.raw_server import RawServer, raw_server
from tests.wire_busy import Network, idle, sending, swallows
from tests.wire_pools import (
    GET_REQUEST,
    Timers,
    on_both_loops,
    pool_to,
    settle,
)

pytestmark = pytest.mark.stack_b

A, B, C = (Address(socket.AF_INET, (f"192.0.2.{n}", 443)) for n in (1, 2, 3))
V6 = Address(socket.AF_INET6, ("2001:db8::1", 443, 0, 0))


async def refuses() -> None:
    raise ConnectionRefusedError(111, "Connection refused")


@on_both_loops
async def test_connections_spread_over_all_addresses() -> None:
    """Each connection begins at the next address, of either family."""
    async with raw_server() as server:
        network = Network(server, A, B, V6)
        async with pool_to(server, max_connections=6, **network.settings()) as pool:
            await idle(server, pool, 6)
        assert network.dialled == [A, B, V6, A, B, V6]
        assert network.lookups == 1


@pytest.mark.parametrize("down", [refuses, swallows])
@on_both_loops
async def test_a_dead_address_is_passed_over(down: Callable[[], Awaitable[None]]) -> None:
    """A connection goes to the next address, and later ones try the dead one last."""
    async with raw_server() as server:
        network = Network(server, A, B, C)
        network.down = {A: down}
        async with pool_to(server, connect_timeout_s=0.05, **network.settings()) as pool:
            await idle(server, pool, 4)
        assert network.dialled == [A, B, B, C, B]


@on_both_loops
async def test_no_address_takes_a_connection() -> None:
    """The error names every address and why; the host is looked up again the next time."""
    async with raw_server() as server:
        network = Network(server, A, V6)
        network.down = {A: refuses, V6: swallows}
        async with pool_to(server, connect_timeout_s=0.05, **network.settings()) as pool:
            with pytest.raises(ConnectError) as failure:
                await pool.send(GET_REQUEST)
            assert str(failure.value) == (
                f"No connection to 127.0.0.1:{server.port} could be opened: "
                "192.0.2.1:443: Connection refused; "
                "[2001:db8::1]:443: no answer within 0.05 s (connect_timeout_s)."
            )
            assert pool.statistics().open == 0
            network.addresses, network.down = (B,), {}
            await idle(server, pool, 1)
        assert (network.dialled[-1], network.lookups) == (B, 2)


@on_both_loops
async def test_a_refused_port_is_a_connect_error() -> None:
    """A server that is not there is reported with its address, by the real network too."""
    async with raw_server() as server:
        pass
    async with pool_to(server) as pool:
        with pytest.raises(ConnectError, match=f"127.0.0.1:{server.port}: "):
            await pool.send(GET_REQUEST)


@on_both_loops
async def test_addresses_are_looked_up_every_minute() -> None:
    """New addresses are found after a minute; a lookup that fails keeps the known ones."""
    timers = Timers()
    async with raw_server() as server:
        network = Network(server, A)
        async with pool_to(
            server, max_connections=9, clock=timers.clock, **network.settings()
        ) as pool:
            for addresses in ((A,), (B,), ()):
                network.addresses = addresses
                await busy_until_closed(server, pool)
                timers.now_s += 60
            assert network.dialled == [A, B, B]
            assert network.lookups == 3


async def busy_until_closed(server: RawServer, pool: Pool) -> None:
    """Send one request whose connection is not kept."""
    task = sending(pool)
    await (await server.accept()).answer(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n")
    await task


@on_both_loops
async def test_an_unknown_host_is_a_connect_error() -> None:
    """A host without an address is reported by name."""
    async with raw_server() as server:
        network = Network(server)
        async with pool_to(server, **network.settings()) as pool:
            with pytest.raises(ConnectError, match=r"127\.0\.0\.1 could not be looked up: Name"):
                await pool.send(GET_REQUEST)


async def test_many_connections_wait_for_one_lookup() -> None:
    """Connections opened at once share a lookup, and one that is cancelled spoils it for none."""
    asked: list[asyncio.Future[Sequence[Address]]] = []

    async def resolve(host: str, port: int) -> Sequence[Address]:
        asked.append(asyncio.get_running_loop().create_future())
        return await asked[-1]

    addresses = Addresses("host", 1, resolve=resolve, clock=lambda: 0.0)
    tasks = [asyncio.create_task(addresses.in_turn()) for _ in range(5)]
    await settle()
    assert len(asked) == 1
    tasks[0].cancel()
    await settle()
    asked[1].set_result((A, B))
    assert [await task for task in tasks[1:]] == [[A, B], [B, A], [A, B], [B, A]]
    assert len(asked) == 2
