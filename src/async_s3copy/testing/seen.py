"""Seen: one request as the fault-injecting proxy saw it, named as S3's API names its calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, unquote

if TYPE_CHECKING:
    from async_s3copy.testing.faults import Fault

# The first name found in the query decides; "" is a call on the bucket or object itself.
_ON_A_BUCKET: Final[Mapping[str, Mapping[str, str]]] = {
    "GET": {
        "uploads": "ListMultipartUploads",
        "versions": "ListObjectVersions",
        "versioning": "GetBucketVersioning",
        "location": "GetBucketLocation",
        "object-lock": "GetObjectLockConfiguration",
        "policy": "GetBucketPolicy",
        "list-type": "ListObjectsV2",
        "": "ListObjects",
    },
    "HEAD": {"": "HeadBucket"},
    "PUT": {
        "versioning": "PutBucketVersioning",
        "object-lock": "PutObjectLockConfiguration",
        "policy": "PutBucketPolicy",
        "": "CreateBucket",
    },
    "POST": {"delete": "DeleteObjects"},
    "DELETE": {"": "DeleteBucket"},
}
_ON_AN_OBJECT: Final[Mapping[str, Mapping[str, str]]] = {
    "GET": {
        "uploadId": "ListParts",
        "tagging": "GetObjectTagging",
        "acl": "GetObjectAcl",
        "attributes": "GetObjectAttributes",
        "": "GetObject",
    },
    "HEAD": {"": "HeadObject"},
    "PUT": {
        "uploadId": "UploadPart",
        "tagging": "PutObjectTagging",
        "acl": "PutObjectAcl",
        "": "PutObject",
    },
    "POST": {"uploads": "CreateMultipartUpload", "uploadId": "CompleteMultipartUpload"},
    "DELETE": {
        "uploadId": "AbortMultipartUpload",
        "tagging": "DeleteObjectTagging",
        "": "DeleteObject",
    },
}
_COPIES: Final = {"PutObject": "CopyObject", "UploadPart": "UploadPartCopy"}
_COPY_SOURCE: Final = "x-amz-copy-source"
_UNKNOWN: Final = "Unknown"


@dataclass(slots=True, eq=False)
class Seen:
    """One request, and what was done to it.

    Attributes:
        operation: S3's name of the call, such as ``"UploadPartCopy"``; ``"Unknown"`` for one that
            the proxy has no name for.
        bucket: Bucket, from a path-style address; empty for ListBuckets.
        key: Key, decoded; empty for a call on the bucket.
        query: Query parameters, decoded.
        headers: Headers by lowercase name. Those of a signed request hold a signature, which is
            valid for some minutes: do not log them.
        attempt: How many times this very request had been seen before: the same call on the same
            key, query and range, whatever the upload id.
        fault: What was done to it; ``None`` where it was passed on as it was.
    """

    operation: str
    bucket: str
    key: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    attempt: int = 0
    fault: Fault | None = None

    def __repr__(self) -> str:
        where = f"/{self.bucket}/{self.key}"
        return f"<Seen {self.operation} {where} attempt {self.attempt}, fault {self.fault}>"

    @property
    def identity(self) -> str:
        """What makes it this very request; the same in every run of a test.

        An upload id is not part of it: the server makes a new one up each time. A page's token is,
        for it is what tells one page from another.
        """
        query = "&".join(
            f"{name}={value}" for name, value in sorted(self.query.items()) if name != "uploadId"
        )
        byte_range = self.headers.get("range", "")
        return "\n".join((self.operation, self.bucket, self.key, query, byte_range))


def seen_of(method: str, raw_path: str, headers: Mapping[str, str]) -> Seen:
    """Read a request line and headers.

    Args:
        method: HTTP method.
        raw_path: Path and query, as they were sent.
        headers: Headers by lowercase name.
    """
    path, _, text = raw_path.partition("?")
    bucket, _, key = unquote(path.removeprefix("/"), errors="surrogateescape").partition("/")
    query = dict(parse_qsl(text, keep_blank_values=True, errors="surrogateescape"))
    return Seen(_operation(method, bucket, key, query, headers), bucket, key, query, headers)


def _operation(
    method: str, bucket: str, key: str, query: Mapping[str, str], headers: Mapping[str, str]
) -> str:
    if not bucket:
        return "ListBuckets"
    calls = (_ON_AN_OBJECT if key else _ON_A_BUCKET).get(method, {})
    name = next((call for word, call in calls.items() if not word or word in query), _UNKNOWN)
    return _COPIES.get(name, name) if _COPY_SOURCE in headers else name
