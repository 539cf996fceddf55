"""Every property, every policy, all four ways: decided alike, carried alike, refused alike."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import pytest

from async_s3copy import Copied, CopyFailedError, Failed, Skipped, SkipReason, TransferMetrics
from async_s3copy.engine.checksums import computable
from async_s3copy.engine.refusals import Property, sent, without
from async_s3copy.options import CopyOptions
from async_s3copy.preserve import Overrides, Preserve
from async_s3copy.s3.values import ObjectHead, ObjectProperties
from tests.fake_server import AWS, OTHER, Call, FakeS3, Fault, Phase
from tests.fake_store import Stored
from tests.fakes import FakeClient
from tests.harness import Log, World, fast_options

WAYS: Final = ("single", "multipart", "relay_put", "relay_multipart")
RICH: Final = ObjectProperties(
    headers={"content-type": "a/b", "cache-control": "no-store"},
    metadata={"m": "1"},
    tags={"t": "1", "u": "2"},
    storage_class="STANDARD_IA",
    checksum_algorithm="CRC32",
    checksum_type="FULL_OBJECT",
    encryption="AES256",
    website_redirect="/there",
    lock_mode="GOVERNANCE",
    lock_retain_until="2100-01-01T00:00:00.000Z",
    legal_hold="ON",
    grants={"read": 'id="somebody"'},
)
FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "content_headers": ("headers",),
    "metadata": ("metadata",),
    "tags": ("tags",),
    "storage_class": ("storage_class",),
    "checksum_algorithm": ("checksum_algorithm",),
    "website_redirect": ("website_redirect",),
    "object_lock": ("lock_mode", "lock_retain_until", "legal_hold"),
    "encryption": ("encryption", "kms_key_id", "bucket_key_enabled"),
    "acl": ("acl", "grants"),
}
NOTHING: Final = ObjectProperties()
# S3 carries the algorithm of a CopyObject by itself: nothing can be dropped there.
ALWAYS_CARRIED: Final = {("single", "checksum_algorithm")}
WRITES: Final = {
    "single": "CopyObject",
    "multipart": "CreateMultipartUpload",
    "relay_put": "PutObject",
    "relay_multipart": "CreateMultipartUpload",
}
REFUSALS: Final[dict[Property, tuple[str, int]]] = {
    "tags": ("AccessDenied", 403),
    "storage_class": ("InvalidStorageClass", 400),
    "website_redirect": ("NotImplemented", 501),
    "object_lock": ("InvalidRequest", 400),
    "encryption": ("KMS.DisabledException", 400),
    "acl": ("AccessControlListNotSupported", 400),
}


def by_way(way: str, **given: Any) -> CopyOptions:
    """Options that send objects of any size one of the four ways."""
    method = "relay" if way.startswith("relay") else "server_side"
    options = fast_options(method=method, **given)
    for name in ("multipart_threshold_bytes", "relay_multipart_threshold_bytes"):
        if way.endswith("multipart"):
            object.__setattr__(options, name, 1)
    return options


BOTH: Final = pytest.mark.parametrize("world", [AWS, OTHER], ids=["aws", "other"], indirect=True)


@pytest.fixture
def world(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> World:
    """One object that has everything, on AWS, or also on another server where a test says so."""
    world = World(FakeS3(getattr(request, "param", AWS))).install(monkeypatch)
    world.source.put("source-bucket", "in/k", b"bytes", RICH)
    return world


async def run(world: World, way: str, **given: Any) -> TransferMetrics:
    metrics = await world.operation(options=by_way(way, **given)).run()
    world.assert_clean()
    return metrics


async def failure(world: World, way: str, **given: Any) -> Failed:
    with pytest.raises(CopyFailedError) as caught:
        await run(world, way, **given)
    world.assert_clean()
    (failed,) = caught.value.failures
    return failed


def arrived(world: World, key: str = "k") -> Stored:
    return world.source.buckets["target-bucket"][f"out/{key}"]


def has_arrived(world: World) -> bool:
    return "out/k" in world.source.buckets["target-bucket"]


def refuse(world: World, name: Property, code: str, status: int, *, way: str = "") -> None:
    """Let every write that sends a property be refused, as a destination would."""

    async def strike(call: Call, phase: Phase) -> None:
        if phase == "before" and name in sent(_as_written(world, call)):
            raise call.error(code, status)

    world.source.hook = strike


def _as_written(world: World, call: Call) -> ObjectProperties:
    if call.operation not in set(WRITES.values()):
        return NOTHING
    if call.operation != "CopyObject" or call.replaces_tags:
        return call.properties
    # S3 carries the tags of the source by itself, which takes the permission to write them.
    key = (call.key or "").replace("out/", "in/", 1)
    stored = world.source.buckets["source-bucket"][key]
    return replace(call.properties, tags=stored.properties.tags)


@BOTH
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("policy", ["required", "best_effort"])
async def test_everything_that_is_preserved_arrives(world: World, way: str, policy: str) -> None:
    """All properties by all four ways, identically, and nothing is counted as degraded."""
    preserve = replace(Preserve.everything(policy), etag="drop")  # type: ignore[arg-type]
    metrics = await run(world, way, preserve=preserve)
    found = arrived(world).properties
    for name, parts in FIELDS.items():
        for each in parts:
            found_value = getattr(found, each)
            if each == "checksum_algorithm":
                found_value = arrived(world).checksum_algorithm
            assert found_value == getattr(RICH, each), name
    assert metrics.degradations == {}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dropped", FIELDS)
async def test_what_is_dropped_does_not_arrive_and_the_rest_does(
    world: World, way: str, dropped: str
) -> None:
    """One property dropped: the destination's default; all others as they were."""
    preserve = replace(Preserve.everything(), **{dropped: "drop"})  # type: ignore[arg-type]
    await run(world, way, preserve=preserve)
    found = replace(arrived(world).properties, checksum_algorithm=arrived(world).checksum_algorithm)
    for name, parts in FIELDS.items():
        gone = name == dropped and (way, name) not in ALWAYS_CARRIED
        for each in parts:
            assert getattr(found, each) == getattr(NOTHING if gone else RICH, each), name


