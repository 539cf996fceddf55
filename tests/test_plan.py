"""Decisions before the first request: key mapping, overlap, part layout, which way to copy."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_s3copy import CopyMethod, CopyOptions, ObjectRejectedError, S3Location, ValidationError
from async_s3copy.engine.plan import (
    KeyMapping,
    MultipartCopy,
    PartPlan,
    RelayMultipart,
    RelayPut,
    SingleCopy,
    check_overlap,
    plan_copy,
    plan_parts,
    replayed_parts,
)
from async_s3copy.model import S3Object
from async_s3copy.options import (
    GIB,
    MAX_OBJECT_BYTES,
    MAX_PART_BYTES,
    MAX_PARTS,
    MIB,
    MIN_PART_BYTES,
    TIB,
)
from tests.fakes import LONG_AGO

sizes = st.integers(1, MAX_OBJECT_BYTES) | st.sampled_from(
    [
        MIN_PART_BYTES,
        5 * GIB - 1,
        5 * GIB,
        5 * GIB + 1,
        MAX_PARTS * MIN_PART_BYTES,
        MAX_PARTS * MIN_PART_BYTES + 1,
        MAX_PARTS * 128 * MIB - 1,
        MAX_PARTS * 128 * MIB,
        MAX_PARTS * 128 * MIB + 1,
        MAX_OBJECT_BYTES - 1,
        MAX_OBJECT_BYTES,
    ]
)
part_sizes = st.integers(MIN_PART_BYTES, MAX_PART_BYTES)


def sized(size: int) -> S3Object:
    return S3Object("my-bucket", "k", size, LONG_AGO, "0" * 32)


@given(sizes, part_sizes)
def test_every_plan_keeps_s3s_rules(size: int, wanted: int) -> None:
    """1 to 10,000 parts; every part but the last has 5 MiB to 5 GiB, the last at least a byte."""
    plan = plan_parts(size, wanted)
    assert 1 <= plan.count <= MAX_PARTS
    assert MIN_PART_BYTES <= plan.part_bytes <= MAX_PART_BYTES
    assert 1 <= size - (plan.count - 1) * plan.part_bytes <= MAX_PART_BYTES


@given(sizes, part_sizes)
def test_parts_are_as_small_as_wanted_where_that_fits(size: int, wanted: int) -> None:
    """The wanted size is kept as long as it makes no more than 10,000 parts."""
    plan = plan_parts(size, wanted)
    if size <= wanted * MAX_PARTS:
        assert plan.part_bytes == wanted
    else:
        assert wanted < plan.part_bytes < size / MAX_PARTS + MIB + 1
        assert plan.part_bytes % MIB == 0


@given(st.integers(1, 3_000), st.integers(1, 500))
def test_ranges_cover_the_object_without_gap_or_overlap(size: int, part: int) -> None:
    """Every byte is in exactly one part, in order, and as many parts are made as told."""
    plan = PartPlan(size, part)
    ranges = list(plan.ranges())
    assert len(ranges) == plan.count
    assert (ranges[0].first, ranges[-1].last) == (0, size - 1)
    assert all(one.last + 1 == other.first for one, other in pairwise(ranges))
    assert {each.size for each in ranges[:-1]} <= {part}
    assert 1 <= ranges[-1].size <= part


@pytest.mark.parametrize(
    "size, part, count, last",
    [
        (5 * GIB, 128 * MIB, 40, 128 * MIB),
        (5 * GIB + 1, 128 * MIB, 41, 1),
        (MAX_PARTS * 128 * MIB, 128 * MIB, 10_000, 128 * MIB),
        (MAX_PARTS * 128 * MIB + 1, 129 * MIB, 9_923, 62 * MIB + 1),
        (MAX_OBJECT_BYTES, 5 * GIB, 10_000, 5 * GIB),
        (MAX_OBJECT_BYTES - 1, 5 * GIB, 10_000, 5 * GIB - 1),
    ],
)
def test_plans_at_the_edges(size: int, part: int, count: int, last: int) -> None:
    """At 5 GiB, at 10,000 parts and at 48.8 TiB the plan is exact, ranges included."""
    plan = plan_parts(size, 128 * MIB)
    ranges = list(plan.ranges())
    assert (plan.part_bytes, plan.count, len(ranges)) == (part, count, count)
    assert sum(each.size for each in ranges) == size
    assert ranges[-1].size == last


def test_the_largest_object_is_48_8_tib_exactly() -> None:
    """One byte more than 10,000 parts of 5 GiB is refused, with S3's code and both numbers."""
    assert 48.8 < MAX_OBJECT_BYTES / TIB < 48.9
    assert plan_parts(MAX_OBJECT_BYTES, MIN_PART_BYTES).count == 10_000
    with pytest.raises(ObjectRejectedError, match="53,687,091,200,001 bytes exceed") as caught:
        plan_parts(MAX_OBJECT_BYTES + 1, MIN_PART_BYTES)
    assert caught.value.code == "EntityTooLarge"


