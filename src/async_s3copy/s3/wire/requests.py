"""RequestBuilder: each call of the Protocol as one signed request, ready to be written. Pure."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from typing import Final

from async_s3copy.s3.property_headers import (
    checksum_headers,
    copy_headers,
    create_headers,
    put_headers,
)
from async_s3copy.s3.uploads import OPERATION, PAGE_UPLOADS, Marker
from async_s3copy.s3.values import (
    AS_IT_IS,
    NO_CHECKSUMS,
    ByteRange,
    CompletedPart,
    CopySource,
    ObjectProperties,
)
from async_s3copy.s3.wire import documents
from async_s3copy.s3.wire.headers import copy_source
from async_s3copy.s3.wire.http import Request
from async_s3copy.s3.wire.signed import SignedRequests

_NONE: Final[Mapping[str, str]] = {}


class RequestBuilder(SignedRequests):
    """Build the requests about one bucket.

    Every method raises ``ValidationError`` for what no request can carry: a key that is not UTF-8,
    a value with a line end in it.
    """

    def list_page(
        self,
        prefix: str,
        *,
        token: str | None = None,
        start_after: str | None = None,
        max_keys: int = 1_000,
    ) -> Request:
        """ListObjectsV2, with keys encoded: not every key can be spelled in XML."""
        query = _given(
            {"continuation-token": token, "start-after": start_after},
            {
                "encoding-type": "url",
                "list-type": "2",
                "max-keys": str(max_keys),
                "prefix": prefix,
            },
        )
        return self._request("ListObjectsV2", "GET", None, query)

    def list_versions(
        self,
        prefix: str,
        *,
        key_marker: str | None = None,
        version_marker: str | None = None,
        max_keys: int = 1_000,
    ) -> Request:
        """ListObjectVersions, one page, with keys encoded as in ``list_page``."""
        query = _given(
            {"key-marker": key_marker, "version-id-marker": version_marker},
            {
                "encoding-type": "url",
                "max-keys": str(max_keys),
                "prefix": prefix,
                "versions": "",
            },
        )
        return self._request("ListObjectVersions", "GET", None, query)

    def get_bucket_versioning(self) -> Request:
        """GetBucketVersioning."""
        return self._request("GetBucketVersioning", "GET", None, {"versioning": ""})

    def head_object(
        self,
        key: str,
        *,
        version_id: str | None = None,
        part_number: int | None = None,
        checksums: bool = False,
    ) -> Request:
        """HeadObject."""
        part = None if part_number is None else str(part_number)
        return self._request(
            "HeadObject",
            "HEAD",
            key,
            _given({"versionId": version_id, "partNumber": part}),
            {"x-amz-checksum-mode": "ENABLED"} if checksums else {},
        )

    def get_object(
        self,
        key: str,
        *,
        version_id: str | None = None,
        if_match: str = "",
        byte_range: ByteRange | None = None,
        checksums: bool = False,
    ) -> Request:
        """GetObject."""
        headers = {"x-amz-checksum-mode": "ENABLED"} if checksums else {}
        if if_match:
            headers["if-match"] = if_match
        if byte_range is not None:
            headers["range"] = str(byte_range)
        return self._request("GetObject", "GET", key, _given({"versionId": version_id}), headers)

    def get_object_tagging(self, key: str, *, version_id: str | None = None) -> Request:
        """GetObjectTagging."""
        query = _given({"versionId": version_id}, {"tagging": ""})
        return self._request("GetObjectTagging", "GET", key, query)

    def get_object_acl(self, key: str, *, version_id: str | None = None) -> Request:
        """GetObjectAcl."""
        query = _given({"versionId": version_id}, {"acl": ""})
        return self._request("GetObjectAcl", "GET", key, query)

    def put_object_tagging(
        self, key: str, tags: Mapping[str, str], *, version_id: str | None = None
    ) -> Request:
        """PutObjectTagging; S3 wants a checksum with it."""
        body = documents.tagging(tags)
        md5 = hashlib.md5(body, usedforsecurity=False).digest()
        return self._request(
            "PutObjectTagging",
            "PUT",
            key,
            _given({"versionId": version_id}, {"tagging": ""}),
            {"content-md5": _base64(md5)},
            body=body,
            payload=_hashed(body),
        )

    def copy_object(
        self,
        key: str,
        source: CopySource,
        properties: ObjectProperties = AS_IT_IS,
        *,
        replaces_metadata: bool = False,
        replaces_tags: bool = False,
        if_none_match: bool = False,
    ) -> Request:
        """CopyObject."""
        headers = copy_source(source)
        headers.update(
            copy_headers(
                properties, replaces_metadata=replaces_metadata, replaces_tags=replaces_tags
            )
        )
        if if_none_match:
            headers["if-none-match"] = "*"
        return self._request(
            "CopyObject",
            "PUT",
            key,
            _NONE,
            headers,
            source=source.bucket,
            replayable=not if_none_match,
        )

    def delete_object(self, key: str) -> Request:
        """DeleteObject; sent twice, it would write two delete markers."""
        return self._request("DeleteObject", "DELETE", key, replayable=False)

    def create_multipart_upload(self, key: str, properties: ObjectProperties) -> Request:
        """CreateMultipartUpload; sent twice, it would leave an upload that no one knows of."""
        headers = create_headers(properties)
        return self._request(
            "CreateMultipartUpload", "POST", key, {"uploads": ""}, headers, replayable=False
        )

    def copy_part(
        self,
        key: str,
        upload_id: str,
        part_number: int,
        *,
        source: CopySource,
        byte_range: ByteRange,
    ) -> Request:
        """UploadPartCopy."""
        headers = copy_source(source)
        headers["x-amz-copy-source-range"] = str(byte_range)
        query = _part(upload_id, part_number)
        return self._request("UploadPartCopy", "PUT", key, query, headers, source=source.bucket)

    def upload_part(
        self,
        key: str,
        upload_id: str,
        part_number: int,
        body: bytes,
        *,
        md5: bytes,
        checksums: Mapping[str, str] = NO_CHECKSUMS,
        sha256: str | None = None,
    ) -> Request:
        """UploadPart.

        Args:
            key: Key.
            upload_id: The upload.
            part_number: From 1.
            body: The part.
            md5: Raw digest of the body.
            checksums: Further checksums of the body, base64 by algorithm in lower case.
            sha256: Hash of the body in hexadecimal, where ``signs_payload``; ``None`` to have it
                computed here, a millisecond or so per MiB.
        """
        headers = checksum_headers(checksums)
        headers["content-md5"] = _base64(md5)
        return self._request(
            "UploadPart",
            "PUT",
            key,
            _part(upload_id, part_number),
            headers,
            body=body,
            payload=self._payload(body, sha256),
        )

    def complete_multipart_upload(
        self,
        key: str,
        upload_id: str,
        parts: Sequence[CompletedPart],
        *,
        if_none_match: bool = False,
    ) -> Request:
        """CompleteMultipartUpload; a second one would be told that there is no such upload."""
        headers = {"if-none-match": "*"} if if_none_match else {}
        body = documents.completion(parts)
        return self._request(
            "CompleteMultipartUpload",
            "POST",
            key,
            {"uploadId": upload_id},
            headers,
            body=body,
            payload=_hashed(body),
            replayable=False,
        )

    def abort_multipart_upload(self, key: str, upload_id: str) -> Request:
        """AbortMultipartUpload."""
        return self._request("AbortMultipartUpload", "DELETE", key, {"uploadId": upload_id})

    def count_parts(self, key: str, upload_id: str) -> Request:
        """ListParts, first page."""
        return self._request("ListParts", "GET", key, {"uploadId": upload_id})

    def list_uploads(self, key: str, marker: Marker) -> Request:
        """ListMultipartUploads, one page of a key's; keys are encoded as in ``list_page``."""
        query = _given(
            {"key-marker": marker.key, "upload-id-marker": marker.upload_id},
            {
                "encoding-type": "url",
                "max-uploads": str(PAGE_UPLOADS),
                "prefix": key,
                "uploads": "",
            },
        )
        return self._request(OPERATION, "GET", None, query)

    def put_object(
        self,
        key: str,
        body: bytes,
        properties: ObjectProperties,
        *,
        md5: bytes,
        checksums: Mapping[str, str] = NO_CHECKSUMS,
        if_none_match: bool = False,
        sha256: str | None = None,
    ) -> Request:
        """PutObject; ``md5``, ``checksums`` and ``sha256`` as for ``upload_part``."""
        headers = put_headers(properties, checksums)
        headers["content-md5"] = _base64(md5)
        if if_none_match:
            headers["if-none-match"] = "*"
        return self._request(
            "PutObject",
            "PUT",
            key,
            _NONE,
            headers,
            body=body,
            payload=self._payload(body, sha256),
            replayable=not if_none_match,
        )


def _given(
    parameters: Mapping[str, str | None], always: Mapping[str, str] = _NONE
) -> dict[str, str]:
    """Leave out the parameters that are ``None``."""
    given = {name: value for name, value in parameters.items() if value is not None}
    return {**always, **given}


def _part(upload_id: str, part_number: int) -> dict[str, str]:
    return {"partNumber": str(part_number), "uploadId": upload_id}


def _hashed(document: bytes) -> str:
    """Hash a document: it is small, and no checksum of S3's covers all of them."""
    return hashlib.sha256(document).hexdigest()


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode("ascii")
