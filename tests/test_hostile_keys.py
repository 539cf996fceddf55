"""Keys are opaque: every one arrives byte for byte, whichever way it travels."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from async_s3copy import CopyFailedError, copy
from tests.hostile_keys import HOSTILE_KEYS, MOTO, SEAWEEDFS, keys_for
from tests.real import WAYS, Place, by_way, first_differences, place_on, quick
from tests.support import S3Server, seed

pytestmark = pytest.mark.stack_b


@pytest.fixture(params=[SEAWEEDFS, MOTO])
def name(request: pytest.FixtureRequest) -> str:
    """Both servers, one after the other."""
    return str(request.param)


@pytest.fixture
def server(name: str, request: pytest.FixtureRequest) -> S3Server:
    """The server of that name."""
    found = request.getfixturevalue(name)
    assert isinstance(found, S3Server)
    return found


@pytest.fixture
async def place(server: S3Server) -> AsyncIterator[Place]:
    """A fresh bucket pair on the server."""
    async with place_on(server) as made:
        yield made


def bodies_of(keys: list[str]) -> dict[str, bytes]:
    """Give every key a body of its own: a mixed-up copy cannot go unseen."""
    return {key: b"" if key.endswith("/") else b"body of " + key.encode() for key in keys}


def test_at_least_sixty_keys_are_tried_on_each_server() -> None:
    """Sixty and more hostile keys, no key twice, and none without a server or a reason."""
    tried = {key for server in (SEAWEEDFS, MOTO) for key in keys_for(server)}
    assert tried == {hostile.key for hostile in HOSTILE_KEYS if hostile.where}
    assert len(keys_for(SEAWEEDFS)) >= 60
    assert len(keys_for(MOTO)) >= 60
    assert len({hostile.key for hostile in HOSTILE_KEYS}) == len(HOSTILE_KEYS)
    assert all(hostile.where or hostile.why_not for hostile in HOSTILE_KEYS)


def test_the_longest_keys_have_exactly_1024_bytes() -> None:
    """S3's limit is reached in ASCII, in 2-byte and in 4-byte characters."""
    longest = [h.key for h in HOSTILE_KEYS if len(h.key.encode()) == 1_024]
    assert {len(key) for key in longest} >= {1_024, 512, 256}


@pytest.mark.parametrize("way", WAYS)
async def test_every_key_arrives_byte_for_byte(place: Place, name: str, way: str) -> None:
    """A whole bucket of hostile keys arrives as exactly the same keys with the same contents."""
    in_xml = name == MOTO and way.endswith("multipart")
    wanted = bodies_of(keys_for(name, in_xml=in_xml))
    await seed(place.admin, place.buckets.source, wanted)
    metrics = await place.operation(options=by_way(way)).run()
    assert first_differences(await place.bodies(), wanted) == []
    assert metrics.files_copied_successfully == len(wanted)
    assert metrics.files_relayed == (len(wanted) if way.startswith("relay") else 0)


@pytest.mark.parametrize("way", ["single", "relay_put"])
async def test_hostile_prefixes_are_replaced_byte_for_byte(place: Place, way: str) -> None:
    """A prefix full of special characters is replaced by another, and only at the start."""
    old, new = "a+b %2F?#/ü/", "%25 +/é\U0001f680/to "
    tails = ["plain", f"{old}nested", "a b/c+d", "%2F", "x?versionId=1", "last "]
    seeded = bodies_of([f"{old}{tail}" for tail in tails]) | {"a+b %2F?#/other": b"not asked for"}
    await seed(place.admin, place.buckets.source, seeded)
    await copy(
        place.url("source", old),
        place.url("destination", new),
        source=place.admin_account,
        destination=place.admin_account,
        recursive=True,
        method="relay" if way == "relay_put" else "server_side",
    )
    wanted = {f"{new}{tail}": seeded[f"{old}{tail}"] for tail in tails}
    assert first_differences(await place.bodies(), wanted) == []


@pytest.mark.parametrize("way", WAYS)
async def test_a_single_hostile_object_is_found_by_its_exact_key(place: Place, way: str) -> None:
    """Not recursive, the URL's key is taken as it is: nothing is decoded, no query split off."""
    key = "a b+c%2Fd?versionId=x#y&z"
    await seed(
        place.admin, place.buckets.source, {key: b"it", "a b+c/d": b"no", "a b+c%2Fd": b"no"}
    )
    await place.operation(key, "folder/", recursive=False, options=by_way(way)).run()
    assert await place.bodies() == {f"folder/{key}": b"it"}


async def test_a_key_too_long_for_its_new_prefix_fails_alone(place: Place) -> None:
    """A destination key beyond 1,024 bytes is this object's failure; the others arrive."""
    await seed(place.admin, place.buckets.source, bodies_of(["fits", "f" * 250]))
    prefix = "/".join(["p" * 250] * 3) + "/" + "q" * 200 + "/"
    with pytest.raises(CopyFailedError) as caught:
        await place.operation(None, prefix).run()
    assert [failure.code for failure in caught.value.failures] == ["KeyTooLongError"]
    assert "1,204 bytes" in str(caught.value)
    assert caught.value.metrics.files_copied_successfully == 1


@pytest.mark.parametrize("method", ["auto", "relay"])
async def test_seaweedfs_markers_arrive(seaweedfs: S3Server, method: str) -> None:
    """Zero-byte folder markers arrive, also where the server refuses to CopyObject them."""
    markers = bodies_of(["marker/", "deep/er/marker/"])
    async with place_on(seaweedfs) as place:
        await seed(place.admin, place.buckets.source, markers)
        await place.operation(options=quick(method=method)).run()
        assert await place.bodies() == markers
