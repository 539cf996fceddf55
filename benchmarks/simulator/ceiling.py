"""How many copies a second the simulator can answer: `python -m benchmarks.simulator --ceiling`.

The load replays prepared bytes over kept connections and counts bytes of answers, which are all of
one length; it parses and signs nothing, so that it is leaner than the server. Each on a core of
its own.
"""

from __future__ import annotations

import re
import selectors
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import cycle
from typing import Final
from urllib.parse import urlsplit

from benchmarks.pinning import pinned
from benchmarks.simulator.config import SimulatorConfig
from benchmarks.simulator.content import Content
from benchmarks.simulator.keyspaces import KeySpace
from benchmarks.simulator.process import Simulator, simulator

_SOURCE: Final = "src-hex-1000000-1kib"
_DISTINCT: Final = 4_096
# What a signed request carries, for the server to skip over.
_REQUEST: Final = (
    "PUT /dst-ceiling/{key} HTTP/1.1\r\n"
    "Host: 127.0.0.1:9000\r\n"
    "User-Agent: async-s3copy\r\n"
    "x-amz-copy-source: {source}/{key}\r\n"
    "x-amz-copy-source-if-match: {etag}\r\n"
    "x-amz-content-sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\r\n"
    "x-amz-date: 20240630T120000Z\r\n"
    "Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20240630/us-east-1/s3/aws4_request,"
    " SignedHeaders=host;x-amz-content-sha256;x-amz-copy-source;x-amz-copy-source-if-match;"
    "x-amz-date, Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7\r\n"
    "Content-Length: 0\r\n\r\n"
)
_LENGTH: Final = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Load:
    """What the simulator is loaded with.

    Attributes:
        latency_ms: Of its answers.
        tls: Over TLS.
        connections: Kept open, all busy.
        depth: Requests sent together on each; 1 is what HTTP clients do, more shows what the
            simulator could do if sockets cost nothing.
        duration_s: For how long.
    """

    latency_ms: float
    tls: bool
    connections: int
    depth: int = 1
    duration_s: float = 3.0


@dataclass(frozen=True, kw_only=True)
class Ceiling:
    """What came of a load.

    Attributes:
        load: The load.
        copies_per_s: Answers a second.
        server_cpu: Share of its core that the simulator was busy.
        server_us: Its CPU time for each copy.
        load_us: CPU time of the load for each copy.
    """

    load: Load
    copies_per_s: float
    server_cpu: float
    server_us: float
    load_us: float


def measure(load: Load, *, cpus: Sequence[int | None]) -> Ceiling:
    """Load a simulator and return what it did.

    Args:
        load: With what.
        cpus: Processors of the simulator and of the load; None: any.

    Raises:
        RuntimeError: An answer was no success.
    """
    config = SimulatorConfig(latency_ms=load.latency_ms, tls=load.tls, cpu=cpus[0])
    with simulator(config) as server, pinned(cpus[1]), _connections(server, load) as connections:
        batches = cycle(_batches(load.depth))
        answer_bytes = _answer_bytes(connections[0], next(batches), load.depth)
        server.reset()
        started_s, started_cpu_s = time.monotonic(), time.process_time()
        answered = _replay(connections, batches, answer_bytes, load.duration_s) * load.depth
        elapsed_s, cpu_s = time.monotonic() - started_s, time.process_time() - started_cpu_s
        counters = server.counters()
    if counters["errors"]:
        raise RuntimeError(f"the simulator refused copies: {counters['errors']}")
    return Ceiling(
        load=load,
        copies_per_s=answered / elapsed_s,
        server_cpu=counters["cpu_s"] / elapsed_s,
        server_us=counters["cpu_s"] / answered * 1e6,
        load_us=cpu_s / answered * 1e6,
    )


def _batches(depth: int) -> list[bytes]:
    space = KeySpace.parse(_SOURCE)
    content = Content(space.size_bytes)
    keys = [space.key(index) for index in range(0, _DISTINCT * 100, 100)]
    requests = [
        _REQUEST.format(key=key, source=_SOURCE, etag=content.etag(key.encode()).decode()).encode()
        for key in keys
    ]
    return [b"".join(requests[first : first + depth]) for first in range(0, len(requests), depth)]


def _replay(
    connections: Sequence[socket.socket],
    batches: Iterator[bytes],
    answer_bytes: int,
    duration_s: float,
) -> int:
    """Keep all connections busy; return how many batches were answered in full."""
    selector = selectors.DefaultSelector()
    missing: dict[socket.socket, int] = {}
    for connection in connections:
        connection.setblocking(False)
        connection.send(next(batches))
        missing[connection] = answer_bytes
        selector.register(connection, selectors.EVENT_READ, connection)
    answered = 0
    end_s = time.monotonic() + duration_s
    while time.monotonic() < end_s:
        for key, _ in selector.select(1.0):
            connection = key.data
            missing[connection] -= _received(connection)
            if not missing[connection]:
                answered += 1
                missing[connection] = answer_bytes
                connection.send(next(batches))
    selector.close()
    return answered


def _received(connection: socket.socket) -> int:
    try:
        received = len(connection.recv(1 << 16))
    except (BlockingIOError, ssl.SSLWantReadError):
        return 0
    if not received:
        raise RuntimeError("the simulator closed a connection")
    return received


def _answer_bytes(connection: socket.socket, batch: bytes, depth: int) -> int:
    connection.sendall(batch)
    data = b""
    while (head := data.find(b"\r\n\r\n")) < 0 or len(data) < _whole(data, head) * depth:
        data += connection.recv(1 << 16)
    if not data.startswith(b"HTTP/1.1 200 "):
        raise RuntimeError(f"the simulator refused a copy: {data!r}")
    return len(data)


def _whole(data: bytes, head: int) -> int:
    length = _LENGTH.search(data, 0, head)
    return head + 4 + int(length[1]) if length else head + 4


@contextmanager
def _connections(server: Simulator, load: Load) -> Iterator[list[socket.socket]]:
    address = urlsplit(server.url)
    context = ssl.create_default_context(cafile=server.ca_file) if load.tls else None
    with ExitStack() as stack:
        connections = []
        for _ in range(load.connections):
            connection = socket.create_connection((address.hostname, address.port))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if context is not None:
                connection = context.wrap_socket(connection, server_hostname=address.hostname)
            connections.append(stack.enter_context(connection))
        yield connections