@given(st.integers(1, 10_000), part_sizes)
def test_a_uniform_source_layout_is_repeated(count: int, part: int) -> None:
    """Parts of one size are copied in the same parts, so that the ETag stays the same."""
    for size in (part * count, part * (count - 1) + 1):
        plan = replayed_parts(size, part if count > 1 else size, count)
        assert plan is not None
        assert plan.count == count


@pytest.mark.parametrize(
    "size, part, count",
    [
        (0, 0, 1),
        (20 * MIB, 0, 2),
        (20 * MIB, 8 * MIB, 2),  # the second part would be longer than the first
        (20 * MIB, 8 * MIB, 4),
        (2 * MIB, 1 * MIB, 2),  # parts below 5 MiB, legal elsewhere
        (12 * GIB, 6 * GIB, 2),
        (5 * MIB * 10_001, 5 * MIB, 10_001),
    ],
)
def test_other_source_layouts_are_not_repeated(size: int, part: int, count: int) -> None:
    """Layouts that are not uniform, or not legal for a new upload, are left alone."""
    assert replayed_parts(size, part, count) is None


def mapping(old: str | None, new: str | None, *, recursive: bool, same: bool = False) -> KeyMapping:
    bucket = "my-bucket" if same else "other-bucket"
    return KeyMapping(S3Location("my-bucket", old), S3Location(bucket, new), recursive)


@pytest.mark.parametrize(
    "old, new, key, target",
    [
        ("in/", "out/", "in/a", "out/a"),
        ("in/", "out/", "in/", "out/"),
        ("in/", "out", "in/a", "outa"),
        ("in", "out", "in/a", "out/a"),
        ("logs/2026", "x/", "logs/20261", "x/1"),
        ("in/", None, "in/a/b", "a/b"),
        ("in/", None, "in/", None),
        (None, "out/", "a/b", "out/a/b"),
        (None, None, "a/b", "a/b"),
        ("in/", "out/", "in//a", "out//a"),
        ("in/", "out/", "in/in/a", "out/in/a"),
        ("in/", "out/", "in/%2F..", "out/%2F.."),
        ("ü", "ö", "ü𐍈", "ö𐍈"),
    ],
)
def test_recursive_replaces_the_prefix_byte_for_byte(
    old: str | None, new: str | None, key: str, target: str | None
) -> None:
    """The source prefix goes, the destination prefix comes, the rest stays as it is."""
    found = mapping(old, new, recursive=True).target(key)
    assert found == (None if target is None else S3Location("other-bucket", target))


