"""The network: one loop over non-blocking sockets.

A loop of its own rather than asyncio's: a request is one ``recv``, one call into the service and
one ``send``, and nothing in between. The control socket is one more file in the same loop, so
nothing here needs a lock, and it waits for one turn of the loop at most.
"""

from __future__ import annotations

import selectors
import socket
import ssl
import struct
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

from benchmarks.simulator.bodies import Decoder, Sink, decoder
from benchmarks.simulator.front_door import FrontDoor
from benchmarks.simulator.latency import Wheel
from benchmarks.simulator.messages import (
    Hangup,
    MalformedRequestError,
    Reply,
    Request,
    Stream,
)

Ready = Callable[[int], None]

_READ: Final = selectors.EVENT_READ
_READ_WRITE: Final = selectors.EVENT_READ | selectors.EVENT_WRITE
_RECEIVE_BYTES: Final = 1 << 16
_LONGEST_HEAD: Final = 1 << 16
_BACKLOG: Final = 4_096
# A client that reads as fast as this writes must not keep the loop from all others.
_BLOCKS_PER_TURN: Final = 16
_WAIT: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
# Linger on, for no time at all.
_RESET: Final = struct.pack("ii", 1, 0)
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_NO_BODY: Final = Sink(keep=False)


class Server:
    """Accepts connections on 127.0.0.1 and answers what comes over them.

    Args:
        front_door: Says what is answered, and when.
        tls: Speaks TLS with it; None: plain HTTP.
        port: 0: a free one.

    Attributes:
        port: Where it listens.
    """

    def __init__(
        self, front_door: FrontDoor, *, tls: ssl.SSLContext | None = None, port: int = 0
    ) -> None:
        self.front_door = front_door
        self.selector = selectors.DefaultSelector()
        self.now_s = time.monotonic()
        self._wheel: Wheel[tuple[Connection, Reply]] = Wheel()
        self._tls = tls
        self._running = True
        self._listener = socket.create_server(("127.0.0.1", port), backlog=_BACKLOG)
        self._listener.setblocking(False)
        self.port: int = self._listener.getsockname()[1]
        self.watch(self._listener, self._accept)

    def watch(self, readable: socket.socket, ready: Ready) -> None:
        """Call ``ready`` whenever a socket is readable."""
        self.selector.register(readable, _READ, ready)

    def run(self) -> None:
        """Serve until ``stop`` is called."""
        replies = self.front_door.service.replies
        while self._running:
            replies.tell_time(time.time())
            events = self.selector.select(self._wheel.wait_s(time.monotonic()))
            # All that is read in this turn had arrived by now: its latency counts from here.
            self.now_s = time.monotonic()
            for key, mask in events:
                key.data(mask)
            self._send_due()
        self._listener.close()
        self.selector.close()

    def stop(self) -> None:
        """End ``run`` after this turn of the loop."""
        self._running = False

    def delay(self, connection: Connection, reply: Reply, delay_s: float, not_before: int) -> int:
        """Send an answer later; return the tick it is due at."""
        return self._wheel.add(self.now_s + delay_s, not_before, (connection, reply))

    def _send_due(self) -> None:
        due = self._wheel.release(time.monotonic())
        for connection, reply in due:
            connection.send_waiting(reply)
        # Several answers of one connection leave in one packet.
        for connection in dict.fromkeys(connection for connection, _ in due):
            connection.flush()

    def _accept(self, mask: int) -> None:
        with suppress(BlockingIOError, ConnectionError):
            while True:
                accepted, _ = self._listener.accept()
                accepted.setblocking(False)
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if self._tls is not None:
                    # The first read shakes hands.
                    accepted = self._tls.wrap_socket(
                        accepted, server_side=True, do_handshake_on_connect=False
                    )
                connection = Connection(self, accepted)
                self.selector.register(accepted, _READ, connection.ready)
                self.front_door.counters.connected()


