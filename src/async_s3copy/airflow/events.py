"""How a deferred copy ended: the trigger's one event, written there and read by the operator."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from async_s3copy.errors import ValidationError
from async_s3copy.model import OperationState

FAILURES_SHOWN: Final = 10
"""Failures an event names: enough to see what went wrong, and a few KiB at most."""

EndStatus: TypeAlias = Literal["error", "timeout"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CopySucceeded:
    """Say that every object was copied or skipped.

    Attributes:
        metrics: The metrics output schema.
    """

    metrics: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return the event's payload."""
        return {"status": "success", "metrics": _storable(self.metrics)}


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyEnded:
    """Say why a copy ended before its time, and from where the next try can go on.

    Attributes:
        status: ``"error"``, or ``"timeout"`` when the operator's own time limit passed.
        state: The operation's last state; VALIDATION_FAILED means that nothing was written.
        message: Why, in one sentence.
        failures: The first failed objects, each with key and S3's code; ``FAILURES_SHOWN`` at most.
        metrics: The metrics output schema; ``None`` where the operation never began.
        checkpoint: Where the next try goes on; ``None`` where there is none.
    """

    status: EndStatus
    state: OperationState
    message: str
    failures: Sequence[str] = ()
    metrics: Mapping[str, Any] | None = None
    checkpoint: Mapping[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the event's payload.

        The checkpoint becomes a JSON text in ASCII, because its keys must come back unchanged.
        """
        checkpoint = None if self.checkpoint is None else json.dumps(dict(self.checkpoint))
        shown = {
            "status": self.status,
            "state": self.state.value,
            "message": self.message,
            "failures": self.failures[:FAILURES_SHOWN],
            "metrics": self.metrics,
        }
        return {**_storable(shown), "checkpoint": checkpoint}

    def sentence(self) -> str:
        """Return what a failed task says: why, and the first failures, a line each."""
        lines = [self.message, *(f"  {failure}" for failure in self.failures)]
        count = (self.metrics or {}).get("files_failed", 0)
        hidden = count - len(self.failures)
        if self.failures and hidden > 0:
            lines.append(f"  ... and {hidden:,} more")
        return "\n".join(lines)


CopyEvent: TypeAlias = CopySucceeded | CopyEnded


def parse_event(payload: object) -> CopyEvent:
    """Read the payload of a trigger's event.

    Args:
        payload: What ``execute_complete`` was given; ``to_dict`` wrote it, and Airflow stored it.

    Raises:
        ValidationError: There is none, its status is unknown, or a field is missing or malformed:
            the task must fail then, not pass.
    """
    if not isinstance(payload, Mapping):
        raise ValidationError("event", payload, "be a mapping with a status")
    match status := payload.get("status"):
        case "success":
            return CopySucceeded(metrics=_mapping(payload, "metrics"))
        case "error" | "timeout":
            return _ended(status, payload)
    raise ValidationError("event['status']", status, "be one of success, error, timeout")


def _ended(status: EndStatus, payload: Mapping[str, Any]) -> CopyEnded:
    return CopyEnded(
        status=status,
        state=_state(payload),
        message=_text(payload, "message"),
        failures=_texts(payload, "failures"),
        metrics=_optional_mapping(payload, "metrics"),
        checkpoint=_checkpoint(payload),
    )


def _state(payload: Mapping[str, Any]) -> OperationState:
    value = payload.get("state")
    if value not in list(OperationState):
        raise ValidationError("event['state']", value, f"be one of {', '.join(OperationState)}")
    return OperationState(str(value))


def _text(payload: Mapping[str, Any], name: str) -> str:
    value = payload.get(name)
    if not isinstance(value, str) or not value:
        raise ValidationError(f"event[{name!r}]", value, "be a non-empty string")
    return value


def _texts(payload: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = payload.get(name)
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ValidationError(f"event[{name!r}]", value, "be a list of strings")
    return tuple(value)


def _optional_mapping(payload: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    return None if payload.get(name) is None else _mapping(payload, name)


def _checkpoint(payload: Mapping[str, Any]) -> Mapping[str, Any] | None:
    value = payload.get("checkpoint")
    if not isinstance(value, str):
        return _optional_mapping(payload, "checkpoint")
    try:
        return _mapping({"checkpoint": json.loads(value)}, "checkpoint")
    except json.JSONDecodeError:
        raise ValidationError("event['checkpoint']", "text", "be the JSON of a mapping") from None


def _mapping(payload: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = payload.get(name)
    if not isinstance(value, Mapping):
        raise ValidationError(f"event[{name!r}]", type(value).__name__, "be a mapping")
    return value


def _storable(value: Any) -> Any:
    """Return a value as every database takes it: PostgreSQL's JSON refuses U+0000, for one.

    A message may quote a key, and a key may hold any character.
    """
    match value:
        case str():
            text = value.encode("utf-8", "backslashreplace").decode()
            return text.replace("\0", "\\x00")
        case Mapping():
            return {name: _storable(each) for name, each in value.items()}
        case list() | tuple():
            return [_storable(each) for each in value]
    return value
