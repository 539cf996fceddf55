"""What an operator's attributes mean once their templates are rendered: the payload of its copy."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from async_s3copy import rules
from async_s3copy.airflow.payload import CopyPayload
from async_s3copy.airflow.rendered import (
    integer,
    key_bound,
    location,
    number,
    optional,
    switch,
)
from async_s3copy.errors import ValidationError
from async_s3copy.model import S3Location

if TYPE_CHECKING:
    from airflow.sdk import Context

    from async_s3copy.airflow.operators import S3CopyOperator


def read_payload(operator: S3CopyOperator, *, is_mapped: bool) -> CopyPayload:
    """Return the copy that an operator describes, its time running from now.

    Args:
        operator: The operator, its templates rendered.
        is_mapped: Whether its task is one of a mapped one.

    Raises:
        ValidationError: A place, bound, option or time limit breaks its rule. The rest is left to
            ``CopyPayload.check``.
    """
    source, destination = read_locations(operator)
    limit_s = read_timeout_s(operator.timeout)
    # Airflow's mark for "not given" is gone by now.
    dest_aws_conn_id: Any = operator.dest_aws_conn_id
    return CopyPayload(
        source_bucket=source.bucket,
        source_key=source.key,
        destination_bucket=destination.bucket,
        destination_key=destination.key,
        recursive=switch(operator.recursive),
        source_aws_conn_id=operator.source_aws_conn_id,
        dest_aws_conn_id=dest_aws_conn_id,
        batch_size=integer(operator.batch_size),
        overwrite=switch(operator.overwrite),
        start_after=key_bound("start_after", operator.start_after, is_mapped=is_mapped),
        up_to=key_bound("up_to", operator.up_to, is_mapped=is_mapped),
        version_id=optional(operator.version_id),
        all_versions=switch(operator.all_versions),
        pin_versions=switch(operator.pin_versions),
        options=_read_options(operator),
        region_name=operator.region_name,
        verify=operator.verify,
        botocore_config=operator.botocore_config,
        checkpoint_interval_s=operator.checkpoint_interval_s,
        deadline=None if limit_s is None else time.time() + limit_s,
    )


def read_locations(operator: S3CopyOperator) -> tuple[S3Location, S3Location]:
    """Return an operator's source and destination.

    Raises:
        ValidationError: One of them is named by neither bucket and key nor a URL, or by both.
    """
    return (
        location("source", operator.source_bucket, operator.source_key),
        location("destination", operator.destination_bucket, operator.destination_key),
    )


def read_timeout_s(timeout: float | timedelta | None) -> float | None:
    """Return a time limit in seconds; ``None`` is none.

    Raises:
        ValidationError: Not a number of seconds above zero.
    """
    if timeout is None:
        return None
    seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
    return rules.check_seconds("timeout", seconds)


def is_mapped(context: Context) -> bool:
    """Return whether the task that runs is one of a mapped one."""
    index = getattr(context.get("ti"), "map_index", None)
    return index is not None and index >= 0


def range_text(payload: CopyPayload) -> str:
    """Return which keys of its prefix a copy takes, to follow its places; empty where all."""
    after = f", after {payload.start_after!r}" if payload.start_after else ""
    up_to = f", up to {payload.up_to!r}" if payload.up_to else ""
    return after + up_to


def _read_options(operator: S3CopyOperator) -> Mapping[str, Any]:
    named = {
        "method": operator.method,
        "client": operator.client,
        "max_concurrent_requests": integer(operator.max_concurrent_requests),
        "max_requests_per_second": number(operator.max_requests_per_second),
        "fail_fast": switch(operator.fail_fast),
        "preserve": operator.preserve,
        "overrides": operator.overrides,
    }
    given = {name: value for name, value in named.items() if value is not None}
    if operator.options is None:
        return given
    if not isinstance(operator.options, Mapping):
        raise ValidationError("options", operator.options, "be CopyOptions or a dictionary")
    return {**operator.options, **given}
