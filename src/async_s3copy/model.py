"""Frozen values the whole library speaks in: locations, objects, outcomes. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar, Final

from async_s3copy import rules
from async_s3copy.errors import ValidationError, error_code

_SCHEME: Final = "s3://"


class OperationState(StrEnum):
    """Where an operation is; ``operation.TRANSITIONS`` says what may follow what."""

    INITIALIZED = "INITIALIZED"
    VALIDATING = "VALIDATING"
    COPYING = "COPYING"
    COMPLETED = "COMPLETED"
    VALIDATION_FAILED = "VALIDATION_FAILED"
    COPY_FAILED = "COPY_FAILED"


class CopyMethod(StrEnum):
    """How an object travelled: inside S3, or through this process."""

    SERVER_SIDE = "server_side"
    RELAY = "relay"


@dataclass(frozen=True, slots=True)
class S3Location:
    """Name a bucket and a key or prefix in it.

    Attributes:
        bucket: Bucket name or access-point ARN.
        key: Key or prefix, exactly as S3 stores it (never percent-decoded); ``None`` is the whole
            bucket.
    """

    bucket: str
    key: str | None = None

    @classmethod
    def parse(cls, url: str, *, name: str = "url") -> S3Location:
        """Read ``s3://bucket/key``; ``s3://bucket`` and ``s3://bucket/`` mean the whole bucket.

        What follows the bucket's ``/`` is the key as it is: ``?``, ``#``, ``%2F`` and a leading
        ``/`` have no special meaning. ``s3://arn:aws:s3:...:accesspoint/name/key`` works too.

        Args:
            url: The URL.
            name: What to call the value in an error.

        Raises:
            ValidationError: Not an ``s3://`` URL, or bucket or key break S3's rules.
        """
        if not _is_text(url) or not url.startswith(_SCHEME):
            raise ValidationError(name, url, "be an s3://bucket/key URL")
        bucket, key = _split_bucket(url.removeprefix(_SCHEME))
        return cls(rules.check_bucket(name, bucket), rules.check_key(name, key or None))

    def __str__(self) -> str:
        return f"{_SCHEME}{self.bucket}/{self.key or ''}"


def _split_bucket(path: str) -> tuple[str, str]:
    if not path.startswith("arn:"):
        bucket, _, key = path.partition("/")
        return bucket, key
    # In an access-point ARN the resource itself holds one "/" (three on Outposts).
    slashes = 4 if ":s3-outposts:" in path else 2
    pieces = path.split("/", slashes)
    if ":accesspoint:" in path.partition("/")[0]:
        pieces = path.split("/", 1)
        slashes = 1
    return "/".join(pieces[:slashes]), pieces[slashes] if len(pieces) > slashes else ""


@dataclass(frozen=True, slots=True)
class S3Object:
    """Describe one object as S3 reported it.

    Attributes:
        bucket: Bucket name.
        key: Object key, unchanged.
        size: Size in bytes.
        last_modified: Last modification; a naive value is taken as UTC.
        etag: ETag in S3's format, quoted or not, exactly as the server gave it.
        metadata: User metadata (``x-amz-meta-*`` without the prefix); ``None`` when not read:
            a listing does not tell.
        storage_class: Storage class as listed; empty when the server names none.
        version_id: Version; ``None`` for the current one.
        delete_marker: Whether it is a delete marker, which has no bytes; only in a listing of
            versions.

    Raises:
        ValidationError: A field breaks its rule.
    """

    bucket: str
    key: str
    size: int
    last_modified: datetime
    etag: str
    metadata: Mapping[str, str] | None = field(default=None, hash=False)
    storage_class: str = ""
    version_id: str | None = None
    delete_marker: bool = False

    def __post_init__(self) -> None:
        if not _is_text(self.bucket):
            raise ValidationError("bucket", self.bucket, "be a non-empty string")
        if not _is_text(self.key):
            raise ValidationError("key", self.key, "be a non-empty string")
        rules.check_int("size", self.size, 0)
        if not isinstance(self.last_modified, datetime):
            raise ValidationError("last_modified", self.last_modified, "be a datetime")
        if self.last_modified.tzinfo is None:
            object.__setattr__(self, "last_modified", self.last_modified.replace(tzinfo=UTC))
        # A delete marker has no bytes, and so no ETag.
        if self.etag or not self.delete_marker:
            rules.check_etag("etag", self.etag)

    @classmethod
    def reported(  # noqa: PLR0917 - one call per listed key: keywords cost time
        cls,
        bucket: str,
        key: str,
        size: int,
        last_modified: datetime,
        etag: str,
        metadata: Mapping[str, str] | None = None,
        storage_class: str = "",
        version_id: str | None = None,
        delete_marker: bool = False,
    ) -> S3Object:
        """Build an object from what a server said, without the constructor's checks.

        Servers other than AWS give ETags in shapes of their own; an ETag is only ever handed back
        to the server it came from, so an odd one must not lose the object. This is also the hot
        path of a listing: one call per key.
        """
        new = object.__new__(cls)
        set_field = object.__setattr__
        set_field(new, "bucket", bucket)
        set_field(new, "key", key)
        set_field(new, "size", size)
        set_field(new, "last_modified", last_modified)
        set_field(new, "etag", etag)
        set_field(new, "metadata", metadata)
        set_field(new, "storage_class", storage_class)
        set_field(new, "version_id", version_id)
        set_field(new, "delete_marker", delete_marker)
        return new

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def unquoted(etag: str) -> str:
    """Return an ETag without the quotes that servers put around it or not."""
    return etag.strip('"')


def quoted(etag: str) -> str:
    """Return an ETag in quotes, as HTTP's conditions want it; an empty one stays empty."""
    return f'"{unquoted(etag)}"' if etag else ""


