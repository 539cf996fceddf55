"""FaultProxy: a proxy before an S3 server that fails by script, for tests of S3 clients.

::

    async with fault_proxy("http://127.0.0.1:8333") as proxy:
        proxy.next("CopyObject", Status(503, "SlowDown"), ResetAfter())
        ...  # any S3 client, path-style, at proxy.url
        assert proxy.count("CopyObject") == 3

What it was not told to alter arrives as it was sent, signature included; only Date, Server and
Content-Type are added to answers without them, and a header that is no UTF-8 is refused aloud.
``python -m async_s3copy.testing.proxy --help`` runs it as a process of its own.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector, web

from async_s3copy.testing.exchange import Exchange, Upstream
from async_s3copy.testing.faults import Fault
from async_s3copy.testing.pages import Pages
from async_s3copy.testing.seen import Seen, seen_of

Script = Callable[[Seen], Fault | None]

# A key has 1,024 bytes, three characters each when encoded, and is in the copy source as well.
_MAX_LINE_BYTES: Final = 64 * 1024
# Longer than any client keeps a connection for later.
_KEEP_ALIVE_S: Final = 3_600.0
# What is still going on at the end is cut; aiohttp takes 0 for no limit.
_END_S: Final = 0.001
_TIMEOUT: Final = ClientTimeout(total=None, sock_connect=10)


class FaultProxy:
    """A running proxy; ``fault_proxy`` starts and stops it.

    What the next calls of an operation were told (``next``) comes first, then what all its calls
    were told (``always``), then the ``script``.

    Attributes:
        url: Where it listens: the endpoint URL of a client, path-style.
        calls: Every request, in order of arrival; empty where they are not kept.
        faults: How often each fault was injected.
        script: Decides about every request that nothing else was said of; ``None`` passes it on.
    """

    def __init__(self, upstream: Upstream, *, keeps_calls: bool = True) -> None:
        self.url = ""
        self.calls: list[Seen] = []
        self.faults: Counter[Fault] = Counter()
        self.script: Script | None = None
        self._upstream = upstream
        self._keeps_calls = keeps_calls
        self._next: defaultdict[str, deque[Fault]] = defaultdict(deque)
        self._always: dict[str, Fault] = {}
        self._counts: Counter[str] = Counter()
        # By hash: a run of a million requests shall not keep a million keys.
        self._attempts: Counter[int] = Counter()
        self._failure: Exception | None = None

    def __repr__(self) -> str:
        return f"<FaultProxy {self.url}, {self._counts.total()} requests>"

    def next(self, operation: str, *faults: Fault) -> None:
        """Inject these into the next calls of an operation, one each."""
        self._next[operation].extend(faults)

    def always(self, operation: str, fault: Fault | None) -> None:
        """Inject this into every further call of an operation; ``None`` ends it."""
        self._always.pop(operation, None)
        if fault is not None:
            self._always[operation] = fault

    def count(self, operation: str | None = None) -> int:
        """Count the calls of an operation so far; ``None`` counts all requests."""
        return self._counts.total() if operation is None else self._counts[operation]

    def counts(self) -> dict[str, int]:
        """Return the number of requests by operation."""
        return dict(self._counts)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Deal with one request."""
        seen = self._see(request)
        exchange = Exchange(request, seen, self._upstream)
        try:
            seen.fault = self._decide(seen)
            answer = await (seen.fault.apply if seen.fault else Exchange.relayed)(exchange)
        except (ClientError, ConnectionError, TimeoutError):
            # Either side hung up: so does the proxy, and does not make up an answer.
            return exchange.reset()
        except Exception as error:
            self._failure = self._failure or error
            return exchange.reset()
        if seen.fault is not None:
            self.faults[seen.fault] += 1
        return answer

    def check(self) -> None:
        """Raise what a script or a fault raised first, if anything did.

        Raises:
            Exception: Whatever it was; such as ``ProxyError``, for want of credentials.
        """
        if self._failure is not None:
            raise self._failure

    def _see(self, request: web.BaseRequest) -> Seen:
        headers = {name.lower(): value for name, value in request.headers.items()}
        seen = seen_of(request.method, request.raw_path, headers)
        identity = hash(seen.identity)
        seen.attempt = self._attempts[identity]
        self._attempts[identity] += 1
        self._counts[seen.operation] += 1
        if self._keeps_calls:
            self.calls.append(seen)
        return seen

    def _decide(self, seen: Seen) -> Fault | None:
        waiting = self._next.get(seen.operation)
        if waiting:
            return waiting.popleft()
        always = self._always.get(seen.operation)
        if always is not None or self.script is None:
            return always
        return self.script(seen)


@asynccontextmanager
async def fault_proxy(
    upstream_url: str,
    *,
    credentials: Mapping[str, str] | None = None,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    keeps_calls: bool = True,
    port: int = 0,
) -> AsyncIterator[FaultProxy]:
    """Run a proxy on 127.0.0.1 for a block, in the running event loop.

    Args:
        upstream_url: The server behind it.
        credentials: Secret keys by access key id: what the proxy signs altered requests with.
        sleep: What ``Delay`` waits with; a test's clock.
        keeps_calls: Whether ``calls`` is filled, at some 2 KiB a request.
        port: Port to listen on; 0, the default, takes a free one.

    Raises:
        Exception: At the end of the block, what a script or a fault raised; see ``check``.
    """
    session = ClientSession(
        connector=TCPConnector(limit=0),
        cookie_jar=DummyCookieJar(),
        auto_decompress=False,
        timeout=_TIMEOUT,
        read_bufsize=256 * 1024,
        max_line_size=_MAX_LINE_BYTES,
        max_field_size=_MAX_LINE_BYTES,
    )
    async with session:
        upstream = Upstream(upstream_url.rstrip("/"), session, credentials or {}, sleep, Pages())
        proxy = FaultProxy(upstream, keeps_calls=keeps_calls)
        async with _listening(proxy, port):
            yield proxy
    proxy.check()


@asynccontextmanager
async def _listening(proxy: FaultProxy, port: int) -> AsyncIterator[None]:
    server = web.Server(
        proxy.handle,
        access_log=None,
        auto_decompress=False,
        keepalive_timeout=_KEEP_ALIVE_S,
        lingering_time=0,
        max_line_size=_MAX_LINE_BYTES,
        max_field_size=_MAX_LINE_BYTES,
    )
    listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", port)
    proxy.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield
    finally:
        listener.close()
        await server.shutdown(_END_S)
        await listener.wait_closed()
        # Cancelled handlers and closed connections take a turn of the loop each to end.
        for _ in range(3):
            await asyncio.sleep(0)


if __name__ == "__main__":
    from async_s3copy.testing.proxy_command import main

    main()
