"""A gate before the S3 server of Airflow's processes: counts requests, and holds or refuses some.

What a copy did is read off the requests it sent, and a copy is stopped in the middle by holding
its requests back: no test needs to hit a moment by waiting. A request that is held when its sender
is killed never reaches the server.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

DEADLINE_S: Final = 180.0
_MAX_HEAD_BYTES: Final = 64 * 1024
_REFUSAL: Final = (
    b'<?xml version="1.0" encoding="UTF-8"?>'
    b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
)
_REFUSED: Final = (
    b"HTTP/1.1 403 Forbidden\r\nContent-Type: application/xml\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(_REFUSAL), _REFUSAL)
)


class Verdict(Enum):
    """What becomes of a request."""

    PASS = "pass"
    HOLD = "hold"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """One request.

    Attributes:
        kind: ``"copy"``, ``"part"`` (a copy of one), ``"create"``, ``"complete"`` and ``"abort"``
            of a multipart upload, or the method in lower case.
        bucket: The bucket in its path.
        key: The key in its path.
        port: The port it came from: it tells the process that sent it.
    """

    kind: str
    bucket: str
    key: str
    port: int


Rule = Callable[[Asked], Verdict]


def let_pass(_: Asked) -> Verdict:
    """Let everything pass."""
    return Verdict.PASS


class Hold:
    """Let so many object copies pass, and hold what comes after; never hold anything else.

    Args:
        copies: How many pass; a retried request counts again.
        parts: Hold the parts of multipart copies from the first on.
    """

    def __init__(self, copies: int, *, parts: bool = False) -> None:
        self._left = copies
        self._parts = parts

    def __call__(self, asked: Asked) -> Verdict:
        if asked.kind == "part" and self._parts:
            return Verdict.HOLD
        if asked.kind != "copy":
            return Verdict.PASS
        self._left -= 1
        return Verdict.PASS if self._left >= 0 else Verdict.HOLD


class Refuse:
    """Answer AccessDenied to the first copy of each of these keys.

    Args:
        keys: Keys in the destination.
        later: What becomes of later copies of the same keys.
    """

    def __init__(self, keys: Iterable[str], *, later: Verdict = Verdict.PASS) -> None:
        self._left = set(keys)
        self._keys = frozenset(keys)
        self._later = later

    def __call__(self, asked: Asked) -> Verdict:
        if asked.kind not in ("copy", "create") or asked.key not in self._keys:
            return Verdict.PASS
        if asked.key not in self._left:
            return self._later
        self._left.remove(asked.key)
        return Verdict.REFUSE


@dataclass(eq=False)
class Gate:
    """The gate, as tests see it; its server runs in a thread of its own (``standing``).

    Attributes:
        port: Where it listens on 127.0.0.1.
        upstream: The port of the S3 server.
    """

    upstream: int
    port: int = 0
    _rule: Rule = let_pass
    _passed: list[Asked] = field(default_factory=list)
    _held: dict[Asked, asyncio.Future[Verdict]] = field(default_factory=dict)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    @property
    def endpoint_url(self) -> str:
        """Where clients send their requests."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def held(self) -> list[Asked]:
        """What is held back at the moment."""
        with self._changed:
            return list(self._held)

    def passed(self, *kinds: str) -> list[Asked]:
        """Return what was let through, of some kinds or of all, oldest first."""
        with self._changed:
            return [asked for asked in self._passed if not kinds or asked.kind in kinds]

    def count(self, *kinds: str) -> Counter[str]:
        """Count by key what was let through."""
        return Counter(asked.key for asked in self.passed(*kinds))

    def forget(self) -> None:
        """Start counting anew."""
        with self._changed:
            self._passed.clear()

    def set_rule(self, rule: Rule) -> None:
        """Change the rule; what is held has been judged again when this returns."""
        asyncio.run_coroutine_threadsafe(self._judge_again(rule), self._loop).result(DEADLINE_S)

    def wait_for(self, condition: Callable[[], bool], what: str) -> None:
        """Block until a condition on what came to the gate holds.

        Raises:
            TimeoutError: It did not, for three minutes.
        """
        with self._changed:
            if not self._changed.wait_for(condition, DEADLINE_S):
                kinds = Counter(asked.kind for asked in self._passed)
                held = dict(self._held_kinds())
                raise TimeoutError(f"in vain: {what}; passed: {dict(kinds)}, held: {held}")

    def wait_for_held(self, **counts: int) -> None:
        """Block until so many requests of each kind are held, such as ``copy=1, part=6``."""
        self.wait_for(lambda: not Counter(counts) - self._held_kinds(), f"held: {counts}")

    def wait_for_copies(self, count: int) -> None:
        """Block until so many object copies were let through."""
        self.wait_for(lambda: len(self.passed("copy")) >= count, f"passed: {count} copies")

    def _held_kinds(self) -> Counter[str]:
        return Counter(asked.kind for asked in self._held)

    async def _judge_again(self, rule: Rule) -> None:
        self._rule = rule
        with self._noting():
            for asked, decided in list(self._held.items()):
                if (verdict := rule(asked)) is not Verdict.HOLD:
                    del self._held[asked]
                    decided.set_result(verdict)

    async def _judge(self, asked: Asked, client: _Side) -> Verdict:
        """Return what becomes of a request; still ``HOLD`` when its sender is gone."""
        verdict = self._rule(asked)
        if verdict is not Verdict.HOLD:
            return verdict
        decided: asyncio.Future[Verdict] = self._loop.create_future()
        with self._noting():
            self._held[asked] = decided
        # A client that waits for its answer sends nothing: all there is to read is the end.
        gone = asyncio.create_task(client.reader.read(1))
        try:
            await asyncio.wait((gone, decided), return_when=asyncio.FIRST_COMPLETED)
            return decided.result() if decided.done() else Verdict.HOLD
        finally:
            gone.cancel()
            with self._noting():
                self._held.pop(asked, None)

    @contextmanager
    def _noting(self) -> Iterator[None]:
        with self._changed:
            yield
            self._changed.notify_all()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection of a client."""
        with closing(writer):
            try:
                upstream = await asyncio.open_connection("127.0.0.1", self.upstream)
                with closing(upstream[1]):
                    while await self._pass_one(_Side(reader, writer), _Side(*upstream)):
                        pass
            except (OSError, asyncio.IncompleteReadError):
                pass

    async def _pass_one(self, client: _Side, server: _Side) -> bool:
        """Take one request; tell whether the connection can take another."""
        head = await client.read_head()
        body = await client.read_body(head)
        asked = _read(head, client.writer.get_extra_info("peername")[1])
        verdict = await self._judge(asked, client)
        if verdict is Verdict.HOLD:
            return False
        with self._noting():
            self._passed.append(asked)
        if verdict is Verdict.REFUSE:
            client.writer.write(_REFUSED)
            return True
        server.writer.write(head + body)
        await self._answer(client, server, head.startswith(b"HEAD"))
        return True

    async def _answer(self, client: _Side, server: _Side, only_head: bool) -> None:
        answer = await server.read_head()
        client.writer.write(answer)
        if not only_head:
            await server.pour_body(answer, client.writer)
        await client.writer.drain()


@dataclass(frozen=True, slots=True)
class _Side:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def read_head(self) -> bytes:
        return await self.reader.readuntil(b"\r\n\r\n")

    async def read_body(self, head: bytes) -> bytes:
        return await self.reader.readexactly(int(_header(head, b"content-length") or 0))

    async def pour_body(self, head: bytes, into: asyncio.StreamWriter) -> None:
        if b"chunked" in _header(head, b"transfer-encoding"):
            while await self._pour_chunk(into):
                pass
        else:
            into.write(await self.read_body(head))

    async def _pour_chunk(self, into: asyncio.StreamWriter) -> bool:
        size = await self.reader.readuntil(b"\r\n")
        into.write(size + await self.reader.readexactly(int(size, 16) + 2))
        return int(size, 16) > 0


def _header(head: bytes, name: bytes) -> bytes:
    for line in head.split(b"\r\n")[1:]:
        found, _, value = line.partition(b":")
        if found.strip().lower() == name:
            return value.strip()
    return b""


def _read(head: bytes, port: int) -> Asked:
    method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
    url = urlsplit(target)
    bucket, _, key = unquote(url.path).removeprefix("/").partition("/")
    query = parse_qs(url.query, keep_blank_values=True)
    copies = bool(_header(head, b"x-amz-copy-source"))
    return Asked(_kind(method, query.keys(), copies), bucket, key, port)


def _kind(method: str, query: Iterable[str], copies: bool) -> str:
    if copies:
        return "part" if "uploadId" in query else "copy"
    if method == "POST":
        return "create" if "uploads" in query else "complete"
    return "abort" if method == "DELETE" and "uploadId" in query else method.lower()


@contextmanager
def standing(upstream: int) -> Iterator[Gate]:
    """Run a gate before the S3 server on a port of 127.0.0.1."""
    gate = Gate(upstream)
    ready = threading.Event()
    thread = threading.Thread(target=_run, args=(gate, ready))
    thread.start()
    try:
        ready.wait()
        yield gate
    finally:
        gate._loop.call_soon_threadsafe(gate._loop.stop)
        thread.join()


def _run(gate: Gate, ready: threading.Event) -> None:
    loop = gate._loop
    server = loop.run_until_complete(
        asyncio.start_server(gate.serve, "127.0.0.1", 0, limit=_MAX_HEAD_BYTES)
    )
    gate.port = server.sockets[0].getsockname()[1]
    ready.set()
    loop.run_forever()
    server.close()
    loop.run_until_complete(_end_all())
    loop.close()


async def _end_all() -> None:
    """End the connections that clients keep open."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
