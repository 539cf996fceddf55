"""What requests say in headers about objects: where they come from, what they carry. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from async_s3copy.errors import ValidationError
from async_s3copy.rules import is_access_point_arn
from async_s3copy.s3.client import CopySource, ObjectProperties
from async_s3copy.s3.heads import CONTENT_HEADERS, METADATA_PREFIX
from async_s3copy.s3.wire.sigv4 import quoted_path


def copy_source(source: CopySource) -> dict[str, str]:
    """Return the source of a copy, and the condition that it is the one listed."""
    where = quoted_path(f"{_copy_bucket(source.bucket)}/{source.key}")
    if source.version_id is not None:
        # Outside the encoding: inside it, "?" would be a part of the key.
        where = f"{where}?versionId={source.version_id}"
    headers = {"x-amz-copy-source": where}
    if source.if_match:
        headers["x-amz-copy-source-if-match"] = source.if_match
    return headers


def _copy_bucket(bucket: str) -> str:
    """Return what precedes the key in a copy source."""
    if bucket.startswith("arn:") and is_access_point_arn(bucket):
        return f"{bucket}/object"
    return bucket


def property_headers(properties: ObjectProperties) -> dict[str, str]:
    """Return content headers, user metadata, tags and storage class.

    Raises:
        ValidationError: A header is none of S3's content headers, a tag is not UTF-8.
    """
    headers = {}
    for name, value in properties.headers.items():
        if name not in CONTENT_HEADERS:
            raise ValidationError("header", name, f"be one of {', '.join(CONTENT_HEADERS)}")
        headers[name] = value
    for name, value in properties.metadata.items():
        headers[f"{METADATA_PREFIX}{name.lower()}"] = value
    if properties.tags:
        headers["x-amz-tagging"] = _tags(properties.tags)
    if properties.storage_class:
        headers["x-amz-storage-class"] = properties.storage_class
    return headers


def _tags(tags: Mapping[str, str]) -> str:
    try:
        return urlencode(tags)
    except UnicodeEncodeError:
        raise ValidationError("tags", dict(tags), "be encodable as UTF-8") from None
