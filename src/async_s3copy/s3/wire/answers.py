"""Responses, turned into the Protocol's values or into the library's errors. Pure.

A function per call, named like it. Each takes the response, the side that asked, the bucket and the
key, and raises ``S3Error`` by S3's code. A success without what a success brings is none: unless it
holds an ``<Error>``, which counts as its code, it raises ``InvalidResponseError``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from async_s3copy.errors import Side
from async_s3copy.model import unquoted
from async_s3copy.s3 import acl, heads
from async_s3copy.s3.uploads import OPERATION, Marker, UploadPage
from async_s3copy.s3.values import NO_CHECKSUMS, CompletedPart, ObjectHead, OpenUpload, Written
from async_s3copy.s3.wire.dates import http_date, iso_date
from async_s3copy.s3.wire.failures import ERROR_ROOTS, Call, s3_failure, unusable_success
from async_s3copy.s3.wire.http import Response
from async_s3copy.s3.wire.told import (
    WrittenChecksums,
    checksums_among,
    leaves_of,
    whole_checksums,
)
from async_s3copy.s3.wire.xml import Element, XmlError, parse, quick_etag

# The second is moto's.
_PARTS_ROOTS: Final = ("ListPartsResult", "ListPartsResponse")
# A listing without uploads still has some of these.
_UPLOADS_MEMBERS: Final = frozenset(
    ("Bucket", "IsTruncated", "KeyMarker", "MaxUploads", "Prefix", "Upload")
)


def head_object(response: Response, side: Side, bucket: str, key: str) -> ObjectHead:
    """Read the answer to HeadObject."""
    _refuse_failure(response, Call("HeadObject", side, bucket, key))
    return object_head(bucket, key, response.headers())


def object_head(bucket: str, key: str, headers: Mapping[str, str]) -> ObjectHead:
    """Read an object's head off the headers of a HEAD or a GET, by lowercase name."""
    told = heads.Told(
        content_length=heads.digits(headers.get("content-length", "")) or 0,
        last_modified=http_date(headers.get("last-modified", "")),
        etag=headers.get("etag", ""),
        storage_class=headers.get("x-amz-storage-class", ""),
        part_count=heads.digits(headers.get("x-amz-mp-parts-count", "")),
    )
    return heads.object_head(bucket, key, headers, told)


def get_object_tagging(response: Response, side: Side, bucket: str, key: str) -> dict[str, str]:
    """Read the answer to GetObjectTagging."""
    call = Call("GetObjectTagging", side, bucket, key)
    root = _document(response, call, "Tagging")
    try:
        tag_set = root.child("TagSet")
        return dict([] if tag_set is None else [_tag(tag) for tag in tag_set.children])
    except XmlError as error:
        raise unusable_success(response, call, f"the answer holds no tags: {error}") from None


def put_object_tagging(response: Response, side: Side, bucket: str, key: str) -> None:
    """Read the answer to PutObjectTagging."""
    _refuse_failure_within(response, Call("PutObjectTagging", side, bucket, key))


def get_object_acl(response: Response, side: Side, bucket: str, key: str) -> dict[str, str]:
    """Read the answer to GetObjectAcl; returns the grantees by permission."""
    call = Call("GetObjectAcl", side, bucket, key)
    root = _document(response, call, "AccessControlPolicy")
    try:
        listed = root.child("AccessControlList")
        return acl.grants([] if listed is None else [_grant(each) for each in listed.children])
    except XmlError as error:
        raise unusable_success(response, call, f"the answer holds no grants: {error}") from None


def get_bucket_versioning(response: Response, side: Side, bucket: str, *_: object) -> str:
    """Read the answer to GetBucketVersioning; returns the status, empty where there is none."""
    call = Call("GetBucketVersioning", side, bucket)
    # Other servers have the name that it had in the SOAP interface.
    root = _document(response, call, "VersioningConfiguration", "GetBucketVersioningResponse")
    try:
        return (root.text("Status") or "").strip()
    except XmlError as error:
        raise unusable_success(response, call, f"the answer holds no status: {error}") from None


def delete_object(response: Response, side: Side, bucket: str, key: str) -> str | None:
    """Read the answer to DeleteObject; returns the version of the delete marker."""
    _refuse_failure_within(response, Call("DeleteObject", side, bucket, key))
    return response.headers().get("x-amz-version-id") or None


def copy_object(response: Response, side: Side, bucket: str, key: str) -> Written:
    """Read the answer to CopyObject."""
    return _written_within(response, Call("CopyObject", side, bucket, key), "CopyObjectResult")


def create_multipart_upload(response: Response, side: Side, bucket: str, key: str) -> str:
    """Read the answer to CreateMultipartUpload; returns the upload id."""
    call = Call("CreateMultipartUpload", side, bucket, key)
    return _text_within(response, call, "InitiateMultipartUploadResult", "UploadId")


def copy_part(
    response: Response, side: Side, bucket: str, key: str, part_number: int
) -> CompletedPart:
    """Read the answer to UploadPartCopy."""
    call = Call("UploadPartCopy", side, bucket, key)
    root = _document(response, call, "CopyPartResult")
    etag = _told_etag(response, call, _text_of(root, response, call, "ETag"))
    return CompletedPart(part_number, etag, checksums_among(leaves_of(root)))


def upload_part(
    response: Response, side: Side, bucket: str, key: str, part_number: int
) -> CompletedPart:
    """Read the answer to UploadPart."""
    call = Call("UploadPart", side, bucket, key)
    etag = _etag_header(response, call)
    return CompletedPart(part_number, etag, heads.checksums_in(response.headers()))


