"""The link to the destination in the S3 console."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from tests import airflow_home  # noqa: F401  # before anything of Airflow

# isort: split
from airflow.sdk.types import TaskInstanceKey

from async_s3copy import S3Location
from async_s3copy.airflow.links import S3DestinationLink, console_url
from tests.airflow_connections import define
from tests.airflow_tasks import copy_task

pytestmark = pytest.mark.stack_b

KEY = TaskInstanceKey("copies", "copy", "run", 1, -1)


def link(**given: Any) -> str:
    """Return the link of a task."""
    return S3DestinationLink().get_link(copy_task(**given), ti_key=KEY)


@pytest.mark.parametrize(
    "region, domain",
    [
        ("", "console.aws.amazon.com"),
        ("eu-west-1", "console.aws.amazon.com"),
        ("us-east-1", "console.aws.amazon.com"),
        ("cn-north-1", "console.amazonaws.cn"),
        ("us-gov-west-1", "console.amazonaws-us-gov.com"),
    ],
)
def test_the_console_is_that_of_the_region_s_partition(region: str, domain: str) -> None:
    """Each partition has a console of its own, and the link names the Region where it is known."""
    url = urlsplit(console_url(S3Location("my-bucket", "p/"), region=region, recursive=True))
    assert (url.scheme, url.netloc, url.path) == ("https", domain, "/s3/buckets/my-bucket")
    expected = {"region": [region], "prefix": ["p/"]} if region else {"prefix": ["p/"]}
    assert parse_qs(url.query) == expected


@pytest.mark.parametrize("region", ["us-iso-east-1", "us-isob-east-1", "eusc-de-east-1"])
def test_a_partition_without_a_public_console_has_no_link(region: str) -> None:
    """No button is better than one that leads into another partition."""
    assert console_url(S3Location("my-bucket", "p/"), region=region, recursive=True) == ""


@pytest.mark.parametrize(
    "key, recursive, path",
    [
        ("k", False, "/s3/object/my-bucket"),
        ("p/", False, "/s3/buckets/my-bucket"),
        ("p", True, "/s3/buckets/my-bucket"),
        (None, True, "/s3/buckets/my-bucket"),
        (None, False, "/s3/buckets/my-bucket"),
    ],
)
def test_an_object_and_a_prefix_have_pages_of_their_own(
    key: str | None, recursive: bool, path: str
) -> None:
    """One object is opened itself; a prefix, or a copy into a folder, as a listing."""
    assert (
        urlsplit(console_url(S3Location("my-bucket", key), region="", recursive=recursive)).path
        == path
    )


@pytest.mark.parametrize("key", ["a b&c=d", "é/ü", "x#y?z", "%2F", "+", "a//b", "😀"])
def test_any_key_arrives_unchanged(key: str) -> None:
    """The console is asked for exactly this key."""
    query = urlsplit(console_url(S3Location("my-bucket", key), region="", recursive=False)).query
    name, _, value = query.partition("=")
    assert (name, unquote(value)) == ("prefix", key)


def test_the_region_is_the_task_s_or_the_connection_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """``region_name`` goes before the connection's, as for the copy itself."""
    define(monkeypatch, "ours", extra={"region_name": "cn-north-1"})
    assert "amazonaws.cn/" in link(dest_aws_conn_id="ours")
    assert "console.aws.amazon.com/" in link(dest_aws_conn_id="ours", region_name="eu-west-1")


@pytest.mark.parametrize(
    "extra",
    [
        {"endpoint_url": "http://127.0.0.1:1"},
        {"service_config": {"s3": {"endpoint_url": "http://127.0.0.1:1"}}},
    ],
)
def test_a_server_other_than_aws_has_no_link(
    extra: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The console knows nothing of its buckets."""
    define(monkeypatch, "ours", extra=extra)
    assert link(dest_aws_conn_id="ours") == ""


@pytest.mark.parametrize("conn_id", [None, "nobody"])
def test_without_a_connection_the_link_is_still_there(conn_id: str | None) -> None:
    """A missing connection fails the copy, not the link; the default chain may be any Region's."""
    expected = "https://console.aws.amazon.com/s3/buckets/dst-bucket?prefix=q%2F"
    assert link(dest_aws_conn_id=conn_id) == expected


def test_a_url_as_the_destination_is_understood() -> None:
    """The link leads where the copy went, however that was said."""
    expected = "https://console.aws.amazon.com/s3/object/my-bucket?prefix=k"
    given = {
        "destination_bucket": None,
        "destination_key": "s3://my-bucket/k",
        "recursive": "False",
    }
    assert link(source_key="k", dest_aws_conn_id=None, **given) == expected


@pytest.mark.parametrize(
    "given",
    [
        {"destination_bucket": None},
        {"destination_bucket": "arn:aws:s3:eu-west-1:123456789012:accesspoint/mine"},
    ],
)
def test_a_destination_that_is_no_bucket_has_no_link(given: dict[str, Any]) -> None:
    """Neither a mistake nor an access point can be opened by a bucket's name."""
    assert link(dest_aws_conn_id=None, **given) == ""
