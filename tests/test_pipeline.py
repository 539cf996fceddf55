"""The pipeline: listers, a bounded queue, many workers; limits and failures of a whole run."""

from __future__ import annotations

import asyncio

import anyio
import anyio.lowlevel
import pytest

from async_s3copy import Copied, CopyFailedError, Failed, Outcome, S3Object, Skipped, SkipReason
from async_s3copy.engine.listing import first_page
from async_s3copy.engine.objects import ObjectCopier
from async_s3copy.engine.pipeline import copy_listed
from async_s3copy.errors import OutageError
from async_s3copy.options import MIB
from tests.fake_server import OTHER, Call, FakeS3, Fault, Phase
from tests.harness import Log, World, all_idle, fast_options, outcome_of, transfer_of


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World().install(monkeypatch)


def fill(server: FakeS3, count: int, *, size: int = 1) -> list[str]:
    keys = [f"in/{n:05}" for n in range(count)]
    for key in keys:
        server.put("source-bucket", key, key.encode() * size)
    return keys


def arrived(server: FakeS3) -> dict[str, bytes]:
    return {key: stored.data for key, stored in server.buckets["target-bucket"].items()}


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 350])
@pytest.mark.parametrize("batch_size", [1, 7, 1_000])
async def test_every_object_arrives_once(world: World, count: int, batch_size: int) -> None:
    """Whatever the pages and batches: each key once, its bytes, one CopyObject each."""
    world.source.page_size = 50
    keys, log = fill(world.source, count), Log()
    metrics = await world.operation(batch_size=batch_size, observer=log).run()
    assert arrived(world.source) == {f"out/{key[3:]}": key.encode() for key in keys}
    assert world.source.counts()["CopyObject"] == count
    assert metrics.total_files_found == metrics.files_copied_successfully == count
    assert metrics.total_bytes_transferred == log.bytes == 8 * count
    assert metrics.requests_sent == len(world.source.calls)
    assert (log.listed, log.listing_ended, len(log.outcomes)) == (count, 1, count)
    world.assert_clean()


async def test_listing_stops_while_the_queue_is_full(world: World) -> None:
    """While no worker gets on, the listing is at most queue and workers ahead; then it goes on."""
    world.source.page_size = 10
    fill(world.source, 1_000)
    release = anyio.Event()

    async def block(call: Call, phase: Phase) -> None:
        if call.operation == "CopyObject":
            await release.wait()

    world.source.hook = block
    options = fast_options(max_queued_batches=3, max_concurrent_requests=4)
    operation = world.operation(batch_size=5, options=options)
    task = asyncio.create_task(operation.run())
    await all_idle(2_000)
    # One batch is with the workers, three are queued and one waits to be: 25 objects, so three
    # pages. The workers hold all permits: the fourth page could not even be asked for.
    assert world.source.in_flight == 4
    before = len(world.source.made("ListObjectsV2"))
    assert before - 1 <= 3  # the destination's own small listing is one of them
    assert operation.metrics.total_files_found <= 30
    release.set()
    assert (await task).files_copied_successfully == 1_000
    assert len(world.source.made("ListObjectsV2")) == 101


