"""S3's error codes, sorted into the error tree; shared by every transport."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from async_s3copy.errors import (
    AccessDeniedError,
    InvalidResponseError,
    NoSuchBucketError,
    NoSuchKeyError,
    NoSuchUploadError,
    PreconditionFailedError,
    RetryableS3Error,
    S3ConnectionError,
    S3Error,
    Side,
    ThrottledError,
)

# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
_BY_CODE: Final[dict[str, type[S3Error]]] = {
    "NoSuchBucket": NoSuchBucketError,
    "NoSuchKey": NoSuchKeyError,
    "NoSuchVersion": NoSuchKeyError,
    "NoSuchUpload": NoSuchUploadError,
    "PreconditionFailed": PreconditionFailedError,
    **dict.fromkeys(
        (
            "AccessDenied",
            "AllAccessDisabled",
            "AccountProblem",
            "UnauthorizedAccess",
            "InvalidAccessKeyId",
            "SignatureDoesNotMatch",
            "InvalidToken",
            "ExpiredToken",
        ),
        AccessDeniedError,
    ),
    **dict.fromkeys(
        (
            "SlowDown",
            "SlowDownRead",  # MinIO's two
            "SlowDownWrite",
            "ServiceUnavailable",  # S3: "Please reduce your request rate"
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
        ThrottledError,
    ),
    **dict.fromkeys(
        (
            "InternalError",
            "RequestTimeout",
            "RequestTimeoutException",
            "ConditionalRequestConflict",
            "OperationAborted",
            # The bytes were damaged on the way; a second transmission is the cure.
            "BadDigest",
            "XAmzContentSHA256Mismatch",
            "IncompleteBody",
        ),
        RetryableS3Error,
    ),
    "InvalidResponse": InvalidResponseError,
    "ConnectionError": S3ConnectionError,
    "ReadTimeout": S3ConnectionError,
}
_BY_STATUS: Final[dict[int, type[S3Error]]] = {
    408: RetryableS3Error,
    412: PreconditionFailedError,
    429: ThrottledError,
    500: RetryableS3Error,
    502: RetryableS3Error,
    503: ThrottledError,
    504: RetryableS3Error,
}
# A HEAD answer has no body and so no code; botocore hands on the bare status.
_HEAD_CODES: Final = {
    "301": "PermanentRedirect",
    "400": "BadRequest",
    "401": "AccessDenied",
    "403": "AccessDenied",
    "404": "NoSuchKey",
    "405": "MethodNotAllowed",
    "412": "PreconditionFailed",
    "429": "TooManyRequests",
    "500": "InternalError",
    "501": "NotImplemented",
    "503": "SlowDown",
    "Forbidden": "AccessDenied",
    "Not Found": "NoSuchKey",
    "NotFound": "NoSuchKey",
    "Precondition Failed": "PreconditionFailed",
}
_HEAD_MESSAGES: Final = {
    "NoSuchKey": "there is no such object",
    "PreconditionFailed": "the object is another than the condition says",
}
_PERMISSIONS: Final = {
    "ListObjectsV2": "s3:ListBucket",
    "HeadObject": "s3:GetObject",
    "GetObject": "s3:GetObject",
    "ListObjectVersions": "s3:ListBucketVersions",
    "GetBucketVersioning": "s3:GetBucketVersioning",
    "GetObjectAcl": "s3:GetObjectAcl",
    "DeleteObject": "s3:DeleteObject",
    "GetObjectTagging": "s3:GetObjectTagging",
    "PutObjectTagging": "s3:PutObjectTagging",
    "PutObject": "s3:PutObject",
    "CreateMultipartUpload": "s3:PutObject",
    "UploadPart": "s3:PutObject",
    "CompleteMultipartUpload": "s3:PutObject",
    "AbortMultipartUpload": "s3:AbortMultipartUpload",
    "ListParts": "s3:ListMultipartUploadParts",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
}
# Errors are kept and logged by the hundred; S3's own texts are far shorter.
_LONGEST_MESSAGE: Final = 1_000
_LONGEST_CODE: Final = 200
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/Redirects.html
_REDIRECTS: Final = (301, 302, 307, 308)
_WRONG_REGION: Final = (
    "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException",
    "PermanentRedirect",
    "TemporaryRedirect",
)
_REJECTED_CREDENTIALS: Final = frozenset(
    ("InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken")
)


def s3_error(
    code: str,
    status: int,
    message: str,
    *,
    operation: str,
    side: Side,
    bucket: str,
    key: str | None = None,
    request_id: str = "",
    retry_after_s: float | None = None,
) -> S3Error:
    """Build the error that stands for a code; the class says how the engine treats it.

    Args:
        code: S3's code, or the bare HTTP status of a HEAD answer.
        status: HTTP status; 0 where no response arrived. A 200 whose body was an ``<Error>``
            counts as its code.
        message: S3's message.
        operation: API call.
        side: Whose credentials signed it.
        bucket: Bucket addressed.
        key: Key addressed, if any.
        request_id: S3's request id.
        retry_after_s: The server's Retry-After, in seconds.
    """
    if code in _HEAD_CODES:
        code = _HEAD_CODES[code]
        message = _HEAD_MESSAGES.get(code, message)
    kind = _BY_CODE.get(code) or _BY_STATUS.get(status, S3Error)
    error = kind(
        (message or code)[:_LONGEST_MESSAGE],
        code=code[:_LONGEST_CODE],
        status=status,
        operation=operation,
        side=side,
        bucket=bucket,
        key=key,
        request_id=request_id[:_LONGEST_CODE],
        retry_after_s=retry_after_s,
    )
    if isinstance(error, AccessDeniedError):
        _explain_denial(error)
    elif is_elsewhere(error):
        error.message += f"; set region= of the {error.side} account to the Region of the bucket"
    return error


def is_elsewhere(error: S3Error) -> bool:
    """Tell whether an error says that the bucket is in another Region than was asked."""
    return error.status in _REDIRECTS or error.code in _WRONG_REGION


def server_time(date: str) -> datetime | None:
    """Read the ``Date`` of an answer; ``None`` where there is none that can be read."""
    try:
        told = parsedate_to_datetime(date)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return told if told.tzinfo is not None else told.replace(tzinfo=UTC)


def _explain_denial(error: AccessDeniedError) -> None:
    if error.code in _REJECTED_CREDENTIALS:
        error.message = f"S3 does not accept the {error.side} credentials ({error.message})"
        return
    error.permission = _PERMISSIONS.get(error.operation, "")
    if error.permission:
        error.message = f"the {error.side} credentials need {error.permission} on {error.where}"
    if error.operation == "HeadObject" and error.side == "source":
        error.message += " (without s3:ListBucket, S3 answers so for a missing key, too)"
