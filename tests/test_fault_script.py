"""RandomFaults: the same mix in every run, in whatever order requests come, and never for ever."""

from __future__ import annotations

from collections import Counter
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from async_s3copy.testing import (
    ALL_FAULTS,
    PASSING_FAULTS,
    BackwardsPage,
    Delay,
    Drip,
    Fault,
    KeepAliveThenError,
    LostAnswer,
    OkWithError,
    RandomFaults,
    RepeatedPage,
    ResetAfter,
    Seen,
    Status,
    TruncatedBody,
)
from async_s3copy.testing.seen import seen_of

OPERATIONS: Final = (
    "CopyObject",
    "UploadPartCopy",
    "CompleteMultipartUpload",
    "CreateMultipartUpload",
    "ListObjectsV2",
    "GetObject",
    "HeadObject",
    "PutObject",
    "UploadPart",
    "AbortMultipartUpload",
)
requests = st.builds(
    Seen,
    operation=st.sampled_from(OPERATIONS),
    bucket=st.sampled_from(("one", "two")),
    key=st.text(max_size=5),
    query=st.dictionaries(st.sampled_from(("partNumber", "prefix")), st.text(max_size=3)),
    headers=st.just({}),
    attempt=st.integers(0, 12),
)
seeds = st.integers(0, 2**32)
rates = st.sampled_from((0.0, 0.05, 0.5, 0.9, 1.0))


def with_attempt(seen: Seen, attempt: int) -> Seen:
    return Seen(seen.operation, seen.bucket, seen.key, seen.query, seen.headers, attempt)


@settings(max_examples=30)
@given(seeds, rates, st.lists(requests, max_size=30), st.randoms(use_true_random=False))
def test_the_order_of_requests_decides_nothing(
    seed: int, rate: float, seen: list[Seen], shuffler: object
) -> None:
    """Another instance, asked in another order, says the same of each request."""
    script = RandomFaults(seed, rate)
    decided = [(request, script(request)) for request in seen]
    shuffler.shuffle(decided)  # type: ignore[attr-defined] # a random.Random
    again = RandomFaults(seed, rate)
    assert all(again(request) == fault for request, fault in decided)


@given(seeds, rates, requests, st.text(max_size=8), st.text(max_size=8))
def test_an_upload_id_decides_nothing(
    seed: int, rate: float, seen: Seen, one: str, other: str
) -> None:
    """The server makes upload ids up: the same part of another upload meets the same faults."""
    script = RandomFaults(seed, rate)
    seen.query = {**seen.query, "uploadId": one}
    fault = script(seen)
    seen.query = {**seen.query, "uploadId": other}
    assert script(seen) == fault


@given(seeds, rates, requests, st.integers(0, 4))
def test_no_request_is_hit_too_often_in_a_row(
    seed: int, rate: float, seen: Seen, most: int
) -> None:
    """Of most + 1 attempts in a row one passes, and at a rate of 1 only every such one."""
    script = RandomFaults(seed, rate, PASSING_FAULTS, max_in_a_row=most)
    hits = [script(with_attempt(seen, attempt)) is not None for attempt in range(30)]
    assert all(not all(hits[begin : begin + most + 1]) for begin in range(30 - most))
    if rate == 1.0:
        assert hits == [attempt % (most + 1) != most for attempt in range(30)]


@given(seeds, requests)
def test_only_what_fits_a_call_happens_to_it(seed: int, seen: Seen) -> None:
    """No error in the 200 of a PUT, no page of a GET, no truncated HEAD."""
    fault = RandomFaults(seed, 1.0, max_in_a_row=100)(seen)
    assert fault is not None
    assert fault.fits(seen.operation)
    late = seen.operation in ("CopyObject", "UploadPartCopy", "CompleteMultipartUpload")
    assert late or not isinstance(fault, OkWithError | KeepAliveThenError)
    assert seen.operation == "ListObjectsV2" or not isinstance(fault, RepeatedPage)
    bodiless = seen.operation in ("HeadObject", "PutObject", "UploadPart", "AbortMultipartUpload")
    assert not (bodiless and isinstance(fault, TruncatedBody | Drip))
    assert seen.operation.endswith("MultipartUpload") or not isinstance(fault, LostAnswer)