async def test_listing_is_bounded_by_the_queue_not_by_the_request_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Even with permits to spare no page is asked for that the queue cannot take."""
    server = FakeS3(page_size=10)
    fill(server, 1_000)
    release, blocked = anyio.Event(), 0

    class Blocked(ObjectCopier):
        async def copy(self, item: S3Object) -> Outcome:
            nonlocal blocked
            blocked += 1
            await release.wait()
            return await super().copy(item)

    monkeypatch.setattr("async_s3copy.engine.pipeline.ObjectCopier", Blocked)
    options = fast_options(max_queued_batches=2, max_concurrent_requests=4)
    transfer = transfer_of(server, options=options)
    page = await first_page(transfer, max_attempts=1)
    task = asyncio.create_task(copy_listed(transfer, page, batch_size=10))
    await all_idle(2_000)
    assert (blocked, server.in_flight) == (4, 0)
    # One batch with the workers, two queued, one page waits to be queued.
    assert transfer.recorder.snapshot().total_files_found == 40
    assert len(server.made("ListObjectsV2")) == 4
    release.set()
    await task
    assert transfer.recorder.snapshot().files_copied_successfully == 1_000


@pytest.mark.parametrize("method", ["server_side", "relay"])
async def test_the_request_limit_holds_over_all_objects_and_parts(
    world: World, method: str
) -> None:
    """Several multipart objects and small ones at once: one limit for all of them together."""
    fill(world.source, 20)
    for n in range(3):
        world.source.put("source-bucket", f"in/large{n}", bytes([n]) * (11 * MIB))
    metrics = await world.operation(options=fast_options(method=method)).run()
    assert metrics.files_copied_successfully == 23
    assert world.source.most_in_flight == 4
    parts = world.source.counts()["UploadPartCopy"] + world.source.counts()["UploadPart"]
    assert parts == 9
    world.assert_clean()


async def test_a_relay_never_holds_more_bytes_than_allowed(world: World) -> None:
    """Objects and parts under way together stay below ``relay_memory_bytes``."""
    for n in range(6):
        world.source.put("source-bucket", f"in/{n}", bytes([n]) * (4 * MIB + n * MIB))
    most = 0

    async def watch(call: Call, phase: Phase) -> None:
        nonlocal most
        if world.transfers:
            most = max(most, world.transfers[0].memory.used_bytes)

    world.source.hook = watch
    options = fast_options(method="relay", relay_memory_bytes=10 * MIB, max_concurrent_requests=8)
    metrics = await world.operation(options=options).run()
    assert metrics.files_relayed == 6
    assert 5 * MIB < most <= 10 * MIB


async def test_failures_do_not_stop_the_others(world: World) -> None:
    """By default every object is tried, and the error at the end tells all."""
    keys, log = fill(world.source, 10), Log()
    world.source.faults = [
        Fault("CopyObject", "InternalError", 500, times=99, key="out/00003"),
        Fault("CopyObject", "InvalidRequest", 400, key="out/00007"),
    ]
    with pytest.raises(CopyFailedError, match="2 of 10 objects failed") as caught:
        await world.operation(observer=log).run()
    assert len(arrived(world.source)) == 8
    assert [failure.source.key for failure in caught.value.failures] == ["in/00007", "in/00003"]
    assert [failure.code for failure in caught.value.failures] == [
        "InvalidRequest",
        "InternalError",
    ]
    metrics = caught.value.metrics
    assert (metrics.files_failed, metrics.files_copied_successfully) == (2, 8)
    assert metrics.total_bytes_transferred == 64
    assert metrics.requests_retried == 3
    assert len(metrics.errors_encountered) == 2
    assert sum(isinstance(outcome, Failed) for outcome in log.outcomes) == 2
    assert len(log.outcomes) == len(keys)
    world.assert_clean()


async def test_fail_fast_stops_listing_and_copying(world: World) -> None:
    """After the first failure nothing new is begun; what was found and not tried is told."""
    world.source.page_size = 10
    fill(world.source, 500)
    world.source.faults = [Fault("CopyObject", "InvalidRequest", 400, key="out/00002")]
    options = fast_options(fail_fast=True, max_queued_batches=1, max_concurrent_requests=2)
    with pytest.raises(CopyFailedError, match="1 of ") as caught:
        await world.operation(batch_size=5, options=options).run()
    metrics = caught.value.metrics
    assert metrics.files_failed == 1
    assert metrics.files_copied_successfully <= 4
    assert metrics.degradations["not_attempted"] > 0
    assert len(world.source.made("ListObjectsV2")) <= 5
    assert world.source.counts()["CopyObject"] <= 6
    world.assert_clean()


@pytest.mark.parametrize("code, status", [("InternalError", 500), ("AccessDenied", 403)])
async def test_a_listing_that_breaks_off_fails_the_run_after_what_it_found(
    world: World, code: str, status: int
) -> None:
    """Objects already found are copied; then the error says that there may be more."""
    world.source.page_size = 10
    fill(world.source, 100)
    log = Log()

    async def break_off(call: Call, phase: Phase) -> None:
        if call.token == "in/00029" and phase == "before":
            raise call.error(code, status)

    world.source.hook = break_off
    operation = world.operation(observer=log)
    with pytest.raises(
        CopyFailedError, match=f"listing of s3://source-bucket/in/ .*{code}"
    ) as caught:
        await operation.run()
    metrics = caught.value.metrics
    assert metrics.files_copied_successfully == metrics.total_files_found == 30
    assert any(code in error for error in metrics.errors_encountered)
    assert operation.failure_reason == caught.value.reason
    assert log.listing_ended == 0
    world.assert_clean()


async def test_an_object_that_vanishes_fails_alone(world: World) -> None:
    """Deleted after it was listed: NoSuchKey for this object, the others arrive."""
    fill(world.source, 3)

    async def delete(call: Call, phase: Phase) -> None:
        if call.operation == "CopyObject":
            world.source.buckets["source-bucket"].pop("in/00001", None)

    world.source.hook = delete
    with pytest.raises(CopyFailedError) as caught:
        await world.operation().run()
    assert [failure.code for failure in caught.value.failures] == ["NoSuchKey"]
    assert set(arrived(world.source)) == {"out/00000", "out/00002"}


@pytest.mark.parametrize("method", ["server_side", "relay"])
@pytest.mark.parametrize("size", [1, 6 * MIB])
@pytest.mark.parametrize("times", [1, 2])
async def test_an_object_overwritten_meanwhile_is_never_mixed(
    world: World, method: str, size: int, times: int
) -> None:
    """Overwritten once: the new object arrives whole. Twice: an error, and nothing written."""
    world.source.put("source-bucket", "in/k", b"0" * size)
    disturbed: set[int] = set()

    async def overwrite(call: Call, phase: Phase) -> None:
        reads = ("CopyObject", "UploadPartCopy", "GetObject")
        if call.operation not in reads or phase == "after":
            return
        # Every attempt at a large object opens an upload; every attempt at a small one reads once.
        begins = ("CreateMultipartUpload",) if size > 1 else reads
        attempt = sum(world.source.counts()[name] for name in begins)
        if attempt not in disturbed and len(disturbed) < times:
            disturbed.add(attempt)
            world.source.put("source-bucket", "in/k", b"%d" % len(disturbed) * size)

    world.source.hook = overwrite
    found = await outcome_of(world.operation(options=fast_options(method=method)).run())
    if times == 1:
        assert arrived(world.source) == {"out/k": b"1" * size}
        assert found.files_copied_successfully == 1
    else:
        assert arrived(world.source) == {}
        assert [failure.code for failure in found.failures] == ["SourceChanged"]
    world.assert_clean()


async def test_an_object_that_grew_is_counted_at_its_new_size(world: World) -> None:
    """The bytes told are those of the object that was copied, not of the one that was listed."""
    world.source.put("source-bucket", "in/k", b"short")

    async def grow(call: Call, phase: Phase) -> None:
        if call.operation == "CopyObject" and len(world.source.made("CopyObject")) == 1:
            world.source.put("source-bucket", "in/k", b"much longer")

    world.source.hook = grow
    metrics = await world.operation().run()
    assert metrics.total_bytes_transferred == len(b"much longer")


async def test_a_server_that_refuses_its_own_etag_gets_the_copy_unpinned(world: World) -> None:
    """The pin is refused although the object is what was listed: copied, and counted."""
    fill(world.source, 1)
    world.source.faults = [Fault("CopyObject", "PreconditionFailed", 412)]
    metrics = await world.operation().run()
    assert metrics.files_copied_successfully == 1
    assert metrics.degradations == {"unpinned_copies": 1}


async def test_a_root_marker_has_nowhere_to_go(world: World) -> None:
    """The zero-byte marker of the source prefix itself is skipped where the root is the target."""
    world.source.put("source-bucket", "in/", b"")
    world.source.put("source-bucket", "in/a", b"a")
    log = Log()
    metrics = await world.operation(destination_key=None, observer=log).run()
    assert (metrics.files_copied_successfully, metrics.files_skipped) == (1, 1)
    (skipped,) = (outcome for outcome in log.outcomes if isinstance(outcome, Skipped))
    assert skipped.reason is SkipReason.ROOT_MARKER


async def test_bytes_told_add_up_to_bytes_counted(world: World) -> None:
    """Progress is increments, per object or part, and their sum is the metrics' total."""
    fill(world.source, 5)
    world.source.put("source-bucket", "in/large", bytes(12 * MIB))
    log = Log()
    metrics = await world.operation(observer=log).run()
    assert log.bytes == metrics.total_bytes_transferred == 12 * MIB + 40
    large = [o for o in log.outcomes if isinstance(o, Copied) and o.source.key == "in/large"]
    assert [outcome.parts for outcome in large] == [3]


