"""Frozen values that the calls of the S3Client Protocol take and give. No I/O."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Final, NamedTuple

from async_s3copy.model import S3Object

NO_CHECKSUMS: Final[Mapping[str, str]] = MappingProxyType({})
"""What a write is told of, or tells of, where there are no checksums."""


@dataclass(frozen=True, slots=True)
class ListPage:
    """One page of a listing.

    Attributes:
        objects: The objects, in the server's order; at most 1,000.
        next_token: Continuation token of the next page; ``None`` on the last.
        truncated: Whether more keys follow, token or not.
    """

    objects: Sequence[S3Object]
    next_token: str | None
    truncated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectProperties:
    """What a copy carries besides the bytes, as raw header values.

    Attributes:
        headers: Content headers by lowercase name: content-type, -encoding, -language,
            -disposition, cache-control, expires.
        metadata: User metadata without the ``x-amz-meta-`` prefix.
        tags: Object tags; empty when there are none or they have not been read.
        storage_class: Storage class to write with; empty leaves it to the destination.
        checksum_algorithm: ``"CRC32"``, ``"CRC32C"``, ``"CRC64NVME"``, ``"SHA1"`` or ``"SHA256"``;
            empty leaves it to S3.
        checksum_type: ``"FULL_OBJECT"`` or ``"COMPOSITE"``, of a multipart upload; empty leaves it
            to S3.
        encryption: ``"AES256"``, ``"aws:kms"`` or ``"aws:kms:dsse"``; empty leaves it to the
            destination bucket. Never SSE-C: its keys belong to a side's terms.
        kms_key_id: KMS key; empty takes the account's own.
        bucket_key_enabled: Whether SSE-KMS uses an S3 Bucket Key; ``None`` leaves it to the bucket.
        website_redirect: Where a website redirects to; empty for nowhere.
        lock_mode: Object-lock mode; empty for none.
        lock_retain_until: Until when, as S3 writes it (ISO 8601); empty for none.
        legal_hold: ``"ON"``, ``"OFF"``, or empty to leave it to the bucket.
        acl: Canned ACL; empty sends none.
        grants: Grantees by permission, with hyphens (``"full-control"``, ``"read-acp"``): values of
            the ``x-amz-grant-*`` headers.
    """

    headers: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    storage_class: str = ""
    checksum_algorithm: str = ""
    checksum_type: str = ""
    encryption: str = ""
    kms_key_id: str = ""
    bucket_key_enabled: bool | None = None
    website_redirect: str = ""
    lock_mode: str = ""
    lock_retain_until: str = ""
    legal_hold: str = ""
    acl: str = ""
    grants: Mapping[str, str] = field(default_factory=dict)


AS_IT_IS: Final = ObjectProperties()
"""No property: what a copy carries by itself, and the destination's defaults for the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectHead:
    """What HEAD (or the head of a GET) tells of an object.

    Attributes:
        object: The object, its ``metadata`` and ``version_id`` (where the bucket has versions)
            filled in.
        properties: What the object has; tags and ACL are not part of a HEAD. Its
            ``checksum_algorithm`` is told only where checksums were asked for.
        content_length: Bytes the answer is about: the object's, or its one part's or range's.
        tag_count: Number of tags; ``None`` when the server does not say.
        part_count: Number of parts, told only where a part number was asked for; else ``None``.
        etag_is_md5: False where the encryption makes the ETag opaque (SSE-KMS, SSE-C).
        checksums: Full-object checksums, base64, by algorithm in lower case (``"sha256"``); told
            only where asked for and where the object has them.
        composite_checksums: Checksums of part checksums (``"...-3"``), likewise.
        archived: Whether the object is archived and not restored, so that it cannot be read now.
        delete_marker: Whether the version asked for is a delete marker.
    """

    object: S3Object
    properties: ObjectProperties = ObjectProperties()
    content_length: int = 0
    tag_count: int | None = None
    part_count: int | None = None
    etag_is_md5: bool = True
    checksums: Mapping[str, str] = field(default_factory=dict)
    composite_checksums: Mapping[str, str] = field(default_factory=dict)
    archived: bool = False
    delete_marker: bool = False


class Written(NamedTuple):
    """What S3 says of an object it has just written.

    Attributes:
        etag: Its ETag, unquoted.
        version_id: Its version; ``None`` in a bucket without versioning.
        etag_is_md5: False where the answer says that its encryption makes the ETag opaque (SSE-KMS,
            SSE-C).
        checksums: Full-object checksums that the answer holds, as in ``ObjectHead``.
    """

    etag: str
    version_id: str | None = None
    etag_is_md5: bool = True
    checksums: Mapping[str, str] = NO_CHECKSUMS


class CopySource(NamedTuple):
    """The source of a server-side copy, pinned to what was listed.

    Attributes:
        bucket: Source bucket name or access-point ARN.
        key: Source key, unencoded.
        version_id: Version to copy; ``None`` for the current one.
        if_match: Sent as ``x-amz-copy-source-if-match``; empty sends no condition.
    """

    bucket: str
    key: str
    version_id: str | None = None
    if_match: str = ""


@dataclass(frozen=True, slots=True)
class ByteRange:
    """Bytes ``first`` to ``last``, both included, as HTTP counts them."""

    first: int
    last: int

    @property
    def size(self) -> int:
        """Number of bytes."""
        return self.last - self.first + 1

    def __str__(self) -> str:
        return f"bytes={self.first}-{self.last}"


@dataclass(frozen=True, slots=True)
class CompletedPart:
    """A part that S3 holds: its number (from 1), and the ETag and checksums S3 gave it.

    Attributes:
        number: From 1.
        etag: Unquoted.
        checksums: Base64 by algorithm in lower case; completing an upload repeats them.
    """

    number: int
    etag: str
    checksums: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class OpenUpload:
    """A multipart upload that is neither completed nor aborted.

    Attributes:
        key: Key that it is for.
        upload_id: Its id.
        initiated: When it began; 1970 where the server does not say.
    """

    key: str
    upload_id: str
    initiated: datetime


@dataclass(frozen=True, slots=True)
class VersionPage:
    """One page of a listing of versions.

    Attributes:
        versions: Versions and delete markers, each with its ``version_id`` (``"null"`` where it was
            written without versioning): by key, and for one key the newest first.
        latest: For each of them, whether it is its key's current one.
        next_key: Key marker of the next page; ``None`` on the last.
        next_version: Version marker of the next page; ``None`` where it begins with a key.
    """

    versions: Sequence[S3Object]
    latest: Sequence[bool]
    next_key: str | None
    next_version: str | None


@dataclass(frozen=True, slots=True)
class ObjectBody:
    """A response body while its connection is open.

    Attributes:
        head: What the response's headers say of the object.
        size: Bytes this response carries: the whole object, or the range that was asked for.
        chunks: The bytes, in order; raises ``S3ConnectionError`` when fewer arrive than promised.
    """

    head: ObjectHead
    size: int
    chunks: AsyncIterator[bytes]
