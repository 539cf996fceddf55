"""Versions on real servers, both clients, judged by another client than the one that copied."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any, Final, TypeAlias
from xml.etree import ElementTree

import pytest

from async_s3copy import NoSuchKeyError, ObjectRejectedError, ValidationError
from tests.real import Place, Watch, place_on, quick
from tests.support import S3Server

pytestmark = pytest.mark.stack_b

Event: TypeAlias = tuple[str, bytes | None]
History: TypeAlias = dict[str, list[bytes | None]]

EARLY_DELETE: Final[Event] = ("in/a", None)
EVENTS: Final[Sequence[Event]] = (
    ("in/a", b"1"),
    ("in/a", b"two"),
    EARLY_DELETE,
    ("in/b", b"b"),
    ("in/a/b c+d%2F?ü", b"odd"),
    ("in/a", b"3"),
    ("in/b", None),
    ("in/a", b""),
    ("in/a/b c+d%2F?ü", b"odder"),
    ("other", b"x"),
)


@pytest.fixture(params=["moto", "seaweedfs"])
def server(request: pytest.FixtureRequest) -> S3Server:
    """Each server that keeps versions."""
    found: S3Server = request.getfixturevalue(request.param)
    return found


@pytest.fixture
async def place(server: S3Server) -> AsyncIterator[Place]:
    """Two buckets with versioning."""
    async with place_on(server) as made:
        for bucket in (made.buckets.source, made.buckets.destination):
            await made.admin.put_bucket_versioning(
                Bucket=bucket, VersioningConfiguration={"Status": "Enabled"}
            )
        yield made


@pytest.fixture
def events(request: pytest.FixtureRequest) -> Sequence[Event]:
    """What happens in the source.

    moto lists delete markers apart from versions, with dates to the second: unless it is the last,
    no listing of it tells the place of a delete marker.
    """
    apart = request.node.callspec.params["server"] == "moto"
    return [each for each in EVENTS if not apart or each != EARLY_DELETE]


def wanted(events: Sequence[Event]) -> History:
    """What is to arrive of it."""
    found = History()
    for key, data in events:
        if key.startswith("in/"):
            found.setdefault(key.removeprefix("in/"), []).append(data)
    return found


async def make(place: Place, events: Sequence[Event]) -> list[str]:
    """Put and delete in the source; return the version ids."""
    made = []
    for key, data in events:
        if data is None:
            answer = await place.admin.delete_object(Bucket=place.buckets.source, Key=key)
            made.append(answer["VersionId"])
        else:
            put = await place.admin.put_object(Bucket=place.buckets.source, Key=key, Body=data)
            made.append(put["VersionId"])
    return made


async def histories(place: Place, prefix: str = "out/") -> History:
    """Read what the destination holds under a prefix, each key's versions the oldest first."""
    bucket, read = place.buckets.destination, History()
    for key, version_id, is_marker in reversed(await listed(place, bucket, prefix)):
        data = None
        if not is_marker:
            got = await place.admin.get_object(Bucket=bucket, Key=key, VersionId=version_id)
            async with got["Body"] as stream:
                data = await stream.read()
        read.setdefault(key.removeprefix(prefix), []).append(data)
    return read


async def listed(place: Place, bucket: str, prefix: str) -> list[tuple[str, str, bool]]:
    """List versions and delete markers in the server's order, newest first.

    botocore makes two lists of them, whose times may tie.
    """
    order: list[str] = []

    async def read(http_response: Any, **_: object) -> None:
        answer = await http_response.content
        root = ElementTree.fromstring(answer)  # noqa: S314 - the test's own server
        order.extend(each.text or "" for each in root.iter() if each.tag.endswith("VersionId"))

    event = "after-call.s3.ListObjectVersions"
    place.admin.meta.events.register(event, read)
    try:
        answer = await place.admin.list_object_versions(Bucket=bucket, Prefix=prefix)
    finally:
        place.admin.meta.events.unregister(event, read)
    assert not answer["IsTruncated"]
    found = {each["VersionId"]: (each["Key"], False) for each in answer.get("Versions", ())}
    found |= {each["VersionId"]: (each["Key"], True) for each in answer.get("DeleteMarkers", ())}
    entries = [*answer.get("Versions", ()), *answer.get("DeleteMarkers", ())]
    older = {each["VersionId"] for each in entries if not each["IsLatest"]}
    # Where delete markers are listed apart, the current version still has to come first.
    order.sort(key=lambda name: name in older)
    return [(found[name][0], name, found[name][1]) for name in order]


@pytest.mark.parametrize("method", ["server_side", "relay"])
async def test_all_versions_arrive_in_their_order(
    place: Place, events: Sequence[Event], method: str
) -> None:
    """Versions and delete markers, odd keys too; every outcome has both version ids."""
    made = await make(place, events)
    watch = Watch()
    metrics = await place.operation(
        "in/", "out/", all_versions=True, observer=watch, options=quick(method=method)
    ).run()
    assert await histories(place) == wanted(events)
    assert metrics.files_copied_successfully == len(made) - 1
    assert {each.source.version_id for each in watch.outcomes} == set(made[:-1])
    assert len({getattr(each, "version_id", None) for each in watch.outcomes}) == len(made) - 1


async def test_one_key_with_all_its_versions(place: Place, events: Sequence[Event]) -> None:
    """Not recursive: its neighbours stay."""
    await make(place, events)
    await place.operation("in/a", "out/k", recursive=False, all_versions=True).run()
    assert await histories(place) == {"k": wanted(events)["a"]}


async def test_chosen_versions(place: Place, events: Sequence[Event]) -> None:
    """One by its id, although written over since, by a relay; and pinned ones: what is current."""
    made = await make(place, events)
    relay = quick(method="relay")
    await place.operation("in/a", "one/k", recursive=False, version_id=made[1], options=relay).run()
    assert await histories(place, "one/") == {"k": [b"two"]}
    metrics = await place.operation("in/", "out/", pin_versions=True).run()
    current = {k: v[-1:] for k, v in wanted(events).items() if v[-1] is not None}
    assert await histories(place) == current
    assert metrics.files_copied_successfully == len(current)


async def test_a_version_that_cannot_be_copied(place: Place) -> None:
    """A delete marker is refused as one; a version that never was is missing.

    SeaweedFS answers 404 to both.
    """
    made = await make(place, EVENTS[:4])
    refusals = (ObjectRejectedError, NoSuchKeyError)
    with pytest.raises(refusals, match=r"delete marker|no version"):
        await place.operation("in/a", "out/k", recursive=False, version_id=made[2]).run()
    other = made[3]  # the version of another key
    with pytest.raises(NoSuchKeyError, match="no version"):
        await place.operation("in/a", "out/k", recursive=False, version_id=other).run()
    assert await histories(place) == {}


async def test_versioning_must_be_enabled(place: Place) -> None:
    """A destination without is refused before the first write."""
    await make(place, EVENTS[:1])
    bucket = f"{place.buckets.destination}-plain"
    await place.admin.create_bucket(Bucket=bucket)
    there = replace(place, buckets=replace(place.buckets, destination=bucket))
    with pytest.raises(ValidationError, match="never been enabled"):
        await place.operation("in/", "out/", to=there, all_versions=True).run()
    found = await place.admin.list_objects_v2(Bucket=bucket)
    assert found["KeyCount"] == 0
