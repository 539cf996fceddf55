"""What of an object travels with its bytes, and what is written instead. No I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Final, Literal, TypedDict, get_args

from async_s3copy import rules
from async_s3copy.errors import ValidationError

Policy = Literal["required", "best_effort", "drop"]
Encryption = Literal["AES256", "aws:kms", "aws:kms:dsse"]
LockMode = Literal["GOVERNANCE", "COMPLIANCE"]
CannedAcl = Literal[
    "private",
    "public-read",
    "public-read-write",
    "authenticated-read",
    "aws-exec-read",
    "bucket-owner-read",
    "bucket-owner-full-control",
]
ChecksumAlgorithm = Literal["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"]

GRANTS: Final = ("full_control", "read", "read_acp", "write_acp")
"""Names of the permissions an object's ACL can grant."""
MAX_METADATA_BYTES: Final = 2_048
"""User metadata of one object (https://docs.aws.amazon.com/AmazonS3/latest/userguide/
UsingMetadata.html): the bytes of all names and values."""
MAX_TAGS: Final = 10
"""Tags of one object (https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html)."""

_CONTENT_HEADERS: Final = (
    "content_type",
    "content_encoding",
    "content_language",
    "content_disposition",
    "cache_control",
)
_METADATA_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_STORAGE_CLASS: Final = re.compile(r"[A-Z][A-Z0-9_]{1,31}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Preserve:
    """Say for each property of an object how much it matters that it arrives.

    ``"required"`` fails an object whose property cannot be carried. ``"best_effort"`` carries it,
    and where that is impossible copies the object without it and counts that under
    ``degradations``. ``"drop"`` does not carry it: the destination's default applies. Each is
    decided in the same way for small objects and large ones, copied inside S3 or relayed.

    The defaults carry what costs no request of its own; ``Preserve.everything()`` carries all.

    Attributes:
        content_headers: Content-Type, -Encoding, -Language, -Disposition, Cache-Control and
            Expires. Default ``"required"``.
        metadata: User metadata (``x-amz-meta-*``). Default ``"required"``.
        tags: Object tags. Default ``"best_effort"``: who may not read tags cannot tell objects
            with tags from those without, and a copy should not fail for tags that are not there.
        storage_class: Default ``"best_effort"``: a destination may not know the class.
        checksum_algorithm: The algorithm of the checksum S3 keeps with the object. Default
            ``"best_effort"``: not every server keeps any.
        etag: Default ``"best_effort"``: an object that is copied in parts is divided as its source
            was, so that its ETag stays the same; one HEAD more. ``"required"`` does so for small
            objects, too, which costs a request per part instead of one, and fails those whose
            ETag came out different.
        website_redirect: The redirect of a website's object. Default ``"drop"``: a single copy does
            not carry it, and finding out takes one HEAD an object.
        object_lock: Retention and legal hold. Default ``"drop"``: the destination bucket's own
            rule applies, and a lock carried by mistake cannot be taken back. Costs one HEAD.
        encryption: SSE-S3 or SSE-KMS with the source's own key. Default ``"drop"``: the
            destination bucket's default, because the source's key belongs to another account.
            Costs one HEAD.
        acl: Grants of the object's ACL. Default ``"drop"``: buckets refuse ACLs unless they are
            switched on. Costs one GetObjectAcl.

    Raises:
        ValidationError: A value is no policy.
    """

    content_headers: Policy = "required"
    metadata: Policy = "required"
    tags: Policy = "best_effort"
    storage_class: Policy = "best_effort"
    checksum_algorithm: Policy = "best_effort"
    etag: Policy = "best_effort"
    website_redirect: Policy = "drop"
    object_lock: Policy = "drop"
    encryption: Policy = "drop"
    acl: Policy = "drop"

    def __post_init__(self) -> None:
        for each in fields(self):
            _check_choice(each.name, getattr(self, each.name), Policy)

    @classmethod
    def everything(cls, policy: Policy = "best_effort") -> Preserve:
        """Return the same policy for every property.

        One HEAD and one GetObjectAcl an object are the price.
        """
        return cls(**{each.name: policy for each in fields(cls)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """Write these values instead of the source's, to every object of the copy.

    ``None``, the default of each, leaves the property to ``Preserve``. An override of metadata or
    of a content header below the multipart threshold costs one HEAD an object, because S3 then
    replaces all of them and those that stay have to be sent again.

    Attributes:
        content_type: Content-Type.
        content_encoding: Content-Encoding.
        content_language: Content-Language.
        content_disposition: Content-Disposition.
        cache_control: Cache-Control.
        expires: Expires: a timezone-aware datetime, or the raw header.
        metadata: User metadata, names without ``x-amz-meta-``; replaces all of the source's, so an
            empty mapping writes none. 2 KiB at most, names and values together.
        tags: Tags; replace all of the source's, so an empty mapping writes none. 10 at most.
        storage_class: Storage class, such as ``"STANDARD_IA"``.
        checksum_algorithm: Algorithm of the checksum that S3 computes and keeps.
        encryption: ``"AES256"`` (SSE-S3), ``"aws:kms"`` or ``"aws:kms:dsse"``.
        kms_key_id: KMS key, by id or ARN; needs ``encryption`` to be one of the KMS two, which it
            sets to ``"aws:kms"`` where it is not given.
        bucket_key_enabled: Whether SSE-KMS uses an S3 Bucket Key.
        website_redirect: Where a website redirects requests for the object.
        lock_mode: Object-lock mode; needs ``lock_retain_until``, and a bucket with object lock.
        lock_retain_until: Until when the object is locked: a timezone-aware datetime, or one in
            ISO 8601, such as ``"2030-01-31T00:00:00Z"``.
        legal_hold: Whether the object is put under a legal hold.
        acl: Canned ACL, such as ``"bucket-owner-full-control"``; excludes ``grants``.
        grants: Grantees by permission (``"full_control"``, ``"read"``, ``"read_acp"``,
            ``"write_acp"``), each as S3 writes them: ``'id="..."'``, ``'uri="..."'``, several
            separated by a comma.

    Raises:
        ValidationError: A value breaks its rule.
    """

    content_type: str | None = None
    content_encoding: str | None = None
    content_language: str | None = None
    content_disposition: str | None = None
    cache_control: str | None = None
    expires: datetime | str | None = None
    metadata: Mapping[str, str] | None = field(default=None, hash=False)
    tags: Mapping[str, str] | None = field(default=None, hash=False)
    storage_class: str | None = None
    checksum_algorithm: ChecksumAlgorithm | None = None
    encryption: Encryption | None = None
    kms_key_id: str | None = None
    bucket_key_enabled: bool | None = None
    website_redirect: str | None = None
    lock_mode: LockMode | None = None
    lock_retain_until: datetime | str | None = None
    legal_hold: bool | None = None
    acl: CannedAcl | None = None
    grants: Mapping[str, str] | None = field(default=None, hash=False)

    def __post_init__(self) -> None:
        for name in (*_CONTENT_HEADERS, "kms_key_id", "website_redirect"):
            _check_header(name, getattr(self, name))
        self._check_dates()
        if self.metadata is not None:
            _check_metadata(self.metadata)
        if self.tags is not None:
            _check_tags(self.tags)
        if self.storage_class is not None and not _matches(_STORAGE_CLASS, self.storage_class):
            rule = "be a storage class in capital letters, such as 'STANDARD_IA'"
            raise ValidationError("storage_class", self.storage_class, rule)
        _check_choice("checksum_algorithm", self.checksum_algorithm, ChecksumAlgorithm, None)
        self._check_encryption()
        self._check_lock()
        self._check_acl()

    def _check_dates(self) -> None:
        if isinstance(self.expires, datetime):
            _check_aware("expires", self.expires)
        else:
            _check_header("expires", self.expires)

    def _check_encryption(self) -> None:
        if self.kms_key_id is not None and self.encryption is None:
            object.__setattr__(self, "encryption", "aws:kms")
        _check_choice("encryption", self.encryption, Encryption, None)
        of_kms = self.encryption in ("aws:kms", "aws:kms:dsse")
        if self.kms_key_id is not None and not of_kms:
            rule = f"be None with encryption={self.encryption!r}, which has no key of its own"
            raise ValidationError("kms_key_id", self.kms_key_id, rule)
        if self.bucket_key_enabled is not None:
            rules.check_bool("bucket_key_enabled", self.bucket_key_enabled)
            if self.encryption != "aws:kms":
                rule = "be None unless encryption='aws:kms'"
                raise ValidationError("bucket_key_enabled", self.bucket_key_enabled, rule)

    def _check_lock(self) -> None:
        if isinstance(self.lock_retain_until, str):
            object.__setattr__(self, "lock_retain_until", _iso_date(self.lock_retain_until))
        _check_choice("lock_mode", self.lock_mode, LockMode, None)
        if (self.lock_mode is None) != (self.lock_retain_until is None):
            name = "lock_mode" if self.lock_mode is None else "lock_retain_until"
            raise ValidationError(name, None, "be given together with the other half of the lock")
        if self.lock_retain_until is not None:
            _check_aware("lock_retain_until", self.lock_retain_until)
        if self.legal_hold is not None:
            rules.check_bool("legal_hold", self.legal_hold)

    def _check_acl(self) -> None:
        _check_choice("acl", self.acl, CannedAcl, None)
        if self.grants is None:
            return
        if self.acl is not None:
            raise ValidationError("grants", dict(self.grants), "not be given together with acl")
        for name, grantees in self.grants.items():
            if name not in GRANTS:
                raise ValidationError("grants", name, f"name one of {', '.join(GRANTS)}")
            _check_header("grants", grantees)


class OverrideArguments(TypedDict, total=False):
    """The fields of ``Overrides``, as keyword arguments of ``copy``."""

    content_type: str | None
    content_encoding: str | None
    content_language: str | None
    content_disposition: str | None
    cache_control: str | None
    expires: datetime | str | None
    metadata: Mapping[str, str] | None
    tags: Mapping[str, str] | None
    storage_class: str | None
    checksum_algorithm: ChecksumAlgorithm | None
    encryption: Encryption | None
    kms_key_id: str | None
    bucket_key_enabled: bool | None
    website_redirect: str | None
    lock_mode: LockMode | None
    lock_retain_until: datetime | str | None
    legal_hold: bool | None
    acl: CannedAcl | None
    grants: Mapping[str, str] | None


def _iso_date(text: str) -> datetime | str:
    """Return the date that a text in ISO 8601 stands for, or the text where it is none."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return text


def _check_choice(name: str, value: object, choices: Any, *others: object) -> None:
    allowed = get_args(choices)
    if value not in (*allowed, *others):
        raise ValidationError(name, value, f"be one of {', '.join(allowed)}")


def _check_header(name: str, value: object) -> None:
    if value is None:
        return
    if not isinstance(value, str) or not value or not value.isprintable():
        raise ValidationError(name, value, "be a non-empty string without control characters")


def _check_aware(name: str, value: object) -> None:
    if not isinstance(value, datetime) or value.tzinfo is None:
        rule = "be a timezone-aware datetime, or one in ISO 8601"
        raise ValidationError(name, value, rule)


def _check_metadata(metadata: object) -> None:
    if not isinstance(metadata, Mapping):
        raise ValidationError("metadata", metadata, "be a mapping of names to values")
    for name, value in metadata.items():
        if not _matches(_METADATA_NAME, name):
            raise ValidationError("metadata", name, "have names that are HTTP tokens")
        if not isinstance(value, str) or (value and not value.isprintable()):
            raise ValidationError(f"metadata[{name!r}]", value, "be a string in one line")
    size = sum(len(name.encode()) + len(value.encode()) for name, value in metadata.items())
    if size > MAX_METADATA_BYTES:
        raise ValidationError("metadata", f"{size:,} bytes", f"be at most {MAX_METADATA_BYTES:,}")


def _check_tags(tags: object) -> None:
    if not isinstance(tags, Mapping):
        raise ValidationError("tags", tags, "be a mapping of names to values")
    if len(tags) > MAX_TAGS:
        raise ValidationError("tags", f"{len(tags)} tags", f"be at most {MAX_TAGS}")
    for name, value in tags.items():
        if not isinstance(name, str) or not 1 <= len(name) <= 128:
            raise ValidationError("tags", name, "have names of 1 to 128 characters")
        if not isinstance(value, str) or len(value) > 256:
            raise ValidationError(f"tags[{name!r}]", value, "be a string of at most 256 characters")


def _matches(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None
