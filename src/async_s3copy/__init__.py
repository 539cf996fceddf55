"""Copy objects between S3 buckets, across accounts, with asyncio.

The names below load what they need on first use: ``import async_s3copy`` alone loads neither
botocore nor anything else that is slow to import.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from async_s3copy.api import copy
    from async_s3copy.errors import (
        AccessDeniedError,
        ClockSkewError,
        CopyCancelledError,
        CopyFailedError,
        CredentialsError,
        IntegrityError,
        InvalidResponseError,
        NoSuchBucketError,
        NoSuchKeyError,
        NoSuchUploadError,
        ObjectRejectedError,
        OperationStateError,
        OutageError,
        PreconditionFailedError,
        RetryableS3Error,
        RunEndingError,
        S3ConnectionError,
        S3CopyError,
        S3Error,
        SourceChangedError,
        ThrottledError,
        ValidationError,
    )
    from async_s3copy.metrics import TransferMetrics
    from async_s3copy.model import (
        Copied,
        CopyMethod,
        Failed,
        OperationState,
        Outcome,
        Proof,
        S3Location,
        S3Object,
        Skipped,
        SkipReason,
    )
    from async_s3copy.observer import Observer
    from async_s3copy.operation import S3CopyOperation
    from async_s3copy.options import CopyOptions
    from async_s3copy.preserve import Overrides, Preserve
    from async_s3copy.s3.account import Account
    from async_s3copy.shards import split_prefix

__version__ = "0.1.0"

__all__ = [
    "AccessDeniedError",
    "Account",
    "ClockSkewError",
    "Copied",
    "CopyCancelledError",
    "CopyFailedError",
    "CopyMethod",
    "CopyOptions",
    "CredentialsError",
    "Failed",
    "IntegrityError",
    "InvalidResponseError",
    "NoSuchBucketError",
    "NoSuchKeyError",
    "NoSuchUploadError",
    "ObjectRejectedError",
    "Observer",
    "OperationState",
    "OperationStateError",
    "OutageError",
    "Outcome",
    "Overrides",
    "PreconditionFailedError",
    "Preserve",
    "Proof",
    "RetryableS3Error",
    "RunEndingError",
    "S3ConnectionError",
    "S3CopyError",
    "S3CopyOperation",
    "S3Error",
    "S3Location",
    "S3Object",
    "SkipReason",
    "Skipped",
    "SourceChangedError",
    "ThrottledError",
    "TransferMetrics",
    "ValidationError",
    "__version__",
    "copy",
    "split_prefix",
]

_MODEL = "async_s3copy.model"
_PRESERVE = "async_s3copy.preserve"
_HOME_OF = {
    "Account": "async_s3copy.s3.account",
    "Copied": _MODEL,
    "CopyMethod": _MODEL,
    "CopyOptions": "async_s3copy.options",
    "Failed": _MODEL,
    "Observer": "async_s3copy.observer",
    "OperationState": _MODEL,
    "Outcome": _MODEL,
    "Overrides": _PRESERVE,
    "Preserve": _PRESERVE,
    "Proof": _MODEL,
    "S3CopyOperation": "async_s3copy.operation",
    "S3Location": _MODEL,
    "S3Object": _MODEL,
    "SkipReason": _MODEL,
    "Skipped": _MODEL,
    "TransferMetrics": "async_s3copy.metrics",
    "copy": "async_s3copy.api",
    "split_prefix": "async_s3copy.shards",
}
"""Where each name lives; every other public name is an error."""


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOME_OF.get(name, "async_s3copy.errors")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
