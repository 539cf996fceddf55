"""A prefix as key ranges, one mapped task each."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from async_s3copy import shards as core
from async_s3copy.airflow.payload import read_options
from async_s3copy.airflow.rendered import integer, location
from async_s3copy.options import CopyOptions


def split_prefix(
    source_key: str | None,
    shards: int | str,
    *,
    source_bucket: str | None = None,
    source_aws_conn_id: str | None = "aws_default",
    region_name: str | None = None,
    verify: bool | str | None = None,
    botocore_config: Mapping[str, Any] | None = None,
    options: CopyOptions | Mapping[str, Any] | None = None,
) -> list[dict[str, str | None]]:
    """Sample a prefix and divide it into key ranges, to copy with one mapped task each.

    A plain function, ready to become a task: it runs on a worker, lists a little and ends soon::

        ranges = task(split_prefix)(source_key="s3://source-bucket/photos/", shards=16)
        S3CopyOperator.partial(
            task_id="copy",
            source_key="s3://source-bucket/photos/",
            destination_key="s3://destination-bucket/landing/",
            recursive=True,
            deferrable=True,
        ).expand_kwargs(ranges)

    In a coroutine, await ``async_s3copy.split_prefix`` instead.

    Args:
        source_key: The prefix, or ``s3://bucket/prefix``; ``None`` for the whole of
            ``source_bucket``.
        shards: Key ranges at most, 1 to 1,000 (Airflow maps 1,024 by default); a few times the
            number of triggerers is enough. A text such as ``"16"``, rendered by a template, is
            taken too.
        source_bucket: The bucket; ``None`` (default) where ``source_key`` is a URL.
        source_aws_conn_id: Airflow connection that lists. Default ``"aws_default"``; ``None`` is
            the default credential chain.
        region_name: Region of the bucket; ``None`` (default) takes the connection's.
        verify: TLS verification as the amazon provider has it; ``None`` takes the connection's.
        botocore_config: Arguments of a botocore ``Config``; ``None`` takes the connection's.
        options: Knobs of the engine, as ``CopyOptions`` or as a dictionary of its fields.

    Returns:
        Arguments of ``S3CopyOperator`` for each range: ``start_after`` and ``up_to``, ``None`` at
        the ends. Together the ranges hold every key exactly once, also one that appears later.

    Raises:
        ValidationError: A parameter breaks its rule, or the connection does not exist.
        S3Error: The prefix cannot be listed.
        CredentialsError: The connection has no usable credentials.

    Costs what ``async_s3copy.split_prefix`` does: a few listing requests per range.
    """
    where = location("source", source_bucket, source_key)
    plain = options if isinstance(options, CopyOptions) else read_options(options or {})

    async def split() -> list[dict[str, str | None]]:
        # It imports botocore and the provider's hooks: not before the task runs.
        from async_s3copy.airflow.connections import resolve_account  # noqa: PLC0415

        source = await resolve_account(
            source_aws_conn_id,
            name="source_aws_conn_id",
            region_name=region_name,
            verify=verify,
            botocore_config=botocore_config,
        )
        return await core.split_prefix(str(where), integer(shards), source=source, options=plain)

    return asyncio.run(split())
