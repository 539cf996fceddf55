"""Has it arrived? What each level finds, what it costs, and whom it never accuses."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import anyio
import pytest

from async_s3copy import CopyFailedError, IntegrityError, Preserve, TransferMetrics
from async_s3copy.engine.arrival import prove_arrival
from async_s3copy.errors import RetryableS3Error
from async_s3copy.model import Copied, Proof, S3Location, S3Object
from async_s3copy.options import MIB
from async_s3copy.s3.values import ObjectHead, ObjectProperties, Written
from tests.fake_server import AWS, OTHER, Call, FakeS3, Fault, Phase
from tests.fake_store import Stored, md5_hex
from tests.fakes import LONG_AGO
from tests.harness import Log, World, fast_options, transfer_of

SMALL: Final = b"small"
PART: Final = 5 * MIB
LARGE: Final = bytes(PART + 1)
PARTS: Final = [b"a" * PART, b"b"]
UNEQUAL: Final = [bytes(PART), bytes(PART + 2), b"c"]
WAYS: Final = ("single", "multipart", "relay_put", "relay_multipart")
KMS: Final = ObjectProperties(encryption="aws:kms")


@pytest.fixture(params=[AWS, OTHER])
def world(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(FakeS3(request.param)).install(monkeypatch)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(FakeS3(AWS)).install(monkeypatch)


@pytest.fixture
def other(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(FakeS3(OTHER)).install(monkeypatch)


async def ran(world: World, method: str = "server_side", **given: Any) -> tuple[Any, Log]:
    """Run a copy; return its metrics, or its failure, and what an observer saw."""
    log = Log()
    operation = world.operation(options=fast_options(method=method, **given), observer=log)
    try:
        return await operation.run(), log
    except CopyFailedError as error:
        return error, log


def proofs(log: Log) -> dict[str, Proof]:
    return {
        o.source.key.removeprefix("in/"): o.proof for o in log.outcomes if isinstance(o, Copied)
    }


def heads(world: World, *, target: bool = False) -> int:
    bucket = "target-bucket" if target else "source-bucket"
    return sum(call.bucket == bucket for call in world.source.made("HeadObject"))


def method_of(way: str) -> str:
    return "relay" if way.startswith("relay") else "server_side"


def body_of(way: str) -> bytes:
    return LARGE if way.endswith("multipart") else SMALL


def lying(world: World, change: Callable[[Stored], Stored], after: int = 0) -> None:
    """Let the server keep something else than it was given, at the destination, and say nothing."""
    kept, keep = 0, world.source.keep

    def keep_changed(bucket: str, key: str, stored: Stored) -> Stored:
        nonlocal kept
        kept += bucket == "target-bucket"
        changed = bucket == "target-bucket" and kept > after
        return keep(bucket, key, change(stored) if changed else stored)

    world.source.keep = keep_changed  # type: ignore[method-assign]


def damaged(stored: Stored) -> Stored:
    """Keep other bytes, with the ETag and checksums that belong to them."""
    data = b"X" + stored.data[1:]
    etag = md5_hex(data) + "".join(stored.etag.rpartition("-")[1:]) * ("-" in stored.etag)
    checksums = {name: value[::-1] for name, value in stored.checksums.items()}
    return replace(stored, data=data, etag=etag, checksums=checksums)


def shortened(stored: Stored) -> Stored:
    """Keep fewer bytes, and claim the ETag of all of them."""
    return replace(stored, data=stored.data[:-1])


@pytest.mark.parametrize("way", WAYS)
async def test_equal_etags_prove_a_copy_without_a_request(world: World, way: str) -> None:
    """By default nothing is asked that was not asked without verification."""
    if way.endswith("multipart"):
        world.source.put_parts("source-bucket", "in/k", PARTS)
    else:
        world.source.put("source-bucket", "in/k", SMALL)
    requests = {}
    for verify in ("none", "etag"):
        world.source.calls.clear()
        metrics, log = await ran(world, method_of(way), verify=verify)
        requests[verify] = world.source.counts()["HeadObject"]
        assert proofs(log) == {"k": Proof.ETAG if verify == "etag" else Proof.NONE}
        assert metrics.proofs == {verify: 1}
        assert metrics.degradations == {}
    # A relay reads the layout to repeat it, whatever is verified.
    assert requests["etag"] - requests["none"] in {0, int(way == "relay_multipart")}


async def test_the_usual_copy_costs_one_request(aws: World) -> None:
    """One CopyObject for one small object: no HEAD, no GET."""
    for number in range(20):
        aws.source.put("source-bucket", f"in/{number}", b"%d" % number)
    metrics, _ = await ran(aws)
    assert metrics.proofs == {"etag": 20}
    assert set(aws.source.counts()) == {"ListObjectsV2", "CopyObject"}
    assert aws.source.counts()["CopyObject"] == 20


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA256", "CRC64NVME"])
@pytest.mark.parametrize("way", ["single", "relay_put"])
async def test_equal_checksums_prove_a_copy(world: World, way: str, algorithm: str) -> None:
    """Level "checksum": the source's HEAD (a GET tells, too), and the answer to the write."""
    world.source.checksum_algorithm = algorithm
    world.source.put("source-bucket", "in/k", SMALL)
    _, log = await ran(world, method_of(way), verify="checksum")
    assert proofs(log) == {"k": Proof.CHECKSUM}
    assert heads(world) == int(way == "single")
    assert heads(world, target=True) == 0


