"""CopyOptions: frozen, keyword-only, validated once, with the documented defaults."""

from __future__ import annotations

import inspect
from dataclasses import FrozenInstanceError, fields
from typing import Any

import pytest

from async_s3copy import CopyOptions, Overrides, Preserve, ValidationError
from async_s3copy.options import GIB, MIB, TIB


def test_the_defaults_are_the_documented_ones() -> None:
    """The docstring names a default for every option; these are they."""
    defaults = {each.name: getattr(CopyOptions(), each.name) for each in fields(CopyOptions)}
    assert defaults == {
        "method": "auto",
        "client": "auto",
        "max_concurrent_requests": 128,
        "max_requests_per_second": None,
        "max_concurrent_listings": 8,
        "max_queued_batches": 20,
        "fail_fast": False,
        "multipart_threshold_bytes": 1 * GIB,
        "part_size_bytes": 128 * MIB,
        "relay_multipart_threshold_bytes": 32 * MIB,
        "relay_part_size_bytes": 16 * MIB,
        "relay_memory_bytes": 128 * MIB,
        "max_attempts": 10,
        "retry_base_s": 0.2,
        "retry_max_s": 20.0,
        "outage_after_s": 60.0,
        "connect_timeout_s": 10.0,
        "read_timeout_s": 120.0,
        "cleanup_timeout_s": 30.0,
        "max_errors_kept": 100,
        "preserve": Preserve(),
        "overrides": Overrides(),
        "verify": "etag",
        "archived": "fail",
        "requester_pays": False,
        "source_bucket_owner": None,
        "destination_bucket_owner": None,
    }


def test_every_option_is_documented() -> None:
    """Each field has its own entry in the docstring."""
    documented = inspect.cleandoc(CopyOptions.__doc__ or "")
    for each in fields(CopyOptions):
        assert f"\n    {each.name}: " in documented


def test_the_documented_relay_limit_is_true() -> None:
    """With the defaults a relayed object's part fits the memory up to about 1.2 TiB."""
    assert 1.2 * TIB < CopyOptions().relay_memory_bytes * 10_000 < 1.3 * TIB


@pytest.mark.parametrize(
    "name, good, bad",
    [
        ("method", ["auto", "server_side", "relay"], ["AUTO", "", None, 1]),
        ("client", ["auto", "wire", "boto"], ["WIRE", "", None, 1]),
        ("max_concurrent_requests", [1, 10_000], [0, 10_001, "8", True, 1.5]),
        ("max_requests_per_second", [None, 0.01, 3_500], [0, -1, True, "5", float("inf")]),
        ("max_concurrent_listings", [1, 1_000], [0, 1_001, None]),
        ("max_queued_batches", [1, 10_000_000], [0, -1, None]),
        ("fail_fast", [True, False], ["false", 0, None]),
        ("multipart_threshold_bytes", [5 * MIB, 5 * GIB], [5 * MIB - 1, 5 * GIB + 1, 1e9]),
        ("part_size_bytes", [5 * MIB, 5 * GIB], [5 * MIB - 1, 5 * GIB + 1]),
        ("relay_multipart_threshold_bytes", [5 * MIB, 128 * MIB], [5 * MIB - 1, 5 * GIB + 1]),
        ("relay_part_size_bytes", [5 * MIB, 128 * MIB], [5 * MIB - 1, 5 * GIB + 1]),
        ("relay_memory_bytes", [32 * MIB, TIB], [5 * MIB - 1, "1"]),
        ("max_attempts", [1, 100], [0, 101]),
        ("max_errors_kept", [0, 100_000], [-1, 100_001]),
        ("retry_base_s", [1e-9, 3], [0, -1.0, float("inf"), "1"]),
        ("retry_max_s", [1e-9, 3], [0, float("nan"), None]),
        ("outage_after_s", [0.1, 86_400], [0, float("inf"), None]),
        ("connect_timeout_s", [0.1], [0]),
        ("read_timeout_s", [0.1], [0]),
        ("cleanup_timeout_s", [0.1], [0]),
        ("preserve", [Preserve.everything()], [None, {}, "all"]),
        ("overrides", [Overrides(acl="private")], [None, {}, Preserve()]),
        ("verify", ["etag", "checksum", "none"], ["size", True, None]),
        ("archived", ["fail", "skip"], ["restore", None]),
        ("requester_pays", [True, False], ["requester", 1, None]),
        ("source_bucket_owner", [None, "012345678901"], [12345678901, "1234", "a23456789012", ""]),
        ("destination_bucket_owner", [None, "999999999999"], [999999999999, "owner"]),
    ],
)
def test_each_option_has_a_rule(name: str, good: list[Any], bad: list[Any]) -> None:
    """The bounds themselves pass; one step beyond is refused by name."""
    for value in good:
        assert getattr(CopyOptions(**{name: value}), name) == value
    for value in bad:
        with pytest.raises(ValidationError) as caught:
            CopyOptions(**{name: value})
        assert caught.value.name == name


@pytest.mark.parametrize("largest", ["relay_multipart_threshold_bytes", "relay_part_size_bytes"])
def test_the_relays_memory_holds_its_largest_buffer(largest: str) -> None:
    """A part or whole object that can never be held is refused before the copy starts."""
    given: dict[str, Any] = {largest: 64 * MIB, "relay_memory_bytes": 64 * MIB}
    assert getattr(CopyOptions(**given), largest) == 64 * MIB
    with pytest.raises(ValidationError, match="67,108,864 bytes") as caught:
        CopyOptions(**given | {"relay_memory_bytes": 64 * MIB - 1})
    assert caught.value.name == "relay_memory_bytes"


def test_options_are_frozen_and_hashable() -> None:
    """One options object may be shared by many operations."""
    options = CopyOptions()
    with pytest.raises(FrozenInstanceError):
        options.fail_fast = True  # type: ignore[misc]
    assert hash(options) == hash(CopyOptions())


def test_options_are_given_by_keyword() -> None:
    """Positional knobs would be unreadable and could never be reordered."""
    with pytest.raises(TypeError):
        CopyOptions("relay")  # type: ignore[call-arg]
