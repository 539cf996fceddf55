"""Locations, objects and outcomes: parsed and checked once, frozen, readable."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_s3copy import (
    Copied,
    CopyMethod,
    Failed,
    NoSuchKeyError,
    OperationState,
    S3Location,
    S3Object,
    Skipped,
    SkipReason,
    ValidationError,
)
from async_s3copy.model import quoted, unquoted

ETAG = "d41d8cd98f00b204e9800998ecf8427e"
NOW = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
ARN = "arn:aws:s3:eu-west-1:123456789012:accesspoint"
OUTPOST = "arn:aws:s3-outposts:us-west-2:123456789012:outpost"


def an_object(**changes: Any) -> S3Object:
    fields: dict[str, Any] = {
        "bucket": "my-bucket",
        "key": "a/b",
        "size": 3,
        "last_modified": NOW,
        "etag": ETAG,
    }
    return S3Object(**(fields | changes))


@pytest.mark.parametrize(
    "url, bucket, key",
    [
        ("s3://my-bucket", "my-bucket", None),
        ("s3://my-bucket/", "my-bucket", None),
        ("s3://my-bucket/key", "my-bucket", "key"),
        ("s3://my-bucket/a/b/", "my-bucket", "a/b/"),
        ("s3://my-bucket//a", "my-bucket", "/a"),
        ("s3://my-bucket///", "my-bucket", "//"),
        ("s3://my-bucket/a?versionId=x#y", "my-bucket", "a?versionId=x#y"),
        ("s3://my-bucket/%2F%25 +&", "my-bucket", "%2F%25 +&"),
        ("s3://my-bucket/..", "my-bucket", ".."),
        ("s3://my-bucket/s3://x/y", "my-bucket", "s3://x/y"),
        (f"s3://{ARN}/name", f"{ARN}/name", None),
        (f"s3://{ARN}/name/", f"{ARN}/name", None),
        (f"s3://{ARN}/name/a/b", f"{ARN}/name", "a/b"),
        (f"s3://{ARN}:name/a/b", f"{ARN}:name", "a/b"),
        (f"s3://{ARN}/name//a:b", f"{ARN}/name", "/a:b"),
        (f"s3://{OUTPOST}/op-1/accesspoint/name", f"{OUTPOST}/op-1/accesspoint/name", None),
        (f"s3://{OUTPOST}/op-1/accesspoint/name/a/b", f"{OUTPOST}/op-1/accesspoint/name", "a/b"),
        (f"s3://{OUTPOST}:op-1:accesspoint:name/a/b", f"{OUTPOST}:op-1:accesspoint:name", "a/b"),
    ],
)
def test_urls_are_split_at_the_buckets_slash_only(url: str, bucket: str, key: str | None) -> None:
    """What follows the bucket's slash is the key, never decoded; nothing means everything."""
    assert S3Location.parse(url) == S3Location(bucket, key)


@pytest.mark.parametrize(
    "url, rule",
    [
        ("my-bucket/key", "be an s3://bucket/key URL"),
        ("S3://my-bucket/key", "be an s3://bucket/key URL"),
        ("https://my-bucket/key", "be an s3://bucket/key URL"),
        ("", "be an s3://bucket/key URL"),
        (None, "be an s3://bucket/key URL"),
        ("s3://", "be a non-empty bucket name"),
        ("s3:///key", "be a non-empty bucket name"),
        ("s3://My_Bucket/key", "lowercase"),
        ("s3://arn:aws:s3:::my-bucket/key", "access-point ARN"),
        ("s3://my-bucket/" + "x" * 1_025, "at most 1,024 bytes"),
    ],
)
def test_what_is_no_s3_url_is_refused_under_the_callers_name(url: Any, rule: str) -> None:
    """The message names the parameter as the caller wrote it, and the rule."""
    with pytest.raises(ValidationError, match=rule) as caught:
        S3Location.parse(url, name="source_url")
    assert caught.value.name == "source_url"


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200))
def test_every_key_survives_url_and_back(key: str) -> None:
    """``str`` of a location parses to the same location, whatever the key."""
    location = S3Location("my-bucket", key)
    assert S3Location.parse(str(location)) == location


def test_the_whole_bucket_reads_as_its_url() -> None:
    """A location without a key is shown with the slash that stands for everything."""
    assert str(S3Location("my-bucket")) == "s3://my-bucket/"


