"""The source changes between listing and copy: never half old, half new, and never silent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.config import Config

from async_s3copy import Copied, CopyFailedError, Observer, Outcome
from tests.real import LARGE, Place, place_on, quick
from tests.support import REGION, S3Server, list_open_uploads, seed

SMALL_OLD, SMALL_NEW = b"old", b"newer"
BIG_OLD, BIG_NEW = b"o" * LARGE, b"n" * (LARGE + 5)
SAME_SIZE_NEW = b"n" * LARGE


@pytest.fixture
async def place(server: S3Server) -> AsyncIterator[Place]:
    """A bucket pair on either server; moto ignores x-amz-copy-source-if-match."""
    async with place_on(server) as made:
        yield made


@pytest.fixture(params=["seaweedfs", "moto"])
def server(request: pytest.FixtureRequest) -> S3Server:
    """Both servers, one after the other."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, S3Server)
    return found


def meddler(place: Place) -> Any:
    """Open a blocking client, for hooks, which cannot await."""
    boto3 = pytest.importorskip("boto3")
    admin = place.server.admin
    return boto3.client(
        "s3",
        endpoint_url=place.server.endpoint_url,
        region_name=REGION,
        aws_access_key_id=admin.access_key_id,
        aws_secret_access_key=admin.secret_access_key,
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
    )


@dataclass
class Meddle(Observer):
    """Do something to the source once: after the listing, or when the first bytes have arrived."""

    act: Callable[[], object]
    when: str = "listed"
    outcomes: list[Outcome] = field(default_factory=list)
    done: bool = False

    def objects_listed(self, count: int, size_bytes: int) -> None:
        self._act("listed")

    def bytes_copied(self, size_bytes: int) -> None:
        self._act("copied")

    def object_finished(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)

    def _act(self, now: str) -> None:
        if now == self.when and not self.done:
            self.done = True
            self.act()


@pytest.mark.parametrize("method", ["server_side", "relay"])
@pytest.mark.parametrize(
    "old, new",
    [(SMALL_OLD, SMALL_NEW), (BIG_OLD, BIG_NEW), (BIG_OLD, SAME_SIZE_NEW)],
    ids=["small", "large", "large-same-size"],
)
async def test_overwritten_after_the_listing_the_new_object_arrives(
    place: Place, method: str, old: bytes, new: bytes
) -> None:
    """The whole new object arrives, and the outcome and the bytes counted are the new one's."""
    await seed(place.admin, place.buckets.source, {"k": old, "other": b"x"})
    client = meddler(place)
    meddle = Meddle(lambda: client.put_object(Bucket=place.buckets.source, Key="k", Body=new))
    metrics = await place.operation(options=quick(method=method), observer=meddle).run()
    client.close()
    assert meddle.done
    assert await place.bodies() == {"k": new, "other": b"x"}
    assert metrics.total_bytes_transferred == len(new) + 1
    copied = {o.source.key: o.source for o in meddle.outcomes if isinstance(o, Copied)}
    assert copied["k"].size == len(new)


@pytest.mark.parametrize("method", ["server_side", "relay"])
async def test_overwritten_between_two_parts_nothing_is_mixed(place: Place, method: str) -> None:
    """Overwritten while its parts are copied, one at a time: the new object, whole, arrives."""
    await seed(place.admin, place.buckets.source, {"k": BIG_OLD})
    client = meddler(place)
    meddle = Meddle(
        lambda: client.put_object(Bucket=place.buckets.source, Key="k", Body=SAME_SIZE_NEW),
        when="copied",
    )
    options = quick(method=method, max_concurrent_requests=1)
    await place.operation(options=options, observer=meddle).run()
    client.close()
    assert meddle.done
    assert (await place.bodies())["k"] == SAME_SIZE_NEW
    assert await list_open_uploads(place.admin, place.buckets.destination) == []


@pytest.mark.parametrize("method", ["server_side", "relay"])
async def test_deleted_after_the_listing_it_fails_and_the_others_arrive(
    place: Place, method: str
) -> None:
    """Objects deleted after the listing fail with NoSuchKey; the run goes on."""
    objects = {"a": b"1", "big": BIG_OLD, "z": b"2"}
    await seed(place.admin, place.buckets.source, objects | {"gone": b"3", "gone-big": BIG_OLD})
    client = meddler(place)

    def delete() -> None:
        for key in ("gone", "gone-big"):
            client.delete_object(Bucket=place.buckets.source, Key=key)

    meddle = Meddle(delete)
    with pytest.raises(CopyFailedError) as caught:
        await place.operation(options=quick(method=method), observer=meddle).run()
    client.close()
    assert {f.source.key: f.code for f in caught.value.failures} == {
        "gone": "NoSuchKey",
        "gone-big": "NoSuchKey",
    }
    assert caught.value.metrics.files_copied_successfully == 3
    assert await place.bodies() == objects
    assert await list_open_uploads(place.admin, place.buckets.destination) == []


@pytest.mark.parametrize("method", ["server_side", "relay"])
async def test_overwritten_again_and_again_it_fails_with_source_changed(
    place: Place, method: str
) -> None:
    """An object that changes at every part is given up as SourceChanged, and nothing is left."""
    await seed(place.admin, place.buckets.source, {"k": BIG_OLD})
    client = meddler(place)

    class Restless(Observer):
        count = 0

        def bytes_copied(self, size_bytes: int) -> None:
            self.count += 1
            body = bytes([self.count]) * LARGE
            client.put_object(Bucket=place.buckets.source, Key="k", Body=body)

    options = quick(method=method, max_concurrent_requests=1)
    with pytest.raises(CopyFailedError) as caught:
        await place.operation(options=options, observer=Restless()).run()
    client.close()
    assert [failure.code for failure in caught.value.failures] == ["SourceChanged"]
    assert "was overwritten while it was being copied, twice" in str(caught.value)
    assert await place.bodies() == {}
    assert await list_open_uploads(place.admin, place.buckets.destination) == []
