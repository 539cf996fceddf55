"""Dialer: opens connections to an endpoint, at whichever of its addresses takes one."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

from async_s3copy.s3.wire.addresses import Address, Addresses
from async_s3copy.s3.wire.connection import Connection
from async_s3copy.s3.wire.http import ConnectError, TlsError
from async_s3copy.s3.wire.route import Origin

Connect = Callable[[Address], Awaitable[socket.socket]]

# A dead data centre must not cost a request one timeout per address; the retry begins elsewhere.
_MAX_ATTEMPTS: Final = 4

# The peer hung up during the handshake: a matter of that address, not of certificates.
_HUNG_UP: Final = (ssl.SSLEOFError, ssl.SSLSyscallError, ssl.SSLZeroReturnError)


async def connected_socket(address: Address) -> socket.socket:
    """Return a socket connected to an address.

    Cancelled, it leaves no socket open.

    Raises:
        OSError: The address refused, or cannot be reached.
    """
    sock = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        await asyncio.get_running_loop().sock_connect(sock, address.sockaddr)
    except BaseException:
        sock.close()
        raise
    return sock


class Dialer:
    """Open connections, one address after the other until one takes it.

    Args:
        origin: The endpoint; its host is what a certificate must name.
        addresses: Its addresses.
        tls: TLS settings; ``None`` for plain HTTP.
        timeout_s: Bound on the lookup, and on each address's connect and handshake together.
        protocol: Makes the protocol of a new connection.
        connect: Connects a socket.
    """

    def __init__(
        self,
        origin: Origin,
        addresses: Addresses,
        *,
        tls: ssl.SSLContext | None,
        timeout_s: float,
        protocol: Callable[[], Connection],
        connect: Connect = connected_socket,
    ) -> None:
        self._origin = origin
        self._addresses = addresses
        self._tls = tls
        self._timeout_s = timeout_s
        self._protocol = protocol
        self._connect = connect
        self._peer = f"{origin.host}:{origin.port}"
        self._waits: set[asyncio.Timeout] = set()
        self._closed = False

    async def dial(self) -> Connection:
        """Open a connection.

        Cancelled, it leaves no socket open.

        Raises:
            ConnectError: The host cannot be looked up, no address took the connection, or the
                dialer was closed meanwhile.
            TlsError: A server's certificate was refused, or it does not speak TLS.
        """
        failures: list[str] = []
        for address in await self._candidates():
            try:
                return await self._open(address)
            except OSError as error:
                self._check_trust(error)
                self._addresses.failed(address)
                failures.append(f"{address}: {self._reason(error)}")
        self._check_open()
        tried = "; ".join(failures) or "it has no address"
        raise ConnectError(f"No connection to {self._peer} could be opened: {tried}.")

    def close(self) -> None:
        """End what is being dialled, and dial no more; the dials end by their error."""
        self._closed = True
        for wait in self._waits:
            if not wait.expired():
                wait.reschedule(0)

    async def _candidates(self) -> Sequence[Address]:
        try:
            async with self._bounded():
                return (await self._addresses.in_turn())[:_MAX_ATTEMPTS]
        except OSError as error:
            self._check_open()
            raise ConnectError(
                f"The host {self._origin.host} could not be looked up: {self._reason(error)}."
            ) from error

    async def _open(self, address: Address) -> Connection:
        connection = self._protocol()
        async with self._bounded():
            sock = await self._connect(address)
            try:
                await asyncio.get_running_loop().create_connection(
                    lambda: connection,
                    sock=sock,
                    ssl=self._tls,
                    server_hostname=self._origin.host if self._tls else None,
                    ssl_handshake_timeout=self._timeout_s if self._tls else None,
                )
            except BaseException:
                # Left to itself, the transport would close politely: over TLS it awaits the peer.
                connection.abort()
                sock.close()
                raise
        self._addresses.succeeded(address)
        return connection

    @asynccontextmanager
    async def _bounded(self) -> AsyncIterator[None]:
        self._check_open()
        async with asyncio.timeout(self._timeout_s) as wait:
            self._waits.add(wait)
            try:
                yield
            finally:
                self._waits.remove(wait)

    def _check_open(self) -> None:
        if self._closed:
            raise ConnectError(f"No connection to {self._peer} was opened: the pool is closed.")

    def _check_trust(self, error: OSError) -> None:
        if isinstance(error, ssl.SSLError) and not isinstance(error, _HUNG_UP):
            # Another address has the same certificate: trying it would only hide the reason.
            raise TlsError(f"No TLS connection to {self._peer}: {_tls_reason(error)}.") from error

    def _reason(self, error: OSError) -> str:
        if isinstance(error, TimeoutError):
            return f"no answer within {self._timeout_s:g} s (connect_timeout_s)"
        return error.strerror or type(error).__name__


def _tls_reason(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate was refused ({error.verify_message})"
    return f"the handshake failed ({error.reason or type(error).__name__})"
