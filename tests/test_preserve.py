"""Preserve and Overrides: what may be asked for, and the sentence for what may not."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any, get_type_hints

import pytest

from async_s3copy import Overrides, Preserve, ValidationError
from async_s3copy.api import copy
from async_s3copy.preserve import OverrideArguments, Policy

pytestmark = pytest.mark.stack_b

SOON = datetime(2030, 1, 2, tzinfo=UTC)


def test_the_default_policies_are_the_documented_ones() -> None:
    """What costs a request of its own is dropped unless it is asked for; the rest is carried."""
    assert {each.name: getattr(Preserve(), each.name) for each in fields(Preserve)} == {
        "content_headers": "required",
        "metadata": "required",
        "tags": "best_effort",
        "storage_class": "best_effort",
        "checksum_algorithm": "best_effort",
        "etag": "best_effort",
        "website_redirect": "drop",
        "object_lock": "drop",
        "encryption": "drop",
        "acl": "drop",
    }


@pytest.mark.parametrize("policy", ["required", "best_effort", "drop"])
def test_everything_is_one_policy_for_all(policy: Policy) -> None:
    """``everything`` leaves no property out, also none that is added one day."""
    chosen = Preserve.everything(policy)
    assert {getattr(chosen, each.name) for each in fields(Preserve)} == {policy}


@pytest.mark.parametrize("name", [each.name for each in fields(Preserve)])
@pytest.mark.parametrize("value", ["keep", True, None, ""])
def test_a_policy_is_one_of_three(name: str, value: Any) -> None:
    """Anything else is refused by the property's name."""
    with pytest.raises(ValidationError, match=f"^{name}=.* must be one of required, best_effort"):
        Preserve(**{name: value})


@pytest.mark.parametrize("kind", [Preserve, Overrides])
def test_every_field_is_documented(kind: type) -> None:
    """Each field has its own entry in the docstring."""
    documented = inspect.cleandoc(kind.__doc__ or "")
    for each in fields(kind):
        assert f"\n    {each.name}: " in documented


def test_copy_takes_every_override_by_its_name() -> None:
    """The keyword arguments of ``copy`` are the fields of ``Overrides``, with the same types."""
    assert get_type_hints(OverrideArguments) == get_type_hints(Overrides)
    assert "overrides" in inspect.signature(copy).parameters


def test_nothing_is_overridden_by_default() -> None:
    """Every override is None unless given."""
    assert {getattr(Overrides(), each.name) for each in fields(Overrides)} == {None}


@pytest.mark.parametrize(
    "given",
    [
        {"content_type": "text/plain; charset=utf-8", "content_disposition": 'x; filename="é"'},
        {"expires": SOON},
        {"expires": "0"},
        {"metadata": {}},
        {"metadata": {"a-b": "é", "empty": ""}},
        {"metadata": {"n": "v" * 2_047}},
        {"tags": {}},
        {"tags": {f"t{number}": "" for number in range(10)}},
        {"tags": {"k" * 128: "v" * 256}},
        {"storage_class": "GLACIER_IR"},
        {"checksum_algorithm": "CRC64NVME"},
        {"encryption": "AES256"},
        {"encryption": "aws:kms:dsse", "kms_key_id": "alias/x"},
        {"encryption": "aws:kms", "bucket_key_enabled": False},
        {"lock_mode": "COMPLIANCE", "lock_retain_until": SOON, "legal_hold": True},
        {"acl": "bucket-owner-full-control"},
        {"grants": {"full_control": 'id="a", id="b"', "read": 'uri="x"'}},
        {"website_redirect": "/elsewhere"},
    ],
)
def test_what_s3_takes_is_taken(given: dict[str, Any]) -> None:
    """Values at the edge of each rule pass, and are kept as they are."""
    overrides = Overrides(**given)
    assert {name: getattr(overrides, name) for name in given} == given


