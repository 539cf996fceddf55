"""Policies and overrides on real servers, by all four ways."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

import pytest

from async_s3copy import CopyFailedError, Skipped, SkipReason, TransferMetrics
from async_s3copy.preserve import Overrides, Preserve
from tests.real import WAYS, Place, Watch, by_way, place_on
from tests.support import S3Server, Stored, put_object

pytestmark = pytest.mark.stack_b

RICH: Final = Stored(
    body=b"x",
    headers={"content-type": "a/b", "cache-control": "no-store", "content-language": "de"},
    metadata={"m": "1"},
    tags={"t": "1"},
    storage_class="STANDARD_IA",
)
UNTIL: Final = datetime(2100, 1, 1, tzinfo=UTC)


@pytest.fixture(params=["seaweedfs", "moto"])
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    """A bucket pair on either server."""
    server = request.getfixturevalue(request.param)
    async with place_on(server) as made:
        yield made


@pytest.fixture
async def moto_place(moto: S3Server) -> AsyncIterator[Place]:
    """A bucket pair on moto, which keeps locks, redirects, ACLs and keys."""
    async with place_on(moto) as made:
        yield made


async def run(place: Place, way: str, to: str | None = None, **given: Any) -> TransferMetrics:
    return await place.operation(None, to, options=by_way(way, **given)).run()


@pytest.mark.parametrize("way", WAYS)
async def test_overrides_arrive_and_what_is_dropped_is_gone(place: Place, way: str) -> None:
    """Written anew, left as it was, dropped: by all four ways, on both servers."""
    await put_object(place.admin, place.buckets.source, "k", RICH)
    overrides = Overrides(content_type="x/y", metadata={"n": "2"}, tags={"u": "A + ü"})
    metrics = await run(place, way, "anew/", overrides=overrides)
    assert replace(await place.stored("anew/k"), etag="") == replace(
        RICH,
        headers={**RICH.headers, "content-type": "x/y"},
        metadata={"n": "2"},
        tags={"u": "A + ü"},
    )
    assert metrics.degradations == {}
    preserve = Preserve(content_headers="drop", metadata="drop", tags="drop")
    await run(place, way, "bare/", preserve=preserve)
    bare = await place.stored("bare/k")
    assert (bare.body, bare.metadata, bare.tags) == (RICH.body, {}, {})
    assert bare.headers.keys() <= {"content-type"}
    assert bare.headers.get("content-type") != RICH.headers["content-type"]
    assert bare.storage_class == RICH.storage_class


@pytest.mark.parametrize("way", WAYS)
async def test_redirect_encryption_and_grants_are_carried(moto_place: Place, way: str) -> None:
    """What no copy carries by itself arrives where it is asked for."""
    place, source = moto_place, moto_place.buckets.source
    await place.admin.put_object(
        Bucket=source,
        Key="k",
        Body=b"x",
        WebsiteRedirectLocation="/there",
        ServerSideEncryption="aws:kms",
        GrantRead='uri="http://acs.amazonaws.com/groups/global/AllUsers"',
    )
    await run(place, way, preserve=Preserve.everything())
    found = await place.admin.head_object(Bucket=place.buckets.destination, Key="k")
    assert found["WebsiteRedirectLocation"] == "/there"
    assert found["ServerSideEncryption"] == "aws:kms"
    acl = await place.admin.get_object_acl(Bucket=place.buckets.destination, Key="k")
    read = [each for each in acl["Grants"] if each["Permission"] == "READ"]
    assert [each["Grantee"]["URI"].rpartition("/")[2] for each in read] == ["AllUsers"]


async def test_a_lock_is_carried(moto_place: Place) -> None:
    """Retention and hold of the source, into a bucket with object lock, by a relay.

    moto refuses locks in a copy or an upload in parts, whose headers S3 does not ask for more.
    """
    place, buckets = moto_place, moto_place.buckets
    names = (f"{buckets.source}-locked", f"{buckets.destination}-locked")
    for name in names:
        await place.admin.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    locked = replace(place, buckets=replace(buckets, source=names[0], destination=names[1]))
    await place.admin.put_object(
        Bucket=names[0],
        Key="k",
        Body=b"x",
        ObjectLockMode="GOVERNANCE",
        ObjectLockRetainUntilDate=UNTIL,
        ObjectLockLegalHoldStatus="ON",
    )
    await run(locked, "relay_put", preserve=Preserve(object_lock="required"))
    found = await place.admin.head_object(Bucket=names[1], Key="k")
    assert found["ObjectLockMode"] == "GOVERNANCE"
    assert found["ObjectLockRetainUntilDate"] == UNTIL
    assert found["ObjectLockLegalHoldStatus"] == "ON"


@pytest.mark.parametrize("way", WAYS)
async def test_archived_objects_are_told_apart(moto_place: Place, way: str) -> None:
    """GLACIER, not restored: a failure that says what to do, or a skip; the others arrive."""
    bucket = moto_place.buckets.source
    await put_object(moto_place.admin, bucket, "k", replace(RICH, storage_class="GLACIER"))
    await put_object(moto_place.admin, bucket, "other", b"o")
    with pytest.raises(CopyFailedError, match="restore it first") as caught:
        await run(moto_place, way)
    assert [failure.code for failure in caught.value.failures] == ["InvalidObjectState"]
    watch = Watch()
    options = by_way(way, archived="skip")
    await moto_place.operation(options=options, observer=watch).run()
    reasons = [each.reason for each in watch.outcomes if isinstance(each, Skipped)]
    assert reasons == [SkipReason.ARCHIVED]
    assert set(await moto_place.bodies()) == {"other"}
