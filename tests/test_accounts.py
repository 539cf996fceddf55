"""Two accounts: who copies, who relays, and what is said when someone may not."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from async_s3copy import (
    AccessDeniedError,
    CopyFailedError,
    NoSuchBucketError,
    NoSuchKeyError,
    OperationState,
    S3CopyOperation,
    S3Error,
    ValidationError,
)
from tests.real import LARGE, Place, Watch, place_on, quick
from tests.support import S3Server, seed

pytestmark = pytest.mark.stack_b

OBJECTS = {"p/a": b"1", "p/b": b"22", "p/c": b"333"}


@pytest.fixture
async def place(seaweedfs: S3Server) -> AsyncIterator[Place]:
    """A bucket pair on SeaweedFS with three small objects in the source."""
    async with place_on(seaweedfs) as made:
        await seed(made.admin, made.buckets.source, OBJECTS)
        yield made


def between(place: Place, source: str, destination: str, **given: Any) -> S3CopyOperation:
    """Prepare a copy of the three objects from one named identity to another."""
    who = place.server.identities
    return place.operation(
        "p/",
        "p/",
        source=place.server.account(getattr(who, source)),
        destination=place.server.account(getattr(who, destination)),
        **given,
    )


async def refused(operation: S3CopyOperation, kind: type[S3Error]) -> S3Error:
    """Run an operation that must end while it is validated; return its error."""
    with pytest.raises(kind) as caught:
        await operation.run()
    assert operation.state is OperationState.VALIDATION_FAILED
    assert operation.failure_reason == str(caught.value)
    return caught.value


async def test_auto_relays_between_strangers_and_says_so_once(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    """Accounts that cannot see each other: auto relays, with one notice and one record."""
    caplog.set_level(logging.INFO, logger="async_s3copy")
    watch = Watch()
    metrics = await between(place, "source", "destination", observer=watch).run()
    assert await place.bodies() == OBJECTS
    assert metrics.files_relayed == 3
    text = (
        "Relaying bytes through this process: "
        f"the destination credentials may not read s3://{place.buckets.source}"
    )
    assert watch.notices == [text]
    ours = [r.getMessage() for r in caplog.records if r.name.startswith("async_s3copy")]
    assert ours == [f"relay: {text}"]


async def test_server_side_between_strangers_names_side_and_permission(place: Place) -> None:
    """server_side does not relay: every object fails with who needs what on which side."""
    operation = between(place, "source", "destination", options=quick(method="server_side"))
    with pytest.raises(CopyFailedError) as caught:
        await operation.run()
    assert operation.state is OperationState.COPY_FAILED
    assert await place.bodies() == {}
    failure = caught.value.failures[0]
    assert failure.code == "AccessDenied"
    assert isinstance(failure.error, AccessDeniedError)
    assert failure.error.permission.startswith("s3:GetObject")
    assert ("the destination credentials need s3:GetObject") in str(caught.value)
    assert f"on the source s3://{place.buckets.source}/p/" in str(caught.value)


async def test_relay_relays_even_where_it_need_not(place: Place) -> None:
    """method="relay" always moves the bytes through this process."""
    metrics = await between(place, "both", "both", options=quick(method="relay")).run()
    assert metrics.files_relayed == 3
    assert await place.bodies() == OBJECTS


@pytest.mark.parametrize("destination", ["both", "copier"])
async def test_auto_copies_server_side_where_it_may(
    place: Place, destination: str, client_choice: str
) -> None:
    """A principal that reads the source and writes the destination copies inside S3, silently."""
    watch = Watch()
    metrics = await between(place, "source_read_only", destination, observer=watch).run()
    assert metrics.files_relayed == 0
    assert watch.notices == []
    # Both listings, one byte read as the destination, three copies: no GET and
    # no HEAD per object. The wire learns from a page of one key first.
    assert metrics.requests_sent == 6 + (client_choice == "wire")
    assert await place.bodies() == OBJECTS


async def test_large_objects_relay_between_strangers(place: Place) -> None:
    """A multipart relay needs nothing that two separate accounts do not have."""
    await seed(place.admin, place.buckets.source, {"p/big": b"b" * LARGE})
    metrics = await between(place, "source", "destination").run()
    assert metrics.files_relayed == 4
    assert (await place.bodies())["p/big"] == b"b" * LARGE


@pytest.mark.parametrize("forwards", [True, False])
async def test_different_services_always_relay(
    seaweedfs: S3Server, moto: S3Server, forwards: bool
) -> None:
    """Between two servers the bytes travel through this process, whatever auto could find out."""
    async with place_on(seaweedfs) as one, place_on(moto) as other:
        here, there = (one, other) if forwards else (other, one)
        await seed(here.admin, here.buckets.source, OBJECTS | {"p/big": b"b" * LARGE})
        watch = Watch()
        metrics = await here.operation("p/", "q/", to=there, observer=watch).run()
        assert metrics.files_relayed == 4
        assert len(await there.bodies()) == 4
        assert watch.notices == [
            "Relaying bytes through this process: "
            f"{here.server.endpoint_url} and {there.server.endpoint_url} are different services"
        ]


async def test_server_side_between_different_services_is_refused(
    place: Place, moto: S3Server
) -> None:
    """method="server_side" between two servers is an error before anything is written."""
    async with place_on(moto) as there:
        operation = place.operation("p/", "q/", to=there, options=quick(method="server_side"))
        with pytest.raises(ValidationError, match="method='server_side' must be 'auto' or 'relay'"):
            await operation.run()
        assert operation.state is OperationState.VALIDATION_FAILED
        assert await there.bodies() == {}


async def test_the_same_bucket_names_on_two_servers_do_not_overlap(
    place: Place, moto: S3Server
) -> None:
    """Equal names on different services are different buckets."""
    async with moto.client() as admin:
        await admin.create_bucket(Bucket=place.buckets.source)
    operation = S3CopyOperation(
        place.buckets.source,
        "p/",
        place.buckets.source,
        "p/",
        recursive=True,
        source=place.admin_account,
        destination=moto.account(moto.admin),
        options=quick(),
    )
    assert (await operation.run()).files_copied_successfully == 3


@pytest.mark.parametrize("who", ["stranger", "source_read_only_no_list"])
async def test_a_source_that_may_not_be_listed(place: Place, who: str) -> None:
    """Without s3:ListBucket on the source nothing is copied, and the error says what is missing."""
    error = await refused(between(place, who, "destination"), AccessDeniedError)
    assert str(error) == (
        f"ListObjectsV2 s3://{place.buckets.source} [source]: AccessDenied (403): "
        f"the source credentials need s3:ListBucket on s3://{place.buckets.source}"
    )


async def test_a_source_that_may_not_be_read(place: Place) -> None:
    """Listing allowed, reading not: every object fails with s3:GetObject named for the source."""
    with pytest.raises(CopyFailedError) as caught:
        await between(place, "source_list_only", "destination").run()
    assert caught.value.metrics.files_failed == 3
    assert "GetObject s3://" in str(caught.value)
    assert "[source]: AccessDenied (403): the source credentials need s3:GetObject" in str(
        caught.value
    )


@pytest.mark.parametrize("who", ["destination_no_write", "source"])
async def test_a_relay_that_may_not_write(place: Place, who: str) -> None:
    """Relayed, a destination that refuses writes is named with s3:PutObject."""
    with pytest.raises(CopyFailedError) as caught:
        await between(place, "source", who, options=quick(method="relay")).run()
    assert caught.value.metrics.files_failed == 3
    assert await place.bodies() == {}
    assert "[destination]: AccessDenied (403): the destination credentials need s3:PutObject" in (
        str(caught.value)
    )


async def test_a_server_side_copy_that_may_not_write(place: Place) -> None:
    """Reads both, writes nowhere: the destination is named, and nothing is relayed instead."""
    with pytest.raises(CopyFailedError) as caught:
        await between(place, "source", "copier_no_write").run()
    error = caught.value.failures[0].error
    assert isinstance(error, AccessDeniedError)
    assert "s3:PutObject" in error.permission
    assert "on the destination s3://" in str(error)
    assert caught.value.metrics.files_relayed == 0


async def test_a_large_copy_that_may_not_write(place: Place) -> None:
    """Above the threshold it is CreateMultipartUpload that is refused, with the same permission."""
    await seed(place.admin, place.buckets.source, {"p/big": b"b" * LARGE})
    with pytest.raises(CopyFailedError) as caught:
        await between(place, "source", "copier_no_write").run()
    failed = {f.source.key: f.error for f in caught.value.failures}["p/big"]
    assert "CreateMultipartUpload" in str(failed)
    assert "the destination credentials need s3:PutObject" in str(failed)


async def test_writing_alone_is_enough_for_a_destination(place: Place) -> None:
    """A destination that may only write, neither list nor read, receives a relay."""
    metrics = await between(place, "source", "destination_write_only").run()
    assert metrics.files_relayed == 3
    assert await place.bodies() == OBJECTS


@pytest.mark.parametrize("side", ["source", "destination"])
async def test_a_missing_bucket_on_either_side(place: Place, side: str) -> None:
    """A bucket that does not exist is found before anything is written, and named."""
    operation = place.operation("p/", "p/")
    setattr(operation, f"{side}_bucket", f"{side}-bucket-missing")
    error = await refused(operation, NoSuchBucketError)
    assert error.side == side
    assert str(error).startswith(
        f"ListObjectsV2 s3://{side}-bucket-missing [{side}]: NoSuchBucket (404)"
    )


async def test_a_missing_bucket_of_a_single_object(place: Place) -> None:
    """HEAD answers 404 for bucket and key alike; the error still tells which one is missing."""
    operation = place.operation("p/a", "p/", recursive=False)
    operation.source_bucket = "source-bucket-missing"
    error = await refused(operation, NoSuchBucketError)
    assert "s3://source-bucket-missing [source]: NoSuchBucket" in str(error)


@pytest.mark.parametrize(
    "key, hint", [("nope", ""), ("p", "others start with it: recursive=True copies")]
)
async def test_a_missing_key(place: Place, key: str, hint: str) -> None:
    """A single object that does not exist is a validation failure; a prefix gets a hint."""
    error = await refused(place.operation(key, "x", recursive=False), NoSuchKeyError)
    assert f"HeadObject s3://{place.buckets.source}/{key} [source]: NoSuchKey (404)" in str(error)
    assert hint in str(error)


@pytest.mark.parametrize("recursive", [True, False])
@pytest.mark.parametrize("side", ["source", "destination"])
async def test_a_wrong_secret_key_on_either_side(place: Place, side: str, recursive: bool) -> None:
    """Keys the server rejects are found before anything is written, and the side is named."""
    wrong = replace(place.server.account(place.server.admin), secret_access_key="not-the-secret")
    accounts: dict[str, Any] = {
        "source": place.admin_account,
        "destination": place.admin_account,
        side: wrong,
    }
    operation = place.operation("p/a", "q", recursive=recursive, **accounts)
    error = await refused(operation, AccessDeniedError)
    assert error.side == side
    assert error.code == "SignatureDoesNotMatch"
    assert f"S3 does not accept the {side} credentials" in str(error)
    assert "not-the-secret" not in str(error)
    assert await place.bodies() == {}


@pytest.mark.parametrize("side", ["source", "destination"])
async def test_an_unknown_access_key_on_either_side(place: Place, side: str) -> None:
    """An access key the server does not know is found while validating."""
    wrong = replace(place.server.account(place.server.admin), access_key_id="AKUNKNOWN")
    accounts: dict[str, Any] = {
        "source": place.admin_account,
        "destination": place.admin_account,
        side: wrong,
    }
    error = await refused(place.operation("p/", "q/", **accounts), AccessDeniedError)
    assert (error.side, error.code) == (side, "InvalidAccessKeyId")


async def test_an_endpoint_that_does_not_answer(place: Place) -> None:
    """A mistyped endpoint is an error within a few attempts, and the side is named."""
    deaf = replace(place.server.account(place.server.admin), endpoint_url="http://127.0.0.1:9")
    operation = place.operation("p/", "q/", source=deaf)
    error = await refused(operation, S3Error)
    assert (error.side, error.code) == ("source", "ConnectionError")
    assert operation.metrics.requests_retried == 2