@BOTH
@pytest.mark.parametrize("way", WAYS)
async def test_the_default_carries_what_costs_nothing(world: World, way: str) -> None:
    """Headers, metadata, tags, class and algorithm; no lock, redirect, key or grant."""
    await run(world, way)
    expected = without(RICH, frozenset(("website_redirect", "object_lock", "encryption", "acl")))
    found = arrived(world)
    assert replace(found.properties, checksum_algorithm="CRC32", checksum_type="") == replace(
        expected, checksum_type=""
    )
    assert found.checksum_algorithm == "CRC32"


async def test_the_default_single_copy_is_one_request(world: World) -> None:
    """No HEAD, no GetObjectTagging, no GetObjectAcl: one CopyObject."""
    await run(world, "single")
    calls = world.source.counts()
    del calls["ListObjectsV2"]
    assert calls == {"CopyObject": 1}


@pytest.mark.parametrize(
    "preserve, overrides, reads",
    [
        (Preserve.everything(), Overrides(), {"HeadObject": 1, "GetObjectAcl": 1}),
        (Preserve(metadata="drop"), Overrides(), {"HeadObject": 1}),
        (Preserve(), Overrides(content_type="x/y"), {"HeadObject": 1}),
        (Preserve(metadata="drop", content_headers="drop", tags="drop"), Overrides(), {}),
        (Preserve(), Overrides(tags={}, storage_class="GLACIER", acl="private"), {}),
        (Preserve(acl="required"), Overrides(), {"GetObjectAcl": 1}),
    ],
)
async def test_a_single_copy_costs_what_is_documented(
    world: World, preserve: Preserve, overrides: Overrides, reads: dict[str, int]
) -> None:
    """One HEAD serves all that need one; grants take GetObjectAcl; nothing else is read."""
    await run(world, "single", preserve=preserve, overrides=overrides)
    calls = world.source.counts()
    del calls["ListObjectsV2"]
    assert calls == {"CopyObject": 1, **reads}


