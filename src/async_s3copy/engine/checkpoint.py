"""Checkpoint: how far a copy is, as plain JSON, so that another process can go on from there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias, TypeVar, get_args

from async_s3copy.engine.plan import KeyMapping
from async_s3copy.engine.spans import Span
from async_s3copy.errors import ValidationError
from async_s3copy.model import EarlierRun, S3Location

VERSION: Final = 1
"""Of the JSON; another one is refused."""

T = TypeVar("T")

Versions: TypeAlias = Literal["current", "pinned", "all"]
"""What of each key is copied: what is current when it is copied, what was current when it was
listed, or every version there is."""


@dataclass(frozen=True, slots=True)
class NotedUpload:
    """A multipart upload that is open, or about to be.

    Attributes:
        key: Its destination key.
        upload_id: ``None`` while S3 has not named it yet.
    """

    key: str
    upload_id: str | None = None


@dataclass(frozen=True, slots=True)
class CopyScope:
    """Say what is copied where: what a checkpoint shares with the operation that goes on from it.

    Attributes:
        mapping: Source and destination.
        bounds: The keys under the source prefix that are copied.
        versions: What of each key is copied.
        version_id: The one version that is copied; ``None`` for what ``versions`` says.
    """

    mapping: KeyMapping
    bounds: Span = field(default_factory=Span)
    versions: Versions = "current"
    version_id: str | None = None

    def __str__(self) -> str:
        kind = "recursively " if self.mapping.recursive else ""
        after, until = self.bounds.after, self.bounds.until
        keys = "" if self.bounds == Span() else f" (start_after={after!r}, up_to={until!r})"
        return f"{kind}{self.mapping.source} to {self.mapping.destination}{keys}{self._which}"

    @property
    def _which(self) -> str:
        if self.version_id is not None:
            return f" (version_id={self.version_id!r})"
        names = {"current": "", "pinned": " (pin_versions=True)", "all": " (all_versions=True)"}
        return names[self.versions]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Say what of a copy is left to do; everything else is done.

    Attributes:
        scope: What is copied where.
        remaining: Ranges of keys of which nothing has been copied yet.
        pending: Keys outside them whose copy has begun, or was about to.
        failed: Keys outside them whose copy failed; they are tried again.
        uploads: Multipart uploads of the destination that were open.
        earlier: What has been done, in numbers; ``pending`` and ``failed`` do not count in it.
    """

    scope: CopyScope
    remaining: Sequence[Span]
    pending: Sequence[str] = ()
    failed: Sequence[str] = ()
    uploads: Sequence[NotedUpload] = ()
    earlier: EarlierRun

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to do."""
        return not (self.remaining or self.pending or self.failed or self.uploads)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data, ready for ``json.dumps``."""
        return {
            "version": VERSION,
            "operation_id": self.earlier.operation_id,
            "start_time": self.earlier.start_time.isoformat(),
            "source": str(self.scope.mapping.source),
            "destination": str(self.scope.mapping.destination),
            "recursive": self.scope.mapping.recursive,
            "start_after": self.scope.bounds.after,
            "up_to": self.scope.bounds.until,
            "remaining": [[span.after, span.until] for span in self.remaining],
            "pending": list(self.pending),
            "failed": list(self.failed),
            "uploads": [[upload.key, upload.upload_id] for upload in self.uploads],
            "metrics": self.earlier.counts(),
            **self._versions(),
        }

    def _versions(self) -> dict[str, Any]:
        """Name what differs from a copy of what is current: older checkpoints do not speak of it.

        In a checkpoint that does not, both fields have their defaults.
        """
        usual = CopyScope(self.scope.mapping)
        return {
            name: getattr(self.scope, name)
            for name in ("versions", "version_id")
            if getattr(self.scope, name) != getattr(usual, name)
        }

    @classmethod
    def from_dict(cls, value: object, *, name: str = "resume_from") -> Checkpoint:
        """Read what ``to_dict`` wrote.

        Args:
            value: The plain data, such as ``json.loads`` returns it.
            name: What to call it in an error.

        Raises:
            ValidationError: It is no checkpoint, or one of a later version.
        """
        if not isinstance(value, Mapping):
            raise ValidationError(name, type(value).__name__, "be what checkpoint() returned")
        read = _Fields(name, value)
        if read("version", _integer) != VERSION:
            rule = f"be a checkpoint of version {VERSION}"
            raise ValidationError(name, f"version {value['version']}", rule)
        operation_id, start_time = read("operation_id", _text), read("start_time", _time)
        return cls(
            scope=CopyScope(
                KeyMapping(
                    read("source", S3Location.parse),
                    read("destination", S3Location.parse),
                    read("recursive", _boolean),
                ),
                Span(read("start_after", _optional_text), read("up_to", _optional_text)),
                read("versions", _which_versions, "current"),
                read("version_id", _optional_text, None),
            ),
            remaining=read("remaining", _spans),
            pending=read("pending", _texts),
            failed=read("failed", _texts),
            uploads=read("uploads", _uploads),
            earlier=read(
                "metrics", lambda counts: EarlierRun.from_counts(operation_id, start_time, counts)
            ),
        )

    def check_scope(self, scope: CopyScope, *, name: str = "resume_from") -> None:
        """Check that it belongs to a copy.

        Raises:
            ValidationError: It belongs to another one.
        """
        if self.scope != scope:
            raise ValidationError(name, str(self.scope), f"be a checkpoint of this copy, {scope}")
        stray = next(self._strays(), None)
        if stray is not None:
            raise ValidationError(name, repr(stray), f"name keys of this copy only, {scope}")

    def _strays(self) -> Iterator[str]:
        """Find keys that no run of this copy has noted.

        From a forged checkpoint, objects nobody asked for would be copied, and others' uploads
        aborted.
        """
        mapping = self.scope.mapping
        source, destination = mapping.source.key or "", mapping.destination.key or ""
        for key in (*self.pending, *self.failed):
            if not (key.startswith(source) if mapping.recursive else key == source):
                yield key
        yield from (each.key for each in self.uploads if not each.key.startswith(destination))


