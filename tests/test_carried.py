"""What is carried, decided without a request: policies, overrides, refusals, strays, checksums."""

from __future__ import annotations

import base64
import hashlib
import sys
import zlib
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from types import ModuleType
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_s3copy import ObjectRejectedError, S3CopyError, S3Error
from async_s3copy.engine import checksums
from async_s3copy.engine.checksums import checksum, computable, running
from async_s3copy.engine.etags import plan_way
from async_s3copy.engine.fidelity import Fidelity
from async_s3copy.engine.plan import MultipartCopy, RelayMultipart, RelayPut, SingleCopy, plan_copy
from async_s3copy.engine.refusals import Refusals, sent, suspects, value_of, without
from async_s3copy.engine.strays import strays
from async_s3copy.errors import error_code
from async_s3copy.metrics import MetricsRecorder
from async_s3copy.model import CopyMethod, S3Object
from async_s3copy.options import GIB, MIB, CopyOptions
from async_s3copy.preserve import Overrides, Preserve
from async_s3copy.s3.values import AS_IT_IS, ObjectProperties, OpenUpload

pytestmark = pytest.mark.stack_b

NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)
RICH: Final = ObjectProperties(
    headers={"content-type": "a/b", "cache-control": "no-store"},
    metadata={"m": "1"},
    storage_class="STANDARD_IA",
    checksum_algorithm="CRC32",
    checksum_type="COMPOSITE",
    encryption="aws:kms",
    kms_key_id="key",
    bucket_key_enabled=True,
    website_redirect="/there",
    lock_mode="GOVERNANCE",
    lock_retain_until="2030-01-01T00:00:00.000Z",
    legal_hold="ON",
)
TAGS: Final = {"t": "1"}
GRANTS: Final = {"read": 'id="somebody"'}
PROPERTIES: Final = (
    "content_headers",
    "metadata",
    "tags",
    "storage_class",
    "checksum_algorithm",
    "website_redirect",
    "object_lock",
    "encryption",
    "acl",
)
# Which fields a property is made of.
FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "content_headers": ("headers",),
    "metadata": ("metadata",),
    "tags": ("tags",),
    "storage_class": ("storage_class",),
    "checksum_algorithm": ("checksum_algorithm", "checksum_type"),
    "website_redirect": ("website_redirect",),
    "object_lock": ("lock_mode", "lock_retain_until", "legal_hold"),
    "encryption": ("encryption", "kms_key_id", "bucket_key_enabled"),
    "acl": ("acl", "grants"),
}
WHOLE: Final = replace(RICH, tags=TAGS, grants=GRANTS)
policies = st.sampled_from(["required", "best_effort", "drop"])
preserves = st.builds(Preserve, **dict.fromkeys((*PROPERTIES, "etag"), policies))


def fidelity(preserve: Preserve | None = None, **overrides: Any) -> Fidelity:
    return Fidelity(CopyOptions(preserve=preserve or Preserve(), overrides=Overrides(**overrides)))


def carried(decided: Fidelity, told: ObjectProperties = RICH) -> ObjectProperties:
    tags = TAGS if decided.reads_tags else {}
    grants = GRANTS if decided.reads_acl else {}
    return decided.carried(told, tags=tags, grants=grants, now=NOW)


@given(preserves)
def test_every_property_is_carried_or_dropped_as_its_policy_says(preserve: Preserve) -> None:
    """What is not dropped is the source's; what is dropped is not there: each by its own policy."""
    found = carried(fidelity(preserve))
    for name in PROPERTIES:
        expected = AS_IT_IS if getattr(preserve, name) == "drop" else WHOLE
        for each in FIELDS[name]:
            assert getattr(found, each) == getattr(expected, each), name


@given(preserves)
def test_overrides_win_over_every_policy_and_every_source(preserve: Preserve) -> None:
    """Whatever is preserved, what is written instead is written, and the source is not asked."""
    decided = fidelity(preserve, **ALL_OVERRIDES)
    assert carried(decided) == OVERRIDDEN
    assert (decided.reads_tags, decided.reads_acl, decided.reads_nothing) == (False, False, True)
    assert decided.plain("STANDARD_IA") == replace(OVERRIDDEN, checksum_type="")
    assert not any(decided.may_leave_out(name) for name in sent(OVERRIDDEN))


