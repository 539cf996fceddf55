"""Proof of arrival on real servers: repeated layouts keep ETags, and a lying server is found."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
from aiohttp import web

from async_s3copy import Copied, Preserve
from async_s3copy.model import Proof
from tests.fault_server import Call, FaultServer, Handler
from tests.real import PART, Place, Watch, place_on, quick
from tests.support import S3Server, put_multipart, put_object
from tests.test_faults import DESTINATION, SOURCE, failure, operation, server

pytestmark = pytest.mark.stack_b
__all__ = ["server"]

EQUAL: Final = [b"a" * (PART + 3), b"b" * (PART + 3), b"c" * 9]
UNEQUAL: Final = [b"a" * PART, b"b" * (PART + 7), b"c" * 9]


@pytest.fixture
async def place(seaweedfs: S3Server) -> AsyncIterator[Place]:
    """A fresh bucket pair on SeaweedFS."""
    async with place_on(seaweedfs) as made:
        yield made


async def copied(place: Place, **options: Any) -> Copied:
    """Copy everything there is, which is one object."""
    watch = Watch()
    await place.operation(options=quick(**options), observer=watch).run()
    (outcome,) = watch.outcomes
    assert isinstance(outcome, Copied)
    return outcome


@pytest.fixture
async def moto_place(moto: S3Server) -> AsyncIterator[Place]:
    """A fresh bucket pair on moto, whose copied parts have MD5s for ETags, as S3's have."""
    async with place_on(moto) as made:
        yield made


@pytest.mark.parametrize(
    "method, verify, proof",
    [
        ("server_side", "etag", Proof.ETAG),
        ("server_side", "checksum", Proof.ETAG),
        ("relay", "etag", Proof.ETAG),
    ],
)
async def test_a_repeated_layout_keeps_the_etag(
    moto_place: Place, method: str, verify: str, proof: Proof
) -> None:
    """Uploaded in parts of an odd size, copied in the same parts, whatever size is set."""
    bucket = moto_place.buckets.source
    etag = await put_multipart(moto_place.admin, bucket, "big", EQUAL)
    outcome = await copied(moto_place, method=method, verify=verify)
    assert (outcome.etag, outcome.etag_kept, outcome.parts) == (etag, True, 3)
    assert outcome.proof is proof
    arrived = await moto_place.stored("big")
    assert (arrived.etag, arrived.body) == (etag, b"".join(EQUAL))


async def test_unequal_parts_are_repeated_where_the_etag_has_to_stay(moto_place: Place) -> None:
    """Part by part, as the source tells them."""
    bucket = moto_place.buckets.source
    etag = await put_multipart(moto_place.admin, bucket, "big", UNEQUAL)
    outcome = await copied(moto_place, method="server_side", preserve=Preserve(etag="required"))
    assert (outcome.etag, outcome.parts, outcome.proof) == (etag, 3, Proof.ETAG)
    assert (await moto_place.stored("big")).body == b"".join(UNEQUAL)


async def test_unequal_parts_are_relayed_as_they_are(place: Place) -> None:
    """The same through this process, on a server of another make."""
    etag = await put_multipart(place.admin, place.buckets.source, "big", UNEQUAL)
    outcome = await copied(place, method="relay", preserve=Preserve(etag="required"))
    assert (outcome.etag, outcome.parts, outcome.proof) == (etag, 3, Proof.ETAG)
    assert (await place.stored("big")).body == b"".join(UNEQUAL)


@pytest.mark.parametrize("verify", ["etag", "checksum"])
async def test_etags_of_a_formula_of_its_own_accuse_nobody(place: Place, verify: str) -> None:
    """SeaweedFS hashes copied parts by its chunks: no ETag to compare, so the sizes prove it."""
    await put_multipart(place.admin, place.buckets.source, "big", EQUAL)
    outcome = await copied(place, method="server_side", verify=verify)
    assert (outcome.etag_kept, outcome.parts, outcome.proof) == (False, 3, Proof.SIZE)
    assert (await place.stored("big")).body == b"".join(EQUAL)


async def test_a_layout_nobody_wants_is_not_repeated(moto_place: Place) -> None:
    """Dropped: the parts are of the size asked for, the ETag is another, and nothing is wrong."""
    await put_multipart(moto_place.admin, moto_place.buckets.source, "big", EQUAL)
    outcome = await copied(moto_place, method="server_side", preserve=Preserve(etag="drop"))
    assert (outcome.etag_kept, outcome.parts, outcome.proof) == (False, 3, Proof.SIZE)


@pytest.mark.parametrize(
    "verify, proof", [("etag", Proof.ETAG), ("checksum", Proof.CHECKSUM), ("none", Proof.NONE)]
)
async def test_small_objects_are_proven_as_wanted(place: Place, verify: str, proof: Proof) -> None:
    """Equal MD5s, equal checksums (SeaweedFS keeps what a client sends), or nothing."""
    await put_object(place.admin, place.buckets.source, "k", b"small")
    outcome = await copied(place, method="server_side", verify=verify)
    assert (outcome.proof, outcome.etag_kept) == (proof, True)


async def rightly(server: FaultServer, _: web.Request, call: Call, handler: Handler) -> Any:
    """Copy what is there."""
    return await handler(server, call)


async def damaging(server: FaultServer, _: web.Request, call: Call, handler: Handler) -> Any:
    """Copy other bytes, and answer as if nothing were wrong."""
    source = server.objects[SOURCE][call.key]
    right = source.body
    source.body = b"X" + right[1:]
    try:
        return await handler(server, call)
    finally:
        source.body = right


async def shortening(server: FaultServer, _: web.Request, call: Call, handler: Handler) -> Any:
    """Copy all bytes by its answer, and all but one in fact."""
    answer = await handler(server, call)
    arrived = server.objects[DESTINATION][call.key]
    arrived.body = arrived.body[:-1]
    return answer


@pytest.mark.parametrize("verify", ["etag", "checksum"])
async def test_a_server_that_damages_what_it_copies_is_found(
    server: FaultServer, verify: str
) -> None:
    """A right 200 about wrong bytes: one object fails, naming both sides; the other is proven."""
    server.objects[SOURCE].clear()
    server.put(SOURCE, "a", b"right")
    server.put(SOURCE, "b", b"wrong")
    server.next("CopyObject", rightly, damaging)
    options = {"verify": verify, "method": "server_side", "max_concurrent_requests": 1}
    code, metrics = await failure(operation(server, options=options))
    assert code == "IntegrityMismatch"
    assert metrics.proofs == {"etag": 1}
    (message,) = metrics.errors_encountered
    assert "ETag" in message
    assert f"s3://{SOURCE}/b (" in message
    assert f"s3://{DESTINATION}/b (" in message
    assert server.objects[DESTINATION]["b"].body == b"Xrong"


async def test_a_server_that_loses_a_byte_is_found_by_the_stronger_level(
    server: FaultServer,
) -> None:
    """The answer claims what was wanted: only who looks at the object finds that it is shorter."""
    server.objects[SOURCE].clear()
    server.put(SOURCE, "k", b"whole")
    server.objects[SOURCE]["k"].etag = "a" * 32 + "-2"
    server.next("CopyObject", shortening)
    code, metrics = await failure(operation(server, "k", options={"verify": "checksum"}))
    assert code == "IntegrityMismatch"
    assert "sizes differ" in metrics.errors_encountered[0]