async def test_checksums_of_the_same_parts_prove_a_copy(world: World) -> None:
    """The layout is repeated, and so is the checksum of the parts' checksums."""
    given = ObjectProperties(checksum_algorithm="SHA256", checksum_type="COMPOSITE")
    world.source.put_parts("source-bucket", "in/k", PARTS, given)
    _, log = await ran(world, verify="checksum")
    assert proofs(log) == {"k": Proof.CHECKSUM}


async def test_a_full_object_checksum_proves_other_parts(world: World) -> None:
    """Single PUT there, an upload here: no ETag to compare, a checksum of the whole proves it."""
    world.source.checksum_algorithm = "CRC32"
    world.source.put("source-bucket", "in/k", LARGE)
    _, log = await ran(world, verify="checksum")
    assert proofs(log) == {"k": Proof.CHECKSUM}


@pytest.mark.parametrize("way", ["single", "relay_put"])
async def test_without_checksums_equal_etags_prove(world: World, way: str) -> None:
    """Level "checksum" takes what is there: one HEAD finds that there are no checksums."""
    world.source.put("source-bucket", "in/k", SMALL)
    _, log = await ran(world, method_of(way), verify="checksum")
    assert proofs(log) == {"k": Proof.ETAG}
    assert heads(world, target=True) == 0


async def test_without_anything_else_sizes_prove(world: World) -> None:
    """A source in parts, copied by one request: only sizes are left, which a HEAD tells."""
    world.source.put_parts("source-bucket", "in/k", [b"small", b"parts"])
    assert proofs((await ran(world))[1]) == {"k": Proof.NONE}
    assert heads(world, target=True) == 0
    assert proofs((await ran(world, verify="checksum"))[1]) == {"k": Proof.SIZE}
    assert heads(world, target=True) == 1


async def test_parts_prove_their_size(world: World) -> None:
    """A single PUT there, an upload here: every range was copied, and the upload is of them."""
    world.source.put("source-bucket", "in/k", LARGE)
    metrics, log = await ran(world)
    assert proofs(log) == {"k": Proof.SIZE}
    assert metrics.degradations == {}


@pytest.mark.parametrize("verify", ["etag", "checksum"])
@pytest.mark.parametrize("way", ["single", "multipart"])
async def test_damage_on_aws_is_found(aws: World, way: str, verify: str) -> None:
    """A right answer about wrong bytes: the object fails, both sides are named, nothing removed."""
    if way == "multipart":
        aws.source.put_parts("source-bucket", "in/k", PARTS)
    else:
        aws.source.put("source-bucket", "in/k", SMALL)
    lying(aws, damaged)
    error, _ = await ran(aws, verify=verify)
    (failed,) = error.failures
    assert failed.code == "IntegrityMismatch"
    assert isinstance(failed.error, IntegrityError)
    assert "s3://target-bucket/out/k" in str(failed.error)
    assert re.search(r"ETag [0-9a-f]{32}.* arrived", str(failed.error))
    assert aws.source.buckets["target-bucket"]["out/k"].data[:1] == b"X"
    assert error.metrics.proofs == {}
    aws.assert_clean()


