"""Errors: their sentences, and S3's codes sorted into classes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

import async_s3copy
from async_s3copy import (
    AccessDeniedError,
    CopyCancelledError,
    CopyFailedError,
    CredentialsError,
    Failed,
    InvalidResponseError,
    NoSuchBucketError,
    NoSuchKeyError,
    NoSuchUploadError,
    ObjectRejectedError,
    OperationStateError,
    PreconditionFailedError,
    RetryableS3Error,
    S3ConnectionError,
    S3CopyError,
    S3Error,
    S3Location,
    S3Object,
    ThrottledError,
    TransferMetrics,
    ValidationError,
)
from async_s3copy.errors import Side, error_code
from async_s3copy.s3 import codes
from async_s3copy.s3.codes import s3_error

START = datetime(2024, 1, 1, tzinfo=UTC)
CLASSES: dict[type[S3Error], tuple[str, ...]] = {
    NoSuchBucketError: ("NoSuchBucket",),
    NoSuchKeyError: ("NoSuchKey", "NoSuchVersion"),
    NoSuchUploadError: ("NoSuchUpload",),
    PreconditionFailedError: ("PreconditionFailed",),
    AccessDeniedError: (
        "AccessDenied",
        "AllAccessDisabled",
        "AccountProblem",
        "UnauthorizedAccess",
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "InvalidToken",
        "ExpiredToken",
    ),
    ThrottledError: (
        "SlowDown",
        "SlowDownRead",
        "SlowDownWrite",
        "ServiceUnavailable",
        "RequestLimitExceeded",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "TooManyRequests",
        "TooManyRequestsException",
        "BandwidthLimitExceeded",
    ),
    RetryableS3Error: (
        "InternalError",
        "RequestTimeout",
        "RequestTimeoutException",
        "ConditionalRequestConflict",
        "OperationAborted",
        "BadDigest",
        "XAmzContentSHA256Mismatch",
        "IncompleteBody",
    ),
    InvalidResponseError: ("InvalidResponse",),
    S3ConnectionError: ("ConnectionError", "ReadTimeout"),
    S3Error: ("EntityTooLarge", "InvalidRequest", "NotImplemented", "MethodNotAllowed", "Unheard"),
}


def an_error(
    code: str,
    status: int = 0,
    *,
    operation: str = "CopyObject",
    side: Side = "destination",
    key: str | None = "k",
    message: str = "said",
) -> S3Error:
    return s3_error(
        code, status, message, operation=operation, side=side, bucket="my-bucket", key=key
    )


@pytest.mark.parametrize(
    "code, kind", [(code, kind) for kind, names in CLASSES.items() for code in names]
)
def test_each_code_has_its_class(code: str, kind: type[S3Error]) -> None:
    """The class is decided by the code alone, also where the status was 200."""
    for status in (0, 200, 400):
        error = an_error(code, status)
        assert type(error) is kind
        assert error.code == code
        assert error.retryable is issubclass(kind, RetryableS3Error)


def test_the_table_of_codes_is_tested_whole() -> None:
    """A code added to the table has to be added here."""
    assert {code for names in CLASSES.values() for code in names} >= set(codes._BY_CODE)


@pytest.mark.parametrize(
    "status, code, kind",
    [
        ("301", "PermanentRedirect", S3Error),
        ("400", "BadRequest", S3Error),
        ("401", "AccessDenied", AccessDeniedError),
        ("403", "AccessDenied", AccessDeniedError),
        ("404", "NoSuchKey", NoSuchKeyError),
        ("405", "MethodNotAllowed", S3Error),
        ("412", "PreconditionFailed", PreconditionFailedError),
        ("429", "TooManyRequests", ThrottledError),
        ("500", "InternalError", RetryableS3Error),
        ("501", "NotImplemented", S3Error),
        ("502", "502", RetryableS3Error),
        ("503", "SlowDown", ThrottledError),
        ("504", "504", RetryableS3Error),
        ("408", "408", RetryableS3Error),
    ],
)
def test_a_head_answer_has_only_its_status(status: str, code: str, kind: type[S3Error]) -> None:
    """HEAD answers carry no body: the bare status stands for a code."""
    error = an_error(status, int(status), operation="HeadObject")
    assert type(error) is kind
    assert error.code == code


@pytest.mark.parametrize(
    "text, code",
    [
        ("Forbidden", "AccessDenied"),
        ("Not Found", "NoSuchKey"),
        ("NotFound", "NoSuchKey"),
        ("Precondition Failed", "PreconditionFailed"),
    ],
)
def test_reason_phrases_count_as_codes(text: str, code: str) -> None:
    """Some servers give HTTP's reason phrase where the code belongs."""
    assert an_error(text).code == code


@pytest.mark.parametrize(
    "status, kind",
    [
        (408, RetryableS3Error),
        (412, PreconditionFailedError),
        (429, ThrottledError),
        (500, RetryableS3Error),
        (502, RetryableS3Error),
        (503, ThrottledError),
        (504, RetryableS3Error),
        (400, S3Error),
        (409, S3Error),
        (0, S3Error),
    ],
)
def test_an_unknown_code_is_judged_by_its_status(status: int, kind: type[S3Error]) -> None:
    """A code nobody has heard of is retried where its HTTP status says so."""
    assert type(an_error("XUnheard", status)) is kind