@BOTH
@pytest.mark.parametrize("way", WAYS)
async def test_overrides_are_written_by_every_way(world: World, way: str) -> None:
    """Each override arrives, instead of the source's; header by header, metadata whole."""
    overrides = Overrides(
        content_type="x/y",
        metadata={"n": "2"},
        tags={"v": "3"},
        storage_class="GLACIER_IR",
        checksum_algorithm="SHA256",
        encryption="AES256",
        website_redirect="/elsewhere",
        legal_hold=True,
        acl="bucket-owner-full-control",
    )
    await run(world, way, overrides=overrides)
    found = arrived(world)
    assert replace(found.properties, checksum_algorithm="", checksum_type="") == ObjectProperties(
        headers={"content-type": "x/y", "cache-control": "no-store"},
        metadata={"n": "2"},
        tags={"v": "3"},
        storage_class="GLACIER_IR",
        encryption="AES256",
        website_redirect="/elsewhere",
        legal_hold="ON",
        acl="bucket-owner-full-control",
    )
    assert found.checksum_algorithm == "SHA256"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", REFUSALS)
async def test_what_the_destination_refuses_is_left_out_and_counted(
    world: World, way: str, name: Property
) -> None:
    """best_effort: the object arrives with everything else, and one degradation is counted."""
    refuse(world, name, *REFUSALS[name])
    metrics = await run(world, way, preserve=Preserve.everything())
    assert metrics.degradations == {name: 1}
    found = replace(arrived(world).properties, checksum_algorithm="CRC32", checksum_type="")
    assert sent(found) == sent(RICH) - {name}
    assert (found.headers, found.metadata) == (RICH.headers, RICH.metadata)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", REFUSALS)
async def test_what_is_required_and_refused_fails_the_object(
    world: World, way: str, name: Property
) -> None:
    """required: nothing is written, and the failure has S3's code and names the property."""
    code, status = REFUSALS[name]
    refuse(world, name, code, status)
    preserve = replace(Preserve.everything(), **{name: "required"})  # type: ignore[arg-type]
    failed = await failure(world, way, preserve=preserve)
    assert failed.code == code
    assert name in str(failed.error) or "Tagging" in str(failed.error)
    assert not has_arrived(world)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", REFUSALS)
async def test_a_refusal_is_remembered_for_the_run(world: World, way: str, name: Property) -> None:
    """Twenty objects alike: what one found out, the others need not, but for their tags."""
    for number in range(20):
        world.source.put("source-bucket", f"in/{number:02}", b"bytes", RICH)
    refuse(world, name, *REFUSALS[name])
    options = {"preserve": Preserve.everything(), "max_concurrent_requests": 1}
    metrics = await run(world, way, **options)
    assert metrics.degradations == {name: 21}
    tries = world.source.counts()[WRITES[way]]
    # Refused tags that S3 carries by itself are seen per object: nothing tells who has some.
    assert tries <= (2 * 21 + 3 if (way, name) == ("single", "tags") else 21 + 9)


@pytest.mark.parametrize(
    "preserve, overrides, arrives",
    [
        (Preserve(website_redirect="best_effort", encryption="best_effort"), {}, True),
        (Preserve(website_redirect="best_effort", encryption="required"), {}, False),
        (Preserve(), {"content_type": "x/y"}, False),
    ],
)
async def test_a_head_that_is_refused(
    world: World, preserve: Preserve, overrides: Any, arrives: bool
) -> None:
    """Best effort does without it, counted; what is required, or would be lost, fails."""
    world.source.denied = {("source", "HeadObject", "source-bucket")}
    given = {"preserve": preserve, "overrides": Overrides(**overrides)}
    if not arrives:
        failed = await failure(world, "single", **given)
        assert (failed.code, has_arrived(world)) == ("AccessDenied", False)
        return
    metrics = await run(world, "single", **given)
    assert metrics.degradations == {"website_redirect": 1, "encryption": 1}
    assert arrived(world).properties.metadata == RICH.metadata