ALL_OVERRIDES: Final[dict[str, Any]] = {
    "content_type": "x/y",
    "content_encoding": "br",
    "content_language": "de",
    "content_disposition": "inline",
    "cache_control": "no-cache",
    "expires": datetime(2044, 12, 1, 17, tzinfo=timezone(timedelta(hours=1))),
    "metadata": {"n": "2"},
    "tags": {"u": "2"},
    "storage_class": "STANDARD",
    "checksum_algorithm": "SHA256",
    "encryption": "aws:kms",
    "kms_key_id": "another",
    "bucket_key_enabled": False,
    "website_redirect": "/elsewhere",
    "lock_mode": "COMPLIANCE",
    "lock_retain_until": datetime(2031, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))),
    "legal_hold": False,
    "grants": {"read_acp": 'uri="everybody"'},
}
OVERRIDDEN: Final = ObjectProperties(
    headers={
        "content-type": "x/y",
        "content-encoding": "br",
        "content-language": "de",
        "content-disposition": "inline",
        "cache-control": "no-cache",
        "expires": "Thu, 01 Dec 2044 16:00:00 GMT",
    },
    metadata={"n": "2"},
    tags={"u": "2"},
    storage_class="STANDARD",
    checksum_algorithm="SHA256",
    checksum_type="COMPOSITE",
    encryption="aws:kms",
    kms_key_id="another",
    bucket_key_enabled=False,
    website_redirect="/elsewhere",
    lock_mode="COMPLIANCE",
    lock_retain_until="2031-01-01T00:00:00.000Z",
    legal_hold="OFF",
    grants={"read-acp": 'uri="everybody"'},
)


def test_an_override_of_one_header_keeps_the_others() -> None:
    """Content-Type written anew; Cache-Control and metadata stay the source's."""
    found = carried(fidelity(content_type="x/y"))
    assert found.headers == {"content-type": "x/y", "cache-control": "no-store"}
    assert found.metadata == RICH.metadata


@pytest.mark.parametrize(
    "preserve, overrides, head, replaces_metadata, replaces_tags",
    [
        ({}, {}, False, False, False),
        ({}, {"storage_class": "GLACIER", "acl": "private"}, False, False, False),
        ({}, {"content_type": "x/y"}, True, True, False),
        ({}, {"metadata": {}}, True, True, False),
        ({"metadata": "drop"}, {}, True, True, False),
        ({"content_headers": "drop"}, {}, True, True, False),
        ({"content_headers": "drop", "metadata": "drop"}, {}, False, True, False),
        ({"content_headers": "drop"}, {"metadata": {"a": "b"}}, False, True, False),
        ({"tags": "drop"}, {}, False, False, True),
        ({}, {"tags": {}}, False, False, True),
        ({"website_redirect": "best_effort"}, {}, True, False, False),
        ({"website_redirect": "required"}, {"website_redirect": "/x"}, False, False, False),
        ({"object_lock": "required"}, {}, True, False, False),
        ({"object_lock": "required"}, {"legal_hold": True}, False, False, False),
        ({"encryption": "best_effort"}, {}, True, False, False),
        ({"encryption": "best_effort"}, {"encryption": "AES256"}, False, False, False),
    ],
)
def test_a_single_copy_reads_only_what_s3_does_not_carry(
    preserve: dict[str, Any],
    overrides: dict[str, Any],
    head: bool,
    replaces_metadata: bool,
    replaces_tags: bool,
) -> None:
    """The default is a bare CopyObject; a HEAD is read exactly where something needs it."""
    decided = fidelity(Preserve(**preserve), **overrides)
    assert decided.single.head is head
    assert decided.single.replaces_metadata is replaces_metadata
    assert decided.single.replaces_tags is replaces_tags


def test_the_default_single_copy_sends_nothing_and_is_not_decided_anew() -> None:
    """STANDARD objects: the very same constant each time; other classes: the class alone."""
    decided = fidelity()
    assert decided.reads_nothing
    assert decided.plain("STANDARD") is decided.plain("") is AS_IT_IS
    assert decided.plain("GLACIER") is decided.plain("GLACIER")
    assert decided.plain("GLACIER") == ObjectProperties(storage_class="GLACIER")
    assert decided.plain("EXPRESS_ONEZONE") is AS_IT_IS


def test_a_lock_that_has_expired_is_not_carried() -> None:
    """S3 refuses a date in the past, and it protects nothing; a hold without end stays."""
    decided = fidelity(Preserve(object_lock="required"))
    over = carried(decided, replace(RICH, lock_retain_until="2020-01-01T00:00:00Z"))
    assert (over.lock_mode, over.lock_retain_until, over.legal_hold) == ("", "", "ON")
    odd = carried(decided, replace(RICH, lock_retain_until="for ever"))
    assert odd.lock_retain_until == "for ever"


