"""TermHeaders: what the terms of a bucket add to the headers of a request. Pure."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Final

from async_s3copy.errors import Side, ValidationError
from async_s3copy.s3.account import Secret
from async_s3copy.s3.endpoint import Endpoint
from async_s3copy.s3.terms import ANY_TERMS, BucketTerms, Terms
from async_s3copy.s3.values import Written

_SSE_C: Final = "x-amz-server-side-encryption-customer"
_COPY_SOURCE_SSE_C: Final = "x-amz-copy-source-server-side-encryption-customer"
# The calls about an object's bytes; the last two need the key where parts have checksums.
_WITH_CUSTOMER_KEY: Final = frozenset(
    (
        "HeadObject",
        "GetObject",
        "PutObject",
        "CopyObject",
        "CreateMultipartUpload",
        "UploadPart",
        "UploadPartCopy",
        "CompleteMultipartUpload",
        "ListParts",
    )
)
# The one call of ours whose payer cannot be told.
_WITHOUT_PAYER: Final = "GetBucketVersioning"


class TermHeaders:
    """Give the headers that the terms add to a request; each set of them is made once.

    Args:
        terms: The terms.
        side: Whose client asks.
        endpoint: Where its requests go.
    """

    def __init__(self, terms: Terms, side: Side, endpoint: Endpoint) -> None:
        self._terms = terms
        self._side: Side = side
        self._endpoint = endpoint
        self._made: dict[tuple[str, str, str], Mapping[str, str]] = {}

    def __bool__(self) -> bool:
        return bool(self._terms)

    def of(self, operation: str, bucket: str, source_bucket: str = "") -> Mapping[str, str]:
        """Return the headers, by lowercase name.

        Args:
            operation: API call.
            bucket: Bucket it is sent to.
            source_bucket: Bucket it copies from; empty where it copies nothing.

        Raises:
            ValidationError: The bucket has a customer key, and the connection is not encrypted.
        """
        wanted = (operation, bucket, source_bucket)
        headers = self._made.get(wanted)
        if headers is None:
            addressed = self._terms.addressed(self._side, bucket)
            copied = self._terms.copied(source_bucket) if source_bucket else None
            self._check_transport(addressed, copied)
            headers = self._made[wanted] = term_headers(operation, addressed, copied)
        return headers

    def told(self, bucket: str, written: Written) -> Written:
        """Return what S3 said of an object, with what the terms know of it.

        The answer to CompleteMultipartUpload does not say that a customer key was at work, which
        makes the ETag opaque.
        """
        if self._terms.addressed(self._side, bucket).customer_key is None:
            return written
        return written._replace(etag_is_md5=False)

    def _check_transport(self, *terms: BucketTerms | None) -> None:
        # Whatever the call: the first one about a bucket is a listing, which needs no key.
        has_key = any(each is not None and each.customer_key is not None for each in terms)
        if has_key and not self._endpoint.is_private:
            rule = f"go over https:// only, and {self._endpoint.url} is not"
            raise ValidationError("customer_key", "...", rule)


def term_headers(
    operation: str, addressed: BucketTerms, copied: BucketTerms | None = None
) -> dict[str, str]:
    """Return the headers that terms add to a request, by lowercase name.

    Args:
        operation: API call.
        addressed: Terms of the bucket it is sent to.
        copied: Terms of the bucket it copies from; ``None`` where it copies nothing.
    """
    copied = copied or ANY_TERMS
    headers = {
        "x-amz-expected-bucket-owner": addressed.expected_owner,
        "x-amz-source-expected-bucket-owner": copied.expected_owner,
    }
    headers = {name: value for name, value in headers.items() if value}
    if (addressed.requester_pays or copied.requester_pays) and operation != _WITHOUT_PAYER:
        headers["x-amz-request-payer"] = "requester"
    if operation in _WITH_CUSTOMER_KEY:
        headers |= _key_headers(_SSE_C, addressed.customer_key)
    return headers | _key_headers(_COPY_SOURCE_SSE_C, copied.customer_key)


def _key_headers(prefix: str, key: Secret | None) -> dict[str, str]:
    if key is None:
        return {}
    text = key.reveal()
    digest = hashlib.md5(base64.b64decode(text), usedforsecurity=False).digest()
    return {
        f"{prefix}-algorithm": "AES256",
        f"{prefix}-key": text,
        f"{prefix}-key-md5": base64.b64encode(digest).decode("ascii"),
    }