@pytest.mark.parametrize(
    "name, value",
    [
        ("bucket", ""),
        ("bucket", None),
        ("key", ""),
        ("key", None),
        ("size", -1),
        ("size", 1.5),
        ("size", True),
        ("size", None),
        ("last_modified", "2024-05-06"),
        ("last_modified", None),
        ("etag", ""),
        ("etag", "abc"),
        ("etag", None),
    ],
)
def test_each_field_of_an_object_is_checked(name: str, value: Any) -> None:
    """Bucket and key, size, ETag and date: each bad one is refused by its own name."""
    with pytest.raises(ValidationError) as caught:
        an_object(**{name: value})
    assert caught.value.name == name


def test_objects_may_be_empty_and_of_any_etag_form() -> None:
    """Zero bytes, quoted ETags and multipart ETags are ordinary."""
    assert an_object(size=0).size == 0
    assert an_object(etag=f'"{ETAG}-12"').etag == f'"{ETAG}-12"'


def test_a_naive_date_is_taken_as_utc() -> None:
    """Two objects never compare a naive with an aware date; an aware one stays as it is."""
    naive = NOW.replace(tzinfo=None)
    assert an_object(last_modified=naive).last_modified == NOW
    elsewhere = NOW.astimezone(timezone(timedelta(hours=3)))
    assert an_object(last_modified=elsewhere).last_modified.utcoffset() == timedelta(hours=3)


def test_objects_are_frozen_and_hashable_with_their_metadata() -> None:
    """An object is a value: it can be a dictionary key although its metadata is a mapping."""
    item = an_object(metadata={"a": "b"})
    with pytest.raises(FrozenInstanceError):
        item.size = 4  # type: ignore[misc]
    assert {item: 1}[an_object(metadata={"a": "b"})] == 1
    assert item != an_object(metadata={"a": "c"})
    assert len({S3Location("a"), S3Location("a"), S3Location("a", "b")}) == 2


def test_a_reported_object_equals_a_built_one() -> None:
    """The listing's fast path sets exactly the fields the constructor sets."""
    built = an_object(metadata={"a": "b"}, storage_class="GLACIER", version_id="v")
    reported = S3Object.reported("my-bucket", "a/b", 3, NOW, ETAG, {"a": "b"}, "GLACIER", "v")
    assert reported == built
    assert hash(reported) == hash(built)
    assert repr(reported) == repr(built)


def test_a_reported_object_keeps_an_odd_etag() -> None:
    """A server's own ETag shape must not lose the object."""
    assert S3Object.reported("my-bucket", "k", 0, NOW, "not-s3s").etag == "not-s3s"


@pytest.mark.parametrize("etag", [ETAG, f'"{ETAG}"'])
def test_quotes_around_etags_come_and_go(etag: str) -> None:
    """Conditions want quotes, comparisons do not; an empty ETag stays empty."""
    assert unquoted(etag) == ETAG
    assert quoted(etag) == f'"{ETAG}"'
    assert quoted("") == ""


def test_outcomes_are_values_that_tell_what_happened() -> None:
    """Copied, skipped and failed carry source and destination; a failure reads as one line."""
    item, target = an_object(), S3Location("other-bucket", "c")
    error = NoSuchKeyError(
        "gone", code="NoSuchKey", status=404, operation="CopyObject", bucket="b", key="k"
    )
    failed = Failed(item, target, error)
    assert failed.code == "NoSuchKey"
    assert str(failed) == (
        "copy s3://my-bucket/a/b -> s3://other-bucket/c: "
        "CopyObject s3://b/k [destination]: NoSuchKey (404): gone"
    )
    assert Failed(item, target, OSError("disk")).code == "OSError"
    assert Copied(item, target, ETAG, CopyMethod.RELAY).parts == 0
    assert Skipped(item, target, SkipReason.EXISTS) == Skipped(item, target, SkipReason.EXISTS)
    for outcome in (failed, Copied(item, target, ETAG, CopyMethod.RELAY)):
        with pytest.raises(FrozenInstanceError):
            outcome.source = item  # type: ignore[misc]


def test_states_and_methods_are_their_own_names() -> None:
    """The state names are those of the data model; all enumerations print as their values."""
    assert [str(state) for state in OperationState] == [
        "INITIALIZED",
        "VALIDATING",
        "COPYING",
        "COMPLETED",
        "VALIDATION_FAILED",
        "COPY_FAILED",
    ]
    assert f"{CopyMethod.SERVER_SIDE} {CopyMethod.RELAY}" == "server_side relay"
    assert f"{SkipReason.EXISTS}" == "exists"
