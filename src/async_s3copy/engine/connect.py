"""Connect: open clients, loading what that takes only when it is needed."""

from __future__ import annotations

import importlib
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import anyio.to_thread

from async_s3copy.options import CopyOptions
from async_s3copy.s3.account import Account
from async_s3copy.s3.client import S3Client
from async_s3copy.s3.terms import NO_TERMS, Terms

_OPENING: Final = "async_s3copy.s3.opening"


@asynccontextmanager
async def connected(
    source: Account,
    destination: Account,
    options: CopyOptions,
    count: Callable[[bool], object],
    terms: Terms = NO_TERMS,
) -> AsyncIterator[tuple[S3Client, S3Client]]:
    """Open both sides' clients for a block; every connection is closed on leaving.

    Args:
        source: Whose credentials list and read.
        destination: Whose credentials copy and write.
        options: Which client, its timeouts and its number of connections.
        count: Counts a request that passes no governor; called with whether it repeats another.
        terms: On what terms the two buckets are spoken to.

    Yields:
        The source's client and the destination's.

    Raises:
        CredentialsError: No usable credentials, or the role cannot be assumed.
        S3Error: The configuration does not make a client.
        ValidationError: ``client="wire"``, and the configuration is not ordinary.
    """
    async with connected_source(source, options, count, terms) as here:
        open_client = await _client_opener()
        async with open_client(destination, "destination", options, count, terms) as there:
            yield here, there


@asynccontextmanager
async def connected_source(
    source: Account,
    options: CopyOptions,
    count: Callable[[bool], object],
    terms: Terms = NO_TERMS,
) -> AsyncIterator[S3Client]:
    """Open the source's client alone; as ``connected`` does."""
    open_client = await _client_opener()
    async with open_client(source, "source", options, count, terms) as here:
        yield here


async def _client_opener() -> Any:
    """Return ``open_client``, loading botocore on first use: importing the library does not.

    That takes half a second, so it happens in a thread: a shared event loop goes on meanwhile.
    """
    module: Any = sys.modules.get(_OPENING)
    # While another operation's thread imports it, it is there already, but not complete.
    if not hasattr(module, "open_client"):
        module = await anyio.to_thread.run_sync(importlib.import_module, _OPENING)
    return module.open_client