def test_a_kms_key_alone_means_kms() -> None:
    """Who names a KMS key wants SSE-KMS."""
    assert Overrides(kms_key_id="alias/x").encryption == "aws:kms"


def test_a_date_may_be_written_in_iso_8601() -> None:
    """A template or a command line has no datetime: its text is the same lock."""
    written = Overrides(lock_mode="GOVERNANCE", lock_retain_until="2030-01-02T00:00:00Z")
    assert written == Overrides(lock_mode="GOVERNANCE", lock_retain_until=SOON)


@pytest.mark.parametrize(
    "given, complaint",
    [
        ({"content_type": ""}, "content_type='' must be a non-empty string"),
        ({"cache_control": "a\r\nx-evil: 1"}, "cache_control='a.*' must be a non-empty string"),
        ({"content_encoding": 3}, "content_encoding=3 must"),
        ({"expires": datetime(2030, 1, 2)}, "expires=.* must be a timezone-aware"),  # noqa: DTZ001
        ({"expires": "\n"}, "expires=.* must be a non-empty string"),
        ({"metadata": [("a", "b")]}, "metadata=.* must be a mapping"),
        ({"metadata": {"a b": "c"}}, "metadata='a b' must have names that are HTTP tokens"),
        ({"metadata": {"a": "x\ny"}}, r"metadata\['a'\]=.* must be a string in one line"),
        ({"metadata": {"a": None}}, r"metadata\['a'\]=None must be a string in one line"),
        ({"metadata": {"n": "é" * 1_024}}, "metadata='2,049 bytes' must be at most 2,048"),
        ({"tags": {str(number): "" for number in range(11)}}, "tags='11 tags' must be at most 10"),
        ({"tags": {"": "x"}}, "tags='' must have names of 1 to 128 characters"),
        ({"tags": {"a": "v" * 257}}, r"tags\['a'\]=.* must be a string of at most 256"),
        ({"tags": "a=b"}, "tags='a=b' must be a mapping"),
        ({"storage_class": "standard"}, "storage_class='standard' must be a storage class"),
        ({"checksum_algorithm": "MD5"}, "checksum_algorithm='MD5' must be one of CRC32"),
        ({"encryption": "kms"}, "encryption='kms' must be one of AES256"),
        ({"encryption": "AES256", "kms_key_id": "k"}, "kms_key_id='k' must be None with"),
        ({"bucket_key_enabled": True}, "bucket_key_enabled=True must be None unless"),
        ({"encryption": "aws:kms", "bucket_key_enabled": 1}, "bucket_key_enabled=1 must be True"),
        ({"lock_mode": "GOVERNANCE"}, "lock_retain_until=None must be given together"),
        ({"lock_retain_until": SOON}, "lock_mode=None must be given together"),
        (
            {"lock_mode": "GOVERNANCE", "lock_retain_until": "tomorrow"},
            "lock_retain_until='tomorrow' must be a timezone-aware datetime",
        ),
        ({"legal_hold": "ON"}, "legal_hold='ON' must be True or False"),
        ({"acl": "public"}, "acl='public' must be one of private"),
        ({"acl": "private", "grants": {"read": "id=x"}}, "grants=.* must not be given together"),
        ({"grants": {"write": "id=x"}}, "grants='write' must name one of full_control"),
        ({"grants": {"read": "id=x\n"}}, "grants=.* must be a non-empty string"),
    ],
)
def test_what_s3_would_refuse_is_refused_by_name(given: dict[str, Any], complaint: str) -> None:
    """Each rule has one sentence with the name, the value and the rule, before any request."""
    with pytest.raises(ValidationError, match=f"^{complaint}"):
        Overrides(**given)


@pytest.mark.parametrize("make", [Preserve, Overrides])
def test_both_are_frozen_and_hashable(make: Callable[[], Any]) -> None:
    """Options with them can be shared between operations, and be keys."""
    assert {make(): 1}[make()] == 1
    with pytest.raises(AttributeError):
        make().tags = "drop"