@pytest.mark.parametrize(
    "algorithm, told, expected",
    [
        ("CRC64NVME", "COMPOSITE", "FULL_OBJECT"),
        ("SHA1", "FULL_OBJECT", "COMPOSITE"),
        ("SHA256", "", "COMPOSITE"),
        ("CRC32", "FULL_OBJECT", "FULL_OBJECT"),
        ("CRC32C", "COMPOSITE", "COMPOSITE"),
        ("CRC32C", "", "FULL_OBJECT"),
        ("", "", ""),
    ],
)
def test_an_upload_declares_the_type_that_its_algorithm_allows(
    algorithm: str, told: str, expected: str
) -> None:
    """CRC64NVME is of the whole object, SHA of the parts, the other CRCs as the source's."""
    source = replace(RICH, checksum_algorithm=algorithm, checksum_type=told)
    assert carried(fidelity(), source).checksum_type == expected


def test_only_the_overridden_algorithm_is_sent_by_a_single_copy() -> None:
    """CopyObject carries the source's algorithm by itself."""
    assert fidelity().of_a_single(RICH).checksum_algorithm == ""
    decided = fidelity(checksum_algorithm="SHA1")
    assert decided.of_a_single(carried(decided)).checksum_algorithm == "SHA1"


# Refusals ----------------------------------------------------------------------------------------


class Destination:
    """Refuse every write that sends one of the properties given, with the code given."""

    def __init__(self, refused: dict[str, str]) -> None:
        self.refused = refused
        self.requests: list[frozenset[str]] = []

    async def write(self, properties: ObjectProperties) -> ObjectProperties:
        self.requests.append(sent(properties))
        for name, code in self.refused.items():
            if name in sent(properties):
                raise S3Error("refused", code=code, operation="PutObject")
        return properties


def refusals(preserve: Preserve) -> tuple[Refusals, MetricsRecorder]:
    recorder = MetricsRecorder("test")
    return Refusals(fidelity(preserve), recorder), recorder


ANYTHING: Final = Preserve.everything("best_effort")
names_of_codes = {
    "InvalidStorageClass": "storage_class",
    "KMS.NotFoundException": "encryption",
    "KMS.DisabledException": "encryption",
    "AccessControlListNotSupported": "acl",
    "InvalidRequest": "object_lock",
    "AccessDenied": "tags",
    "NotImplemented": "website_redirect",
    "InvalidArgument": "checksum_algorithm",
}


@pytest.mark.parametrize("code, name", names_of_codes.items())
async def test_what_is_refused_is_left_out_counted_and_remembered(code: str, name: str) -> None:
    """The write arrives with all the rest; the second one is sent without asking again."""
    sender, recorder = refusals(ANYTHING)
    there = Destination({name: code})
    written = await sender.send(WHOLE, there.write)
    assert sent(written) == sent(WHOLE) - {name}
    first = len(there.requests)
    assert first <= 2 + len(sent(WHOLE))
    await sender.send(WHOLE, there.write)
    assert len(there.requests) == first + 1
    assert recorder.snapshot().degradations == {name: 2}


async def test_a_refusal_that_passes_costs_nothing_but_a_request() -> None:
    """A vague refusal that does not come again is blamed on nothing: the write arrives whole."""
    sender, recorder = refusals(ANYTHING)
    there, requests = Destination({}), 0

    async def stumble(properties: ObjectProperties) -> ObjectProperties:
        nonlocal requests
        requests += 1
        if requests == 1:
            raise S3Error("no", code="AccessDenied")
        return await there.write(properties)

    assert await sender.send(WHOLE, stumble) == WHOLE
    assert requests == 2
    assert recorder.snapshot().degradations == {}


async def test_two_refusals_at_once_are_both_found() -> None:
    """A class it does not know and a key it may not use: both left out, nothing else."""
    sender, recorder = refusals(ANYTHING)
    there = Destination({"storage_class": "InvalidStorageClass", "encryption": "AccessDenied"})
    written = await sender.send(WHOLE, there.write)
    assert sent(written) == sent(WHOLE) - {"storage_class", "encryption"}
    assert recorder.snapshot().degradations == {"storage_class": 1, "encryption": 1}


