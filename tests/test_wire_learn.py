"""What botocore's own requests teach the wire: endpoint, Region, addressing style and signer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from aiobotocore.awsrequest import AioAWSResponse
from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession
from botocore import UNSIGNED

from async_s3copy.s3.wire.learn import learned, watch, watching
from async_s3copy.s3.wire.route import Origin, Route
from async_s3copy.s3.wire.sigv4 import Keys
from tests.hostile_keys import HOSTILE_KEYS

pytestmark = pytest.mark.stack_b

KEYS = Keys("AKEXAMPLE", "secret+example/key", "token//+==")
SESSION = AioSession()


@dataclass
class _Body:
    """As much of an aiohttp response as botocore reads."""

    async def read(self) -> bytes:
        return b"<ListBucketResult></ListBucketResult>"


@asynccontextmanager
async def client(**settings: Any) -> AsyncIterator[Any]:
    """A client whose requests are answered before they are sent."""
    config = AioConfig(**settings.pop("config", {}))
    async with SESSION.create_client(
        "s3",
        aws_access_key_id=KEYS.access_key_id,
        aws_secret_access_key=KEYS.secret_access_key,
        aws_session_token=KEYS.session_token,
        **{"region_name": "eu-west-1", "config": config, **settings},
    ) as made:
        watch(made.meta.events)
        made.meta.events.register_last(
            "before-send.s3",
            lambda request, **_: AioAWSResponse(request.url, 200, {}, _Body()),
        )
        yield made


async def seen(made: Any, bucket: str, key: str | None = None) -> Any:
    """Let a client make a call, and return the request it would have sent."""
    with watching() as watched:
        if key is None:
            await made.list_objects_v2(Bucket=bucket, Prefix="a b/+")
        else:
            await made.head_object(Bucket=bucket, Key=key)
    return watched.request


async def route_of(bucket: str, key: str | None = None, **settings: Any) -> Route | str:
    """Return what is learned from one call."""
    async with client(**settings) as made:
        return learned(await seen(made, bucket, key), key, KEYS, signs_payload=False)


PATH = {"s3": {"addressing_style": "path"}}
AWS = "s3.eu-west-1.amazonaws.com"
DUALSTACK = "s3.dualstack.eu-west-1.amazonaws.com"
ACCESS_POINT = "arn:aws:s3:eu-west-1:123456789012:accesspoint/mine"
POINT_HOST = "mine-123456789012.s3-accesspoint.eu-west-1.amazonaws.com"


@pytest.mark.parametrize("key", [None, "k", "in/ü +%2F?&.."])
@pytest.mark.parametrize(
    "bucket, settings, scheme, host, port, prefix",
    [
        ("my-bucket", {}, "https", f"my-bucket.{AWS}", 443, ""),
        ("my.bucket", {}, "https", AWS, 443, "/my.bucket"),
        ("my-bucket", {"config": PATH}, "https", AWS, 443, "/my-bucket"),
        (
            "my-bucket",
            {"config": {"s3": {"use_dualstack_endpoint": True}}},
            "https",
            f"my-bucket.{DUALSTACK}",
            443,
            "",
        ),
        (
            "my-bucket",
            {"config": {"s3": {"use_accelerate_endpoint": True}}},
            "https",
            "my-bucket.s3-accelerate.amazonaws.com",
            443,
            "",
        ),
        (
            "my-bucket",
            {"endpoint_url": "http://127.0.0.1:8333"},
            "http",
            "127.0.0.1",
            8333,
            "/my-bucket",
        ),
        (
            "my-bucket",
            {"endpoint_url": "https://s3.example.com/gateway", "config": PATH},
            "https",
            "s3.example.com",
            443,
            "/gateway/my-bucket",
        ),
        (ACCESS_POINT, {}, "https", POINT_HOST, 443, ""),
    ],
)
async def test_the_route_is_botocores(  # noqa: PLR0917 - one row of the table
    bucket: str,
    settings: dict[str, Any],
    scheme: str,
    host: str,
    port: int,
    prefix: str,
    key: str | None,
) -> None:
    """Whatever botocore resolves, the learned route says the same, from any kind of call."""
    route = await route_of(bucket, key, **settings)
    assert isinstance(route, Route), route
    assert route.origin == Origin(scheme, host, port)
    assert route.host_header == host + (f":{port}" if port not in (80, 443) else "")
    assert route.path_prefix == prefix
    assert (route.region, route.service) == ("eu-west-1", "s3")
    assert "botocore" in route.user_agent.lower()
    assert route.signs_payload == (scheme == "http")


@pytest.mark.parametrize("key", [each.key for each in HOSTILE_KEYS])
async def test_any_key_tells_the_prefix(key: str) -> None:
    """The path's prefix is found before keys of every shape, dots and slashes included."""
    route = await route_of("my-bucket", key, endpoint_url="http://127.0.0.1:8333")
    assert isinstance(route, Route)
    assert route.path_prefix == "/my-bucket"


@pytest.mark.parametrize(
    "settings, reason",
    [
        ({"config": {"signature_version": UNSIGNED}}, "not signed"),
        ({"config": {"signature_version": "s3"}}, "its signer is AWS, not AWS4-HMAC-SHA256"),
    ],
)
async def test_other_signers_are_named(settings: dict[str, Any], reason: str) -> None:
    """Requests that SigV4 did not sign are not for the wire, and the reason says so."""
    found = await route_of("my-bucket", endpoint_url="http://127.0.0.1:8333", **settings)
    assert isinstance(found, str)
    assert reason in found


async def test_a_signature_of_other_keys_is_not_taken_over() -> None:
    """S3 Express signs with a session's keys: the proof by signing once more fails."""
    async with client() as made:
        request = await seen(made, "my-bucket")
    other = Keys(KEYS.access_key_id, "another secret", KEYS.session_token)
    found = learned(request, None, other, signs_payload=False)
    assert found == "its signatures are not plain SigV4 with the account's own credentials"


async def test_a_header_changed_after_signing_is_not_taken_over() -> None:
    """Something beside botocore has changed the request: it stays with botocore."""
    async with client() as made:
        request = await seen(made, "my-bucket")
    request.headers["x-amz-date"] = "20200101T000000Z"
    assert isinstance(learned(request, None, KEYS, signs_payload=False), str)


async def test_a_path_that_does_not_end_in_the_key_is_not_taken_over() -> None:
    """Where a path has an unknown shape nothing is guessed."""
    async with client() as made:
        request = await seen(made, "my-bucket", "k")
    found = learned(request, "another", KEYS, signs_payload=False)
    assert found == "its paths have an unusual shape"


async def test_payload_signing_asked_for_holds_over_tls_too() -> None:
    """``payload_signing_enabled`` reaches the route."""
    async with client() as made:
        request = await seen(made, "my-bucket")
    route = learned(request, None, KEYS, signs_payload=True)
    assert isinstance(route, Route)
    assert route.signs_payload


async def test_only_the_watched_calls_requests_are_seen() -> None:
    """A call outside the block, before or after, teaches nothing."""
    async with client() as made:
        await made.list_objects_v2(Bucket="before")
        with watching() as watched:
            pass
        await made.list_objects_v2(Bucket="after")
    assert watched.request is None
