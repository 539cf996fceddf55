"""The trigger's event: every status, what a database may refuse, and what must not pass."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_s3copy import OperationState, ValidationError
from async_s3copy.airflow.events import (
    FAILURES_SHOWN,
    CopyEnded,
    CopyEvent,
    CopySucceeded,
    EndStatus,
    parse_event,
)

pytestmark = pytest.mark.stack_b

METRICS = {"operation_id": "x", "duration_seconds": 1.5, "files_failed": 0, "errors": []}
CHECKPOINT = {"version": 1, "remaining": [[None, "a\0\ud800\u202e"]], "pending": ["/é"]}


def ended(**fields: Any) -> CopyEnded:
    """Return a failed copy."""
    given: dict[str, Any] = {"status": "error", "state": OperationState.COPY_FAILED, "message": "m"}
    return CopyEnded(**(given | fields))


def as_stored(event: CopyEvent) -> Any:
    """Return an event's payload as a worker gets it."""
    return json.loads(json.dumps(event.to_dict()))


EVERY_EVENT = [
    CopySucceeded(metrics=METRICS),
    *(
        ended(status=status, state=state, failures=("k: AccessDenied",), metrics=METRICS)
        for status in get_args(EndStatus)
        for state in OperationState
    ),
    ended(metrics=None, checkpoint=None),
    ended(metrics=METRICS, checkpoint=CHECKPOINT),
]


@pytest.mark.parametrize("event", EVERY_EVENT)
def test_an_event_is_read_as_it_was_written(event: CopyEvent) -> None:
    """What a worker reads is what the trigger wrote, whatever the status and the state."""
    assert parse_event(as_stored(event)) == event


# With halves of characters, which no key has, but which a message may quote.
ANY_TEXT = st.text(st.characters(exclude_categories=()))


@given(message=ANY_TEXT.filter(bool), failure=ANY_TEXT, key=st.text())
def test_no_key_makes_an_event_that_a_database_refuses(
    message: str, failure: str, key: str
) -> None:
    """Texts are UTF-8 without U+0000 for PostgreSQL, and the checkpoint's keys come back as is."""
    checkpoint = {"pending": [key]}
    event = ended(
        message=message, failures=(failure,), metrics={"errors": [failure]}, checkpoint=checkpoint
    )
    payload = event.to_dict()
    text = json.dumps(payload, ensure_ascii=False)
    text.encode()
    assert "\\u0000" not in text.replace("\\\\", "")
    parsed = parse_event(json.loads(text))
    assert isinstance(parsed, CopyEnded)
    assert parsed.checkpoint == checkpoint


def test_an_event_names_ten_failures() -> None:
    """An event stays small however many objects failed."""
    parsed = parse_event(as_stored(ended(failures=[str(n) for n in range(50)])))
    assert isinstance(parsed, CopyEnded)
    assert parsed.failures == tuple(str(n) for n in range(FAILURES_SHOWN))


def test_a_checkpoint_may_also_be_plain_data() -> None:
    """A mapping in the place of the JSON text is taken as it is."""
    parsed = parse_event({**ended().to_dict(), "checkpoint": CHECKPOINT})
    assert isinstance(parsed, CopyEnded)
    assert parsed.checkpoint == CHECKPOINT


@pytest.mark.parametrize(
    "payload, complaint",
    [
        (None, "event=None must be a mapping with a status"),
        ("success", "event='success' must be a mapping"),
        ({}, r"event\['status'\]=None must be one of success, error, timeout"),
        ({"status": "done"}, r"event\['status'\]='done' must be one of"),
        ({"status": ["error"]}, r"event\['status'\]=\['error'\] must be one of"),
        ({"status": "success"}, r"event\['metrics'\]='NoneType' must be a mapping"),
        ({"status": "success", "metrics": []}, r"event\['metrics'\]='list' must be a mapping"),
        ({"status": "error"}, r"event\['state'\]=None must be one of INITIALIZED, "),
        ({**ended().to_dict(), "state": "GONE"}, r"event\['state'\]='GONE' must be one of"),
        ({**ended().to_dict(), "state": []}, r"event\['state'\]=\[\] must be one of"),
        ({**ended().to_dict(), "message": ""}, r"event\['message'\]='' must be a non-empty"),
        ({**ended().to_dict(), "message": 3}, r"event\['message'\]=3 must be a non-empty"),
        ({**ended().to_dict(), "failures": None}, r"event\['failures'\]=None must be a list"),
        ({**ended().to_dict(), "failures": [1]}, r"event\['failures'\]=\[1\] must be a list"),
        ({**ended().to_dict(), "metrics": "m"}, r"event\['metrics'\]='str' must be a mapping"),
        ({**ended().to_dict(), "checkpoint": 1}, r"event\['checkpoint'\]='int' must be a map"),
        ({**ended().to_dict(), "checkpoint": "["}, r"event\['checkpoint'\]='text' must be the"),
        ({**ended().to_dict(), "checkpoint": "[]"}, r"event\['checkpoint'\]='list' must be a"),
    ],
)
def test_a_malformed_event_raises(payload: object, complaint: str) -> None:
    """An unknown status or a malformed field never passes for a success, nor for its absence."""
    with pytest.raises(ValidationError, match=f"^{complaint}"):
        parse_event(payload)
