"""RoutingTable: the buckets the wire knows the way to, with the keys and connections for it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

import anyio
import anyio.to_thread

from async_s3copy.errors import S3Error, Side, ValidationError
from async_s3copy.options import CopyOptions
from async_s3copy.s3.codes import is_elsewhere, s3_error
from async_s3copy.s3.signing import Signing, leaves_token_open
from async_s3copy.s3.term_headers import TermHeaders
from async_s3copy.s3.transport import tls_context
from async_s3copy.s3.wire.failures import Call
from async_s3copy.s3.wire.http import (
    ConnectError,
    ConnectionLostError,
    MalformedResponseError,
    ReadTimeoutError,
    TlsError,
    WireError,
)
from async_s3copy.s3.wire.learn import learned, watching
from async_s3copy.s3.wire.pool import Pool
from async_s3copy.s3.wire.requests import RequestBuilder
from async_s3copy.s3.wire.route import Origin, Route
from async_s3copy.s3.wire.signed import TermsOf
from async_s3copy.s3.wire.sigv4 import Keys

T = TypeVar("T")
logger = logging.getLogger("async_s3copy")

_CODES: Final[dict[type[WireError], str]] = {
    ConnectError: "ConnectionError",
    ConnectionLostError: "ConnectionError",
    MalformedResponseError: "InvalidResponse",
    ReadTimeoutError: "ReadTimeout",
    TlsError: "SSLError",
}


@dataclass(slots=True)
class Entry:
    """The way to one bucket: how its requests are made, and the connections they take."""

    route: Route
    requests: RequestBuilder
    pool: Pool


class RoutingTable:
    """Enter each bucket whose requests botocore has shown to be ordinary.

    Args:
        signing: The keys and the clock that requests are signed with.
        side: Which side they speak for.
        options: The number of connections, and which client was asked for.
        timeouts: Seconds for opening a connection, and of silence, as botocore has them.
        verify: Whether certificates are checked, or the CA bundle to check them against.
        signs_payload: Whether bodies are hashed even where TLS vouches for them.
        count: Counts a request that whoever counts requests does not see; called with whether it
            repeats another.
        terms: Gives the headers that terms add to a request; ``None`` where there are no terms.
    """

    def __init__(
        self,
        signing: Signing,
        side: Side,
        options: CopyOptions,
        *,
        timeouts: tuple[float, float],
        verify: bool | str,
        signs_payload: bool,
        count: Callable[[bool], object],
        terms: TermHeaders | None = None,
    ) -> None:
        self._signing = signing
        self._terms = terms
        self._side: Side = side
        self._options = options
        self._connect_timeout_s, self._read_timeout_s = timeouts
        self._verify = verify
        self._signs_payload = signs_payload
        self.count = count
        self._entries: dict[str, Entry] = {}
        self._pools: dict[Origin, Pool] = {}
        self._off_limits: set[str] = set()

    def get(self, bucket: str) -> Entry | None:
        """Return the entry of a bucket, if it is known and its keys need no look."""
        entry = self._entries.get(bucket)
        if entry is None or self._signing.keys.current() is not entry.requests.keys:
            return None
        return entry

    async def fresh(self, bucket: str) -> Entry | None:
        """Return the entry of a bucket with the keys as they are now; ``None`` where none is known.

        Raises:
            CredentialsError: The keys have expired and cannot be refreshed.
        """
        entry = self._entries.get(bucket)
        if entry is not None:
            entry.requests.keys = await self._signing.keys.fetch()
        return entry

    def heed(self, bucket: str, error: S3Error, used: Keys) -> None:
        """Learn from an error, and raise it again where botocore could do no better.

        A bucket that is elsewhere is forgotten.

        Args:
            bucket: The bucket.
            error: The error; marked where the next request will be signed otherwise.
            used: The keys that the request was signed with.

        Raises:
            ClockSkewError: The clock is too far off to be corrected.
        """
        if leaves_token_open(error, used):
            return  # botocore finds out
        if not is_elsewhere(error):
            self._signing.heed(error, used)
            raise error
        self._entries.pop(bucket, None)
        self.count(True)  # what follows is sent besides

    async def learn(self, bucket: str, key: str | None, call: Callable[[], Awaitable[T]]) -> T:
        """Let botocore make a call, and enter the route it shows.

        Raises:
            ValidationError: ``client="wire"``, and the wire cannot take this bucket.
        """
        with watching() as seen:
            answer = await call()
        if seen.request is not None and not self._knows(bucket):
            await self._open(bucket, key, seen.request)
        return answer

    async def aclose(self) -> None:
        """Close every connection."""
        for pool in self._pools.values():
            await pool.aclose()

    def is_new(self, bucket: str) -> bool:
        """Tell whether botocore has yet to show the way to a bucket."""
        return not self._knows(bucket)

    def _knows(self, bucket: str) -> bool:
        return bucket in self._entries or bucket in self._off_limits

    async def _open(self, bucket: str, key: str | None, request: Any) -> None:
        keys = await self._signing.keys.fetch()
        found = learned(request, key, keys, signs_payload=self._signs_payload)
        if isinstance(found, str):
            self._off_limits.add(bucket)
            stay_on_botocore(self._side, self._options, f"for bucket {bucket!r} {found}")
            return
        pool = await self._pool(found)
        requests = RequestBuilder(
            found, keys, terms=self._terms_of(bucket), clock=self._signing.clock
        )
        self._entries[bucket] = Entry(found, requests, pool)

    def _terms_of(self, bucket: str) -> TermsOf | None:
        terms = self._terms
        if not terms:
            return None
        return lambda operation, source: terms.of(operation, bucket, source)

    async def _pool(self, route: Route) -> Pool:
        if route.origin not in self._pools:
            secure = route.origin.scheme == "https"
            # Reading a CA bundle takes 20 ms and more.
            tls = await anyio.to_thread.run_sync(tls_context, self._verify) if secure else None
            # Another task may have been faster meanwhile.
            self._pools.setdefault(
                route.origin,
                Pool(
                    route.origin,
                    tls=tls,
                    max_connections=self._options.max_concurrent_requests + 1,
                    connect_timeout_s=self._connect_timeout_s,
                    read_timeout_s=self._read_timeout_s,
                    resent=partial(self.count, True),
                ),
            )
        return self._pools[route.origin]


def stay_on_botocore(side: Side, options: CopyOptions, reason: str) -> None:
    """Say once why requests do not take the wire.

    Raises:
        ValidationError: The wire was asked for by name.
    """
    if options.client == "wire":
        raise ValidationError("client", "wire", f"be 'auto' or 'boto' on the {side} side: {reason}")
    logger.info("client.boto: the %s side's requests go through aiobotocore: %s", side, reason)


def as_s3_error(error: WireError, call: Call) -> S3Error:
    """Return the library's error for an answer that could not be had."""
    return s3_error(
        _CODES[type(error)],
        0,
        str(error),
        operation=call.operation,
        side=call.side,
        bucket=call.bucket,
        key=call.key,
    )