class Connection:
    """One client's connection: requests in, answers out, in the same order."""

    __slots__ = (
        "_body",
        "_closing",
        "_counters",
        "_data",
        "_decoder",
        "_door",
        "_open",
        "_outgoing",
        "_request",
        "_server",
        "_socket",
        "_tick",
        "_waiting",
        "_writing",
    )

    def __init__(self, server: Server, accepted: socket.socket) -> None:
        self._server = server
        self._door = server.front_door
        self._counters = server.front_door.counters
        self._socket = accepted
        self._open = True
        self._closing = False
        self._data = b""
        self._request: Request | None = None
        self._decoder: Decoder | None = None
        self._body = _NO_BODY
        self._outgoing: deque[bytes | Iterator[bytes] | Hangup] = deque()
        self._writing = False
        self._waiting = 0
        self._tick = 0

    def ready(self, mask: int) -> None:
        """Read or write as far as the socket allows."""
        if mask & selectors.EVENT_WRITE:
            self.flush()
        if mask & selectors.EVENT_READ and self._open:
            self._receive()

    def send_waiting(self, reply: Reply) -> None:
        """Take an answer whose latency has passed; ``flush`` sends it."""
        self._waiting -= 1
        if self._open:
            self._send(reply)
        else:
            self._counters.in_flight_now -= 1

    def flush(self) -> None:
        """Send what is to be sent, as far as the socket takes it."""
        try:
            self._send_some()
            if self._writing or self._outgoing:
                self._want_to_write(bool(self._outgoing))
        except _WAIT:
            self._want_to_write(True)
        except OSError:
            self._close()

    def _receive(self) -> None:
        try:
            data = self._socket.recv(_RECEIVE_BYTES)
        except _WAIT:
            return
        except OSError:
            data = b""
        if not data:
            self._close()
            return
        self._counters.bytes_received += len(data)
        try:
            self._take(self._data + data if self._data else data)
        except MalformedRequestError:
            self._send_now(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            self._send_now(Hangup())
        if self._outgoing:
            self.flush()

    def _take(self, data: bytes) -> None:
        position = 0
        while position < len(data) and not self._closing:
            if self._decoder is not None and self._request is not None:
                position += self._decoder.feed(memoryview(data)[position:])
                if self._decoder.done:
                    self._decoder = None
                    self._answer(self._request, self._body)
                continue
            end = data.find(b"\r\n\r\n", position)
            if end < 0:
                break
            self._begin(Request(data[position:end]))
            position = end + 4
        self._data = data[position:]
        if len(self._data) > _LONGEST_HEAD:
            raise MalformedRequestError("the head is too long")

    def _begin(self, request: Request) -> None:
        if request.bodiless:
            # Copies are: no sink is made for them.
            self._answer(request, _NO_BODY)
            return
        body = Sink(keep=request.method == b"POST" or request.raw_query.startswith(b"tagging"))
        self._decoder = decoder(request, body)
        if self._decoder is None:
            self._answer(request, body)
            return
        self._request, self._body = request, body
        if request.header(b"expect") is not None and not self._waiting:
            self._send_now(_CONTINUE)

    def _answer(self, request: Request, body: Sink) -> None:
        reply, delay_s = self._door.take(request, body, self._server.now_s)
        if request.closes:
            self._closing = True
        if delay_s or self._waiting:
            # Never before the answers to what came earlier on this connection.
            self._waiting += 1
            self._tick = self._server.delay(self, reply, delay_s, self._tick)
        else:
            self._send(reply)

    def _send(self, reply: Reply) -> None:
        self._counters.in_flight_now -= 1
        if isinstance(reply, bytes):
            self._outgoing.append(reply)
        else:
            self._send_now(reply)
        if self._closing and not self._waiting:
            self._send_now(Hangup())

    def _send_now(self, reply: Reply) -> None:
        if isinstance(reply, Stream):
            self._outgoing.append(reply.head)
            self._outgoing.append(reply.blocks)
        else:
            self._outgoing.append(reply)

    def _send_some(self) -> None:
        outgoing = self._outgoing
        for _ in range(_BLOCKS_PER_TURN):
            if not outgoing:
                return
            first = outgoing.popleft()
            if isinstance(first, bytes):
                self._write(self._joined(first) if outgoing else first)
            elif isinstance(first, Hangup):
                self._hang_up(first)
            elif block := next(first, b""):
                outgoing.appendleft(first)
                self._write(block)

    def _joined(self, first: bytes) -> bytes:
        parts = [first]
        while self._outgoing and isinstance(self._outgoing[0], bytes):
            parts.append(self._outgoing.popleft())  # type: ignore[arg-type]
        return b"".join(parts)

    def _write(self, data: bytes) -> None:
        try:
            sent = self._socket.send(data)
        except _WAIT:
            self._outgoing.appendleft(data)
            raise
        self._counters.bytes_sent += sent
        if sent < len(data):
            self._outgoing.appendleft(data[sent:])

    def _hang_up(self, last: Hangup) -> None:
        self._closing = True
        if last.data:
            self._outgoing.appendleft(Hangup(reset=last.reset))
            self._outgoing.appendleft(last.data)
            return
        if last.reset:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._close()

    def _want_to_write(self, wanted: bool) -> None:
        if wanted != self._writing and self._open:
            self._writing = wanted
            events = _READ_WRITE if wanted else _READ
            self._server.selector.modify(self._socket, events, self.ready)

    def _close(self) -> None:
        if not self._open:
            return
        self._open = False
        self._outgoing.clear()
        self._counters.connections_now -= 1
        self._server.selector.unregister(self._socket)
        self._socket.close()
