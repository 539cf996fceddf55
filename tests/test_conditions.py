"""``overwrite=False``: the guard's table row by row, for each kind of write and of server."""

from __future__ import annotations

import hashlib

import anyio
import pytest

from async_s3copy import S3Error, S3Location
from async_s3copy.engine.conditions import DestinationExists, Send, Write
from async_s3copy.engine.transfer import Transfer
from async_s3copy.s3.values import CompletedPart, CopySource, ObjectProperties, Written
from tests.fake_server import AWS, OTHER, Condition, FakeS3, Fault, md5_hex
from tests.harness import World, fast_options, transfer_of

TARGET = S3Location("target-bucket", "k")
OPERATIONS: dict[Write, str] = {
    "copy": "CopyObject",
    "put": "PutObject",
    "complete": "CompleteMultipartUpload",
}
NEW = b"new"


def a_server(url: str, condition: Condition = "honoured", *, taken: bool = False) -> FakeS3:
    server = FakeS3(url)
    server.conditions = dict.fromkeys(OPERATIONS, condition)
    server.put("source-bucket", "k", NEW)
    if taken:
        server.put("target-bucket", "k", b"old")
    return server


def sender(transfer: Transfer, kind: Write, key: str = "k") -> Send:
    """The write of each kind, sent once per call, as the engine sends it."""
    client = transfer.destination

    async def copy(if_none_match: bool) -> Written:
        source = CopySource(bucket="source-bucket", key="k")
        return await client.copy_object("target-bucket", key, source, if_none_match=if_none_match)

    async def put(if_none_match: bool) -> Written:
        md5 = hashlib.md5(NEW, usedforsecurity=False).digest()
        return await client.put_object(
            "target-bucket", key, NEW, ObjectProperties(), md5=md5, if_none_match=if_none_match
        )

    async def complete(if_none_match: bool) -> Written:
        uploads = await client.create_multipart_upload("target-bucket", key, ObjectProperties())
        md5 = hashlib.md5(NEW, usedforsecurity=False).digest()
        await client.upload_part("target-bucket", key, uploads, 1, NEW, md5=md5)
        part = CompletedPart(1, md5_hex(NEW))
        return await client.complete_multipart_upload(
            "target-bucket", key, uploads, [part], if_none_match=if_none_match
        )

    sends: dict[Write, Send] = {"copy": copy, "put": put, "complete": complete}
    return sends[kind]


async def write(transfer: Transfer, kind: Write, key: str = "k") -> Written:
    target = S3Location("target-bucket", key)
    return await transfer.guard.write(kind, target, sender(transfer, kind, key))


def sent(server: FakeS3, kind: Write) -> list[bool]:
    """Whether each write carried the condition."""
    return [call.if_none_match for call in server.made(OPERATIONS[kind])]


def degradations(transfer: Transfer) -> dict[str, int]:
    return dict(transfer.recorder.snapshot().degradations)


every_kind = pytest.mark.parametrize("kind", list(OPERATIONS))


@every_kind
@pytest.mark.parametrize("url", [AWS, OTHER])
async def test_overwrite_writes_without_a_condition(kind: Write, url: str) -> None:
    """With ``overwrite=True`` nothing is asked and everything replaced."""
    server = a_server(url, taken=True)
    await write(transfer_of(server), kind)
    assert server.buckets["target-bucket"]["k"].data == NEW
    assert sent(server, kind) == [False]
    assert server.counts()["HeadObject"] == 0


@every_kind
async def test_aws_a_free_key_costs_nothing_more(kind: Write) -> None:
    """AWS: the write with the condition, and no HEAD."""
    server = a_server(AWS)
    transfer = transfer_of(server, overwrite=False)
    await write(transfer, kind)
    assert sent(server, kind) == [True]
    assert server.counts()["HeadObject"] == 0
    assert degradations(transfer) == {}


