"""What the raw response headers of an object say; shared by every transport. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from async_s3copy.model import S3Object
from async_s3copy.s3.client import ObjectHead, ObjectProperties

# Servers known to send x-amz-tagging-count wherever an object has tags the caller may read; for
# any other, "no count" does not mean "no tags" until one answer has carried the header.
SERVERS_WITH_TAG_COUNT: Final = ("AmazonS3", "SeaweedFS", "MinIO")

CONTENT_HEADERS: Final = (
    "content-type",
    "content-encoding",
    "content-language",
    "content-disposition",
    "cache-control",
    "expires",
)
METADATA_PREFIX: Final = "x-amz-meta-"
CHECKSUMS: Final = ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256")
FULL_OBJECT: Final = "FULL_OBJECT"
EPOCH: Final = datetime.fromtimestamp(0, UTC)
"""Stands for a date that a server does not tell."""

# The ETag is an MD5 digest only without these (API_Object.html).
_OPAQUE_ENCRYPTION: Final = ("aws:kms", "aws:kms:dsse")

_DIGITS: Final = re.compile(r"[0-9]{1,19}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a transport has read out of the headers that have a type.

    Attributes:
        content_length: Bytes the answer is about.
        last_modified: Last modification; ``EPOCH`` where it is not told.
        etag: ETag as it came.
        storage_class: Storage class; empty where it is not told.
        part_count: Number of parts, where it is told.
        checksum_type: ``"FULL_OBJECT"`` or ``"COMPOSITE"``; the former where it is not told.
        checksums: Checksums by algorithm, as in ``CHECKSUMS``.
    """

    content_length: int
    last_modified: datetime
    etag: str
    storage_class: str
    part_count: int | None
    checksum_type: str
    checksums: Mapping[str, str]


def object_head(bucket: str, key: str, raw: Mapping[str, str], told: Told) -> ObjectHead:
    """Put together what a HEAD, or the headers of a GET, say of an object.

    Args:
        bucket: Bucket.
        key: Key.
        raw: All headers, by lowercase name.
        told: The typed ones.
    """
    metadata = _metadata(raw)
    item = S3Object.reported(
        bucket,
        key,
        whole_size(raw, told.content_length),
        told.last_modified,
        told.etag,
        metadata=metadata,
        storage_class=told.storage_class,
        version_id=None,
    )
    content = {name: raw[name] for name in CONTENT_HEADERS if raw.get(name)}
    return ObjectHead(
        object=item,
        properties=ObjectProperties(
            headers=content, metadata=metadata, storage_class=told.storage_class
        ),
        content_length=told.content_length,
        tag_count=digits(raw.get("x-amz-tagging-count", "")),
        part_count=told.part_count,
        etag_is_md5=_etag_is_md5(raw),
        checksums=_full_object_checksums(told),
    )


def whole_size(raw: Mapping[str, str], content_length: int) -> int:
    """Return the object's size, also where the answer covers only a range of it."""
    _, slash, total = raw.get("content-range", "").rpartition("/")
    size = digits(total) if slash else None
    return content_length if size is None else size


def digits(text: str) -> int | None:
    """Read a number of plain digits; ``None`` where it is none."""
    return int(text) if _DIGITS.fullmatch(text) else None


def _metadata(raw: Mapping[str, str]) -> dict[str, str]:
    return {
        name.removeprefix(METADATA_PREFIX): value
        for name, value in raw.items()
        if name.startswith(METADATA_PREFIX)
    }


def _etag_is_md5(raw: Mapping[str, str]) -> bool:
    if raw.get("x-amz-server-side-encryption") in _OPAQUE_ENCRYPTION:
        return False
    return "x-amz-server-side-encryption-customer-algorithm" not in raw


def _full_object_checksums(told: Told) -> dict[str, str]:
    if told.checksum_type != FULL_OBJECT:
        return {}
    return {
        name.lower(): value
        for name, value in told.checksums.items()
        # A composite checksum ("...-3") is one of part checksums, not of the object's bytes.
        if value and "-" not in value
    }
