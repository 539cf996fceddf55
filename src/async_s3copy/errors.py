"""The error tree: every message reads like the copy that failed.

Foreign exceptions (botocore, aiohttp) stop at ``async_s3copy.s3`` and become one of these by error
*code*, never by text. No message, argument or attribute here ever holds a credential.

::

    S3CopyError
    ├── ValidationError             bad input: name, value and rule (also a ValueError)
    ├── OperationStateError         an operation asked to do what its state forbids
    ├── S3Error                     S3 refused a request: side, operation, bucket, key, code, status
    │   ├── AccessDeniedError       403: names the side and the missing permission
    │   ├── NoSuchBucketError       404: the bucket does not exist
    │   ├── NoSuchKeyError          404: the object does not exist
    │   ├── NoSuchUploadError       404: the multipart upload was completed or aborted
    │   ├── PreconditionFailedError 412: If-Match / If-None-Match did not hold
    │   └── RetryableS3Error        500, 502, 504, 408: a later attempt may succeed
    │       ├── ThrottledError      503 SlowDown and its relatives
    │       ├── S3ConnectionError   no complete response arrived
    │       └── InvalidResponseError  a response arrived that S3 does not send
    ├── RunEndingError              no object's fault, and every object would meet it: the run ends
    │   ├── OutageError             nothing succeeds at an endpoint
    │   ├── CredentialsError        one side has no usable credentials, or none any more
    │   └── ClockSkewError          this machine's clock is too far from the server's
    ├── SourceChangedError          the object was overwritten after it was listed
    ├── ObjectRejectedError         no request can copy it: a key too long, an object too large
    ├── IntegrityError              what arrived is not what was there
    └── CopyFailedError             the run ended with failures; has the metrics
        └── CopyCancelledError      the run was stopped by ``S3CopyOperation.cancel()``
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from async_s3copy.metrics import TransferMetrics
    from async_s3copy.model import Failed

Side = Literal["source", "destination"]


class S3CopyError(Exception):
    """Catch every error this library raises on purpose."""


class ValidationError(S3CopyError, ValueError):
    """Report one bad value in one sentence: its name, the value and the rule it breaks.

    Args:
        name: The parameter or field, as the caller wrote it.
        value: What was given; shown with ``repr`` (never a credential).
        rule: The rule, phrased to follow "must".
    """

    def __init__(self, name: str, value: object, rule: str) -> None:
        super().__init__(name, value, rule)
        self.name = name
        self.value = value
        self.rule = rule

    def __str__(self) -> str:
        return f"{self.name}={_shorten(repr(self.value))} must {self.rule}"


class OperationStateError(S3CopyError, RuntimeError):
    """Report an operation asked to do what its state forbids, such as running twice."""


class S3Error(S3CopyError):
    """Report one request that S3 (or the way to it) did not fulfil.

    Args:
        message: What S3 said, or what went wrong on the way.
        code: S3's error code, such as ``"InternalError"``; stable, branch on this.
        status: HTTP status, 0 where no response arrived.
        operation: The API call, such as ``"CopyObject"``.
        side: ``"source"`` or ``"destination"``: whose credentials signed the request.
        bucket: The bucket the request addressed.
        key: The key the request addressed; ``None`` for a bucket-level call.
        request_id: S3's request id, for a support case.
        retry_after_s: Seconds the server asked to wait; ``None`` when it did not.
    """

    retryable: bool = False
    after_unknown: bool = False
    """Whether an earlier attempt of the same request may have been carried out all the same."""
    superseded: bool = False
    """Whether it is about keys, or a clock, that no further request will be signed with."""
    server_time: datetime | None = None
    """The server's time when it answered, where it said so."""

    def __init__(
        self,
        message: str,
        *,
        code: str,
        status: int = 0,
        operation: str = "",
        side: Side = "destination",
        bucket: str = "",
        key: str | None = None,
        request_id: str = "",
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.status = status
        self.operation = operation
        self.side: Side = side
        self.bucket = bucket
        self.key = key
        self.request_id = request_id
        self.retry_after_s = retry_after_s

    @property
    def where(self) -> str:
        """The URL of what the request addressed."""
        return f"s3://{self.bucket}" + (f"/{self.key}" if self.key is not None else "")

    def __str__(self) -> str:
        status = f" ({self.status})" if self.status else ""
        return f"{self.operation} {self.where} [{self.side}]: {self.code}{status}: {self.message}"


class AccessDeniedError(S3Error):
    """Report a 403: which side's credentials lack which permission.

    Attributes:
        permission: The missing IAM permission(s), such as ``"s3:ListBucket"``; empty when S3's
            answer does not allow to tell.
    """

    permission: str = ""


class NoSuchBucketError(S3Error):
    """Report that a bucket does not exist."""


class NoSuchKeyError(S3Error):
    """Report that an object does not exist (or was deleted after it was listed)."""


class NoSuchUploadError(S3Error):
    """Report that a multipart upload is gone: completed or aborted."""


class PreconditionFailedError(S3Error):
    """Report a 412: a condition on the destination or on the source did not hold."""


class RetryableS3Error(S3Error):
    """Report a failure that a later attempt may not see: 500, 502, 503, 504, 408, some 409."""

    retryable = True


class ThrottledError(RetryableS3Error):
    """Report SlowDown, RequestLimitExceeded and their relatives: the request rate is too high."""


class S3ConnectionError(RetryableS3Error):
    """Report that no complete response arrived: refused, reset, timed out, truncated."""


class InvalidResponseError(RetryableS3Error):
    """Report a response S3 does not send: broken XML, a success without its ETag."""


class RunEndingError(S3CopyError):
    """Report what is no object's fault and would befall every object: it ends the operation.

    The objects not tried to the end are not called failed; a checkpoint lets another run go on.
    """


class OutageError(RunEndingError):
    """Report that an endpoint has failed every request for too long: the operation ends.

    It is about the server, not about an object: the objects not tried are not called failed.

    Args:
        url: The endpoint's address; empty when it is not known.
        bucket: The bucket the requests addressed.
        lasting_s: Seconds since the first of the failures; no request succeeded since.
        failed_requests: How many failed meanwhile, retries included.
        last: The last request's error; its ``code`` becomes this error's.
    """

    def __init__(
        self, *, url: str, bucket: str, lasting_s: float, failed_requests: int, last: S3Error
    ) -> None:
        super().__init__(url, bucket, lasting_s, failed_requests, last)
        self.url = url
        self.bucket = bucket
        self.lasting_s = lasting_s
        self.failed_requests = failed_requests
        self.last = last
        self.code = last.code

    def __str__(self) -> str:
        where = f"s3://{self.bucket}" + (f" at {self.url}" if self.url else "")
        return (
            f"no request to {where} has succeeded for {self.lasting_s:.0f} s: "
            f"{self.failed_requests:,} failed, the last with {self.last}"
        )


class CredentialsError(RunEndingError):
    """Report that one side has no usable credentials; says which side, never which credentials.

    In mid-run it stands for keys that have expired or were withdrawn, and cannot be renewed.
    """

    def __init__(self, side: Side, reason: str) -> None:
        super().__init__(side, reason)
        self.side: Side = side
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.side} credentials: {self.reason}"


