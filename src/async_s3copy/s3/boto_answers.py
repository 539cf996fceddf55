"""botocore's parsed answers, turned into the Protocol's values. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from async_s3copy.errors import InvalidResponseError, Side
from async_s3copy.model import S3Object, unquoted
from async_s3copy.s3 import acl, heads
from async_s3copy.s3.uploads import OPERATION, Marker, UploadPage
from async_s3copy.s3.values import ListPage, ObjectHead, OpenUpload, Written

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
            entry.get("Key", ""),
            entry.get("Size", 0),
            entry.get("LastModified", heads.EPOCH),
            entry.get("ETag", ""),
            storage_class=entry.get("StorageClass", ""),
        )
        for entry in answer.get("Contents", ())
    ]
    if not all(item.key for item in objects):
        raise _missing("Key of an object", "ListObjectsV2", side, bucket, None)
    truncated = bool(answer.get("IsTruncated", False))
    token = answer.get("NextContinuationToken") if truncated else None
    return ListPage(objects, token or None, truncated)


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
    )
    return heads.object_head(bucket, key, headers(answer), told)


def grants(answer: Mapping[str, Any], side: Side, bucket: str, key: str) -> dict[str, str]:
    """Return an ACL's grantees by permission.

    Raises:
        InvalidResponseError: The answer holds no ACL, or a grant to nobody.
    """
    if "Grants" not in answer and "Owner" not in answer:
        raise _missing("AccessControlPolicy", "GetObjectAcl", side, bucket, key)
    told = [_grant(each) for each in answer.get("Grants", ())]
    if not all(permission and grantee for permission, _, grantee in told):
        raise _missing("Permission or Grantee of a grant", "GetObjectAcl", side, bucket, key)
    return acl.grants(told)


def written(
    answer: Mapping[str, Any],
    operation: str,
    side: Side,
    bucket: str,
    key: str,
    *,
    result: str | None = None,
) -> Written:
    """Return what the answer to a write says of the object.

    Args:
        answer: The answer.
        operation: API call.
        side: Whose credentials made it.
        bucket: Bucket.
        key: Key.
        result: Member of the answer that tells of the object; ``None`` for the answer itself.

    Raises:
        InvalidResponseError: The answer holds no ETag.
    """
    told = answer if result is None else answer.get(result) or {}
    found = etag(told, operation, side, bucket, key)
    checksums = heads.full_object(part_checksums(told), told.get("ChecksumType", ""))
    raw = [(name.encode(), value.encode()) for name, value in headers(answer).items()]
    return heads.written(found, raw, checksums)


def part_checksums(told: Mapping[str, Any]) -> dict[str, str]:
    """Return the checksums that an answer holds, by algorithm in lower case."""
    found = {name.lower(): told.get(f"Checksum{name}") for name in heads.CHECKSUMS}
    return {name: value for name, value in found.items() if value}


def tags(answer: Mapping[str, Any], side: Side, bucket: str, key: str) -> dict[str, str]:
    """Return an object's tags.

    Raises:
        InvalidResponseError: One of them has no name.
    """
    found = answer.get("TagSet", ())
    if not all("Key" in tag for tag in found):
        raise _missing("Key of a tag", "GetObjectTagging", side, bucket, key)
    return {tag["Key"]: tag.get("Value", "") for tag in found}


def etag(
    answer: Mapping[str, Any] | None, operation: str, side: Side, bucket: str, key: str
) -> str:
    """Return a write's ETag, unquoted; a success without one is no success.

    Raises:
        InvalidResponseError: The answer holds no ETag.
    """
    found = unquoted((answer or {}).get("ETag") or "")
    if not found.strip():
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


def _grant(grant: Mapping[str, Any]) -> tuple[str, str, str]:
    grantee = grant.get("Grantee", {})
    kind = next((kind for kind in acl.GRANTEES if grantee.get(kind)), "")
    return grant.get("Permission", ""), kind, grantee.get(kind, "")


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