def test_the_rate_is_kept_and_every_fault_comes() -> None:
    """Of 20,000 copies a twentieth is hit, by every fault that fits, and another seed by others."""
    script, other = RandomFaults(7, 0.05), RandomFaults(8, 0.05)
    seen = [Seen("CopyObject", "bucket", f"k/{number}", {}, {}) for number in range(20_000)]
    decided = [script(request) for request in seen]
    counted = Counter(fault for fault in decided if fault is not None)
    assert 900 < counted.total() < 1_100
    assert counted.keys() == {fault for fault in ALL_FAULTS if fault.fits("CopyObject")}
    assert decided != [other(request) for request in seen]


def test_weights_are_kept() -> None:
    """A fault of three times the weight comes three times as often; one of none never."""
    often, seldom, never = Status(500), Status(502), Status(504)
    script = RandomFaults(1, 1.0, {often: 3, seldom: 1, never: 0})
    seen = (Seen("CopyObject", "bucket", f"k/{number}", {}, {}) for number in range(8_000))
    counted = Counter(script(request) for request in seen)
    assert counted.keys() == {often, seldom}
    assert 2.7 < counted[often] / counted[seldom] < 3.3


def test_nothing_that_fits_is_nothing_that_happens() -> None:
    """A mix of page faults leaves copies alone."""
    script = RandomFaults(1, 1.0, (RepeatedPage(), BackwardsPage()))
    assert script(Seen("CopyObject", "bucket", "k", {}, {})) is None


@pytest.mark.parametrize("rate", [-0.1, 1.1])
def test_a_rate_is_a_share(rate: float) -> None:
    """A rate beyond 0 to 1 is refused by name, value and rule."""
    with pytest.raises(ValueError, match=rf"rate={rate} must be from 0 to 1"):
        RandomFaults(1, rate)


def test_senseless_values_are_refused() -> None:
    """Negative weights and rows are refused."""
    with pytest.raises(ValueError, match="weight"):
        RandomFaults(1, 0.5, {ResetAfter(): -1.0})
    with pytest.raises(ValueError, match="max_in_a_row=-1"):
        RandomFaults(1, 0.5, max_in_a_row=-1)


def test_faults_are_values() -> None:
    """Equal faults are one key of a dictionary, and print as what they are."""
    one: Fault = Delay(1.0)
    assert {one: 1, Delay(1.0): 2} == {Delay(1.0): 2}
    assert repr(Status(503, "SlowDown")).startswith("Status(status=503, code='SlowDown'")


NAMES: Final = [
    ("GET", "/b?list-type=2&prefix=a%20b", {}, "ListObjectsV2", ""),
    ("GET", "/b/?versions", {}, "ListObjectVersions", ""),
    ("GET", "/b?versioning=", {}, "GetBucketVersioning", ""),
    ("GET", "/b?uploads&prefix=", {}, "ListMultipartUploads", ""),
    ("HEAD", "/b", {}, "HeadBucket", ""),
    ("GET", "/", {}, "ListBuckets", ""),
    ("GET", "/b/k?uploadId=u", {}, "ListParts", "k"),
    ("GET", "/b/k%2F%2Fa?acl", {}, "GetObjectAcl", "k//a"),
    ("PUT", "/b//k", {}, "PutObject", "/k"),
    ("PUT", "/b/k", {"x-amz-copy-source": "s/k"}, "CopyObject", "k"),
    ("PUT", "/b/k?partNumber=1&uploadId=u", {}, "UploadPart", "k"),
    (
        "PUT",
        "/b/k?partNumber=1&uploadId=u",
        {"x-amz-copy-source": "s/k"},
        "UploadPartCopy",
        "k",
    ),
    ("PUT", "/b/k?tagging", {}, "PutObjectTagging", "k"),
    ("POST", "/b/k?uploads", {}, "CreateMultipartUpload", "k"),
    ("POST", "/b/k?uploadId=u", {}, "CompleteMultipartUpload", "k"),
    ("DELETE", "/b/k?uploadId=u", {}, "AbortMultipartUpload", "k"),
    ("DELETE", "/b/k", {}, "DeleteObject", "k"),
    ("POST", "/b/k", {}, "Unknown", "k"),
]


@pytest.mark.parametrize("method, path, headers, operation, key", NAMES)
def test_requests_are_named_as_s3_names_them(
    method: str, path: str, headers: dict[str, str], operation: str, key: str
) -> None:
    """Method, query and copy source say which call it is; the key is decoded once."""
    seen = seen_of(method, path, headers)
    assert (seen.operation, seen.key) == (operation, key)


def test_no_repr_shows_a_signature() -> None:
    """A call in a failed assertion tells its name and not its headers."""
    seen = seen_of("GET", "/b/k", {"authorization": "AWS4-HMAC-SHA256 Signature=0123"})
    assert "Signature" not in repr(seen)
