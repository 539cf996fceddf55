"""What the raw response headers of an object say; shared by every transport. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from async_s3copy.model import S3Object
from async_s3copy.s3.values import ObjectHead, ObjectProperties, Written

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
CHECKSUM_HEADERS: Final = {name.lower(): f"x-amz-checksum-{name.lower()}" for name in CHECKSUMS}
"""Header that holds a checksum, by algorithm in lower case."""
FULL_OBJECT: Final = "FULL_OBJECT"
COMPOSITE: Final = "COMPOSITE"
EPOCH: Final = datetime.fromtimestamp(0, UTC)
"""Stands for a date that a server does not tell."""

# The ETag is an MD5 digest only without these (API_Object.html).
_OPAQUE_ENCRYPTION: Final = ("aws:kms", "aws:kms:dsse")
_ENCRYPTION: Final = "x-amz-server-side-encryption"
_CUSTOMER_ALGORITHM: Final = "x-amz-server-side-encryption-customer-algorithm"
_VERSION_ID: Final = "x-amz-version-id"
# The same as bytes: every copied object has an answer with headers. A look at the length tells most
# of them apart from these.
_RAW_VERSION_ID: Final = _VERSION_ID.encode()
_RAW_ENCRYPTION: Final = _ENCRYPTION.encode()
_RAW_CUSTOMER_ALGORITHM: Final = _CUSTOMER_ALGORITHM.encode()
_RAW_OPAQUE: Final = tuple(name.encode() for name in _OPAQUE_ENCRYPTION)
_LENGTHS_OF_INTEREST: Final = frozenset(map(len, (_VERSION_ID, _ENCRYPTION, _CUSTOMER_ALGORITHM)))

# Classes whose objects must be restored before they can be read; GLACIER_IR is not one of them.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/archived-objects.html
_ARCHIVES: Final = ("GLACIER", "DEEP_ARCHIVE")
_RESTORED: Final = 'ongoing-request="false"'
_FLAGS: Final = {"true": True, "false": False}

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
    """

    content_length: int
    last_modified: datetime
    etag: str
    storage_class: str
    part_count: int | None


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
        version_id=raw.get(_VERSION_ID) or None,
    )
    checksums = checksums_in(raw)
    kind = raw.get("x-amz-checksum-type", "")
    return ObjectHead(
        object=item,
        properties=_properties(raw, metadata, told.storage_class),
        content_length=told.content_length,
        tag_count=digits(raw.get("x-amz-tagging-count", "")),
        part_count=told.part_count,
        etag_is_md5=_etag_is_md5(raw),
        checksums=full_object(checksums, kind),
        composite_checksums=_composite(checksums, kind),
        archived=_is_archived(raw, told.storage_class),
        delete_marker=raw.get("x-amz-delete-marker") == "true",
    )


def written(
    etag: str, raw_headers: Iterable[tuple[bytes, bytes]], checksums: Mapping[str, str]
) -> Written:
    """Put together what the answer to a write says of the object.

    Every copied object passes here: for most a look at the lengths of the names is all.

    Args:
        etag: The ETag, unquoted.
        raw_headers: The headers as they arrived.
        checksums: Full-object checksums.
    """
    version_id, is_md5 = None, True
    for name, value in raw_headers:
        if len(name) in _LENGTHS_OF_INTEREST:
            lowered = name.lower()
            if lowered == _RAW_VERSION_ID:
                version_id = value.decode("utf-8", "surrogateescape") or None
            elif lowered == _RAW_ENCRYPTION:
                is_md5 = is_md5 and value not in _RAW_OPAQUE
            elif lowered == _RAW_CUSTOMER_ALGORITHM:
                is_md5 = False
    return Written(etag, version_id, is_md5, checksums)


def checksums_in(raw: Mapping[str, str]) -> dict[str, str]:
    """Return the checksums that headers hold, by algorithm in lower case."""
    return {name: raw[header] for name, header in CHECKSUM_HEADERS.items() if raw.get(header)}


def full_object(checksums: Mapping[str, str], kind: str) -> dict[str, str]:
    """Return the checksums that are of an object's bytes; all of them where no type is told."""
    if kind not in ("", FULL_OBJECT):
        return {}
    return {name: value for name, value in checksums.items() if "-" not in value}


def _composite(checksums: Mapping[str, str], kind: str) -> dict[str, str]:
    """Return the checksums of part checksums, which end in the number of parts (``...-3``)."""
    if kind == FULL_OBJECT:
        return {}
    return {name: value for name, value in checksums.items() if kind or "-" in value}


def _properties(
    raw: Mapping[str, str], metadata: Mapping[str, str], storage_class: str
) -> ObjectProperties:
    checksums = checksums_in(raw)
    kind = raw.get("x-amz-checksum-type", "")
    if not kind and any("-" in value for value in checksums.values()):
        kind = COMPOSITE
    bucket_key = raw.get("x-amz-server-side-encryption-bucket-key-enabled", "").lower()
    return ObjectProperties(
        headers={name: raw[name] for name in CONTENT_HEADERS if raw.get(name)},
        metadata=metadata,
        storage_class=storage_class,
        checksum_algorithm=next(iter(checksums), "").upper(),
        checksum_type=kind if checksums else "",
        encryption=raw.get(_ENCRYPTION, ""),
        kms_key_id=raw.get("x-amz-server-side-encryption-aws-kms-key-id", ""),
        bucket_key_enabled=_FLAGS.get(bucket_key),
        website_redirect=raw.get("x-amz-website-redirect-location", ""),
        lock_mode=raw.get("x-amz-object-lock-mode", ""),
        lock_retain_until=raw.get("x-amz-object-lock-retain-until-date", ""),
        legal_hold=raw.get("x-amz-object-lock-legal-hold", ""),
    )


def _is_archived(raw: Mapping[str, str], storage_class: str) -> bool:
    """Tell whether an object must be restored before it can be read.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
    """
    if storage_class not in _ARCHIVES and "x-amz-archive-status" not in raw:
        return False
    return _RESTORED not in raw.get("x-amz-restore", "")


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
    return raw.get(_ENCRYPTION) not in _OPAQUE_ENCRYPTION and _CUSTOMER_ALGORITHM not in raw