async def test_two_properties_refused_with_the_same_bare_code_are_both_left_out() -> None:
    """No single one explains AccessDenied: without all suspects the write arrives."""
    sender, _ = refusals(ANYTHING)
    there = Destination({"acl": "AccessDenied", "tags": "AccessDenied"})
    written = await sender.send(WHOLE, there.write)
    assert not {"acl", "tags"} & sent(written)


@pytest.mark.parametrize("code, name", names_of_codes.items())
async def test_what_is_required_fails_the_object_and_names_the_property(
    code: str, name: str
) -> None:
    """One refusal, and an error that says which property, which value and why."""
    sender, recorder = refusals(replace(ANYTHING, **{name: "required"}))  # type: ignore[arg-type]
    there = Destination({name: code})
    with pytest.raises(S3CopyError) as caught:
        await sender.send(WHOLE, there.write)
    assert error_code(caught.value) == code
    assert f"{name} ({value_of(WHOLE, name)})" in str(caught.value)  # type: ignore[arg-type]
    assert recorder.snapshot().degradations == {}


async def test_a_refusal_of_another_reason_costs_a_bounded_number_of_requests() -> None:
    """AccessDenied whatever is sent: all of it twice, each suspect once; the error is told."""
    sender, recorder = refusals(ANYTHING)
    requests = 0

    async def deny(_: ObjectProperties) -> None:
        nonlocal requests
        requests += 1
        raise S3Error(f"number {requests}", code="AccessDenied")

    with pytest.raises(S3Error, match="number 2"):
        await sender.send(WHOLE, deny)
    assert requests == 2 + len(suspects("AccessDenied", WHOLE)) + 1
    assert recorder.snapshot().degradations == {}
    again = Destination({})
    assert await sender.send(WHOLE, again.write) == WHOLE


@given(st.sets(st.sampled_from(sorted(sent(WHOLE)))))
def test_leaving_out_leaves_everything_else(names: set[Any]) -> None:
    """Without some properties: exactly those are gone."""
    less = without(WHOLE, frozenset(names))
    assert sent(less) == sent(WHOLE) - names
    gone = {each for name in names for each in FIELDS[name]}
    for each in fields(ObjectProperties):
        if each.name not in gone:
            assert getattr(less, each.name) == getattr(WHOLE, each.name)


async def test_a_refused_value_does_not_condemn_others() -> None:
    """One class is refused; an object of another class is sent with its own."""
    sender, recorder = refusals(Preserve())
    there = Destination({"storage_class": "InvalidStorageClass"})
    await sender.send(ObjectProperties(storage_class="SNOWBALL"), there.write)
    there.refused = {}
    kept = ObjectProperties(storage_class="GLACIER")
    assert await sender.send(kept, there.write) == kept
    assert recorder.snapshot().degradations == {"storage_class": 1}


# Strays ------------------------------------------------------------------------------------------

MOMENT: Final = datetime(2026, 1, 1, 12, tzinfo=UTC)


def opened(*seconds: float) -> list[OpenUpload]:
    return [OpenUpload("k", f"at {each:g}", MOMENT + timedelta(seconds=each)) for each in seconds]


def chosen(listed: Sequence[OpenUpload], ours: str, skew_s: float = 0, lasted_s: float = 30) -> Any:
    began = MOMENT + timedelta(seconds=skew_s - lasted_s)
    return list(strays(listed, ours, began, timedelta(seconds=lasted_s)))


@pytest.mark.parametrize("skew_s", [-600, 0, 600])
def test_strays_are_found_by_the_servers_own_clock(skew_s: float) -> None:
    """Between the first attempt and the answered one: ours. Before, or long after: foreign."""
    listed = opened(-3_600, -40, -29, -1, 0, 20)
    assert chosen(listed, "at 0", skew_s) == ["at -29", "at -1"]


def test_without_any_answer_this_machines_clock_has_to_do() -> None:
    """Nothing listed is ours by name: what began since the first attempt was sent is."""
    assert chosen(opened(-3_600, -40, -29, 0), "") == ["at -29", "at 0"]


def test_uploads_without_a_date_are_left_alone() -> None:
    """A server that does not say when an upload began: none is aborted on a guess."""
    undated = OpenUpload("k", "undated", datetime(1970, 1, 1, tzinfo=UTC))
    with pytest.raises(LookupError, match="when uploads began"):
        chosen([*opened(0), undated], "at 0")
    assert chosen([undated], "undated") == []


# ETags -------------------------------------------------------------------------------------------


def listed_object(etag: str, size: int) -> S3Object:
    return S3Object("b", "k", size, NOW, etag)


