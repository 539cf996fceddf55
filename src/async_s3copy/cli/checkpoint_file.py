"""The file of ``--checkpoint``: read when a copy begins, replaced while it runs."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import anyio.to_thread

from async_s3copy.errors import ValidationError

OPTION: Final = "--checkpoint"


class CheckpointFile:
    """Keep the checkpoint of one copy.

    The file is only ever replaced as a whole, so that a process or machine that dies leaves the
    checkpoint before or the one after, never half of one.

    Args:
        path: The file; need not exist yet. A link is followed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.resolve()
        self._new = self._file.with_name(f"{self._file.name}.new")

    def open(self) -> dict[str, Any] | None:
        """Read the file, and see to it that it can be replaced.

        Returns:
            The checkpoint of an earlier run; ``None`` where the file does not exist.

        Raises:
            ValidationError: It holds something else, or cannot be read or written.
        """
        try:
            text = self._file.read_text(encoding="utf-8") if self._file.exists() else None
            self._new.touch()
            self._new.unlink()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else error.reason
            raise self._wrong(f"be a file that can be read and written ({reason})") from None
        return None if text is None else self._parse(text)

    async def save(self, checkpoint: dict[str, Any]) -> None:
        """Replace the file; on return the checkpoint survives the machine.

        Raises:
            OSError: It cannot be written.
        """
        await anyio.to_thread.run_sync(self._replace, json.dumps(checkpoint))

    def remove(self) -> None:
        """Remove the file, and what a killed run may have left beside it."""
        self._file.unlink(missing_ok=True)
        self._new.unlink(missing_ok=True)

    def hint(self) -> str:
        """Say how to go on, where there is something to go on from."""
        if not self._file.exists():
            return ""
        return f"; run the same command again to go on from {self.path}"

    def belongs_to(self, error: ValidationError) -> ValidationError:
        """Turn the operation's word on what it goes on from into one on the file."""
        return self._wrong(f"{error.rule}, not of {error.value}")

    def _parse(self, text: str) -> dict[str, Any]:
        from async_s3copy.engine.checkpoint import Checkpoint  # noqa: PLC0415 - not for --help

        try:
            checkpoint: dict[str, Any] = json.loads(text)
            Checkpoint.from_dict(checkpoint)
        except ValueError:  # a ValidationError is one
            rule = "be a checkpoint that this version of the program can read, or not exist yet"
            raise self._wrong(rule) from None
        return checkpoint

    def _replace(self, text: str) -> None:
        with self._new.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        self._new.replace(self._file)
        # The name survives as well; Windows opens no folders, and needs none of it.
        with suppress(PermissionError):
            folder = os.open(self._file.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def _wrong(self, rule: str) -> ValidationError:
        return ValidationError(OPTION, str(self.path), rule)