class ClockSkewError(RunEndingError):
    """Report that this machine's clock is too far from the server's for S3 to accept signatures.

    Args:
        side: The side whose server refused.
        ahead_s: Seconds that this machine's clock is ahead of the server's, negative where it is
            behind; ``None`` where the server did not tell its time.
    """

    def __init__(self, side: Side, ahead_s: float | None) -> None:
        super().__init__(side, ahead_s)
        self.side: Side = side
        self.ahead_s = ahead_s

    def __str__(self) -> str:
        if self.ahead_s is None:
            difference = "differs too much from"
        else:
            direction = "ahead of" if self.ahead_s > 0 else "behind"
            difference = f"is {timedelta(seconds=round(abs(self.ahead_s)))} {direction}"
        return (
            f"this machine's clock {difference} that of the {self.side} server, "
            "which accepts signatures of the last and the next 15 minutes only: set the clock"
        )


class SourceChangedError(S3CopyError):
    """Report an object overwritten between listing and copy, twice; nothing mixed was written."""

    code = "SourceChanged"


class IntegrityError(S3CopyError):
    """Report bytes that are not the source's.

    Of relayed bytes before they become an object; of a copy after it has arrived: it stays there.
    """

    code = "IntegrityMismatch"


class ObjectRejectedError(S3CopyError):
    """Report an object that no request can copy: its key or size breaks a rule of S3's.

    Args:
        code: S3's code for the broken rule, such as ``"KeyTooLongError"``.
        reason: The rule, with the value that breaks it.
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class CopyFailedError(S3CopyError):
    """Report a run that ended with failures.

    Args:
        reason: One sentence: why the run counts as failed.
        metrics: The final metrics of the run.
        failures: The first failures (at most ``CopyOptions.max_errors_kept``), in order of time.
    """

    def __init__(
        self, reason: str, *, metrics: TransferMetrics, failures: Sequence[Failed] = ()
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.metrics = metrics
        self.failures = tuple(failures)

    def __str__(self) -> str:
        shown = self.failures[:3]
        lines = [self.reason, *(f"  {failure}" for failure in shown)]
        hidden = self.metrics.files_failed - len(shown)
        if shown and hidden > 0:
            lines.append(f"  ... and {hidden} more")
        return "\n".join(lines)


class CopyCancelledError(CopyFailedError):
    """Report a run stopped by ``S3CopyOperation.cancel()``; every open upload was aborted."""


def error_code(error: BaseException) -> str:
    """Return the stable code of any error: S3's code, or the exception's class name."""
    code = getattr(error, "code", "")
    return code if isinstance(code, str) and code else type(error).__name__


def _shorten(text: str, limit: int = 120) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
