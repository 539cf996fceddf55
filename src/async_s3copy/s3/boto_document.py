"""Keep an answer of botocore's as it arrived, where its own reading of it loses something."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from async_s3copy.s3.wire.http import Response, encoded


@dataclass(slots=True)
class Kept:
    """The last answer of a block; empty before the first."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def response(self) -> Response:
        """Return it as the wire receives one."""
        headers = [(encoded(name), encoded(value)) for name, value in self.headers.items()]
        return Response(self.status, headers, self.body)


_KEPT: ContextVar[Kept | None] = ContextVar("async_s3copy_kept", default=None)


@contextmanager
def kept_answer() -> Iterator[Kept]:
    """Keep the answer to the call of a block."""
    kept = Kept()
    token = _KEPT.set(kept)
    try:
        yield kept
    finally:
        _KEPT.reset(token)


def keep_answers(events: Any) -> None:
    """Have botocore show each answer before it reads it."""

    def note(response_dict: Mapping[str, Any], **_: Any) -> None:
        kept = _KEPT.get()
        if kept is not None:
            kept.status = response_dict["status_code"]
            kept.headers = dict(response_dict["headers"])
            kept.body = response_dict["body"]

    events.register("before-parse.s3.ListObjectVersions", note, unique_id="async-s3copy-keep")