@pytest.mark.parametrize("verify", ["etag", "checksum"])
async def test_damage_elsewhere_is_found_once_etags_have_told(other: World, verify: str) -> None:
    """A server whose ETags were equal before is believed when they are not."""
    for number in range(3):
        other.source.put("source-bucket", f"in/{number}", b"%d" % number)
    lying(other, damaged, after=2)
    error, log = await ran(other, verify=verify)
    assert [each.code for each in error.failures] == ["IntegrityMismatch"]
    assert set(proofs(log).values()) == {Proof.ETAG}


async def test_damaged_parts_are_found_elsewhere_too(other: World) -> None:
    """Parts of the same sizes, an ETag by the usual formula, and yet another one: damage."""
    other.source.put_parts("source-bucket", "in/k", PARTS)

    async def damage(call: Call, phase: Phase) -> None:
        if call.operation == "UploadPartCopy" and call.part == 2 and phase == "before":
            stored = other.source.buckets["source-bucket"]["in/k"]
            data = stored.data[:PART] + b"X"
            other.source.buckets["source-bucket"]["in/k"] = replace(stored, data=data)

    other.source.hook = damage
    error, _ = await ran(other)
    assert [each.code for each in error.failures] == ["IntegrityMismatch"]
    assert "nothing was removed" in str(error)


@pytest.mark.parametrize("method", ["server_side", "relay"])
async def test_another_completion_than_was_sent_is_found(aws: World, method: str) -> None:
    """The object's ETag must be the one that the parts make."""
    aws.source.put("source-bucket", "in/k", LARGE)
    lying(aws, damaged)
    error, _ = await ran(aws, method)
    assert [each.code for each in error.failures] == ["IntegrityMismatch"]
    assert "what was sent" in str(error)


@pytest.mark.parametrize("way", WAYS)
async def test_a_missing_byte_is_found_by_its_size(world: World, way: str) -> None:
    """An answer that claims the right ETag for fewer bytes: only a HEAD can tell."""
    world.source.checksum_algorithm = ""
    world.source.put_parts("source-bucket", "in/k", [body_of(way)])
    stored = world.source.buckets["source-bucket"]["in/k"]
    world.source.buckets["source-bucket"]["in/k"] = replace(stored, etag="1" * 32 + "-7")
    lying(world, shortened)
    error, _ = await ran(world, method_of(way), verify="checksum")
    codes = [each.code for each in error.failures] if isinstance(error, CopyFailedError) else []
    assert codes == ["IntegrityMismatch"]
    world.assert_clean()


async def test_encrypted_sources_cost_two_requests_a_run_not_one_an_object(aws: World) -> None:
    """SSE-KMS makes ETags opaque, which no listing tells: the first difference finds out."""
    for number in range(50):
        aws.source.put("source-bucket", f"in/{number}", b"%d" % number, KMS)
    metrics, _ = await ran(aws)
    assert metrics.files_copied_successfully == 50
    assert metrics.proofs in ({"none": 49, "size": 1},)
    assert metrics.degradations == {}
    assert (heads(aws), heads(aws, target=True)) == (1, 1)