# Tags --------------------------------------------------------------------------------------------


def hide_tags(world: World, *sides: str) -> None:
    """Deny reading the source's tags, and with that CopyObject's carrying them."""

    async def strike(call: Call, phase: Phase) -> None:
        if phase == "after":
            return
        reading = call.operation == "GetObjectTagging" and call.bucket == "source-bucket"
        carrying = (
            call.operation == "CopyObject"
            and not call.replaces_tags
            and "destination" in sides
            and bool(_as_written(world, call).tags)
        )
        if (reading and call.side in sides) or carrying:
            raise call.error("AccessDenied", 403)

    world.source.hook = strike
    if "source" in sides:
        world.source.reports_tag_count = False


@pytest.mark.parametrize("policy", ["best_effort", "required"])
@pytest.mark.parametrize("method", ["auto", "server_side"])
async def test_tags_only_the_source_may_read_are_sent(
    world: World, policy: Any, method: str
) -> None:
    """The destination may not read them: read by the source, sent, and the bytes stay in S3."""
    for number in range(9):
        world.source.put("source-bucket", f"in/{number}", b"bytes", RICH)
        world.source.put("source-bucket", f"in/untagged/{number}", b"bytes")
    hide_tags(world, "destination")
    options = fast_options(method=method, preserve=Preserve(tags=policy), max_concurrent_requests=1)
    metrics = await world.operation(options=options).run()
    assert arrived(world).properties.tags == RICH.tags
    assert arrived(world, "untagged/3").properties.tags == {}
    assert (metrics.files_relayed, metrics.degradations) == (0, {})
    # Ten alike, nine alike: two requests for each of the former after the first.
    assert world.source.counts()["CopyObject"] <= 19 + 3
    assert world.source.counts()["GetObjectTagging"] <= 10 + 4


async def test_tags_nobody_may_read_are_left_out_and_counted(world: World) -> None:
    """best_effort: the objects that have some arrive without; the others are not counted."""
    world.source.put("source-bucket", "in/untagged", b"bytes")
    world.source.put("source-bucket", "in/tagged", b"bytes", RICH)
    hide_tags(world, "source", "destination")
    metrics = await run(world, "single", max_concurrent_requests=1)
    assert arrived(world).properties.tags == {}
    assert metrics.degradations == {"tags": 2}
    assert metrics.files_copied_successfully == 3


@pytest.mark.parametrize("way", WAYS)
async def test_required_tags_nobody_may_read_fail_the_object(world: World, way: str) -> None:
    """required: the failure names the permission; below the threshold, and above it, both sides."""
    hide_tags(world, "source", "destination")
    failed = await failure(world, way, preserve=Preserve(tags="required"))
    assert failed.code == "AccessDenied"
    assert "s3:GetObjectTagging" in str(failed.error)
    if not way.startswith("relay"):
        assert "the source credentials or the destination credentials" in str(failed.error)
    assert not has_arrived(world)


async def test_above_the_threshold_the_destination_may_read_the_tags_too(world: World) -> None:
    """As with CopyObject: the source's credentials may not, the destination's may: carried."""
    hide_tags(world, "source")
    metrics = await run(world, "multipart", preserve=Preserve(tags="required"))
    assert arrived(world).properties.tags == RICH.tags
    assert metrics.degradations == {}


