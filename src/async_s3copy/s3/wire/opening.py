"""Put the wire before a reference client, where its configuration is ordinary."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio

from async_s3copy.options import CopyOptions
from async_s3copy.s3.boto import BotoClient
from async_s3copy.s3.client import S3Client
from async_s3copy.s3.wire.client import WireClient
from async_s3copy.s3.wire.learn import watch
from async_s3copy.s3.wire.ordinary import obstacle, signs_payload, timeouts, verify_setting
from async_s3copy.s3.wire.routing import RoutingTable, stay_on_botocore


@asynccontextmanager
async def open_wire_client(
    reference: BotoClient, options: CopyOptions, count: Callable[[bool], object]
) -> AsyncIterator[S3Client]:
    """Put the wire before a reference client, for a block; every connection is closed on leaving.

    Yields:
        The fast client, or the reference client itself where its configuration is not ordinary.

    Raises:
        ValidationError: ``client="wire"``, and the configuration is not ordinary.
    """
    reason = obstacle(reference.client)
    if reason:
        stay_on_botocore(reference.side, options, reason)
        yield reference
        return
    watch(reference.client.meta.events)
    table = RoutingTable(
        await reference.signing(),
        reference.side,
        options,
        timeouts=timeouts(reference.client),
        verify=verify_setting(reference.client),
        signs_payload=signs_payload(reference.client),
        count=count,
        terms=reference.terms,
    )
    try:
        yield WireClient(reference, table)
    finally:
        with anyio.CancelScope(shield=True):
            await table.aclose()
