"""Open one side's client: the wire where the configuration is ordinary, botocore where not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from async_s3copy.errors import Side
from async_s3copy.options import CopyOptions
from async_s3copy.s3.account import Account
from async_s3copy.s3.boto import BotoClient
from async_s3copy.s3.boto_errors import translated
from async_s3copy.s3.boto_sends import Count, nobody_counts
from async_s3copy.s3.client import S3Client
from async_s3copy.s3.session import s3_client_context, s3_session
from async_s3copy.s3.terms import NO_TERMS, Terms
from async_s3copy.s3.wire.opening import open_wire_client


@asynccontextmanager
async def open_client(
    account: Account,
    side: Side,
    options: CopyOptions,
    count: Count = nobody_counts,
    terms: Terms = NO_TERMS,
) -> AsyncIterator[S3Client]:
    """Open one side's client; every connection is closed on the way out.

    Args:
        account: Whose credentials, which endpoint.
        side: Which side the client speaks for.
        options: Which client, its timeouts and its number of connections.
        count: Counts a request that whoever counts requests does not see: one sent again because
            its kept-alive connection was dead (called with ``True``), or one to learn from.
        terms: On what terms buckets are spoken to.

    Raises:
        CredentialsError: No usable credentials, or the role cannot be assumed.
        S3Error: The configuration does not make a client.
        ValidationError: ``client="wire"``, and the configuration is not ordinary.
    """
    async with open_boto_client(account, side, options, terms, count) as reference:
        if options.client == "boto":
            yield reference
            return
        async with open_wire_client(reference, options, count) as client:
            yield client


@asynccontextmanager
async def open_boto_client(
    account: Account,
    side: Side,
    options: CopyOptions,
    terms: Terms = NO_TERMS,
    count: Count = nobody_counts,
) -> AsyncIterator[BotoClient]:
    """Open the reference client of one side; see ``open_client``.

    Raises:
        CredentialsError: No usable credentials, or the role cannot be assumed.
        S3Error: The configuration does not make a client.
    """
    async with translated("CreateClient", side, ""):
        session = await s3_session(account, options, side)
        context = s3_client_context(session, account, options)
        client = await context.__aenter__()
    try:
        yield BotoClient(client, side, session, terms, count)
    finally:
        with anyio.CancelScope(shield=True):
            await context.__aexit__(None, None, None)
