"""botocore's parsed answers, turned into the Protocol's values. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, cast

from async_s3copy.errors import InvalidResponseError, Side
from async_s3copy.model import S3Object, unquoted
from async_s3copy.s3.client import ListPage, ObjectHead, ObjectProperties

# Servers known to send x-amz-tagging-count wherever an object has tags the caller may read; for
# any other, "no count" does not mean "no tags" until one answer has carried the header.
SERVERS_WITH_TAG_COUNT: Final = ("AmazonS3", "SeaweedFS", "MinIO")

CONTENT_HEADERS: Final = (
    "content-type",
    "content-encoding",
    "content-language",
    "content-disposition",
    "cache-control",
    "expires",
)
# A listing without keys still has some of these.
_LISTING_MEMBERS: Final = frozenset(("Contents", "IsTruncated", "KeyCount", "Name", "MaxKeys"))
_METADATA_PREFIX: Final = "x-amz-meta-"
# The ETag is an MD5 digest only without these (API_Object.html).
_OPAQUE_ENCRYPTION: Final = ("aws:kms", "aws:kms:dsse")
_CHECKSUMS: Final = ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256")
_EPOCH: Final = datetime.fromtimestamp(0, UTC)


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
            entry.get("LastModified", _EPOCH),
            entry.get("ETag", ""),
            storage_class=entry.get("StorageClass", ""),
        )
        for entry in answer.get("Contents", ())
    ]
    truncated = bool(answer.get("IsTruncated", False))
    return ListPage(objects, answer.get("NextContinuationToken") if truncated else None, truncated)


def object_head(bucket: str, key: str, answer: Mapping[str, Any]) -> ObjectHead:
    """Read the answer of a HEAD, or the headers of a GET."""
    raw = headers(answer)
    metadata = {
        name.removeprefix(_METADATA_PREFIX): value
        for name, value in raw.items()
        if name.startswith(_METADATA_PREFIX)
    }
    storage_class = answer.get("StorageClass", "")
    item = S3Object.reported(
        bucket,
        key,
        whole_size(raw, answer.get("ContentLength", 0)),
        answer.get("LastModified", _EPOCH),
        answer.get("ETag", ""),
        metadata=metadata,
        storage_class=storage_class,
        version_id=None,
    )
    content = {name: raw[name] for name in CONTENT_HEADERS if raw.get(name)}
    return ObjectHead(
        object=item,
        properties=ObjectProperties(
            headers=content, metadata=metadata, storage_class=storage_class
        ),
        content_length=answer.get("ContentLength", 0),
        tag_count=_tag_count(raw),
        part_count=answer.get("PartsCount"),
        etag_is_md5=_etag_is_md5(raw),
        checksums=_full_object_checksums(answer),
    )


def whole_size(raw: Mapping[str, str], content_length: int) -> int:
    """Return the object's size, also where the answer covers only a range of it."""
    _, slash, total = raw.get("content-range", "").rpartition("/")
    return int(total) if slash and total.isdigit() else content_length


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


def _tag_count(raw: Mapping[str, str]) -> int | None:
    value = raw.get("x-amz-tagging-count", "")
    return int(value) if value.isdigit() else None


def _etag_is_md5(raw: Mapping[str, str]) -> bool:
    if raw.get("x-amz-server-side-encryption") in _OPAQUE_ENCRYPTION:
        return False
    return "x-amz-server-side-encryption-customer-algorithm" not in raw


def _full_object_checksums(answer: Mapping[str, Any]) -> dict[str, str]:
    if answer.get("ChecksumType", "FULL_OBJECT") != "FULL_OBJECT":
        return {}
    return {
        name.lower(): value
        for name in _CHECKSUMS
        # A composite checksum ("...-3") is one of part checksums, not of the object's bytes.
        if (value := answer.get(f"Checksum{name}")) and "-" not in value
    }
