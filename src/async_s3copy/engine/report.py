"""The report: how every single object ended, as JSON Lines."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, TextIO

from async_s3copy.errors import ValidationError
from async_s3copy.model import Copied, Failed, Outcome, Skipped
from async_s3copy.observer import Observer

_BUFFER_BYTES: Final = 1024 * 1024


class Report(Observer):
    """Write one JSON object per line for every object of an operation.

    Each line has ``outcome`` (``copied``, ``skipped``, ``failed``), ``source``, ``destination`` and
    ``size``; copied ones add ``etag``, ``method``, ``parts``, ``proof`` and ``etag_kept``, skipped
    ones ``reason``, failed ones ``code`` and ``error``. Where versions are known, there are
    ``source_version_id`` and ``destination_version_id``; ``delete_marker`` is ``true`` where it is
    one. The file is replaced when the operation starts.

    Args:
        path: The file.
        append: Add to the file instead: the operation goes on from a checkpoint.

    Raises:
        ValidationError: The file cannot be written (on entering).
    """

    def __init__(self, path: str | Path, *, append: bool = False) -> None:
        self._path = Path(path)
        self._mode: Literal["a", "w"] = "a" if append else "w"
        self._file: TextIO | None = None

    def __enter__(self) -> Report:
        try:
            self._file = self._path.open(self._mode, encoding="utf-8", buffering=_BUFFER_BYTES)
        except OSError as error:
            rule = f"be a file that can be written ({error.strerror})"
            raise ValidationError("report", str(self._path), rule) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()

    def object_finished(self, outcome: Outcome) -> None:
        """Write one line."""
        if self._file is not None:
            self._file.write(json.dumps(as_dict(outcome)) + "\n")


def as_dict(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as plain data."""
    line: dict[str, Any] = {
        "outcome": type(outcome).__name__.lower(),
        "source": str(outcome.source),
        "destination": str(outcome.destination),
        "size": outcome.source.size,
    }
    if outcome.source.version_id is not None:
        line["source_version_id"] = outcome.source.version_id
    if outcome.source.delete_marker:
        line["delete_marker"] = True
    match outcome:
        case Copied():
            line |= _copied(outcome)
        case Skipped():
            line["reason"] = outcome.reason.value
        case Failed():
            line |= {"code": outcome.code, "error": str(outcome.error)}
    return line


def _copied(outcome: Copied) -> dict[str, Any]:
    told: dict[str, Any] = {
        "etag": outcome.etag,
        "method": outcome.method.value,
        "parts": outcome.parts,
        "proof": outcome.proof.value,
        "etag_kept": outcome.etag_kept,
    }
    if outcome.version_id is not None:
        told["destination_version_id"] = outcome.version_id
    return told