@pytest.mark.parametrize("policy", ["best_effort", "required"])
@pytest.mark.parametrize("way", ["multipart", "relay_put", "relay_multipart"])
async def test_a_server_without_tags_has_none(world: World, way: str, policy: Any) -> None:
    """GetObjectTagging answered 501: nothing to carry, nothing to count, asked once."""
    world.source.put("source-bucket", "in/k", b"bytes")
    world.source.put("source-bucket", "in/l", b"bytes")
    world.source.reports_tag_count = False
    world.source.faults = [Fault("GetObjectTagging", "NotImplemented", 501, times=99)]
    options = {"preserve": Preserve(tags=policy), "max_concurrent_requests": 1}
    metrics = await run(world, way, **options)
    assert metrics.degradations == {}
    assert world.source.counts()["GetObjectTagging"] == 1


@BOTH
@pytest.mark.parametrize("code, status", [("InternalError", 500), ("SlowDown", 503)])
@pytest.mark.parametrize("way", ["multipart", "relay_put", "relay_multipart"])
async def test_tags_survive_errors_that_pass(
    world: World, way: str, code: str, status: int
) -> None:
    """A server that stumbles over its first GetObjectTagging is not taken for one without tags."""
    world.source.counts_tags = world.source.reports_tag_count = False
    world.source.faults = [Fault("GetObjectTagging", code, status, times=4)]
    metrics = await run(world, way, max_attempts=10)
    assert arrived(world).properties.tags == RICH.tags
    assert metrics.degradations == {}


LONG: Final = {f"{number}-{'ä' * 20}": "語" * 20 for number in range(10)}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("policy", ["best_effort", "required"])
async def test_long_tags_that_cannot_be_written_afterwards(
    world: World, way: str, policy: Any
) -> None:
    """Beyond 2 KiB a request of their own writes them; its failure says the object is there."""
    world.source.put("source-bucket", "in/k", b"bytes", replace(RICH, tags=LONG))
    world.source.denied = {("destination", "PutObjectTagging", "target-bucket")}
    given: dict[str, Any] = {"preserve": Preserve(tags=policy)}
    if way == "single":
        given["overrides"] = Overrides(tags=LONG)
        policy = "required"
    if policy == "required":
        failed = await failure(world, way, **given)
        assert failed.code == "AccessDenied"
        assert "s3://target-bucket/out/k is there, but without its tags" in str(failed.error)
    else:
        metrics = await run(world, way, **given)
        assert metrics.degradations == {"tags": 1}
    assert arrived(world).data == b"bytes"


@pytest.mark.parametrize("way", WAYS)
async def test_a_version_that_nobody_asked_for_is_in_no_request(world: World, way: str) -> None:
    """Reading by version takes permissions of its own: the current object is asked for as such."""
    world.source.set_versioning("source-bucket", "Enabled")
    world.source.put_parts("source-bucket", "in/k", [b"bytes"], RICH)
    await run(world, way, preserve=Preserve.everything(), verify="checksum")
    asked = {call.operation: call.version_id for call in world.source.calls if call.key == "in/k"}
    assert set(asked.values()) <= {None}
    assert "GetObjectAcl" in asked


