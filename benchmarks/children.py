"""Run a contender in a process of its own, and measure it from outside."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.jobs import Command

_METER: Final = Path(__file__).with_name("meter.py")
_TAIL_CHARACTERS: Final = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What one finished command used, by the operating system's account, its children included.

    Attributes:
        status: Exit status; minus the signal that ended it; ``None`` where its time ran out.
        wall_s: From its start to its end.
        user_s: CPU time in the program.
        system_s: CPU time in the kernel for it.
        max_rss_bytes: Peak resident memory of the largest process.
        lines: Lines it printed.
        said: The figures it printed as JSON on its last line; empty where it printed none.
        errors: The end of its error output.
    """

    status: int | None
    wall_s: float
    user_s: float
    system_s: float
    max_rss_bytes: int
    lines: int
    said: Mapping[str, Any]
    errors: str

    @property
    def cpu_s(self) -> float:
        """CPU time in all."""
        return self.user_s + self.system_s


def run(
    command: Command, environment: Mapping[str, str], *, cpu: int | None, timeout_s: float
) -> Usage:
    """Run a command to its end in an empty home folder, with no environment but the given one.

    Args:
        command: What to run.
        environment: All variables it gets, besides its own and those of a bare account.
        cpu: The CPU it is pinned to before it starts; ``None`` pins nothing.
        timeout_s: Longest time; then it is killed with all its children.

    Returns:
        What it used.
    """
    with tempfile.TemporaryDirectory(prefix="async-s3copy-bench-") as name:
        home = Path(name)
        for file, text in command.files.items():
            (home / file).write_text(text)
        measured = _measure(_spec(command, environment, home, cpu), timeout_s)
        return _usage(measured, home, timeout_s)


def _spec(
    command: Command, environment: Mapping[str, str], home: Path, cpu: int | None
) -> dict[str, Any]:
    # Nothing of the caller's set-up: neither its AWS profile nor its proxies may take part.
    bare = {"PATH": os.defpath, "HOME": str(home), "TMPDIR": str(home), "LANG": "C.UTF-8"}
    return {
        "argv": list(command.argv),
        "env": {**bare, **environment, **command.env},
        "cwd": str(home),
        "stdout": str(home / "stdout"),
        "stderr": str(home / "stderr"),
        "cpu": cpu,
    }


def _measure(spec: Mapping[str, Any], timeout_s: float) -> dict[str, Any] | None:
    meter = subprocess.Popen(
        [sys.executable, "-I", "-S", str(_METER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # One group for the meter, the contender and its children: they are ended together.
        start_new_session=True,
    )
    try:
        # The specification holds credentials, which a command line would show to everyone.
        answer, _ = meter.communicate(json.dumps(spec), timeout=timeout_s)
    except subprocess.TimeoutExpired:
        return None
    finally:
        _end(meter)
    measured: dict[str, Any] = json.loads(answer)
    return measured


def _end(meter: subprocess.Popen[str]) -> None:
    """End whatever is left of the group, also when this process is interrupted."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(meter.pid, signal.SIGKILL)
    meter.communicate()


def _usage(measured: Mapping[str, Any] | None, home: Path, timeout_s: float) -> Usage:
    found = measured or {"wall_s": timeout_s, "user_s": 0.0, "system_s": 0.0, "max_rss_kib": 0}
    lines, last = _read(home / "stdout")
    return Usage(
        status=found.get("status"),
        wall_s=found["wall_s"],
        user_s=found["user_s"],
        system_s=found["system_s"],
        max_rss_bytes=found["max_rss_kib"] * 1024,
        lines=lines,
        said=last,
        errors=(home / "stderr").read_text(errors="replace")[-_TAIL_CHARACTERS:].strip(),
    )


def _read(path: Path) -> tuple[int, Mapping[str, Any]]:
    """Count the lines of an output that may be large, and merge the figures among them."""
    lines, said = 0, dict[str, Any]()
    with path.open(errors="replace") as file:
        for line in file:
            lines += 1
            if line.startswith("{"):
                said |= _figures(line)
    return lines, said


def _figures(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