def complete_multipart_upload(response: Response, side: Side, bucket: str, key: str) -> Written:
    """Read the answer to CompleteMultipartUpload."""
    call = Call("CompleteMultipartUpload", side, bucket, key)
    return _written_within(response, call, "CompleteMultipartUploadResult")


def abort_multipart_upload(response: Response, side: Side, bucket: str, key: str) -> None:
    """Read the answer to AbortMultipartUpload."""
    _refuse_failure_within(response, Call("AbortMultipartUpload", side, bucket, key))


def count_parts(response: Response, side: Side, bucket: str, key: str) -> int:
    """Read the answer to ListParts; returns how many parts its page holds."""
    root = _document(response, Call("ListParts", side, bucket, key), *_PARTS_ROOTS)
    return sum(child.name == "Part" for child in root.children)


def upload_page(response: Response, side: Side, bucket: str) -> UploadPage:
    """Read the answer to ListMultipartUploads."""
    call = Call(OPERATION, side, bucket)
    root = _document(response, call, "ListMultipartUploadsResult")
    try:
        return _upload_page(root)
    except XmlError as error:
        problem = f"the answer holds no listing of uploads: {error}"
        raise unusable_success(response, call, problem) from None


def put_object(response: Response, side: Side, bucket: str, key: str) -> Written:
    """Read the answer to PutObject."""
    etag = _etag_header(response, Call("PutObject", side, bucket, key))
    headers = response.headers()
    kind = headers.get("x-amz-checksum-type", "")
    checksums = heads.full_object(heads.checksums_in(headers), kind)
    return heads.written(etag, response.raw_headers, checksums)


def _document(response: Response, call: Call, *names: str) -> Element:
    """Return the root of a success, which must have one of the names."""
    _refuse_failure(response, call)
    try:
        root = parse(response.body)
    except XmlError as error:
        problem = f"the answer holds no {names[0]}: {error}"
        raise unusable_success(response, call, problem) from None
    if root.name not in names:
        problem = f"the answer holds no {names[0]} but a {root.name}"
        raise unusable_success(response, call, problem)
    return root


def _text_within(response: Response, call: Call, name: str, field: str) -> str:
    """Return a text that a success must hold."""
    return _text_of(_document(response, call, name), response, call, field)


def _text_of(root: Element, response: Response, call: Call, field: str) -> str:
    try:
        text = root.text(field)
    except XmlError:
        text = None
    if not text:
        raise unusable_success(response, call, f"the answer holds no {field}")
    return text


def _written_within(response: Response, call: Call, name: str) -> Written:
    body = response.body
    # Every copied object passes here; few lines, because each one counts.
    if response.status == 200 and (etag := quick_etag(body, name)):
        checksums = WrittenChecksums(body) if b"<Checksum" in body else NO_CHECKSUMS
        return heads.written(etag, response.raw_headers, checksums)
    root = _document(response, call, name)
    etag = _told_etag(response, call, _text_of(root, response, call, "ETag"))
    return heads.written(etag, response.raw_headers, whole_checksums(leaves_of(root)))


def _etag_header(response: Response, call: Call) -> str:
    _refuse_failure_within(response, call)
    return _told_etag(response, call, response.headers().get("etag", ""))


def _told_etag(response: Response, call: Call, text: str) -> str:
    etag = unquoted(text)
    if not etag.strip():
        raise unusable_success(response, call, "the answer holds no ETag")
    return etag


def _refuse_failure(response: Response, call: Call) -> None:
    if response.status >= 300:
        raise s3_failure(response, call)


def _refuse_failure_within(response: Response, call: Call) -> None:
    """Refuse failures, and the ``<Error>`` in a success whose body is of no other interest."""
    _refuse_failure(response, call)
    if not response.body.strip():
        return
    try:
        root = parse(response.body)
    except XmlError as error:
        problem = f"the answer holds neither nothing nor XML: {error}"
        raise unusable_success(response, call, problem) from None
    if root.name in ERROR_ROOTS:
        raise unusable_success(response, call, f"the answer holds an {root.name}")


def _upload_page(root: Element) -> UploadPage:
    uploads = [_upload(child) for child in root.children if child.name == "Upload"]
    if _UPLOADS_MEMBERS.isdisjoint(child.name for child in root.children):
        raise XmlError("it holds nothing that a listing of uploads does")
    marker = Marker(root.text("NextKeyMarker") or None, root.text("NextUploadIdMarker") or None)
    is_truncated = (root.text("IsTruncated") or "").strip().lower() == "true"
    return UploadPage(
        uploads=uploads,
        encoding=root.text("EncodingType") or "",
        prefix=root.text("Prefix") or "",
        next_marker=marker if is_truncated else None,
    )


def _upload(upload: Element) -> OpenUpload:
    key, upload_id = upload.text("Key"), upload.text("UploadId")
    if not key or not upload_id:
        raise XmlError("an upload without a <Key> or an <UploadId>")
    return OpenUpload(key, upload_id, iso_date(upload.text("Initiated") or ""))


def _grant(grant: Element) -> tuple[str, str, str]:
    permission, grantee = grant.text("Permission"), grant.child("Grantee")
    if not permission or grantee is None:
        raise XmlError(f"a <{grant.name}> without a <Permission> or a <Grantee>")
    for kind in acl.GRANTEES:
        if name := grantee.text(kind):
            return permission, kind, name
    raise XmlError("a <Grantee> without a name")


def _tag(tag: Element) -> tuple[str, str]:
    name = tag.text("Key")
    if tag.name != "Tag" or name is None:
        raise XmlError(f"a <{tag.name}> without a <Key>")
    return name, tag.text("Value") or ""