@every_kind
async def test_aws_a_taken_key_is_left_alone(kind: Write) -> None:
    """AWS: the 412 is about the destination, because the key is there."""
    server = a_server(AWS, taken=True)
    with pytest.raises(DestinationExists):
        await write(transfer_of(server, overwrite=False), kind)
    assert server.buckets["target-bucket"]["k"].data == b"old"
    assert sent(server, kind) == [True]


@every_kind
async def test_a_412_about_the_source_passes(kind: Write) -> None:
    """Where the destination key is free, the 412 must be the pinned source's: it passes."""
    server = a_server(AWS)
    server.faults = [Fault(OPERATIONS[kind], "PreconditionFailed", 412)]
    with pytest.raises(S3Error) as caught:
        await write(transfer_of(server, overwrite=False), kind)
    assert caught.value.code == "PreconditionFailed"


@pytest.mark.parametrize("kind", ["copy", "put"])
async def test_another_server_that_honours_the_condition_is_found_out_once(kind: Write) -> None:
    """The first object: HEAD, and the write twice; from the second on only the condition."""
    server = a_server(OTHER)
    transfer = transfer_of(server, overwrite=False)
    await write(transfer, kind)
    assert sent(server, kind) == [True, True]
    assert server.counts()["HeadObject"] == 1
    await write(transfer, kind, "k2")
    assert sent(server, kind) == [True, True, True]
    assert server.counts()["HeadObject"] == 1
    assert degradations(transfer) == {}


@pytest.mark.parametrize("kind", ["copy", "put"])
@pytest.mark.parametrize("condition", ["ignored", "rejected"])
async def test_a_server_without_the_condition_is_asked_before_each_write(
    kind: Write, condition: Condition
) -> None:
    """Ignored or rejected: HEAD before every write from then on, and each is a degradation."""
    server = a_server(OTHER, condition)
    transfer = transfer_of(server, overwrite=False)
    await write(transfer, kind)
    first = sent(server, kind)
    assert first == ([True, True] if condition == "ignored" else [True, False])
    await write(transfer, kind, "k2")
    assert sent(server, kind) == [*first, False]
    assert server.counts()["HeadObject"] == 2
    assert degradations(transfer) == {"unprotected_writes": 1 + (condition == "rejected")}
    assert server.buckets["target-bucket"].keys() == {"k", "k2"}


@every_kind
@pytest.mark.parametrize("condition", ["honoured", "ignored", "rejected"])
async def test_a_taken_key_is_safe_on_every_server(kind: Write, condition: Condition) -> None:
    """Whatever a server makes of the condition: not one write is sent for a key that is there."""
    server = a_server(OTHER, condition, taken=True)
    with pytest.raises(DestinationExists):
        await write(transfer_of(server, overwrite=False), kind)
    assert server.buckets["target-bucket"]["k"].data == b"old"
    assert sent(server, kind) == []


@pytest.mark.parametrize("condition", ["honoured", "ignored"])
async def test_completing_is_never_tried_twice(condition: Condition) -> None:
    """A second Complete would find no upload: HEAD, then one Complete with the condition."""
    server = a_server(OTHER, condition)
    transfer = transfer_of(server, overwrite=False)
    for key in ("k", "k2"):
        await write(transfer, "complete", key)
    assert sent(server, "complete") == [True, True]
    assert server.counts()["HeadObject"] == 2


async def test_a_rejected_complete_is_sent_without_the_condition() -> None:
    """HEAD protects as well as it can; counted for each object."""
    server = a_server(OTHER, "rejected")
    transfer = transfer_of(server, overwrite=False)
    for key in ("k", "k2"):
        await write(transfer, "complete", key)
    assert sent(server, "complete") == [True, False, False]
    assert degradations(transfer) == {"unprotected_writes": 2}


@pytest.mark.parametrize(
    "code, status",
    [
        ("NotImplemented", 501),
        ("InvalidArgument", 400),
        ("InvalidRequest", 400),
        ("MethodNotAllowed", 405),
    ],
)
async def test_each_way_of_rejecting_is_understood(code: str, status: int) -> None:
    """Servers reject what they do not know in four ways."""
    server = a_server(OTHER)
    server.faults = [Fault("CopyObject", code, status)]
    await write(transfer_of(server, overwrite=False), "copy")
    assert sent(server, "copy") == [True, False]


