"""botocore's parsed answers, turned into the Protocol's values. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from async_s3copy.errors import InvalidResponseError, Side
from async_s3copy.model import S3Object, unquoted
from async_s3copy.s3 import heads
from async_s3copy.s3.client import ListPage, ObjectHead, OpenUpload
from async_s3copy.s3.uploads import OPERATION, Marker, UploadPage

# A listing without keys still has some of these.
_LISTING_MEMBERS: Final = frozenset(("Contents", "IsTruncated", "KeyCount", "Name", "MaxKeys"))
# So does one without uploads.
_UPLOADS_MEMBERS: Final = frozenset(("Uploads", "IsTruncated", "Bucket", "MaxUploads"))


def headers(answer: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the raw response headers, names in lower case."""
    return cast("Mapping[str, str]", answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}))


def list_page(bucket: str, side: Side, answer: Mapping[str, Any]) -> ListPage:
    """Read one page; what a server leaves out gets a harmless value.

    Raises:
        InvalidResponseError: The answer is no listing; taken for one, a bucket would seem empty.
    """
    if not _LISTING_MEMBERS.intersection(answer):
        raise _missing("listing", "ListObjectsV2", side, bucket, None)
    objects = [
        S3Object.reported(
            bucket,
            entry["Key"],
            entry.get("Size", 0),
            entry.get("LastModified", heads.EPOCH),
            entry.get("ETag", ""),
            storage_class=entry.get("StorageClass", ""),
        )
        for entry in answer.get("Contents", ())
    ]
    truncated = bool(answer.get("IsTruncated", False))
    return ListPage(objects, answer.get("NextContinuationToken") if truncated else None, truncated)


def upload_page(bucket: str, side: Side, answer: Mapping[str, Any]) -> UploadPage:
    """Read one page of open uploads.

    Raises:
        InvalidResponseError: The answer is no such page, or one of its uploads has no name.
    """
    if not _UPLOADS_MEMBERS.intersection(answer):
        raise _missing("listing of uploads", OPERATION, side, bucket, None)
    found = [
        OpenUpload(
            entry.get("Key", ""), entry.get("UploadId", ""), entry.get("Initiated", heads.EPOCH)
        )
        for entry in answer.get("Uploads", ())
    ]
    if not all(upload.key and upload.upload_id for upload in found):
        raise _missing("Key or UploadId of an upload", OPERATION, side, bucket, None)
    marker = Marker(answer.get("NextKeyMarker") or None, answer.get("NextUploadIdMarker") or None)
    return UploadPage(
        uploads=found,
        encoding=answer.get("EncodingType", ""),
        prefix=answer.get("Prefix", ""),
        next_marker=marker if answer.get("IsTruncated") else None,
    )


def object_head(bucket: str, key: str, answer: Mapping[str, Any]) -> ObjectHead:
    """Read the answer of a HEAD, or the headers of a GET."""
    told = heads.Told(
        content_length=answer.get("ContentLength", 0),
        last_modified=answer.get("LastModified", heads.EPOCH),
        etag=answer.get("ETag", ""),
        storage_class=answer.get("StorageClass", ""),
        part_count=answer.get("PartsCount"),
        checksum_type=answer.get("ChecksumType", heads.FULL_OBJECT),
        checksums={name: answer.get(f"Checksum{name}", "") for name in heads.CHECKSUMS},
    )
    return heads.object_head(bucket, key, headers(answer), told)


def etag(
    answer: Mapping[str, Any] | None, operation: str, side: Side, bucket: str, key: str
) -> str:
    """Return a write's ETag, unquoted; a success without one is no success.

    Raises:
        InvalidResponseError: The answer holds no ETag.
    """
    found = unquoted((answer or {}).get("ETag") or "")
    if not found:
        raise _missing("ETag", operation, side, bucket, key)
    return found


def upload_id(answer: Mapping[str, Any], side: Side, bucket: str, key: str) -> str:
    """Return the id of a new multipart upload.

    Raises:
        InvalidResponseError: The answer holds none.
    """
    found = answer.get("UploadId")
    if not found:
        raise _missing("UploadId", "CreateMultipartUpload", side, bucket, key)
    return str(found)


def _missing(
    what: str, operation: str, side: Side, bucket: str, key: str | None
) -> InvalidResponseError:
    return InvalidResponseError(
        f"the answer holds no {what}",
        code="InvalidResponse",
        status=200,
        operation=operation,
        side=side,
        bucket=bucket,
        key=key,
    )
