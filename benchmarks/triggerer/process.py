"""The triggerer: the process of Airflow itself, started and ended."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_POLL_S: Final = 0.1
_END_S: Final = 20.0
_SHOWN_CHARACTERS: Final = 2_000
_BLOCKED: Final = "async thread was blocked"


class Triggerer:
    """A running triggerer; ``triggerer`` starts and ends it.

    Args:
        process: Its process, the supervisor of the one with the event loop.
        log: What it prints.
    """

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._log = log
        self._forgotten = 0

    def wait_until(self, done: Callable[[], bool]) -> None:
        """Wait for something that it brings about.

        Raises:
            RuntimeError: It has ended meanwhile.
        """
        while not done():
            status = self._process.poll()
            if status is not None:
                text = self._log.read_text(errors="replace")[-_SHOWN_CHARACTERS:]
                raise RuntimeError(f"the triggerer ended with status {status}: {text}")
            time.sleep(_POLL_S)

    def warnings(self) -> list[str]:
        """Return Airflow's own complaints about a blocked event loop."""
        lines = self._log.read_text(errors="replace").splitlines()
        return [line for line in lines if _BLOCKED in line][self._forgotten :]

    def forget_warnings(self) -> None:
        """Leave out those so far: loading the neighbour's class blocks the loop, too."""
        self._forgotten += len(self.warnings())


@contextmanager
def triggerer(log: Path) -> Iterator[Triggerer]:
    """Run ``airflow triggerer`` for a block, with its output in a file."""
    command = (sys.executable, "-m", "airflow", "triggerer", "--skip-serve-logs")
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield Triggerer(process, log)
    finally:
        process.terminate()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