async def test_support_differs_between_the_kinds_of_write() -> None:
    """What was found out about PutObject says nothing about CopyObject."""
    server = a_server(OTHER)
    server.conditions = {"put": "honoured", "copy": "ignored"}
    transfer = transfer_of(server, overwrite=False)
    await write(transfer, "put", "p1")
    await write(transfer, "copy", "c1")
    await write(transfer, "put", "p2")
    await write(transfer, "copy", "c2")
    assert sent(server, "put") == [True, True, True]
    assert sent(server, "copy") == [True, True, False]


@pytest.mark.parametrize("condition", ["honoured", "ignored"])
async def test_many_workers_find_out_once(condition: Condition) -> None:
    """Only the first of many concurrent objects is written twice; the others know what it found."""
    server = a_server(OTHER, condition)
    transfer = transfer_of(server, overwrite=False)
    async with anyio.create_task_group() as group:
        for n in range(20):
            group.start_soon(write, transfer, "put", f"k{n}")
    assert sent(server, "put") == [True, True, *[condition == "honoured"] * 19]
    assert len(server.buckets["target-bucket"]) == 20
    assert degradations(transfer) == ({"unprotected_writes": 19} if condition == "ignored" else {})


@pytest.mark.parametrize("taken", [False, True])
async def test_a_denied_head_is_replaced_by_a_listing(taken: bool) -> None:
    """Without permission to read, a listing of the very key still tells whether it is there."""
    server = a_server(OTHER, "ignored", taken=taken)
    server.put("target-bucket", "k-longer", b"another key with the same prefix")
    server.denied = {("destination", "HeadObject", "target-bucket")}
    transfer = transfer_of(server, overwrite=False)
    if taken:
        with pytest.raises(DestinationExists):
            await write(transfer, "put")
    else:
        await write(transfer, "put")
    assert server.counts()["ListObjectsV2"] == 1
    assert server.buckets["target-bucket"]["k"].data == (b"old" if taken else NEW)


async def test_where_nothing_can_be_known_nothing_is_written() -> None:
    """HEAD and listing denied, and no condition to rely on: an error, not a risk."""
    server = a_server(OTHER, "ignored")
    server.denied = {
        ("destination", "HeadObject", "target-bucket"),
        ("destination", "ListObjectsV2", "target-bucket"),
    }
    with pytest.raises(S3Error, match="s3:ListBucket"):
        await write(transfer_of(server, overwrite=False), "put")
    assert sent(server, "put") == []


@pytest.mark.parametrize("size", [3, 6 * 1024 * 1024])
async def test_write_only_credentials_relay_to_aws_without_overwriting(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """s3:PutObject alone is enough on AWS, because the condition needs no look at the key."""
    world = World().install(monkeypatch)
    world.source.put("source-bucket", "in/k", bytes(size))
    world.source.denied = {
        ("destination", "HeadObject", "target-bucket"),
        ("destination", "ListObjectsV2", "target-bucket"),
    }
    operation = world.operation(overwrite=False, options=fast_options(method="relay"))
    metrics = await operation.run()
    assert metrics.files_copied_successfully == 1
    world.assert_clean()


@pytest.mark.parametrize("method", ["server_side", "relay"])
async def test_a_large_object_that_is_there_costs_no_byte(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before parts are sent, one HEAD looks whether they would be sent in vain."""
    world = World().install(monkeypatch)
    world.source.put("source-bucket", "in/k", bytes(6 * 1024 * 1024))
    world.source.put("target-bucket", "out/k", b"old")
    metrics = await world.operation(overwrite=False, options=fast_options(method=method)).run()
    assert metrics.files_skipped == 1
    assert world.source.buckets["target-bucket"]["out/k"].data == b"old"
    counts = world.source.counts()
    assert counts["CreateMultipartUpload"] == counts["GetObject"] == 0
