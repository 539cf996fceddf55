"""Which of S3's operations a request asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from benchmarks.simulator.messages import Request

Kind = Literal["object", "list", "part"]

_LISTS: Final = frozenset({"ListObjectsV2", "ListObjects", "ListMultipartUploads", "ListParts"})
_PARTS: Final = frozenset({"UploadPart", "UploadPartCopy"})

# The first subresource that is in the query decides.
_OBJECT: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "GET": (
        ("uploadId", "ListParts"),
        ("tagging", "GetObjectTagging"),
        ("acl", "GetObjectAcl"),
        ("", "GetObject"),
    ),
    "HEAD": (("", "HeadObject"),),
    "PUT": (
        ("tagging", "PutObjectTagging"),
        ("acl", "PutObjectAcl"),
        ("uploadId", "UploadPart"),
        ("", "PutObject"),
    ),
    "POST": (("uploads", "CreateMultipartUpload"), ("uploadId", "CompleteMultipartUpload")),
    "DELETE": (("uploadId", "AbortMultipartUpload"), ("", "DeleteObject")),
}
_COPIES: Final = {"PutObject": "CopyObject", "UploadPart": "UploadPartCopy"}
_BUCKET: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "GET": (
        ("location", "GetBucketLocation"),
        ("versioning", "GetBucketVersioning"),
        ("uploads", "ListMultipartUploads"),
        ("acl", "GetBucketAcl"),
        ("accelerate", "GetBucketAccelerateConfiguration"),
        ("encryption", "GetBucketEncryption"),
        ("object-lock", "GetObjectLockConfiguration"),
        ("lifecycle", "GetBucketLifecycleConfiguration"),
        ("policy", "GetBucketPolicy"),
        ("tagging", "GetBucketTagging"),
        ("list-type", "ListObjectsV2"),
        ("", "ListObjects"),
    ),
    "HEAD": (("", "HeadBucket"),),
    "PUT": (("", "CreateBucket"),),
    "DELETE": (("", "DeleteBucket"),),
}


def operation(request: Request) -> str:
    """Return S3's name of what is asked for; ``Unknown`` if it is nothing."""
    if not request.bucket:
        return "ListBuckets"
    verb = request.method.decode("latin-1")
    names = (_OBJECT if request.raw_key else _BUCKET).get(verb, ())
    name = _first(request, names)
    if name in _COPIES and request.header(b"x-amz-copy-source") is not None:
        return _COPIES[name]
    return name


def kind(name: str) -> Kind:
    """Return whose latency and rate an operation has."""
    if name in _LISTS:
        return "list"
    return "part" if name in _PARTS else "object"


def _first(request: Request, names: tuple[tuple[str, str], ...]) -> str:
    if not request.raw_query:
        return names[-1][1] if names and not names[-1][0] else "Unknown"
    for parameter, name in names:
        if not parameter or parameter in request.query:
            return name
    return "Unknown"
