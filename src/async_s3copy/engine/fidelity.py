"""What of an object is carried, decided once and in the same way for all four ways. Pure.

=====================  ==================================  ========================================
property               one CopyObject                      multipart copy, relay
=====================  ==================================  ========================================
content headers,       carried by S3; to change any, all   sent, as the source's HEAD or GET tells
user metadata          that stay are read and sent again
tags                   carried by S3, or sent              read with GetObjectTagging, and sent
storage class          sent                                sent
checksum algorithm     carried by S3, or sent              declared when the upload begins
all others             sent, from the source's HEAD        sent, from the same HEAD
=====================  ==================================  ========================================

An override is what the user wants rather than what the source has: it is never left out, whatever
the policy of its property says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final

from async_s3copy.engine.refusals import Property
from async_s3copy.options import CopyOptions
from async_s3copy.preserve import Overrides, Preserve
from async_s3copy.s3.values import AS_IT_IS, ObjectProperties

# Classes that belong to a kind of bucket, not to an object: the destination decides.
_BUCKET_BOUND_CLASSES: Final = frozenset(
    ("EXPRESS_ONEZONE", "OUTPOSTS", "SNOW", "FSX_OPENZFS", "FSX_ONTAP")
)
_TOLD_BY_HEAD: Final[tuple[Property, ...]] = ("website_redirect", "object_lock", "encryption")
_CONTENT_HEADERS: Final = (
    "content_type",
    "content_encoding",
    "content_language",
    "content_disposition",
    "cache_control",
    "expires",
)
# The algorithms that allow one type only in a multipart upload
# (https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html).
_TYPES: Final = {"CRC64NVME": "FULL_OBJECT", "SHA1": "COMPOSITE", "SHA256": "COMPOSITE"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleNeeds:
    """Say what a CopyObject takes besides itself.

    Attributes:
        head: Whether the source's HEAD has to be read first.
        acl: Whether the source's ACL has to be read first.
        replaces_metadata: Whether content headers and user metadata are sent instead of carried.
        replaces_tags: Whether tags are sent instead of carried.
        told_by_head: The properties that are sent as the HEAD tells.
        head_is_vital: Whether the copy cannot do without the HEAD.
    """

    head: bool = False
    acl: bool = False
    replaces_metadata: bool = False
    replaces_tags: bool = False
    told_by_head: tuple[Property, ...] = ()
    head_is_vital: bool = False


class Fidelity:
    """Decide what is carried in one operation.

    Args:
        options: Its ``preserve`` and ``overrides`` are what counts.
    """

    def __init__(self, options: CopyOptions) -> None:
        self.preserve: Final[Preserve] = options.preserve
        self.overrides: Final[Overrides] = options.overrides
        self.single: Final = self._single_needs()
        self.reads_nothing: Final = not self.single.head and not self.single.acl
        """Whether a single copy is one request, with nothing read before."""
        self._fixed = self._fixed_properties()
        self._plain: dict[str, ObjectProperties] = {}

    @property
    def reads_tags(self) -> bool:
        """Whether the source's tags are wanted."""
        return self.overrides.tags is None and self.preserve.tags != "drop"

    @property
    def reads_acl(self) -> bool:
        """Whether the source's ACL is wanted."""
        return not self._is_overridden("acl") and self.preserve.acl != "drop"

    @property
    def reads_checksums(self) -> bool:
        """Whether the source's checksum algorithm is wanted, where S3 does not carry it."""
        overridden = self._is_overridden("checksum_algorithm")
        return not overridden and self.preserve.checksum_algorithm != "drop"

    def may_leave_out(self, name: Property) -> bool:
        """Tell whether an object may be copied without a property that cannot be written."""
        return getattr(self.preserve, name) == "best_effort" and not self._is_overridden(name)

    def plain(self, storage_class: str) -> ObjectProperties:
        """Return what a bare CopyObject sends, by the storage class listed; kept, not built anew.

        For a run in which a single copy reads nothing before (``reads_nothing``).
        """
        known = self._plain.get(storage_class)
        if known is None:
            told = ObjectProperties(storage_class=storage_class)
            wanted = self.of_a_single(self.carried(told, tags={}, grants={}))
            known = self._plain[storage_class] = AS_IT_IS if wanted == AS_IT_IS else wanted
        return known

    def carried(
        self,
        told: ObjectProperties,
        *,
        tags: Mapping[str, str],
        grants: Mapping[str, str],
        now: datetime | None = None,
    ) -> ObjectProperties:
        """Return all that an object is written with, where S3 carries nothing by itself.

        Args:
            told: What HEAD or GET tells of the source.
            tags: Its tags, where they are wanted.
            grants: Its ACL, where it is wanted.
            now: The time; a lock that has expired protects nothing any more and is not sent.
        """
        algorithm, checksum_type = self._checksum(told)
        overrides = self.overrides
        return replace(
            self._locked(self._encrypted(self._fixed, told), told, now or datetime.now(UTC)),
            headers=self._headers(told.headers),
            metadata=self._metadata(told.metadata),
            tags=tags if overrides.tags is None else overrides.tags,
            storage_class=self._storage_class(told.storage_class),
            checksum_algorithm=algorithm,
            checksum_type=checksum_type,
            website_redirect=self._website_redirect(told.website_redirect),
            grants=self._fixed.grants if self._is_overridden("acl") else grants,
        )

    def of_a_single(self, carried: ObjectProperties) -> ObjectProperties:
        """Return what of ``carried`` a CopyObject sends: S3 carries the rest by itself."""
        stays = self.single.replaces_metadata
        return replace(
            carried,
            headers=carried.headers if stays else {},
            metadata=carried.metadata if stays else {},
            tags=carried.tags if self.single.replaces_tags else {},
            checksum_algorithm=self.overrides.checksum_algorithm or "",
            checksum_type="",
        )

    def _single_needs(self) -> SingleNeeds:
        headers, metadata = self._changes_headers(), self._changes_metadata()
        replaces = headers or metadata
        rebuilds = replaces and self._something_stays()
        told = tuple(
            name
            for name in _TOLD_BY_HEAD
            if getattr(self.preserve, name) != "drop" and not self._is_overridden(name)
        )
        return SingleNeeds(
            head=rebuilds or bool(told),
            acl=self.reads_acl,
            replaces_metadata=replaces,
            replaces_tags=not self.reads_tags,
            told_by_head=told,
            head_is_vital=rebuilds or not all(self.may_leave_out(name) for name in told),
        )

    def _changes_headers(self) -> bool:
        return self.preserve.content_headers == "drop" or bool(self._header_overrides())

    def _changes_metadata(self) -> bool:
        return self.preserve.metadata == "drop" or self.overrides.metadata is not None

    def _something_stays(self) -> bool:
        all_written = len(self._header_overrides()) == len(_CONTENT_HEADERS)
        headers_stay = self.preserve.content_headers != "drop" and not all_written
        return headers_stay or not self._changes_metadata()

    def _fixed_properties(self) -> ObjectProperties:
        """Return what is the same for every object: the overrides."""
        overrides = self.overrides
        until, hold = overrides.lock_retain_until, overrides.legal_hold
        return ObjectProperties(
            headers=self._headers({}),
            metadata=self._metadata({}),
            tags=overrides.tags or {},
            checksum_algorithm=overrides.checksum_algorithm or "",
            encryption=overrides.encryption or "",
            kms_key_id=overrides.kms_key_id or "",
            bucket_key_enabled=overrides.bucket_key_enabled,
            website_redirect=overrides.website_redirect or "",
            lock_mode=overrides.lock_mode or "",
            lock_retain_until="" if until is None else _iso_8601(until),
            legal_hold="" if hold is None else ("ON" if hold else "OFF"),
            acl=overrides.acl or "",
            grants={n.replace("_", "-"): v for n, v in (overrides.grants or {}).items()},
        )

    def _is_overridden(self, name: Property) -> bool:
        overrides = self.overrides
        if name == "object_lock":
            return overrides.lock_mode is not None or overrides.legal_hold is not None
        if name == "acl":
            return overrides.acl is not None or overrides.grants is not None
        return getattr(overrides, name) is not None

    def _header_overrides(self) -> dict[str, str]:
        given = {name: getattr(self.overrides, name) for name in _CONTENT_HEADERS}
        return {
            name.replace("_", "-"): _http_date(value)
            for name, value in given.items()
            if value is not None
        }

    def _headers(self, told: Mapping[str, str]) -> Mapping[str, str]:
        kept = {} if self.preserve.content_headers == "drop" else told
        return {**kept, **self._header_overrides()}

    def _metadata(self, told: Mapping[str, str]) -> Mapping[str, str]:
        if self.overrides.metadata is not None:
            return self.overrides.metadata
        return {} if self.preserve.metadata == "drop" else told

    def _storage_class(self, told: str) -> str:
        if self.overrides.storage_class is not None:
            return self.overrides.storage_class
        return "" if self.preserve.storage_class == "drop" else carried_storage_class(told)

    def _checksum(self, told: ObjectProperties) -> tuple[str, str]:
        written = self.overrides.checksum_algorithm
        if written is None and not self.reads_checksums:
            return "", ""
        algorithm = written or told.checksum_algorithm
        # A checksum of the whole object can be compared with others; one of checksums hardly.
        chosen = "FULL_OBJECT" if written else told.checksum_type or "FULL_OBJECT"
        return algorithm, _TYPES.get(algorithm, chosen) if algorithm else ""

    def _website_redirect(self, told: str) -> str:
        if self.overrides.website_redirect is not None:
            return self.overrides.website_redirect
        return "" if self.preserve.website_redirect == "drop" else told

    def _encrypted(self, fixed: ObjectProperties, told: ObjectProperties) -> ObjectProperties:
        if self._is_overridden("encryption") or self.preserve.encryption == "drop":
            return fixed
        return replace(
            fixed,
            encryption=told.encryption,
            kms_key_id=told.kms_key_id,
            bucket_key_enabled=told.bucket_key_enabled if told.encryption == "aws:kms" else None,
        )

    def _locked(
        self, fixed: ObjectProperties, told: ObjectProperties, now: datetime
    ) -> ObjectProperties:
        if self._is_overridden("object_lock") or self.preserve.object_lock == "drop":
            return fixed
        retained = bool(told.lock_mode) and not _is_over(told.lock_retain_until, now)
        return replace(
            fixed,
            lock_mode=told.lock_mode if retained else "",
            lock_retain_until=told.lock_retain_until if retained else "",
            # OFF is what an object without a hold has anyway, and writing it takes a permission.
            legal_hold=told.legal_hold if told.legal_hold == "ON" else "",
        )


def carried_storage_class(storage_class: str) -> str:
    """Return the storage class to write with; empty for STANDARD, the default everywhere."""
    if storage_class == "STANDARD" or storage_class in _BUCKET_BOUND_CLASSES:
        return ""
    return storage_class


def _http_date(value: datetime | str) -> str:
    if isinstance(value, str):
        return value
    return format_datetime(value.astimezone(UTC), usegmt=True)


def _iso_8601(when: datetime | str) -> str:
    if isinstance(when, str):
        return when
    return when.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _is_over(until: str, now: datetime) -> bool:
    try:
        return datetime.fromisoformat(until) <= now
    except (TypeError, ValueError):
        return False  # in a spelling of the server's own: the destination decides