async def test_different_servers_relay(world: World) -> None:
    """Between two services bytes travel through this process, and it is said once."""
    world.destination = FakeS3(OTHER)
    fill(world.source, 20)
    log = Log()
    metrics = await world.operation(observer=log).run()
    assert metrics.files_relayed == 20
    assert len(arrived(world.destination)) == 20
    assert len([text for text in log.notices if "different services" in text]) == 1
    assert world.destination.counts()["CopyObject"] == 0
    world.assert_clean()


async def test_one_lister_is_enough_while_the_queue_is_not_empty(world: World) -> None:
    """As long as workers have something to do, pages are asked for one by one, in order."""
    world.source.page_size = 10
    fill(world.source, 1_000)
    most = 0

    async def watch(call: Call, phase: Phase) -> None:
        nonlocal most
        listing = call.operation == "ListObjectsV2"
        if listing and phase == "before":
            most = max(most, world.source.flying[None])
        for _ in range(0 if listing else 50):
            await anyio.lowlevel.checkpoint()

    world.source.hook = watch
    metrics = await world.operation().run()
    assert metrics.files_copied_successfully == 1_000
    assert most == 1
    # A hundred pages, and the destination's own small listing.
    assert len(world.source.made("ListObjectsV2")) == 101


async def test_more_listers_start_when_workers_wait_for_the_listing(world: World) -> None:
    """A listing that holds the copies back is read by several requests at a time."""
    world.source.page_size = 10
    keys = fill(world.source, 3_000)
    most = 0

    async def watch(call: Call, phase: Phase) -> None:
        nonlocal most
        if call.operation == "ListObjectsV2" and phase == "before":
            most = max(most, world.source.flying[None])
            for _ in range(100):
                await anyio.lowlevel.checkpoint()

    world.source.hook = watch
    options = fast_options(max_concurrent_requests=32, max_concurrent_listings=5)
    metrics = await world.operation(options=options).run()
    assert metrics.files_copied_successfully == len(keys)
    assert world.source.counts()["CopyObject"] == len(keys)
    assert most == 5
    assert len(world.source.made("ListObjectsV2")) <= 1.15 * 300
    world.assert_clean()


async def test_what_a_copy_raises_ends_everything_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that is no object's outcome stops listing and copying, and leaves as itself."""
    server = FakeS3(page_size=10)
    fill(server, 1_000)
    begun = 0

    class Failing(ObjectCopier):
        async def copy(self, item: S3Object) -> Outcome:
            nonlocal begun
            begun += 1
            if begun == 20:
                raise OutageError(
                    url=OTHER,
                    bucket="target-bucket",
                    lasting_s=60,
                    failed_requests=99,
                    last=Call("CopyObject", "destination", "target-bucket", "k").error("X", 500),
                )
            return await super().copy(item)

    monkeypatch.setattr("async_s3copy.engine.pipeline.ObjectCopier", Failing)
    transfer = transfer_of(server)
    page = await first_page(transfer, max_attempts=1)
    with pytest.raises(OutageError, match="no request to s3://target-bucket"):
        await copy_listed(transfer, page, batch_size=10)
    assert begun < 30
    assert transfer.recorder.snapshot().files_failed == 0
    assert len(server.made("ListObjectsV2")) < 30
    assert server.in_flight == 0
