"""Each call of the Protocol, with an answer to it, and two ways to read that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from async_s3copy.errors import S3Error
from async_s3copy.s3.values import ByteRange, CopySource, ObjectProperties
from async_s3copy.s3.wire import answers, pages
from async_s3copy.s3.wire.http import Response
from tests.wire_oracle import BUCKET, Call, Oracle
from tests.wire_samples import ACL, COPY_RESULTS, LISTINGS, VERSIONS

KEY: Final = "a/key"
UPLOAD: Final = "upload-id"
MD5: Final = "0123456789abcdef0123456789abcdef"
SOURCE: Final = CopySource(bucket="source", key="key")


@dataclass(frozen=True, slots=True)
class Reading:
    """One call of the Protocol: how botocore is asked, how the wire reads the answer.

    Attributes:
        boto: The call, made by the reference client.
        wire: The answer, read by the wire.
        document: An answer that succeeds; empty where the body does not count.
        root: Name of the document that a success is; empty where the body does not count.
        takes_etag: Whether the ETag counts that the headers hold.
    """

    boto: Call
    wire: Callable[[Response], Any]
    document: str = ""
    root: str = ""
    takes_etag: bool = False


READINGS: Final = {
    "ListObjectsV2": Reading(
        lambda c: c.list_page(BUCKET, ""),
        lambda r: pages.list_page(r, "source", BUCKET),
        LISTINGS["AWS"],
        "ListBucketResult",
    ),
    "HeadObject": Reading(
        lambda c: c.head_object(BUCKET, KEY),
        lambda r: answers.head_object(r, "source", BUCKET, KEY),
    ),
    "GetObjectTagging": Reading(
        lambda c: c.get_object_tagging(BUCKET, KEY),
        lambda r: answers.get_object_tagging(r, "source", BUCKET, KEY),
        "<Tagging><TagSet><Tag><Key>a</Key><Value>&lt;b</Value></Tag>"
        "<Tag><Key>c</Key><Value/></Tag><Tag><Key>d</Key></Tag></TagSet></Tagging>",
        "Tagging",
    ),
    "PutObjectTagging": Reading(
        lambda c: c.put_object_tagging(BUCKET, KEY, {"a": "b"}),
        lambda r: answers.put_object_tagging(r, "source", BUCKET, KEY),
    ),
    "CopyObject": Reading(
        lambda c: c.copy_object(BUCKET, KEY, SOURCE),
        lambda r: answers.copy_object(r, "source", BUCKET, KEY),
        COPY_RESULTS["AWS"],
        "CopyObjectResult",
    ),
    "CreateMultipartUpload": Reading(
        lambda c: c.create_multipart_upload(BUCKET, KEY, ObjectProperties()),
        lambda r: answers.create_multipart_upload(r, "source", BUCKET, KEY),
        "<InitiateMultipartUploadResult><Bucket>b</Bucket><Key>k</Key><UploadId>x~/1</UploadId>"
        "</InitiateMultipartUploadResult>",
        "InitiateMultipartUploadResult",
    ),
    "UploadPartCopy": Reading(
        lambda c: c.copy_part(BUCKET, KEY, UPLOAD, 7, source=SOURCE, byte_range=ByteRange(0, 1)),
        lambda r: answers.copy_part(r, "source", BUCKET, KEY, 7),
        COPY_RESULTS["AWS"].replace("CopyObjectResult", "CopyPartResult"),
        "CopyPartResult",
    ),
    "UploadPart": Reading(
        lambda c: c.upload_part(BUCKET, KEY, UPLOAD, 7, b"", md5=b"x" * 16),
        lambda r: answers.upload_part(r, "source", BUCKET, KEY, 7),
        takes_etag=True,
    ),
    "CompleteMultipartUpload": Reading(
        lambda c: c.complete_multipart_upload(BUCKET, KEY, UPLOAD, []),
        lambda r: answers.complete_multipart_upload(r, "source", BUCKET, KEY),
        "<CompleteMultipartUploadResult><Location>http://h/b/k</Location><Bucket>b</Bucket>"
        f"<Key>k</Key><ETag>&quot;{MD5}-2&quot;</ETag></CompleteMultipartUploadResult>",
        "CompleteMultipartUploadResult",
    ),
    "AbortMultipartUpload": Reading(
        lambda c: c.abort_multipart_upload(BUCKET, KEY, UPLOAD),
        lambda r: answers.abort_multipart_upload(r, "source", BUCKET, KEY),
    ),
    "ListParts": Reading(
        lambda c: c.count_parts(BUCKET, KEY, UPLOAD),
        lambda r: answers.count_parts(r, "source", BUCKET, KEY),
        "<ListPartsResult><Part><PartNumber>1</PartNumber></Part><Bucket>b</Bucket>"
        "<Part><PartNumber>2</PartNumber></Part></ListPartsResult>",
        "ListPartsResult",
    ),
    "ListMultipartUploads": Reading(
        lambda c: c.list_uploads(BUCKET, KEY),
        lambda r: answers.upload_page(r, "source", BUCKET).of(KEY),
        "<ListMultipartUploadsResult><EncodingType>url</EncodingType><Prefix>a/key</Prefix>"
        "<Upload><Key>a/key</Key><UploadId>x~/1</UploadId>"
        "<Initiated>2024-01-02T03:04:05.678Z</Initiated><Owner><ID>o</ID></Owner></Upload>"
        "<Upload><Key>a/key</Key><UploadId>x2</UploadId></Upload>"
        "<Upload><Key>a/key%20</Key><UploadId>x3</UploadId></Upload>"
        "<IsTruncated>false</IsTruncated></ListMultipartUploadsResult>",
        "ListMultipartUploadsResult",
    ),
    "ListObjectVersions": Reading(
        lambda c: c.list_versions(BUCKET, ""),
        lambda r: pages.version_page(r, "source", BUCKET, ""),
        VERSIONS["AWS"],
        "ListVersionsResult",
    ),
    "GetBucketVersioning": Reading(
        lambda c: c.get_bucket_versioning(BUCKET),
        lambda r: answers.get_bucket_versioning(r, "source", BUCKET),
        "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>",
        "VersioningConfiguration",
    ),
    "GetObjectAcl": Reading(
        lambda c: c.get_object_acl(BUCKET, KEY),
        lambda r: answers.get_object_acl(r, "source", BUCKET, KEY),
        ACL,
        "AccessControlPolicy",
    ),
    "DeleteObject": Reading(
        lambda c: c.delete_object(BUCKET, KEY),
        lambda r: answers.delete_object(r, "source", BUCKET, KEY),
    ),
    "PutObject": Reading(
        lambda c: c.put_object(BUCKET, KEY, b"", ObjectProperties(), md5=b"x" * 16),
        lambda r: answers.put_object(r, "source", BUCKET, KEY),
        takes_etag=True,
    ),
}


def error(code: str, message: str = "as scripted") -> str:
    """Return S3's <Error>."""
    return f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"


def response(status: int, body: str | bytes = "", headers: Mapping[str, str] = {}) -> Response:
    """Return a response as the wire receives it."""
    raw = [
        (name.encode(), value.encode("utf-8", "surrogateescape")) for name, value in headers.items()
    ]
    return Response(status, raw, body if isinstance(body, bytes) else body.encode())


def outcome(reading: Reading, given_: Response) -> Any:
    """Return the value that an answer is read as, or the S3Error."""
    try:
        return reading.wire(given_)
    except S3Error as raised:
        return raised


def facts(result: Any) -> Any:
    """Return what two outcomes are compared by."""
    if not isinstance(result, S3Error):
        return result
    names = ("message", "code", "status", "operation", "side", "bucket", "key", "retry_after_s")
    return type(result), [getattr(result, name) for name in names]


def agree(oracle: Oracle, reading: Reading, given_: Response) -> Any:
    """Read an answer both ways, to the same outcome; returns it."""
    ours = outcome(reading, given_)
    judged = oracle.answer(reading.boto, given_.status, given_.headers(), given_.body)
    assert facts(ours) == facts(judged)
    return ours
