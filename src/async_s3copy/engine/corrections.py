"""What a refusal of the keys means for the next attempt: another, none, or the end of the run."""

from __future__ import annotations

from typing import Final

from async_s3copy.errors import CredentialsError, S3Error

_MAX_CORRECTIONS: Final = 3
"""Times one request is signed anew; requests that were under way then need but one."""

_UNKNOWN_KEYS: Final = "InvalidAccessKeyId"


def may_pass(error: S3Error, *, is_last: bool, has_served: bool) -> bool:
    """Tell whether a later attempt may fare better, and is to be made.

    Keys that S3 took before, and now does not know, may be new to a part of S3, or deleted; in the
    end they are nothing that an object could be blamed for. ``SignatureDoesNotMatch`` is left to
    the object: a server may fail to verify one odd key, and a changed secret has a new id.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html

    Args:
        error: What came of the last attempt.
        is_last: Whether there is no other attempt to make.
        has_served: Whether any request with these credentials has succeeded before.

    Raises:
        CredentialsError: S3 has forgotten the keys.
    """
    forgotten = error.code == _UNKNOWN_KEYS and has_served
    if forgotten and is_last:
        raise CredentialsError(error.side, f"S3 does not know them any more ({error})") from error
    return (forgotten or error.retryable) and not is_last


def end_if_in_vain(error: S3Error, corrections: int) -> None:
    """Give up on a request that S3 refuses however often it is signed anew.

    Raises:
        CredentialsError: It was signed anew often enough.
    """
    if corrections > _MAX_CORRECTIONS:
        reason = f"S3 refused {corrections:,} requests in a row that were each signed anew"
        raise CredentialsError(error.side, f"{reason} ({error})") from error
