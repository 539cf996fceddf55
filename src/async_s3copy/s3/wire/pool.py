"""Pool: kept-alive connections to one origin, each used by one request at a time."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

from async_s3copy.s3.wire.addresses import Addresses, Resolve, resolved
from async_s3copy.s3.wire.connection import Connection
from async_s3copy.s3.wire.dialer import Connect, Dialer, connected_socket
from async_s3copy.s3.wire.http import (
    ConnectError,
    ConnectionLostError,
    Request,
    Response,
    StreamedResponse,
)
from async_s3copy.s3.wire.patience import patience
from async_s3copy.s3.wire.route import Origin
from async_s3copy.s3.wire.sweeper import CallLater, Sweeper
from async_s3copy.s3.wire.turns import turns_of_this_loop

# A page of 1,000 keys of 1,024 bytes is 3 MiB with every byte URL-encoded, and 6 MiB where a server
# does not encode, but writes each of them as an XML reference; the rest of an entry is below 1 KiB.
MAX_BODY_BYTES: Final = 8 * 1024 * 1024

# Servers close idle connections, some after 20 s and without a word that gets through; opening
# one anew every 15 s costs nothing, a request on a dead one costs a retry.
MAX_IDLE_S: Final = 15.0

# Closing takes two turns of the event loop; this only bounds what cannot happen.
_CLOSE_TIMEOUT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class PoolStatistics:
    """How busy a pool is, and what it has done.

    Attributes:
        open: Connections that stand, or are being opened.
        idle: Those of them that wait for a request.
        in_use: Those of them that a request has, or waits to see opened.
        waiting: Requests that wait for their turn.
        opened: Connections opened so far.
        reused: Requests sent so far on a connection that had served another.
        replayed: Requests sent so far a second time, because a kept-alive connection was dead.
    """

    open: int
    idle: int
    in_use: int
    waiting: int
    opened: int
    reused: int
    replayed: int


class Pool:
    """Send requests to one origin over at most so many connections.

    Idle connections are used last in, first out, so that those beyond the need grow old and go.
    Requests beyond the bound wait first come, first served. Made inside a running event loop,
    and used by that one only.

    A request cancelled or failed at any point closes its connection; the answer of one request
    can never be taken for that of another.

    Args:
        origin: Where connections go.
        tls: TLS settings, for the scheme ``https``.
        max_connections: Connections at a time, those being opened included.
        connect_timeout_s: Bound on the lookup, and on connect and handshake with one address.
        read_timeout_s: Silence of the server that ends an exchange.
        max_body_bytes: A longer answer to ``send`` is refused.
        max_idle_s: Connections idle for longer are not used again.
        resent: Called when a request is sent again because its connection was dead.
        resolve: Looks up addresses; for tests.
        connect: Connects a socket; for tests.
        clock: A clock in seconds that never goes back; for tests.
        call_later: Calls a function after so many seconds; for tests.

    Raises:
        ValueError: The scheme is ``https``, and there are no TLS settings.
    """

    def __init__(
        self,
        origin: Origin,
        *,
        tls: ssl.SSLContext | None,
        max_connections: int,
        connect_timeout_s: float,
        read_timeout_s: float,
        max_body_bytes: int = MAX_BODY_BYTES,
        max_idle_s: float = MAX_IDLE_S,
        resent: Callable[[], object] = lambda: None,
        resolve: Resolve = resolved,
        connect: Connect = connected_socket,
        clock: Callable[[], float] | None = None,
        call_later: CallLater | None = None,
    ) -> None:
        secure = origin.scheme == "https"
        if secure and tls is None:
            raise ValueError(f"tls is None; {origin.host}:{origin.port} speaks https")
        self._loop = asyncio.get_running_loop()
        self._peer = f"{origin.host}:{origin.port}"
        self._max_connections = max_connections
        self._max_body_bytes = max_body_bytes
        self._max_idle_s = max_idle_s
        self._resent = resent
        self._patience = patience(read_timeout_s)
        self._turns = turns_of_this_loop()
        self._clock = clock or self._loop.time
        self._sweeper = Sweeper(
            self._patience.tick_s, self._sweep, call_later or self._loop.call_later
        )
        self._dialer = Dialer(
            origin,
            Addresses(origin.host, origin.port, resolve=resolve, clock=self._clock),
            tls=tls if secure else None,
            timeout_s=connect_timeout_s,
            protocol=self._new_connection,
            connect=connect,
        )
        # A slot is the right to a connection. It belongs to an idle connection or to a request;
        # while a request waits for one, there is neither an idle connection nor a free slot.
        self._slots = 0
        self._idle: list[Connection] = []
        self._waiters: deque[asyncio.Future[Connection | None]] = deque()
        self._live: set[Connection] = set()
        self._dialling = 0
        self._closed = False
        self._gone = asyncio.Event()
        self._opened = self._reused = self._replayed = 0

    def statistics(self) -> PoolStatistics:
        """Return the load as it is now, and the counts so far."""
        idle = len(self._idle)
        waiting = sum(not waiter.done() for waiter in self._waiters)
        return PoolStatistics(
            self._slots,
            idle,
            self._slots - idle,
            waiting,
            self._opened,
            self._reused,
            self._replayed,
        )

    async def send(self, request: Request) -> Response:
        """Send a request and read its whole answer.

        Raises:
            WireError: The answer could not be had; its kind says why.
        """
        connection = self._idle_connection() or await self._connection()
        try:
            try:
                response = await connection.exchange(request, self._max_body_bytes)
            except ConnectionLostError:
                if not (connection.stale and request.replayable):
                    raise
                connection = await self._replacement(connection)
                response = await connection.exchange(request, self._max_body_bytes)
        except BaseException:
            self._discard(connection)
            raise
        self._give_back(connection)
        return response

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[StreamedResponse]:
        """Send a request and read its answer's body while it arrives.

        Leaving the block before the body has arrived closes the connection.

        Raises:
            WireError: The answer could not be had; its kind says why. Reading its chunks raises
                the same.
        """
        connection = self._idle_connection() or await self._connection()
        try:
            try:
                response = await connection.exchange_streamed(request)
            except ConnectionLostError:
                if not (connection.stale and request.replayable):
                    raise
                connection = await self._replacement(connection)
                response = await connection.exchange_streamed(request)
            yield response
        except BaseException:
            self._discard(connection)
            raise
        self._give_back(connection)

    async def aclose(self) -> None:
        """Close every connection, and return when all are gone.

        Requests in flight end by ``ConnectionLostError``, waiting and later ones by
        ``ConnectError``. Cancelled, it has closed everything all the same.
        """
        self._closed = True
        self._dialer.close()
        self._sweeper.stop()
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(self._refusal())
        for connection in tuple(self._live):
            connection.abort()
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                while self._live or self._dialling:
                    self._gone.clear()
                    await self._gone.wait()

    # Taking a connection.

    def _idle_connection(self) -> Connection | None:
        idle = self._idle
        if not idle:
            return None
        oldest_s = self._clock() - self._max_idle_s
        while idle:
            connection = idle.pop()
            if connection.idle_since_s > oldest_s and connection.usable:
                self._reused += 1
                self._sweeper.start()
                return connection
            self._discard(connection)
        return None

    async def _connection(self) -> Connection:
        if self._closed:
            raise self._refusal()
        if self._slots < self._max_connections:
            self._slots += 1
        else:
            connection = await self._turn()
            if connection is not None and connection.usable:
                self._reused += 1
                return connection
        try:
            return await self._dial()
        except BaseException:
            self._free_slot()
            raise

    async def _turn(self) -> Connection | None:
        """Wait for a slot, which may come with a connection."""
        waiter: asyncio.Future[Connection | None] = self._loop.create_future()
        self._waiters.append(waiter)
        try:
            return await waiter
        except BaseException:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._pass_on(waiter.result())
            else:
                with suppress(ValueError):
                    self._waiters.remove(waiter)
            raise

    async def _replacement(self, dead: Connection) -> Connection:
        """Return a fresh connection in the slot of a dead one."""
        dead.abort()
        connection = await self._dial()
        self._replayed += 1
        self._resent()
        return connection

    async def _dial(self) -> Connection:
        self._sweeper.start()
        self._dialling += 1
        try:
            connection = await self._dialer.dial()
        finally:
            self._dialling -= 1
            self._gone.set()
        self._opened += 1
        if not connection.usable:
            connection.abort()
            raise self._refusal() if self._closed else self._hung_up()
        self._live.add(connection)
        return connection

    # Giving it back.

    def _give_back(self, connection: Connection) -> None:
        if not connection.reusable:
            self._discard(connection)
        elif not self._hand_over(connection):
            connection.idle_since_s = self._clock()
            self._idle.append(connection)

    def _discard(self, connection: Connection) -> None:
        connection.abort()
        self._free_slot()

    def _free_slot(self) -> None:
        if not self._hand_over(None):
            self._slots -= 1

    def _pass_on(self, connection: Connection | None) -> None:
        if connection is None:
            self._free_slot()
        else:
            self._give_back(connection)

    def _hand_over(self, connection: Connection | None) -> bool:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return True
        return False

    # Watching.

    def _new_connection(self) -> Connection:
        return Connection(
            self._loop, self._peer, self._patience, self._turns, self._connection_lost
        )

    def _connection_lost(self, connection: Connection) -> None:
        self._live.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
            self._free_slot()
        self._gone.set()

    def _sweep(self) -> bool:
        for connection in tuple(self._live):
            connection.tick()
        oldest_s = self._clock() - self._max_idle_s
        while self._idle and self._idle[0].idle_since_s <= oldest_s:
            self._discard(self._idle.pop(0))
        return self._slots > len(self._idle)

    def _refusal(self) -> ConnectError:
        return ConnectError(f"No connection to {self._peer} was opened: the pool is closed.")

    def _hung_up(self) -> ConnectError:
        return ConnectError(f"{self._peer} took a connection and closed it at once.")
