"""Endpoints: which server it is, and whether a copy between two can happen inside S3."""

from __future__ import annotations

import pytest

from async_s3copy.s3.endpoint import Endpoint


@pytest.mark.parametrize(
    "url",
    [
        "https://s3.amazonaws.com",
        "https://s3.eu-west-1.amazonaws.com",
        "https://s3.dualstack.eu-west-1.amazonaws.com",
        "https://s3.cn-north-1.amazonaws.com.cn",
        "https://s3.eusc-de-east-1.amazonaws.eu",
        "https://s3.eu-west-1.api.aws",
        "https://S3.EU-WEST-1.AMAZONAWS.COM:443",
    ],
)
def test_aws_is_recognised_in_all_its_partitions(url: str) -> None:
    """AWS is told by the DNS suffixes of its partitions."""
    assert Endpoint(url).is_aws


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8333",
        "https://minio.example.com",
        "https://amazonaws.com.example.com",
        "https://notamazonaws.com",
        "https://s3.example.com/amazonaws.com",
    ],
)
def test_other_servers_are_not_taken_for_aws(url: str) -> None:
    """A name that only looks like AWS's is another server."""
    assert not Endpoint(url).is_aws


def test_all_regions_of_a_partition_are_one_service() -> None:
    """CopyObject crosses Regions, not partitions."""
    ireland = Endpoint("https://s3.eu-west-1.amazonaws.com", "eu-west-1")
    oregon = Endpoint("https://s3.us-west-2.amazonaws.com", "us-west-2")
    beijing = Endpoint("https://s3.cn-north-1.amazonaws.com.cn", "cn-north-1", "aws-cn")
    assert ireland.same_service(oregon)
    assert not ireland.same_service(beijing)
    assert not beijing.same_service(ireland)


@pytest.mark.parametrize(
    "one, other, same",
    [
        ("http://127.0.0.1:8333", "http://localhost:8333", True),
        ("http://127.0.0.1:8333", "http://[::1]:8333", True),
        ("http://127.0.0.1:8333", "http://127.0.0.1:8334", False),
        ("http://minio.example.com", "http://minio.example.com:80", True),
        ("https://minio.example.com", "https://minio.example.com:443", True),
        ("http://minio.example.com", "https://minio.example.com", False),
        ("https://MINIO.example.com.", "https://minio.example.com", True),
        ("https://a.example.com", "https://b.example.com", False),
        ("https://s3.eu-west-1.amazonaws.com", "http://127.0.0.1:8333", False),
    ],
)
def test_other_servers_are_one_where_host_and_port_are(one: str, other: str, same: bool) -> None:
    """Host names compare without case, default ports are filled in, loopback is loopback."""
    assert Endpoint(one).same_service(Endpoint(other)) is same
    assert Endpoint(other).same_service(Endpoint(one)) is same


@pytest.mark.parametrize(
    "url, address",
    [
        ("https://s3.eu-west-1.amazonaws.com", "https://s3.eu-west-1.amazonaws.com"),
        ("http://127.0.0.1:8333/path?x=1", "http://127.0.0.1:8333"),
        ("http://[::1]:9000", "http://[::1]:9000"),
        ("http://name:secret@host:9000/", "http://host:9000"),
    ],
)
def test_an_endpoint_keeps_scheme_host_and_port(url: str, address: str) -> None:
    """User info above all is left out: an endpoint appears in messages."""
    found = Endpoint.from_url(url, None, "aws")
    assert found == Endpoint(address, "", "aws")