@pytest.mark.parametrize("way", WAYS)
async def test_the_version_that_was_written_is_told_and_tagged(
    monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """The outcome names the destination's version, and tags sent afterwards go to that one."""
    world = World().install(monkeypatch)
    world.source.set_versioning("target-bucket", "Enabled")
    world.source.put("source-bucket", "in/k", b"bytes", RICH)
    log = Log()
    options = by_way(way, overrides=Overrides(tags=LONG))
    await world.operation(options=options, observer=log).run()
    (copied,) = log.outcomes
    assert isinstance(copied, Copied)
    assert copied.version_id == arrived(world).version_id is not None
    assert [call.version_id for call in world.source.made("PutObjectTagging")] == [
        copied.version_id
    ]
    assert arrived(world).properties.tags == LONG


# Checksums ---------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
async def test_the_checksum_algorithm_of_the_source_is_kept(
    world: World, way: str, algorithm: str
) -> None:
    """By every way; a relay needs to compute it, or leaves it to S3 and counts that."""
    told = ObjectProperties(checksum_algorithm=algorithm)
    world.source.put("source-bucket", "in/k", b"bytes", told)
    metrics = await run(world, way)
    if not way.startswith("relay") or computable(algorithm):
        assert arrived(world).checksum_algorithm == algorithm
        assert metrics.degradations == {}
        return
    by_itself = algorithm == "CRC64NVME" and world.source.endpoint.is_aws
    assert metrics.degradations.get("checksum_algorithm", 0) == (0 if by_itself else 1)


@pytest.mark.parametrize("policy", ["best_effort", "required"])
async def test_checksums_that_may_not_be_read(
    world: World, policy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without kms:Decrypt a HEAD tells no checksums: the rest is read by a second one."""
    plain = FakeClient.head_object

    async def head_object(client: FakeClient, *args: Any, **given: Any) -> ObjectHead:
        if given.get("checksums") and client.side == "source":
            raise Call("HeadObject", "source", *args).error("AccessDenied", 403)
        return await plain(client, *args, **given)

    monkeypatch.setattr(FakeClient, "head_object", head_object)
    preserve = Preserve(checksum_algorithm=policy)
    if policy == "required":
        failed = await failure(world, "multipart", preserve=preserve)
        assert "takes kms:Decrypt" in str(failed.error)
        return
    metrics = await run(world, "multipart", preserve=preserve)
    assert metrics.degradations == {"checksum_algorithm": 1}
    assert arrived(world).properties.metadata == RICH.metadata


@pytest.mark.parametrize("way", ["relay_put", "relay_multipart"])
async def test_a_required_checksum_that_cannot_be_computed_fails_the_object(
    world: World, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says what is missing, before anything is written."""
    monkeypatch.setattr("async_s3copy.engine.properties.computable", lambda _: False)
    failed = await failure(world, way, preserve=Preserve(checksum_algorithm="required"))
    assert failed.code == "ChecksumNotComputable"
    assert "takes the package awscrt" in str(failed.error)
    assert not has_arrived(world)


@pytest.mark.parametrize("policy", ["best_effort", "required"])
async def test_an_algorithm_that_fails_only_in_the_end_is_left_out(
    monkeypatch: pytest.MonkeyPatch, policy: Any
) -> None:
    """A server takes the algorithm, gives no checksums, and refuses to complete: copied without."""
    world = World(FakeS3(OTHER)).install(monkeypatch)
    for key in ("k", "l"):
        world.source.put("source-bucket", f"in/{key}", b"bytes", RICH)

    async def strike(call: Call, phase: Phase) -> None:
        declared = [u for u in world.source.uploads.values() if u.properties.checksum_algorithm]
        if phase == "before" and call.operation == "CompleteMultipartUpload" and declared:
            raise call.error("InvalidPart", 400)

    world.source.hook = strike
    given: dict[str, Any] = {
        "preserve": Preserve(checksum_algorithm=policy),
        "max_concurrent_requests": 1,
    }
    if policy == "required":
        with pytest.raises(CopyFailedError):
            await run(world, "multipart", **given)
        world.assert_clean()
        return
    metrics = await run(world, "multipart", **given)
    assert metrics.degradations == {"checksum_algorithm": 2}
    assert world.source.counts()["CreateMultipartUpload"] == 3


# Archived objects --------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
async def test_archived_objects_fail_with_what_to_do(world: World, way: str) -> None:
    """One failure an object, S3's code, and the word that helps: restore. No upload is opened."""
    world.source.archived = {"in/k"}
    failed = await failure(world, way)
    assert failed.code == "InvalidObjectState"
    assert "restore it first" in str(failed.error)
    assert world.source.counts()["CreateMultipartUpload"] == 0


@pytest.mark.parametrize("way", WAYS)
async def test_archived_objects_are_skipped_on_request(world: World, way: str) -> None:
    """Skipped with their reason; the other objects arrive."""
    world.source.archived = {"in/k"}
    world.source.put("source-bucket", "in/other", b"bytes")
    log = Log()
    options = by_way(way, archived="skip")
    metrics = await world.operation(options=options, observer=log).run()
    (skipped,) = [each for each in log.outcomes if isinstance(each, Skipped)]
    assert (skipped.source.key, skipped.reason) == ("in/k", SkipReason.ARCHIVED)
    assert (metrics.files_copied_successfully, metrics.files_skipped) == (1, 1)
    assert world.source.counts()["CreateMultipartUpload"] == (way.endswith("multipart"))


# ETags -------------------------------------------------------------------------------------------

PART: Final = bytes(5 * 1024 * 1024)


@pytest.mark.parametrize("method", ["server_side", "relay"])
@pytest.mark.parametrize("parts", [[PART, b"end"], [b"one"], [PART, PART + b"more", b"end"]])
async def test_a_required_etag_stays_below_the_threshold_too(
    world: World, method: str, parts: list[bytes]
) -> None:
    """Uploaded in parts, of one size or not: copied in the same parts; written whole: whole."""
    stored = world.source.put_parts("source-bucket", "in/k", parts)
    whole = world.source.put("source-bucket", "in/whole", b"bytes")
    options = fast_options(
        method=method, preserve=Preserve(etag="required"), multipart_threshold_bytes=1 << 30
    )
    await world.operation(options=options).run()
    assert (arrived(world).etag, arrived(world).data) == (stored.etag, b"".join(parts))
    assert arrived(world, "whole").etag == whole.etag


@pytest.mark.parametrize("method", ["server_side", "relay"])
async def test_a_required_etag_is_stronger_than_the_threshold(world: World, method: str) -> None:
    """Written by one request, and large: copied by one request all the same."""
    stored = world.source.put("source-bucket", "in/k", PART + PART)
    log = Log()
    options = fast_options(method=method, preserve=Preserve(etag="required"))
    await world.operation(options=options, observer=log).run()
    assert arrived(world).etag == stored.etag
    (copied,) = [each for each in log.outcomes if isinstance(each, Copied)]
    assert (copied.parts, copied.etag_kept) == (0, True)


@pytest.mark.parametrize("method", ["server_side", "relay"])
async def test_an_etag_that_cannot_stay_fails_before_anything_is_written(
    world: World, method: str
) -> None:
    """Parts too small for an upload: said, not tried."""
    world.source.put_parts("source-bucket", "in/k", [b"small", b"small", b"end"])
    options = fast_options(method=method, preserve=Preserve(etag="required"))
    with pytest.raises(CopyFailedError) as caught:
        await world.operation(options=options).run()
    assert [each.code for each in caught.value.failures] == ["EtagNotKept"]
    assert not has_arrived(world)


async def test_an_etag_that_came_out_different_is_told_afterwards(world: World) -> None:
    """The bucket encrypts with KMS: the object is there, and its ETag is another."""
    world.source.put("source-bucket", "in/k", b"bytes")
    world.source.encryption["target-bucket"] = "aws:kms"
    failed = await failure(world, "single", preserve=Preserve(etag="required"))
    assert failed.code == "EtagNotKept"
    assert "s3://target-bucket/out/k is there" in str(failed.error)
    assert has_arrived(world)


@BOTH
@pytest.mark.parametrize("way", ["multipart", "relay_multipart"])
async def test_without_a_wish_for_the_etag_the_parts_are_ours(world: World, way: str) -> None:
    """etag="drop": no HEAD for a layout, and the configured part size."""
    world.source.put_parts("source-bucket", "in/k", [PART + b"x", b"end"])
    await run(world, way, preserve=Preserve(etag="drop"), verify="none")
    assert arrived(world).part_sizes == (len(PART), 4)
    assert world.source.counts()["HeadObject"] == 1 + (
        way == "multipart" and not world.source.endpoint.is_aws
    )