KEEPING: Final = CopyOptions(preserve=Preserve(etag="required"))
MD5, PARTS = "0" * 32, "0" * 32 + "-3"


@pytest.mark.parametrize(
    "etag, size, method, expected",
    [
        (MD5, 10, CopyMethod.SERVER_SIDE, SingleCopy),
        (MD5, 5 * GIB, CopyMethod.SERVER_SIDE, SingleCopy),
        (PARTS, 10, CopyMethod.SERVER_SIDE, MultipartCopy),
        (PARTS, 0, CopyMethod.SERVER_SIDE, SingleCopy),
        (MD5, 100 * MIB, CopyMethod.RELAY, RelayPut),
        (PARTS, 10, CopyMethod.RELAY, RelayMultipart),
    ],
)
def test_an_etag_that_has_to_stay_decides_the_way(
    etag: str, size: int, method: CopyMethod, expected: type
) -> None:
    """As the source was written, so is the copy: one request, or parts."""
    assert type(plan_way(listed_object(etag, size), method, KEEPING)) is expected


@pytest.mark.parametrize(
    "method, size", [(CopyMethod.SERVER_SIDE, 5 * GIB + 1), (CopyMethod.RELAY, 128 * MIB + 1)]
)
def test_an_etag_that_cannot_stay_fails_before_a_request(method: CopyMethod, size: int) -> None:
    """Written by one request, and too large for one: said before anything is written."""
    with pytest.raises(ObjectRejectedError, match="cannot keep its ETag") as caught:
        plan_way(listed_object(MD5, size), method, KEEPING)
    assert caught.value.code == "EtagNotKept"


@given(st.sampled_from([MD5, PARTS]), st.integers(0, 6 * GIB), st.sampled_from(CopyMethod))
def test_otherwise_the_size_decides(etag: str, size: int, method: CopyMethod) -> None:
    """Unless the ETag is required to stay, it has no say."""
    item = listed_object(etag, size)
    assert plan_way(item, method, CopyOptions()) == plan_copy(item, method, CopyOptions())


# Checksums ---------------------------------------------------------------------------------------


@given(st.lists(st.binary(max_size=50)))
def test_checksums_are_those_of_the_algorithms(pieces: list[bytes]) -> None:
    """CRC32, SHA1, SHA256 in base64, whatever the pieces; unknown ones are None."""
    data = b"".join(pieces)
    expected = {
        "CRC32": zlib.crc32(data).to_bytes(4, "big"),
        "sha1": hashlib.sha1(data, usedforsecurity=False).digest(),
        "SHA256": hashlib.sha256(data).digest(),
    }
    for algorithm, digest in expected.items():
        value = base64.b64encode(digest).decode()
        begun = running(algorithm)
        assert begun is not None
        for piece in pieces:
            begun.update(piece)
        assert begun.value() == checksum(algorithm, data) == value
    assert checksum("MD4", data) is None
    assert not computable("MD4")


def crc(polynomial: int, width: int) -> Callable[[bytes, int], int]:
    """Return a reflected cyclic redundancy check, bit by bit, that can be continued."""
    ones = (1 << width) - 1

    def check(data: bytes, previous: int = 0) -> int:
        value = previous ^ ones
        for byte in data:
            value ^= byte
            for _ in range(8):
                value = value >> 1 ^ (polynomial if value & 1 else 0)
        return value ^ ones

    return check


@pytest.mark.parametrize("has_64", [True, False])
def test_the_common_runtime_adds_what_it_has(has_64: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where ``awscrt`` is installed, its checksums are S3's: the catalogue's check values."""
    runtime = ModuleType("awscrt.checksums")
    runtime.crc32c = crc(0x82F63B78, 32)  # type: ignore[attr-defined]
    if has_64:
        runtime.crc64nvme = crc(0x9A6C9329AC4BC9B5, 64)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "awscrt", ModuleType("awscrt"))
    monkeypatch.setitem(sys.modules, "awscrt.checksums", runtime)
    values = {}
    for name, maker in checksums._of_the_common_runtime().items():
        begun = maker()
        begun.update(b"1234")
        begun.update(b"56789")
        values[name] = base64.b64decode(begun.value()).hex()
    assert values == {"CRC32C": "e3069283"} | ({"CRC64NVME": "ae8b14860a799888"} if has_64 else {})


def test_without_the_common_runtime_those_are_not_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing package is no error: what it would compute is left to S3."""
    monkeypatch.setitem(sys.modules, "awscrt.checksums", None)
    assert checksums._of_the_common_runtime() == {}
