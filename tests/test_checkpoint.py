"""A checkpoint: plain JSON, read back as it was written, and refused where it does not fit."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_s3copy.engine.checkpoint import VERSION, Checkpoint, CopyScope, NotedUpload, Versions
from async_s3copy.engine.plan import KeyMapping
from async_s3copy.engine.spans import Span
from async_s3copy.errors import ValidationError
from async_s3copy.model import EarlierRun, Proof, S3Location

KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
NUMBERS = st.integers(0, 10**15)


def spans() -> st.SearchStrategy[Span]:
    return st.builds(Span, st.none() | KEYS, st.none() | KEYS)


def locations() -> st.SearchStrategy[S3Location]:
    return st.builds(S3Location, st.sampled_from(["a-bucket", "b.c-2"]), st.none() | KEYS)


RUNS = st.builds(
    EarlierRun,
    operation_id=KEYS,
    start_time=st.datetimes(
        min_value=datetime(2000, 1, 1),  # noqa: DTZ001 - Hypothesis adds the zone
        timezones=st.sampled_from([UTC, timezone(timedelta(hours=5.5))]),
    ),
    files_copied_successfully=NUMBERS,
    files_skipped=NUMBERS,
    total_bytes_transferred=NUMBERS,
    requests_sent=NUMBERS,
    seconds_throttled=st.floats(0, 1e9),
    degradations=st.dictionaries(KEYS, NUMBERS),
    proofs=st.dictionaries(st.sampled_from([proof.value for proof in Proof]), NUMBERS),
)
CHECKPOINTS = st.builds(
    Checkpoint,
    scope=st.builds(
        CopyScope,
        st.builds(KeyMapping, locations(), locations(), st.booleans()),
        spans(),
        st.sampled_from(get_args(Versions)),
        st.none() | KEYS,
    ),
    remaining=st.lists(spans()).map(tuple),
    pending=st.lists(KEYS).map(tuple),
    failed=st.lists(KEYS).map(tuple),
    uploads=st.lists(st.builds(NotedUpload, KEYS, st.none() | KEYS)).map(tuple),
    earlier=RUNS,
)


def example(**changes: Any) -> dict[str, Any]:
    """A checkpoint's data, some of it changed."""
    scope = CopyScope(KeyMapping(S3Location("a-bucket", "x/"), S3Location("b-bucket"), True))
    run = EarlierRun(operation_id="one", start_time=datetime(2026, 1, 1, tzinfo=UTC))
    made = Checkpoint(scope=scope, remaining=(Span("x/5", None),), pending=("x/4",), earlier=run)
    return made.to_dict() | changes


@given(CHECKPOINTS)
def test_survives_json(checkpoint: Checkpoint) -> None:
    """What JSON gives back is the same checkpoint, whatever the keys."""
    assert Checkpoint.from_dict(json.loads(json.dumps(checkpoint.to_dict()))) == checkpoint


@given(CHECKPOINTS)
def test_says_what_is_left(checkpoint: Checkpoint) -> None:
    """It is complete exactly where nothing remains, pends, failed or is open."""
    left = [checkpoint.remaining, checkpoint.pending, checkpoint.failed, checkpoint.uploads]
    assert checkpoint.is_complete == (not any(left))


@pytest.mark.parametrize("name", sorted(example()))
def test_refuses_a_missing_field(name: str) -> None:
    """The error names the field that is missing."""
    data = example()
    del data[name]
    with pytest.raises(ValidationError, match=rf"resume_from\['{name}'\]"):
        Checkpoint.from_dict(data)


@pytest.mark.parametrize(
    "name, value",
    [
        ("version", "1"),
        ("operation_id", 7),
        ("start_time", "yesterday"),
        ("start_time", "2026-01-01T00:00:00"),
        ("source", "a-bucket/x"),
        ("destination", None),
        ("recursive", 1),
        ("start_after", 5),
        ("remaining", "x"),
        ("remaining", [["a"]]),
        ("remaining", [["a", 1]]),
        ("pending", "abc"),
        ("failed", [None]),
        ("uploads", [["k"]]),
        ("metrics", {"requests_sent": -1}),
        ("metrics", {"requests_sent": 1.5}),
        ("metrics", {"seconds_throttled": float("nan")}),
        ("metrics", {"of_another_kind": 1}),
        ("metrics", {"degradations": {"x": "y"}}),
        ("metrics", {"proofs": {"etag": -1}}),
        ("metrics", {"proofs": 1}),
        ("metrics", [1]),
        ("versions", "some"),
        ("versions", None),
        ("version_id", 7),
    ],
)
def test_refuses_a_malformed_field(name: str, value: object) -> None:
    """The error names the field whose value cannot be."""
    with pytest.raises(ValidationError, match=rf"resume_from\['{name}'\]"):
        Checkpoint.from_dict(example(**{name: value}))


@pytest.mark.parametrize("value", [None, "text", [], 3])
def test_refuses_what_is_no_checkpoint(value: object) -> None:
    """Anything but a mapping is refused, by its type alone."""
    with pytest.raises(ValidationError, match=type(value).__name__):
        Checkpoint.from_dict(value)


def test_refuses_a_later_version() -> None:
    """A checkpoint of a later version is not guessed at."""
    with pytest.raises(ValidationError, match=f"version {VERSION + 1}"):
        Checkpoint.from_dict(example(version=VERSION + 1))


def test_a_new_count_may_be_missing() -> None:
    """Counts that a checkpoint does not name are zero."""
    read = Checkpoint.from_dict(example(metrics={"requests_sent": 5}))
    assert (read.earlier.requests_sent, read.earlier.files_skipped) == (5, 0)


def test_speaks_of_versions_only_where_they_were_chosen() -> None:
    """A checkpoint from before there was a choice is one of what was current; one of today, too."""
    assert {"versions", "version_id"}.isdisjoint(example())
    scope = Checkpoint.from_dict(example()).scope
    assert (scope.versions, scope.version_id) == ("current", None)
    chosen = Checkpoint.from_dict(example(versions="all"))
    assert chosen.to_dict()["versions"] == "all"
    with pytest.raises(ValidationError, match="all_versions=True"):
        chosen.check_scope(scope)


def test_belongs_to_one_copy() -> None:
    """Another copy's checkpoint is refused; the error names both."""
    read = Checkpoint.from_dict(example())
    read.check_scope(read.scope)
    other = CopyScope(read.scope.mapping, Span("a", "b"))
    with pytest.raises(ValidationError, match=r"b-bucket.*start_after='a'"):
        read.check_scope(other)
