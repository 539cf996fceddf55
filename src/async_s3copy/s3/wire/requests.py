"""RequestBuilder: each call of the Protocol as one signed request, ready to be written. Pure."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from async_s3copy.s3.client import ByteRange, CompletedPart, CopySource, ObjectProperties
from async_s3copy.s3.uploads import PAGE_UPLOADS, Marker
from async_s3copy.s3.wire import documents
from async_s3copy.s3.wire.head import HeadTemplate, Shape
from async_s3copy.s3.wire.headers import copy_source, property_headers
from async_s3copy.s3.wire.http import Request
from async_s3copy.s3.wire.route import Route
from async_s3copy.s3.wire.sigv4 import (
    EMPTY_PAYLOAD,
    UNSIGNED_PAYLOAD,
    Keys,
    Moment,
    Signer,
    canonical_query,
    quoted_path,
)

# A run sends a handful of shapes; those with user metadata or a hashed body do not come again.
_TEMPLATES_KEPT: Final = 64
_WITHOUT_BODY: Final = ("GET", "HEAD")
_NONE: Final[Mapping[str, str]] = {}


class RequestBuilder:
    """Build the requests about one bucket.

    Args:
        route: How the bucket is addressed and signed.
        keys: What to sign with; replace ``keys`` when they have been refreshed.
        clock: Seconds since the epoch; a test's clock.

    Every method raises ``ValidationError`` for what no request can carry: a key that is not UTF-8,
    a value with a line end in it.
    """

    def __init__(self, route: Route, keys: Keys, *, clock: Callable[[], float] = time.time) -> None:
        self.keys = keys
        self._route = route
        self._signer = Signer(route.region, route.service, clock=clock)
        self._moment: Moment | None = None
        self._templates: dict[Shape, HeadTemplate] = {}

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
        return self._request("GET", None, query)

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
    ) -> Request:
        """GetObject."""
        headers = {}
        if if_match:
            headers["if-match"] = if_match
        if byte_range is not None:
            headers["range"] = str(byte_range)
        return self._request("GET", key, _given({"versionId": version_id}), headers)

    def get_object_tagging(self, key: str, *, version_id: str | None = None) -> Request:
        """GetObjectTagging."""
        return self._request("GET", key, _given({"versionId": version_id}, {"tagging": ""}))

    def put_object_tagging(self, key: str, tags: Mapping[str, str]) -> Request:
        """PutObjectTagging; S3 wants a checksum with it."""
        body = documents.tagging(tags)
        md5 = hashlib.md5(body, usedforsecurity=False).digest()
        return self._request(
            "PUT",
            key,
            {"tagging": ""},
            {"content-md5": _base64(md5)},
            body=body,
            payload=_hashed(body),
        )

    def copy_object(
        self,
        key: str,
        source: CopySource,
        *,
        storage_class: str = "",
        if_none_match: bool = False,
    ) -> Request:
        """CopyObject."""
        headers = copy_source(source)
        if storage_class:
            headers["x-amz-storage-class"] = storage_class
        if if_none_match:
            headers["if-none-match"] = "*"
        return self._request("PUT", key, _NONE, headers, replayable=not if_none_match)

    def create_multipart_upload(self, key: str, properties: ObjectProperties) -> Request:
        """CreateMultipartUpload; sent twice, it would leave an upload that no one knows of."""
        headers = property_headers(properties)
        return self._request("POST", key, {"uploads": ""}, headers, replayable=False)

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
        return self._request("PUT", key, _part(upload_id, part_number), headers)

    def upload_part(
        self,
        key: str,
        upload_id: str,
        part_number: int,
        body: bytes,
        *,
        md5: bytes,
        sha256: str | None = None,
    ) -> Request:
        """UploadPart.

        Args:
            key: Key.
            upload_id: The upload.
            part_number: From 1.
            body: The part.
            md5: Raw digest of the body.
            sha256: Hash of the body in hexadecimal, where ``signs_payload``; ``None`` to have it
                computed here, a millisecond or so per MiB.
        """
        return self._request(
            "PUT",
            key,
            _part(upload_id, part_number),
            {"content-md5": _base64(md5)},
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
        return self._request("DELETE", key, {"uploadId": upload_id})

    def count_parts(self, key: str, upload_id: str) -> Request:
        """ListParts, first page."""
        return self._request("GET", key, {"uploadId": upload_id})

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
        return self._request("GET", None, query)

    def put_object(
        self,
        key: str,
        body: bytes,
        properties: ObjectProperties,
        *,
        md5: bytes,
        if_none_match: bool = False,
        sha256: str | None = None,
    ) -> Request:
        """PutObject; ``md5`` and ``sha256`` as for ``upload_part``."""
        headers = property_headers(properties)
        headers["content-md5"] = _base64(md5)
        if if_none_match:
            headers["if-none-match"] = "*"
        return self._request(
            "PUT",
            key,
            _NONE,
            headers,
            body=body,
            payload=self._payload(body, sha256),
            replayable=not if_none_match,
        )

    def _request(
        self,
        method: str,
        key: str | None,
        query: Mapping[str, str] = _NONE,
        headers: Mapping[str, str] = _NONE,
        *,
        body: bytes = b"",
        payload: str = EMPTY_PAYLOAD,
        replayable: bool = True,
    ) -> Request:
        names = tuple(sorted(headers))
        template = self._template(Shape(method, payload, names))
        prefix = self._route.path_prefix
        head = template.filled(
            f"{prefix}/{quoted_path(key)}" if key is not None else prefix or "/",
            canonical_query(query) if query else "",
            [headers[name] for name in names],
            None if method in _WITHOUT_BODY else len(body),
        )
        return Request(method, head, body, replayable)

    def _payload(self, body: bytes, sha256: str | None) -> str:
        """Return what stands for an object's bytes in the signature."""
        if not self._route.signs_payload:
            return UNSIGNED_PAYLOAD
        return sha256 or hashlib.sha256(body).hexdigest()

    def _template(self, shape: Shape) -> HeadTemplate:
        moment = self._signer.moment(self.keys)
        if moment is not self._moment:
            self._moment = moment
            self._templates.clear()
        template = self._templates.get(shape)
        if template is None:
            template = HeadTemplate(self._route, moment, shape)
            if len(self._templates) >= _TEMPLATES_KEPT:
                self._templates.clear()
            self._templates[shape] = template
        return template


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
