"""Foreign exceptions stop here: botocore's and aiohttp's become the library's, by code."""

from __future__ import annotations

import traceback
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
from botocore import exceptions as boto
from botocore.parsers import ResponseParserError

from async_s3copy.errors import CredentialsError, S3CopyError, S3Error, Side
from async_s3copy.s3.codes import s3_error, server_time
from async_s3copy.s3.heads import digits
from async_s3copy.s3.wire.patience import TIMEOUTS_PER_ANSWER

_READERS: Final = (ResponseParserError.__module__, "botocore.handlers")
_CREDENTIALS: Final = (
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.ProfileNotFound,
    boto.CredentialRetrievalError,
    boto.NoAuthTokenError,
    boto.TokenRetrievalError,
    boto.SSOError,
    boto.InvalidConfigError,
    boto.InfiniteLoopConfigError,
    boto.MetadataRetrievalError,
    boto.RefreshWithMFAUnsupportedError,
)
_STS_OPERATIONS: Final = ("AssumeRole", "AssumeRoleWithWebIdentity", "GetRoleCredentials")
_TIMEOUTS: Final = (boto.ReadTimeoutError, TimeoutError)
_UNENDING: Final = f"the answer had not ended after {TIMEOUTS_PER_ANSWER} read timeouts"
_CONNECTION: Final = (
    boto.ConnectionError,
    boto.HTTPClientError,
    boto.ResponseStreamingError,
    boto.IncompleteReadError,
    aiohttp.ClientError,
    OSError,
)
# What botocore raises where it reads answers that it does not expect, such as a field that is there
# twice.
_STUMBLES: Final = (TypeError, ValueError, AttributeError, LookupError)
_WRONG_SETUP: Final = (boto.SSLError, boto.ParamValidationError, boto.BotoCoreError, ValueError)


@asynccontextmanager
async def translated(
    operation: str, side: Side, bucket: str, key: str | None = None
) -> AsyncIterator[None]:
    """Run one call; what it raises leaves as ``S3Error`` or ``CredentialsError``.

    ``CancelledError`` and errors of our own pass unchanged.
    """
    try:
        yield
    except S3CopyError:
        raise
    except Exception as exception:
        error = _translate(exception, operation=operation, side=side, bucket=bucket, key=key)
        if error is None:
            raise
        raise error from exception


def _translate(exception: Exception, *, side: Side, **where: Any) -> S3CopyError | None:
    if isinstance(exception, _CREDENTIALS):
        return CredentialsError(side, str(exception))
    if isinstance(exception, boto.ClientError):
        return _from_client_error(exception, side=side, **where)
    if isinstance(exception, boto.SSLError):
        return _no_response("SSLError", str(exception), side=side, **where)
    if isinstance(exception, ResponseParserError):
        return _no_response("InvalidResponse", str(exception), side=side, **where)
    if isinstance(exception, _TIMEOUTS):
        return _no_response("ReadTimeout", str(exception) or _UNENDING, side=side, **where)
    if isinstance(exception, _CONNECTION):
        return _no_response("ConnectionError", str(exception), side=side, **where)
    if isinstance(exception, _STUMBLES) and _is_from_reader(exception):
        return _no_response("InvalidResponse", repr(exception), side=side, **where)
    if isinstance(exception, _WRONG_SETUP):
        return _no_response(type(exception).__name__, str(exception), side=side, **where)
    return None


def _from_client_error(
    exception: boto.ClientError, *, side: Side, **where: Any
) -> S3Error | CredentialsError:
    error = exception.response.get("Error", {})
    code = str(error.get("Code", "Unknown"))
    message = str(error.get("Message", ""))
    if exception.operation_name in _STS_OPERATIONS:
        return CredentialsError(side, f"{exception.operation_name} failed with {code}: {message}")
    metadata = exception.response.get("ResponseMetadata", {})
    headers = metadata.get("HTTPHeaders", {})
    built = s3_error(
        code,
        int(metadata.get("HTTPStatusCode", 0)),
        message,
        side=side,
        request_id=str(metadata.get("RequestId", "")),
        retry_after_s=_retry_after(headers),
        **where,
    )
    built.server_time = server_time(headers.get("date", ""))
    return built


def _is_from_reader(exception: Exception) -> bool:
    frames = traceback.walk_tb(exception.__traceback__)
    return any(frame.f_globals.get("__name__") in _READERS for frame, _ in frames)


def _no_response(code: str, message: str, **where: Any) -> S3Error:
    return s3_error(code, 0, message, **where)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    seconds = digits(headers.get("retry-after", ""))
    return None if seconds is None else float(seconds)