async def test_encrypted_destinations_cost_nothing(aws: World) -> None:
    """The answer to the write says that the ETag is opaque."""
    aws.source.encryption["target-bucket"] = "aws:kms"
    for number in range(5):
        aws.source.put("source-bucket", f"in/{number}", b"%d" % number)
    metrics, _ = await ran(aws)
    assert metrics.proofs == {"none": 5}
    assert aws.source.counts()["HeadObject"] == 0


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("bucket", ["source-bucket", "target-bucket"])
@pytest.mark.parametrize("verify", ["etag", "checksum"])
async def test_encryption_is_never_taken_for_damage(
    world: World, way: str, bucket: str, verify: str
) -> None:
    """Opaque ETags on either side, every way: everything arrives, proven by what is left."""
    world.source.encryption[bucket] = "aws:kms"
    world.source.put("source-bucket", "in/a", body_of(way))
    world.source.put_parts("source-bucket", "in/b", PARTS)
    metrics, log = await ran(world, method_of(way), verify=verify)
    assert isinstance(metrics, TransferMetrics)
    assert metrics.files_copied_successfully == 2
    if verify == "checksum":
        assert Proof.NONE not in proofs(log).values()


@pytest.mark.parametrize("way", WAYS)
async def test_etags_that_are_no_md5s_accuse_nobody(other: World, way: str) -> None:
    """A server that makes up its ETags: all arrives, and the doubt is counted, once asked for."""
    keep, made = other.source.keep, 0

    def keep_made_up(bucket: str, key: str, stored: Stored) -> Stored:
        nonlocal made
        made += 1
        suffix = f"-{len(stored.part_sizes)}" if stored.part_sizes else ""
        return keep(bucket, key, replace(stored, etag=md5_hex(b"%d" % made) + suffix))

    other.source.keep = keep_made_up  # type: ignore[method-assign]
    for number in range(3):
        other.source.put("source-bucket", f"in/{number}", body_of(way)[:PART] + b"%d" % number)
    metrics, _ = await ran(other, method_of(way))
    assert isinstance(metrics, TransferMetrics)
    assert metrics.files_copied_successfully == 3
    if way == "single":
        assert metrics.degradations == {"verified_by_size": 1}
        assert metrics.proofs == {"none": 2, "size": 1}


async def test_different_parts_that_looked_equal_accuse_nobody(world: World) -> None:
    """The first part's size explains the number of parts, but not the second part: by size."""
    world.source.put_parts("source-bucket", "in/k", UNEQUAL)
    metrics, log = await ran(world)
    assert proofs(log) == {"k": Proof.SIZE}
    assert metrics.degradations == {}


async def test_different_parts_keep_their_etag_where_that_is_required(world: World) -> None:
    """The layout is read part by part and repeated, so that the ETags prove the copy."""
    world.source.put_parts("source-bucket", "in/k", UNEQUAL)
    for method in ("server_side", "relay"):
        options = {"preserve": Preserve(etag="required")}
        _, log = await ran(world, method, **options)
        assert proofs(log) == {"k": Proof.ETAG}
        assert world.source.buckets["target-bucket"]["out/k"].part_sizes == tuple(map(len, UNEQUAL))


async def test_a_destination_that_may_not_be_read_is_told(world: World) -> None:
    """Write-only credentials: what can be proven without reading is, and the rest is counted."""
    world.source.denied.add(("destination", "HeadObject", "target-bucket"))
    world.source.put_parts("source-bucket", "in/k", [b"small", b"parts"])
    metrics, log = await ran(world, verify="checksum")
    assert proofs(log) == {"k": Proof.NONE}
    assert metrics.degradations == {"unverified": 1}


async def test_a_source_that_may_only_be_listed_is_told(world: World) -> None:
    """The destination's credentials read the source, whose own may not: counted, not failed."""
    world.source.denied.add(("source", "HeadObject", "source-bucket"))
    world.source.put("source-bucket", "in/k", SMALL)
    metrics, log = await ran(world, verify="checksum")
    assert proofs(log) == {"k": Proof.ETAG}
    assert metrics.degradations == {"unverified": 1}


async def test_checksums_that_may_not_be_read_are_done_without(world: World) -> None:
    """Checksums of encrypted objects take kms:Decrypt; a plain HEAD does not."""
    world.source.put_parts("source-bucket", "in/k", [b"small", b"parts"])
    world.source.faults = [Fault("HeadObject", "AccessDenied", 403, side="source")]
    metrics, log = await ran(world, verify="checksum")
    assert proofs(log) == {"k": Proof.SIZE}
    assert metrics.degradations == {}
    assert heads(world) == 2


