"""What a destination refuses to write: left out where the policy allows it, and remembered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from typing import Final, Literal, Protocol, TypeVar

from async_s3copy.errors import ObjectRejectedError, S3CopyError, S3Error
from async_s3copy.metrics import MetricsRecorder
from async_s3copy.s3.values import ObjectProperties

T = TypeVar("T")
Property = Literal[
    "tags",
    "storage_class",
    "checksum_algorithm",
    "website_redirect",
    "object_lock",
    "encryption",
    "acl",
]
"""A property that a server may refuse to write; named as in ``Preserve``."""

# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html: codes that name a property.
_CERTAIN: Final[Mapping[str, Property]] = {
    "InvalidStorageClass": "storage_class",
    "AccessControlListNotSupported": "acl",
    "InvalidRedirectLocation": "website_redirect",
    "InvalidEncryptionAlgorithmError": "encryption",
    "ObjectLockConfigurationNotFoundError": "object_lock",
    "InvalidTag": "tags",
}
# Codes that may be about any of these, the most likely first. AWS answers InvalidRequest to a lock
# in a bucket without object lock ("Bucket is missing Object Lock Configuration").
_ANY: Final[tuple[Property, ...]] = (
    "object_lock",
    "checksum_algorithm",
    "acl",
    "encryption",
    "website_redirect",
    "tags",
    "storage_class",
)
_OPEN: Final[Mapping[str, tuple[Property, ...]]] = {
    # Writing each of these takes a permission of its own.
    "AccessDenied": ("encryption", "acl", "object_lock", "tags"),
    "InvalidRequest": _ANY,
    "InvalidArgument": _ANY,
    "NotImplemented": _ANY,
    "UnsupportedOperation": _ANY,
}
# Refusals of a bucket or server, whatever the value.
_WHOLESALE: Final = ("AccessControlListNotSupported", "NotImplemented", "UnsupportedOperation")
# A refused value a line: more than any bucket has kinds of objects, and bounded.
_MOST_REMEMBERED: Final = 1_000
_ANY_VALUE: Final = ""

_NOTHING: Final[Mapping[Property, Mapping[str, object]]] = {
    "tags": {"tags": {}},
    "storage_class": {"storage_class": ""},
    "checksum_algorithm": {"checksum_algorithm": "", "checksum_type": ""},
    "website_redirect": {"website_redirect": ""},
    "object_lock": {"lock_mode": "", "lock_retain_until": "", "legal_hold": ""},
    "encryption": {"encryption": "", "kms_key_id": "", "bucket_key_enabled": None},
    "acl": {"acl": "", "grants": {}},
}
_NONE: Final[frozenset[Property]] = frozenset()


class LeaveOut(Protocol):
    """The policies, as far as they matter here."""

    def may_leave_out(self, name: Property) -> bool:
        """Tell whether an object may be copied without a property."""
        ...


class Refusals:
    """Send writes with all they are to carry, and again without what is refused.

    Most codes name the property they are about; for those that leave it open (a bare AccessDenied,
    InvalidRequest), the write is tried once more as it was, for the refusal may pass, and then
    without each suspect in turn: texts are no contract, and whether it then succeeds is the proof.
    That is at most one request a suspect, and one; what was found out holds for the run, and later
    objects do not pay for it again.

    Args:
        policy: What may be left out.
        recorder: Counts what was, under the property's name.
    """

    def __init__(self, policy: LeaveOut, recorder: MetricsRecorder) -> None:
        self._policy = policy
        self._recorder = recorder
        self._known: dict[tuple[Property, str], str] = {}

    async def send(
        self, properties: ObjectProperties, send: Callable[[ObjectProperties], Awaitable[T]]
    ) -> T:
        """Send a write.

        Args:
            properties: What it is to carry.
            send: Sends it with these, or with fewer.

        Returns:
            What ``send`` returned.

        Raises:
            ObjectRejectedError: A property was refused that may not be left out.
            S3Error: What ``send`` raises for other reasons.
        """
        known = self._refused(properties) if self._known else {}
        try:
            answer = await self._send_surely(without(properties, frozenset(known)), send)
        except S3Error as error:
            answer, known = await self._send_fewer(properties, known, error, send)
        for name, code in known.items():
            self.left_out(name, value_of(properties, name), code)
        return answer

    def left_out(self, name: Property, what: str, why: str) -> None:
        """Count a property that an object arrived without."""
        self._recorder.degraded(name, f"copied without {name} ({what}): {why}")

    def refuse(self, name: Property, properties: ObjectProperties, code: str) -> bool:
        """Remember that a property was refused.

        Returns:
            Whether that is news.
        """
        wholesale = code in _WHOLESALE or (name == "object_lock" and code != "AccessDenied")
        key = name, _ANY_VALUE if wholesale else value_of(properties, name)
        if key in self._known or len(self._known) >= _MOST_REMEMBERED:
            return False
        self._known[key] = code
        return True

    def _refused(self, properties: ObjectProperties) -> dict[Property, str]:
        found: dict[Property, str] = {}
        for name in sent(properties):
            code = self._known.get((name, _ANY_VALUE)) or self._known.get(
                (name, value_of(properties, name))
            )
            if code is not None:
                found[name] = code
        return found

    async def _send_surely(
        self, properties: ObjectProperties, send: Callable[[ObjectProperties], Awaitable[T]]
    ) -> T:
        """Send a write, and once more before a vague refusal is blamed on what it carries."""
        try:
            return await send(properties)
        except S3Error as error:
            if is_certain(error.code) or next(self._trials(error.code, properties), None) is None:
                raise
        return await send(properties)

    async def _send_fewer(
        self,
        properties: ObjectProperties,
        known: dict[Property, str],
        error: S3Error,
        send: Callable[[ObjectProperties], Awaitable[T]],
    ) -> tuple[T, dict[Property, str]]:
        guilty = dict(known)
        while True:
            rest = without(properties, frozenset(guilty))
            for names in self._trials(error.code, rest):
                try:
                    answer = await send(without(rest, names))
                except S3Error as other:
                    if other.code == error.code:
                        continue
                    guilty |= dict.fromkeys(names, error.code)
                    error = other
                    break
                guilty |= dict.fromkeys(names, error.code)
                for name in guilty.keys() - known.keys():
                    self.refuse(name, properties, guilty[name])
                return answer, guilty
            else:
                raise self._explained(error, rest) from error

    def _trials(self, code: str, rest: ObjectProperties) -> Iterator[frozenset[Property]]:
        names = [name for name in suspects(code, rest) if self._policy.may_leave_out(name)]
        for name in names:
            yield frozenset((name,))
        if len(names) > 1:
            yield frozenset(names)

    def _explained(self, error: S3Error, rest: ObjectProperties) -> S3CopyError:
        wanted = [n for n in suspects(error.code, rest) if not self._policy.may_leave_out(n)]
        if not wanted:
            return error
        what = " and ".join(f"{name} ({value_of(rest, name)})" for name in wanted)
        if is_certain(error.code):
            reason = f"{error}; {what} is required, or given as an override"
            return ObjectRejectedError(error.code, reason)
        error.message += f" (sent because it is required, or given as an override: {what})"
        return error


def sent(properties: ObjectProperties) -> frozenset[Property]:
    """Return which of the properties that may be refused a request would send."""
    present: dict[Property, object] = {
        "tags": properties.tags,
        "storage_class": properties.storage_class,
        "checksum_algorithm": properties.checksum_algorithm,
        "website_redirect": properties.website_redirect,
        "object_lock": properties.lock_mode or properties.legal_hold,
        "encryption": properties.encryption,
        "acl": properties.acl or properties.grants,
    }
    return frozenset(name for name, value in present.items() if value)


def without(properties: ObjectProperties, names: frozenset[Property]) -> ObjectProperties:
    """Return the same properties without some."""
    changes: dict[str, object] = {}
    for name in names:
        changes |= _NOTHING[name]
    return replace(properties, **changes) if changes else properties  # type: ignore[arg-type]


def value_of(properties: ObjectProperties, name: Property) -> str:
    """Return what a request sends of a property, as one string."""
    values = [getattr(properties, each) for each in _NOTHING[name]]
    return ", ".join(str(value) for value in values if value or value is False)


def suspects(code: str, properties: ObjectProperties) -> tuple[Property, ...]:
    """Return which properties a refusal may be about, the likeliest first.

    Args:
        code: S3's error code.
        properties: What the refused request sent; what it did not send cannot be at fault.
    """
    present = sent(properties)
    if code == "AccessDenied" and not properties.encryption.startswith("aws:kms"):
        present -= {"encryption"}  # S3's own keys are for everybody
    return tuple(name for name in _named(code) if name in present)


def is_certain(code: str) -> bool:
    """Tell whether a code says by itself which property it is about."""
    return code in _CERTAIN or code.startswith("KMS.")


def _named(code: str) -> tuple[Property, ...]:
    # S3 hands on the codes of KMS: KMS.NotFoundException, KMS.DisabledException and more.
    if code.startswith("KMS."):
        return ("encryption",)
    return (_CERTAIN[code],) if code in _CERTAIN else _OPEN.get(code, ())
