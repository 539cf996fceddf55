"""The button beside a task that opens the destination in the S3 console."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

from airflow.providers.amazon.aws.links.base_aws import BASE_AWS_CONSOLE_LINK, BaseAwsLink
from airflow.providers.common.compat.sdk import BaseHook, BaseOperatorLink

from async_s3copy.airflow.rendered import location, switch
from async_s3copy.errors import ValidationError
from async_s3copy.model import S3Location

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

_PARTITIONS: Final = (
    ("cn-", "aws-cn"),
    ("us-gov-", "aws-us-gov"),
    ("us-iso", "aws-iso"),
    ("eu-iso", "aws-iso-e"),
    ("eusc-", "aws-eusc"),
)
"""Which partition a Region is in, by how its name begins; every other one is in ``aws``."""


class S3DestinationLink(BaseOperatorLink):
    """Link to the copied object, or to the prefix, in the S3 console.

    Airflow asks for it on the worker after each part of the task's run, so it is there while the
    task is deferred. It is empty (the button does nothing) where the destination is no AWS bucket:
    a connection with an endpoint of its own, an access point, a partition without a public console.
    """

    name = "Destination in S3"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """Return the console's URL; empty where there is none.

        Args:
            operator: The operator, its templates rendered.
            ti_key: Not looked at: all is known to the operator.

        Costs one look-up of the destination's connection where ``region_name`` is not given.
        """
        given: Any = operator
        try:
            where = location("destination", given.destination_bucket, given.destination_key)
        except ValidationError:
            return ""
        extra = _extra(given.dest_aws_conn_id)
        if _endpoint(extra) or where.bucket.startswith("arn:"):
            return ""
        region = given.region_name or extra.get("region_name") or ""
        return console_url(where, region=region, recursive=switch(given.recursive) is True)


def console_url(where: S3Location, *, region: str, recursive: bool) -> str:
    """Return the S3 console's URL of an object or prefix.

    Args:
        where: The bucket and key or prefix.
        region: Region of the bucket; empty where it is not known: the console finds it, in the
            partition ``aws``.
        recursive: The key is a prefix; so is one that ends in ``/``, and none.

    Returns:
        The URL; empty for a partition that has no public console.
    """
    domain = BaseAwsLink.get_aws_domain(_partition(region))
    if domain is None:
        return ""
    key = where.key or ""
    is_prefix = recursive or not key or key.endswith("/")
    kind = "buckets" if is_prefix else "object"
    query = {"region": region} if region else {}
    if key:
        query["prefix"] = key
    path = f"{BASE_AWS_CONSOLE_LINK.format(aws_domain=domain)}/s3/{kind}/{quote(where.bucket)}"
    return f"{path}?{urlencode(query, quote_via=quote, safe='')}" if query else path


def _partition(region: str) -> str:
    for start, partition in _PARTITIONS:
        if region.startswith(start):
            return partition
    return "aws"


def _extra(conn_id: str | None) -> dict[str, Any]:
    if conn_id is None:
        return {}
    # A link is no reason to fail: without the connection the copy itself has failed.
    with suppress(Exception):
        extra: dict[str, Any] = BaseHook.get_connection(conn_id).extra_dejson
        return extra
    return {}


def _endpoint(extra: dict[str, Any]) -> object:
    services = extra.get("service_config") or {}
    of_s3 = services.get("s3") or {} if isinstance(services, dict) else {}
    own = of_s3.get("endpoint_url") if isinstance(of_s3, dict) else None
    return own or extra.get("endpoint_url")
