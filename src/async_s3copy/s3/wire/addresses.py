"""Addresses: all addresses of an endpoint, taken in turn, those that failed last."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

# S3's records live for seconds and name another handful of many addresses each time; connections
# live longer anyway. This is how long an address that left the record is still dialled.
_MAX_AGE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Address:
    """One address of an endpoint.

    Attributes:
        family: ``socket.AF_INET`` or ``socket.AF_INET6``.
        sockaddr: What ``connect`` takes.
    """

    family: int
    sockaddr: tuple[Any, ...]

    def __str__(self) -> str:
        host, port = self.sockaddr[:2]
        return f"[{host}]:{port}" if self.family == socket.AF_INET6 else f"{host}:{port}"


Resolve = Callable[[str, int], Awaitable[Sequence[Address]]]


async def resolved(host: str, port: int) -> Sequence[Address]:
    """Look up all addresses of a host.

    Raises:
        OSError: There are none, or nobody to ask.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(Address(family, sockaddr) for family, _, _, _, sockaddr in found))


class Addresses:
    """Say which addresses to dial, in which order.

    Each dial begins one address further than the one before, so that connections spread over all
    of them. Addresses that failed come last until one takes a connection again or the host is
    looked up anew, which happens once a minute and when all have failed.

    Args:
        host: Host name or address.
        port: TCP port.
        resolve: Looks the host up.
        clock: A clock in seconds that never goes back.
    """

    def __init__(
        self, host: str, port: int, *, resolve: Resolve, clock: Callable[[], float]
    ) -> None:
        self._host = host
        self._port = port
        self._resolve = resolve
        self._clock = clock
        self._known: Sequence[Address] = ()
        self._failed: set[Address] = set()
        self._fresh_until_s = 0.0
        self._turn = 0
        # Many connections opened at once wait for one lookup.
        self._lookup = asyncio.Lock()

    async def in_turn(self) -> Sequence[Address]:
        """Return all addresses in the order to dial them in.

        Raises:
            OSError: The host cannot be looked up, and never could.
        """
        if self._outdated():
            async with self._lookup:
                if self._outdated():
                    await self._refresh()
        return self._next_order()

    def failed(self, address: Address) -> None:
        """Take note that an address took no connection."""
        self._failed.add(address)

    def succeeded(self, address: Address) -> None:
        """Take note that an address took one."""
        self._failed.discard(address)

    def _outdated(self) -> bool:
        return self._clock() >= self._fresh_until_s or self._failed.issuperset(self._known)

    async def _refresh(self) -> None:
        try:
            found = await self._resolve(self._host, self._port)
        except OSError:
            # An address that worked a minute ago beats a name server that does not.
            if not self._known:
                raise
            found = self._known
        self._known = found
        self._failed.clear()
        self._fresh_until_s = self._clock() + _MAX_AGE_S

    def _next_order(self) -> Sequence[Address]:
        known = self._known
        start = self._turn % len(known) if known else 0
        self._turn += 1
        order = [*known[start:], *known[:start]]
        return sorted(order, key=self._failed.__contains__)