class SkipReason(StrEnum):
    """Why an object was skipped: nothing was wrong and nothing was written."""

    EXISTS = "exists"
    """The destination key exists and ``overwrite=False``."""
    ARCHIVED = "archived"
    """The source object is archived and not restored, and ``archived="skip"``."""
    ROOT_MARKER = "root_marker"
    """The source prefix's own zero-byte marker maps to the bucket's root, which has no key."""


class Proof(StrEnum):
    """What proves that an object arrived as it was, from the strongest to the weakest."""

    CHECKSUM = "checksum"
    """The full-object checksums of source and destination are equal."""
    ETAG = "etag"
    """The ETags are equal, and both tell of the bytes; or relayed bytes hash to the source's."""
    SIZE = "size"
    """The sizes are equal, and the number of parts where there are parts."""
    NONE = "none"
    """Nothing was compared: S3 said that it copied the object that was listed."""


@dataclass(frozen=True, slots=True)
class Copied:
    """One object that arrived.

    Attributes:
        source: The object as it was copied.
        destination: Where it is now.
        etag: The destination's ETag, unquoted.
        method: How it travelled.
        parts: Parts of the multipart copy or upload; 0 for a single request.
        proof: What proves that it arrived as it was.
        version_id: Version the destination gave it; ``None`` in a bucket without versioning.
    """

    source: S3Object
    destination: S3Location
    etag: str
    method: CopyMethod
    parts: int = 0
    proof: Proof = Proof.NONE
    version_id: str | None = None

    @property
    def etag_kept(self) -> bool:
        """Whether the destination's ETag is the source's."""
        return unquoted(self.source.etag) == self.etag != ""


@dataclass(frozen=True, slots=True)
class Skipped:
    """One object that was left alone, and why."""

    source: S3Object
    destination: S3Location
    reason: SkipReason


@dataclass(frozen=True, slots=True)
class Failed:
    """One object that did not arrive, and why."""

    source: S3Object
    destination: S3Location
    error: Exception

    @property
    def code(self) -> str:
        """S3's error code, or the class name of the error."""
        return error_code(self.error)

    def __str__(self) -> str:
        return f"copy {self.source} -> {self.destination}: {self.error}"


Outcome = Copied | Skipped | Failed


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierRun:
    """Count what earlier runs of an operation did, before it went on from a checkpoint.

    Attributes:
        operation_id: The operation's identifier, which stays.
        start_time: When its first run began.
        files_copied_successfully: Objects that arrived.
        files_skipped: Objects left alone.
        files_relayed: Objects among the copied ones whose bytes travelled through the process.
        total_bytes_transferred: Bytes of the objects that arrived.
        requests_sent: Requests sent, retries included.
        requests_retried: Requests among them that repeat an earlier attempt.
        requests_throttled: Answers that said SlowDown or the like.
        seconds_throttled: Seconds in which requests were held back.
        degradations: What could not be done as asked, by name.
        proofs: Objects that arrived, by what proves it.
    """

    operation_id: str
    start_time: datetime
    files_copied_successfully: int = 0
    files_skipped: int = 0
    files_relayed: int = 0
    total_bytes_transferred: int = 0
    requests_sent: int = 0
    requests_retried: int = 0
    requests_throttled: int = 0
    seconds_throttled: float = 0.0
    degradations: Mapping[str, int] = field(default_factory=dict)
    proofs: Mapping[str, int] = field(default_factory=dict)

    COUNTS: ClassVar = (
        "files_copied_successfully",
        "files_skipped",
        "files_relayed",
        "total_bytes_transferred",
        "requests_sent",
        "requests_retried",
        "requests_throttled",
        "seconds_throttled",
        "degradations",
        "proofs",
    )
    """What there is to count, named as in the metrics."""

    def without_objects(self) -> EarlierRun:
        """Return the same run without the objects it copied and skipped."""
        return replace(
            self,
            files_copied_successfully=0,
            files_skipped=0,
            files_relayed=0,
            total_bytes_transferred=0,
            proofs={},
        )

    def counts(self) -> dict[str, Any]:
        """Return the numbers as plain data."""
        return {name: getattr(self, name) for name in self.COUNTS}

    @classmethod
    def from_counts(cls, operation_id: str, start_time: datetime, counts: Any) -> EarlierRun:
        """Read what ``counts`` wrote; numbers it does not name are zero.

        Raises:
            TypeError: A name or a value is none of ours.
            ValidationError: A number is negative.
        """
        counts = dict(counts)
        degradations, proofs = (_named(counts.pop(n, {})) for n in ("degradations", "proofs"))
        seconds = counts.pop("seconds_throttled", 0.0)
        for name, value in (counts | degradations | proofs).items():
            rules.check_int(name, value, 0)
        if not isinstance(seconds, int | float) or not 0 <= seconds < float("inf"):
            raise TypeError(seconds)
        return cls(
            operation_id=operation_id,
            start_time=start_time,
            seconds_throttled=seconds,
            degradations=degradations,
            proofs=proofs,
            **counts,
        )


def _named(counts: Any) -> dict[str, Any]:
    return {str(name): number for name, number in dict(counts).items()}