def test_an_s3_error_reads_like_the_request_that_failed() -> None:
    """Operation, place, side, code, status and S3's words, in this order; nothing empty."""
    error = an_error("InternalError", 500, message="We encountered an internal error")
    assert str(error) == (
        "CopyObject s3://my-bucket/k [destination]: InternalError (500): "
        "We encountered an internal error"
    )
    bare = an_error("ConnectionError", operation="ListObjectsV2", side="source", key=None)
    assert str(bare) == "ListObjectsV2 s3://my-bucket [source]: ConnectionError: said"
    assert str(an_error("SlowDown", 503, message="")).endswith("SlowDown (503): SlowDown")


@pytest.mark.parametrize(
    "operation, permission",
    [
        ("ListObjectsV2", "s3:ListBucket"),
        ("HeadObject", "s3:GetObject"),
        ("GetObject", "s3:GetObject"),
        ("GetObjectTagging", "s3:GetObjectTagging"),
        ("PutObjectTagging", "s3:PutObjectTagging"),
        ("PutObject", "s3:PutObject"),
        ("CreateMultipartUpload", "s3:PutObject"),
        ("UploadPart", "s3:PutObject"),
        ("CompleteMultipartUpload", "s3:PutObject"),
        ("AbortMultipartUpload", "s3:AbortMultipartUpload"),
        ("ListParts", "s3:ListMultipartUploadParts"),
    ],
)
@pytest.mark.parametrize("side", ["source", "destination"])
def test_a_denial_names_side_and_permission(operation: str, permission: str, side: Side) -> None:
    """AccessDenied says whose credentials lack what."""
    error = an_error("AccessDenied", 403, operation=operation, side=side)
    assert isinstance(error, AccessDeniedError)
    assert error.permission == permission
    assert f"the {side} credentials need {permission}" in str(error)


@pytest.mark.parametrize("operation", ["CopyObject", "UploadPartCopy"])
def test_a_copys_denial_may_be_about_either_bucket(operation: str) -> None:
    """CopyObject needs permissions on two buckets: its bare denial names none."""
    error = an_error("AccessDenied", 403, operation=operation, message="Access Denied")
    assert isinstance(error, AccessDeniedError)
    assert error.permission == ""
    assert str(error).endswith("Access Denied")


@pytest.mark.parametrize(
    "code", ["InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken"]
)
def test_refused_credentials_are_no_missing_permission(code: str) -> None:
    """Wrong credentials are said to be so, with their side."""
    error = an_error(code, 403, operation="ListObjectsV2", side="source")
    assert isinstance(error, AccessDeniedError)
    assert error.permission == ""
    assert "S3 does not accept the source credentials (said)" in str(error)


def test_a_validation_error_gives_name_value_and_rule() -> None:
    """One sentence; a long value is cut; it is a ValueError, too."""
    error = ValidationError("batch_size", 0, "be between 1 and 1,000")
    assert str(error) == "batch_size=0 must be between 1 and 1,000"
    assert (error.name, error.value, error.rule) == ("batch_size", 0, "be between 1 and 1,000")
    assert isinstance(error, ValueError)
    assert len(str(ValidationError("key", "x" * 10_000, "be short"))) < 150


def failures(count: int) -> tuple[Failed, ...]:
    return tuple(
        Failed(
            S3Object("my-bucket", f"k{n}", 1, START, "0" * 32),
            S3Location("other-bucket", f"k{n}"),
            OSError(f"error {n}"),
        )
        for n in range(count)
    )


def metrics(failed: int) -> TransferMetrics:
    return TransferMetrics(
        operation_id="id",
        start_time=START,
        end_time=START + timedelta(seconds=1),
        total_files_found=failed,
        files_failed=failed,
    )


@pytest.mark.parametrize(
    "count, shown, more", [(0, 0, ""), (1, 1, ""), (3, 3, ""), (17, 3, "  ... and 14 more")]
)
def test_a_failed_copy_shows_the_first_three_failures(count: int, shown: int, more: str) -> None:
    """The first three failures with key and reason, and how many more there are."""
    error = CopyFailedError("it failed", metrics=metrics(count), failures=failures(count))
    lines = str(error).splitlines()
    assert lines[0] == "it failed"
    assert lines[1 : 1 + shown] == [f"  {failure}" for failure in failures(count)[:shown]]
    assert lines[1 + shown :] == ([more] if more else [])
    assert error.metrics.files_failed == len(error.failures) == count


def test_failures_beyond_those_kept_are_counted_from_the_metrics() -> None:
    """Where only two failures were kept of nine, seven more are told of."""
    error = CopyFailedError("it failed", metrics=metrics(9), failures=failures(2))
    assert str(error).splitlines()[-1] == "  ... and 7 more"


def test_the_tree_has_one_root() -> None:
    """``except S3CopyError`` catches every error this library raises on purpose."""
    for name in async_s3copy.__all__:
        value = getattr(async_s3copy, name)
        if isinstance(value, type) and issubclass(value, BaseException):
            assert issubclass(value, S3CopyError)
    assert issubclass(CopyCancelledError, CopyFailedError)
    assert issubclass(OperationStateError, RuntimeError)


def test_every_error_has_a_stable_code() -> None:
    """S3's code where there is one, the class name otherwise."""
    assert error_code(an_error("SlowDown")) == "SlowDown"
    assert error_code(ObjectRejectedError("KeyTooLongError", "too long")) == "KeyTooLongError"
    assert error_code(async_s3copy.SourceChangedError("x")) == "SourceChanged"
    assert error_code(async_s3copy.IntegrityError("x")) == "IntegrityMismatch"
    assert error_code(OSError(5, "x")) == "OSError"


def test_missing_credentials_name_their_side() -> None:
    """Which side, and why; never which credentials."""
    assert str(CredentialsError("source", "none found")) == "source credentials: none found"
