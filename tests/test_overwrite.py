"""overwrite=False replaces nothing: not in a race, and not on a server that ignores conditions."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import pytest

from async_s3copy import Account, S3CopyOperation, TransferMetrics
from tests.fault_server import run_fault_server
from tests.real import LARGE, WAYS, Place, Watch, by_way, place_on, quick, session_of
from tests.support import REGION, S3Server, list_open_uploads, seed

NEW = {f"k{number:02}": b"new %d" % number for number in range(24)}
OLD = dict.fromkeys(list(NEW)[::3], b"old")


@pytest.fixture
async def place(seaweedfs: S3Server) -> AsyncIterator[Place]:
    """A bucket pair on SeaweedFS, which honours If-None-Match on every write."""
    async with place_on(seaweedfs) as made:
        yield made


@pytest.fixture
async def moto_place(moto: S3Server) -> AsyncIterator[Place]:
    """A bucket pair on moto, which ignores If-None-Match on CopyObject."""
    async with place_on(moto) as made:
        yield made


async def run_both(one: S3CopyOperation, other: S3CopyOperation) -> list[TransferMetrics]:
    """Run two copies at once."""
    ended: list[TransferMetrics] = []

    async def run(operation: S3CopyOperation) -> None:
        ended.append(await operation.run())

    async with anyio.create_task_group() as group:
        group.start_soon(run, one)
        group.start_soon(run, other)
    return ended


@pytest.mark.parametrize("way", WAYS)
async def test_existing_objects_are_skipped_untouched(place: Place, way: str) -> None:
    """Existing keys keep their content and count as skipped; the others arrive."""
    await seed(place.admin, place.buckets.source, NEW)
    await seed(place.admin, place.buckets.destination, OLD)
    metrics = await place.operation(overwrite=False, options=by_way(way)).run()
    assert await place.bodies() == NEW | OLD
    assert metrics.files_skipped == len(OLD)
    assert metrics.files_copied_successfully == len(NEW) - len(OLD)
    assert metrics.degradations == {}
    assert await list_open_uploads(place.admin, place.buckets.destination) == []


@pytest.mark.parametrize("way", WAYS)
async def test_overwrite_replaces_existing_objects(place: Place, way: str) -> None:
    """overwrite=True, the default, replaces what is there."""
    await seed(place.admin, place.buckets.source, NEW)
    await seed(place.admin, place.buckets.destination, OLD)
    metrics = await place.operation(options=by_way(way)).run()
    assert await place.bodies() == NEW
    assert metrics.files_skipped == 0


@pytest.mark.parametrize("way", WAYS)
async def test_of_two_racing_copies_exactly_one_writes_each_key(place: Place, way: str) -> None:
    """Two copies into the same keys at once: each key is written once, by one or the other.

    SeaweedFS 4.48 itself lets two completions of uploads that meet within a millisecond both pass
    (5 of 150 pairs, by a plain client); a server that decides atomically is asked below.
    """
    await seed(place.admin, place.buckets.source, NEW)
    ended = await run_both(
        place.operation(overwrite=False, options=by_way(way)),
        place.operation(overwrite=False, options=by_way(way)),
    )
    copied = sum(metrics.files_copied_successfully for metrics in ended)
    assert copied + sum(metrics.files_skipped for metrics in ended) == 2 * len(NEW)
    if not way.endswith("multipart"):
        assert copied == len(NEW)
    assert await place.bodies() == NEW
    assert await list_open_uploads(place.admin, place.buckets.destination) == []


@pytest.mark.parametrize("method", ["server_side", "relay"])
async def test_racing_copies_from_different_sources_never_mix(place: Place, method: str) -> None:
    """Two sources race for one key in parts: it holds one of them, whole."""
    one, other = b"1" * LARGE, b"2" * LARGE
    await seed(place.admin, place.buckets.source, {"one": one, "other": other})
    options = quick(method=method)
    ended = await run_both(
        *(
            place.operation(key, "target", recursive=False, overwrite=False, options=options)
            for key in ("one", "other")
        )
    )
    assert 1 in [metrics.files_copied_successfully for metrics in ended]
    assert (await place.bodies())["target"] in (one, other)
    assert await list_open_uploads(place.admin, place.buckets.destination) == []


@pytest.mark.parametrize("way", WAYS)
async def test_exactly_one_writes_each_key_where_the_server_is_atomic(way: str) -> None:
    """On a server that checks and writes at once, the copies of two runs add up to one a key."""
    async with run_fault_server() as server:
        account = Account(
            session=session_of("AK", "secret"), endpoint_url=server.url, region=REGION
        )
        for key, body in NEW.items():
            server.put("source-bucket", key, body)

        def prepared() -> S3CopyOperation:
            return S3CopyOperation(
                "source-bucket",
                None,
                "destination-bucket",
                None,
                recursive=True,
                overwrite=False,
                source=account,
                destination=account,
                options=by_way(way),
            )

        ended = await run_both(prepared(), prepared())
        assert sum(metrics.files_copied_successfully for metrics in ended) == len(NEW)
        assert sum(metrics.files_skipped for metrics in ended) == len(NEW)
        stored = server.objects["destination-bucket"]
        assert {key: found.body for key, found in stored.items()} == NEW
        assert server.uploads == {}


@pytest.mark.parametrize("way", WAYS)
async def test_moto_keeps_what_is_there_though_it_ignores_the_condition(
    moto_place: Place, way: str
) -> None:
    """Where a server ignores the condition, existing objects still stay untouched."""
    await seed(moto_place.admin, moto_place.buckets.source, NEW)
    await seed(moto_place.admin, moto_place.buckets.destination, OLD)
    metrics = await moto_place.operation(overwrite=False, options=by_way(way)).run()
    assert await moto_place.bodies() == NEW | OLD
    assert metrics.files_skipped == len(OLD)
    assert metrics.files_copied_successfully == len(NEW) - len(OLD)


async def test_an_ignored_condition_is_detected_counted_and_said_once(moto_place: Place) -> None:
    """moto's CopyObject ignores If-None-Match: a degradation in the metrics, and one notice."""
    await seed(moto_place.admin, moto_place.buckets.source, NEW)
    watch = Watch()
    operation = moto_place.operation(overwrite=False, observer=watch, options=by_way("single"))
    metrics = await operation.run()
    assert 0 < metrics.degradations["unprotected_writes"] <= len(NEW)
    assert len([text for text in watch.notices if "If-None-Match" in text]) == 1


async def test_a_second_run_copies_nothing(place: Place) -> None:
    """Run again with overwrite=False, everything is skipped and nothing fails."""
    await seed(place.admin, place.buckets.source, NEW)
    await place.operation(overwrite=False).run()
    metrics = await place.operation(overwrite=False).run()
    assert (metrics.files_skipped, metrics.files_copied_successfully) == (len(NEW), 0)


@pytest.mark.parametrize("existing", [True, False])
async def test_a_single_object_obeys_too(place: Place, existing: bool) -> None:
    """Not recursive, overwrite=False behaves the same."""
    await seed(place.admin, place.buckets.source, {"k": b"new"})
    if existing:
        await seed(place.admin, place.buckets.destination, {"t": b"old"})
    metrics = await place.operation("k", "t", recursive=False, overwrite=False).run()
    assert await place.bodies() == {"t": b"old" if existing else b"new"}
    assert metrics.files_skipped == existing