@given(st.text(min_size=1, max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_recursive_mapping_is_a_prefix_swap(old: str, new: str, rest: str) -> None:
    """For any prefix and any key, as long as something is left."""
    found = mapping(old, new or None, recursive=True).target(old + rest)
    assert (found.key if found else "") == new + rest


@pytest.mark.parametrize(
    "key, new, target",
    [
        ("a/b", "c", "c"),
        ("a/b", "c/d", "c/d"),
        ("a/b", "c/", "c/b"),
        ("a/b", None, "b"),
        ("b", None, "b"),
        ("b", "c/", "c/b"),
        ("a/b/", "c/", "c/b/"),
        ("b/", None, "b/"),
        ("a//", "c/", "c//"),
        ("/", "c/", "c//"),
    ],
)
def test_one_object_keeps_its_last_name_part_in_a_folder(
    key: str, new: str | None, target: str
) -> None:
    """A destination that ends in a slash, or is the root, receives the last part of the name."""
    assert mapping(key, new, recursive=False).target(key) == S3Location("other-bucket", target)


def test_a_new_key_has_at_most_1024_bytes() -> None:
    """Bytes count, not characters; the error has S3's code and both numbers."""
    swap = mapping("i/", "ö" * 510 + "/", recursive=True)
    assert swap.target("i/abc") == S3Location("other-bucket", "ö" * 510 + "/abc")
    with pytest.raises(ObjectRejectedError, match=r"1,025 bytes, more than S3's 1,024") as caught:
        swap.target("i/abcd")
    assert caught.value.code == "KeyTooLongError"


@pytest.mark.parametrize(
    "old, new, recursive, rule",
    [
        ("a", "a", False, "differ from"),
        ("a/b", "a/", False, "differ from"),
        ("b", None, False, "differ from"),
        ("a/", "a/", True, "differ from"),
        (None, None, True, "differ from"),
        ("a/", "a/b/", True, "not lie inside the source"),
        ("a", "ab/", True, "not lie inside the source"),
        (None, "b/", True, "not lie inside the source"),
        ("a/b/", "a/", True, "not contain the source"),
        ("a/", None, True, "not contain the source"),
    ],
)
def test_overlapping_copies_are_refused(
    old: str | None, new: str | None, recursive: bool, rule: str
) -> None:
    """Self-copies, endless copies and copies that eat their own source, row by row."""
    with pytest.raises(ValidationError, match=rule) as caught:
        check_overlap(mapping(old, new, recursive=recursive, same=True))
    assert caught.value.name == "destination"


@pytest.mark.parametrize(
    "old, new, recursive",
    [
        ("a", "b", False),
        ("a", "a/", False),
        ("a/", "a", False),
        ("a/b", "c/", False),
        ("a/b", None, False),
        ("a/", "b/", True),
        ("a/b/", "a/c/", True),
        ("logs/2026/", "logs/2027/", True),
    ],
)
def test_disjoint_copies_in_one_bucket_pass(old: str, new: str | None, recursive: bool) -> None:
    """Neighbours in one bucket are ordinary."""
    check_overlap(mapping(old, new, recursive=recursive, same=True))


def test_different_buckets_never_overlap() -> None:
    """The same keys in another bucket are another place."""
    check_overlap(mapping("a/", "a/", recursive=True))
    check_overlap(mapping("a", "a", recursive=False))


@pytest.mark.parametrize("size", [0, 1, 1 * GIB - 1])
def test_below_the_threshold_one_request_copies(size: int) -> None:
    """Down to zero bytes: one CopyObject."""
    assert plan_copy(sized(size), CopyMethod.SERVER_SIDE, CopyOptions()) == SingleCopy()


@pytest.mark.parametrize("size", [1 * GIB, 5 * GIB, 5 * GIB + 1, MAX_OBJECT_BYTES])
def test_from_the_threshold_on_parts_are_copied(size: int) -> None:
    """The threshold itself is copied in parts; so is everything CopyObject cannot take."""
    plan = plan_copy(sized(size), CopyMethod.SERVER_SIDE, CopyOptions())
    assert plan == MultipartCopy(plan_parts(size, 128 * MIB))


def test_the_largest_threshold_still_leaves_copyobject_its_limit() -> None:
    """Whatever the threshold, no CopyObject is sent for more than 5 GiB."""
    options = CopyOptions(multipart_threshold_bytes=5 * GIB)
    assert plan_copy(sized(5 * GIB - 1), CopyMethod.SERVER_SIDE, options) == SingleCopy()
    plan = plan_copy(sized(5 * GIB + 1), CopyMethod.SERVER_SIDE, options)
    assert isinstance(plan, MultipartCopy)


def test_the_relay_has_its_own_threshold() -> None:
    """Below 32 MiB one PUT; from there on parts of 16 MiB."""
    options = CopyOptions()
    assert plan_copy(sized(32 * MIB - 1), CopyMethod.RELAY, options) == RelayPut()
    plan = plan_copy(sized(32 * MIB), CopyMethod.RELAY, options)
    assert plan == RelayMultipart(PartPlan(32 * MIB, 16 * MIB))


def test_a_relayed_part_fits_the_memory() -> None:
    """The largest relayable object passes; one that needs larger parts names the option."""
    options = CopyOptions()
    largest = options.relay_memory_bytes * MAX_PARTS
    plan = plan_copy(sized(largest), CopyMethod.RELAY, options)
    assert isinstance(plan, RelayMultipart)
    assert plan.parts.part_bytes == options.relay_memory_bytes
    with pytest.raises(ObjectRejectedError, match="relay_memory_bytes=134,217,728") as caught:
        plan_copy(sized(largest + 1), CopyMethod.RELAY, options)
    assert caught.value.code == "EntityTooLarge"


@pytest.mark.parametrize("method", list(CopyMethod))
def test_no_method_copies_more_than_s3_holds(method: CopyMethod) -> None:
    """48.8 TiB and a byte are refused either way."""
    with pytest.raises(ObjectRejectedError):
        plan_copy(sized(MAX_OBJECT_BYTES + 1), method, CopyOptions())
