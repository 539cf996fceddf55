"""What requests say in headers of the object that they copy. Pure."""

from __future__ import annotations

from async_s3copy.rules import is_access_point_arn
from async_s3copy.s3.values import CopySource
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
