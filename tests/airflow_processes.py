"""Programs of tests that start others: ended by their process group, watched by polling."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, TypeVar

T = TypeVar("T")

DEADLINE_S: Final = 180.0
_ROOT: Final = Path(__file__).parents[1]
_POLL_S: Final = 0.05
_GRACE_S: Final = 20.0
# Reads until the pipe from the tests' process is closed, however that process ended.
_GUARD: Final = "import os, sys; sys.stdin.read(); os.killpg(int(sys.argv[1]), 9)"


class Group:
    """A program in a session of its own, ended with all that it started.

    It ends with ``kill()``, with ``terminate()``, and with the process that started it, even a
    killed one.

    Args:
        arguments: What to run.
        env: Its whole environment.
        log: Where its output goes, behind what is there.
        stdin: What it reads.
    """

    def __init__(
        self, arguments: list[str], env: Mapping[str, str], log: Path, stdin: int | None = None
    ) -> None:
        self.log = log
        self._began_at = log.stat().st_size if log.exists() else 0
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                arguments,
                env=dict(env),
                cwd=_ROOT,
                stdin=subprocess.DEVNULL if stdin is None else stdin,
                stdout=subprocess.PIPE if stdin is not None else output,
                stderr=output,
                start_new_session=True,
            )
        self._guard = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _GUARD, str(self.process.pid)],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def output(self) -> str:
        """What it has written so far."""
        return self.log.read_bytes()[self._began_at :].decode(errors="replace")

    def kill(self) -> None:
        """End every process of the group at once, as ``kill -9`` does."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self._guard.communicate()
        self.process.wait()

    def terminate(self) -> None:
        """Ask its first process to end, and kill what is left after twenty seconds."""
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(_GRACE_S)
        self.kill()

    def owns(self, *ports: int) -> bool:
        """Tell whether one of its processes holds a connection from one of these local ports."""
        return not _local_ports(self.process.pid).isdisjoint(ports)

    def wait_for_output(self, text: str) -> None:
        """Block until it has written a text.

        Raises:
            TimeoutError: It ended, or did not within three minutes.
        """
        wait_until(lambda: text in self.output or self._ended(text), f"{text!r} in {self.log}")

    def _ended(self, text: str) -> bool:
        if self.process.poll() is None:
            return False
        raise TimeoutError(f"ended before it wrote {text!r}:\n{self.output[-4000:]}")


def wait_until(
    condition: Callable[[], T | None], what: str, *, deadline_s: float = DEADLINE_S
) -> T:
    """Poll the state of other processes until it is as wanted; return what the condition returned.

    Raises:
        TimeoutError: It was not in time.
    """
    deadline = time.monotonic() + deadline_s
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {deadline_s:.0f} s in vain: {what}")
        # Nothing tells of another program's database or of its log but looking again.
        time.sleep(_POLL_S)
    return value


def _local_ports(group: int) -> set[int]:
    import psutil  # type: ignore[import-untyped]

    members = [psutil.Process(group), *psutil.Process(group).children(recursive=True)]
    return {c.laddr.port for process in members for c in process.net_connections("tcp") if c.laddr}