class _Fields:
    """Read the fields of a checkpoint, each by its reader."""

    def __init__(self, name: str, value: Mapping[str, Any]) -> None:
        self._name = name
        self._value = value

    def __call__(self, field_name: str, reader: Callable[[Any], T], *absent: object) -> T:
        """Read a field; ``absent`` stands for one that is not there, which else is an error."""
        try:
            if absent and field_name not in self._value:
                return reader(absent[0])
            return reader(self._value[field_name])
        except (KeyError, TypeError, ValueError):
            found = type(self._value.get(field_name)).__name__
            rule = "be a checkpoint: this field is missing or malformed"
            raise ValidationError(f"{self._name}[{field_name!r}]", found, rule) from None


def _integer(value: object) -> int:
    return _of_type(value, int)


def _boolean(value: object) -> bool:
    return _of_type(value, bool)


def _text(value: object) -> str:
    return _of_type(value, str)


def _optional_text(value: object) -> str | None:
    return None if value is None else _text(value)


def _which_versions(value: object) -> Versions:
    for each in get_args(Versions):
        if each == value:
            return each  # type: ignore[no-any-return]  # one of the Literal's own values
    raise ValueError(value)


def _texts(value: object) -> tuple[str, ...]:
    return tuple(_text(each) for each in _of_type(value, list))


def _time(value: object) -> datetime:
    time = datetime.fromisoformat(_text(value))
    if time.tzinfo is None:
        raise ValueError(value)
    return time


def _spans(value: object) -> tuple[Span, ...]:
    return tuple(Span(_optional_text(a), _optional_text(b)) for a, b in _of_type(value, list))


def _uploads(value: object) -> tuple[NotedUpload, ...]:
    return tuple(NotedUpload(_text(a), _optional_text(b)) for a, b in _of_type(value, list))


def _of_type(value: object, kind: type[T]) -> T:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise TypeError(value)
    return value