async def test_an_object_that_vanishes_at_once_has_not_arrived(world: World) -> None:
    """Level "checksum" looks at the destination; where nothing is, the object fails."""
    world.source.put_parts("source-bucket", "in/k", [b"small", b"parts"])

    async def vanish(call: Call, phase: Phase) -> None:
        if call.operation == "HeadObject" and call.side == "destination":
            world.source.buckets["target-bucket"].clear()

    world.source.hook = vanish
    error, _ = await ran(world, verify="checksum")
    assert [each.code for each in error.failures] == ["IntegrityMismatch"]
    assert "is not there" in str(error)


async def test_a_version_that_was_covered_at_once_is_still_found(world: World) -> None:
    """Somebody writes over the object at once: its version is what is compared."""
    world.source.set_versioning("target-bucket", "Enabled")
    world.source.put_parts("source-bucket", "in/k", [b"small", b"parts"])
    covered = False

    async def cover(call: Call, phase: Phase) -> None:
        nonlocal covered
        if call.operation == "HeadObject" and call.side == "destination" and not covered:
            covered = True
            world.source.put("target-bucket", "out/k", b"somebody else's")

    world.source.hook = cover
    _, log = await ran(world, verify="checksum")
    assert proofs(log) == {"k": Proof.SIZE}
    assert heads(world, target=True) == 2


async def test_a_source_that_changes_meanwhile_is_not_compared(aws: World) -> None:
    """The copy was of what was listed; what is there now says nothing about it."""
    aws.source.put("source-bucket", "in/k", SMALL, KMS)

    async def change(call: Call, phase: Phase) -> None:
        if call.operation == "CopyObject" and phase == "after":
            aws.source.put("source-bucket", "in/k", b"changed")

    aws.source.hook = change
    metrics, log = await ran(aws)
    assert proofs(log) == {"k": Proof.NONE}
    assert metrics.degradations == {"unverified": 1}


async def test_the_first_of_many_differences_asks_for_all(aws: World) -> None:
    """Objects copied at the same time wait for the one that asks, and go by what it finds."""
    transfer = transfer_of(aws.source)
    target = S3Location("target-bucket", "out/k")
    stored = aws.source.put("source-bucket", "in/k", SMALL, KMS)
    copy = aws.source.put("target-bucket", "out/k", SMALL)
    item = S3Object("source-bucket", "in/k", 5, LONG_AGO, stored.etag)
    found: list[Proof] = []

    async def prove() -> None:
        found.append(await prove_arrival(transfer, item, target, Written(copy.etag)))

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(prove)
    assert sorted(found) == [Proof.NONE] * 19 + [Proof.SIZE]
    assert aws.source.counts()["HeadObject"] == 2


async def test_a_failure_to_ask_is_no_proof(aws: World) -> None:
    """A server that is down while a difference is looked into: the object fails for now."""
    transfer = transfer_of(aws.source)
    aws.source.faults = [Fault("HeadObject", "InternalError", 500, times=99)]
    item = S3Object("source-bucket", "in/k", 5, LONG_AGO, "a" * 32)
    with pytest.raises(RetryableS3Error):
        await prove_arrival(transfer, item, S3Location("target-bucket", "k"), Written("b" * 32))


@pytest.mark.parametrize("hashed", list(Proof))
async def test_verify_none_asks_and_compares_nothing(aws: World, hashed: Proof) -> None:
    """No request, no comparison, not even of what is known: what relayed bytes proved stays."""
    transfer = transfer_of(aws.source, options=fast_options(verify="none"))
    item = S3Object("source-bucket", "in/k", 5, LONG_AGO, "a" * 32)
    head = ObjectHead(object=item, checksums={"crc32": "AAAA"})
    written = Written("b" * 32, None, True, {"crc32": "BBBB"})
    target = S3Location("target-bucket", "k")
    found = await prove_arrival(transfer, item, target, written, head=head, hashed=hashed)
    assert found is hashed
    assert aws.source.calls == []
