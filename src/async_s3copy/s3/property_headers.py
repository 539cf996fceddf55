"""What requests say in headers of an object's properties; shared by both clients. Pure.

Which call takes which: CopyObject carries content headers, metadata and tags by itself, a multipart
upload declares its checksum when it is created, and PutObject brings the checksum along.
https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

from async_s3copy.errors import ValidationError
from async_s3copy.s3.acl import PERMISSIONS
from async_s3copy.s3.heads import CHECKSUM_HEADERS, CONTENT_HEADERS, METADATA_PREFIX
from async_s3copy.s3.values import AS_IT_IS, ObjectProperties

_REPLACE: Final = "REPLACE"


def copy_headers(
    properties: ObjectProperties, *, replaces_metadata: bool, replaces_tags: bool
) -> dict[str, str]:
    """Return the headers of CopyObject.

    Args:
        properties: What to write.
        replaces_metadata: Whether content headers and metadata are written instead of carried.
        replaces_tags: Whether tags are written instead of carried.

    Raises:
        ValidationError: A property is one that no header can say.
    """
    if properties is AS_IT_IS and not replaces_metadata and not replaces_tags:
        return {}
    headers = _kept_headers(properties)
    if replaces_metadata:
        headers["x-amz-metadata-directive"] = _REPLACE
        headers |= _content_headers(properties)
    if replaces_tags:
        headers["x-amz-tagging-directive"] = _REPLACE
        headers |= _tag_headers(properties.tags)
    if properties.checksum_algorithm:
        headers["x-amz-checksum-algorithm"] = properties.checksum_algorithm
    return headers


def create_headers(properties: ObjectProperties) -> dict[str, str]:
    """Return the headers of CreateMultipartUpload.

    Raises:
        ValidationError: A property is one that no header can say.
    """
    headers = _all_headers(properties)
    if properties.checksum_algorithm:
        headers["x-amz-checksum-algorithm"] = properties.checksum_algorithm
    # S3 refuses a type without an algorithm.
    if properties.checksum_algorithm and properties.checksum_type:
        headers["x-amz-checksum-type"] = properties.checksum_type
    return headers


def put_headers(properties: ObjectProperties, checksums: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of PutObject: S3 learns the algorithm by the checksum itself.

    Raises:
        ValidationError: A property is one that no header can say.
    """
    return _all_headers(properties) | checksum_headers(checksums)


def checksum_headers(checksums: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that hold checksums, which are in base64 by algorithm in lower case.

    Raises:
        ValidationError: There is no such algorithm.
    """
    headers = {}
    for algorithm, value in checksums.items():
        name = CHECKSUM_HEADERS.get(algorithm)
        if name is None:
            rule = f"be one of {', '.join(CHECKSUM_HEADERS)}"
            raise ValidationError("checksum", algorithm, rule)
        headers[name] = value
    return headers


def _all_headers(properties: ObjectProperties) -> dict[str, str]:
    headers = _kept_headers(properties)
    headers |= _content_headers(properties)
    headers |= _tag_headers(properties.tags)
    return headers


def _kept_headers(properties: ObjectProperties) -> dict[str, str]:
    """Return what no call carries by itself."""
    headers = {
        "x-amz-storage-class": properties.storage_class,
        "x-amz-server-side-encryption": properties.encryption,
        "x-amz-server-side-encryption-aws-kms-key-id": properties.kms_key_id,
        "x-amz-website-redirect-location": properties.website_redirect,
        "x-amz-object-lock-mode": properties.lock_mode,
        "x-amz-object-lock-retain-until-date": properties.lock_retain_until,
        "x-amz-object-lock-legal-hold": properties.legal_hold,
        "x-amz-acl": properties.acl,
    }
    given = {name: value for name, value in headers.items() if value}
    if properties.bucket_key_enabled is not None:
        enabled = "true" if properties.bucket_key_enabled else "false"
        given["x-amz-server-side-encryption-bucket-key-enabled"] = enabled
    for permission, grantees in properties.grants.items():
        if permission not in PERMISSIONS:
            raise ValidationError("grants", permission, f"be one of {', '.join(PERMISSIONS)}")
        given[f"x-amz-grant-{permission}"] = grantees
    return given


def _content_headers(properties: ObjectProperties) -> dict[str, str]:
    headers = {}
    for name, value in properties.headers.items():
        if name not in CONTENT_HEADERS:
            raise ValidationError("header", name, f"be one of {', '.join(CONTENT_HEADERS)}")
        headers[name] = value
    for name, value in properties.metadata.items():
        headers[f"{METADATA_PREFIX}{name.lower()}"] = value
    return headers


def _tag_headers(tags: Mapping[str, str]) -> dict[str, str]:
    if not tags:
        return {}
    try:
        return {"x-amz-tagging": urlencode(tags)}
    except UnicodeEncodeError:
        raise ValidationError("tags", dict(tags), "be encodable as UTF-8") from None
