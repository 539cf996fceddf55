"""Run one command and print, as JSON, what the operating system says it used.

A program of its own, started by ``benchmarks.children``, because of how Linux accounts: a child's
peak RSS begins with that of the process that forked it. This one is a few MiB, smaller than any
contender; so keep its imports few. It runs as ``python -I -S meter.py SPEC``.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from typing import Any


def pin(cpu: int | None) -> None:
    """Move this process, and so its child, to one CPU where the platform can."""
    if cpu is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {cpu})


def measure(spec: dict[str, Any]) -> dict[str, Any]:
    """Run the command to its end.

    Args:
        spec: ``argv``, ``env``, ``cwd``, ``stdout`` and ``stderr`` (files), ``cpu``.

    Returns:
        ``status``, and ``wall_s``, ``user_s``, ``system_s``, ``max_rss_kib`` of the child together
        with the children it waited for.
    """
    pin(spec["cpu"])
    with open(spec["stdout"], "wb") as out, open(spec["stderr"], "wb") as err:  # noqa: PTH123 - small
        started = time.monotonic()
        child = subprocess.Popen(
            spec["argv"],
            env=spec["env"],
            cwd=spec["cwd"],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
        )
        _, status, usage = os.wait4(child.pid, 0)
        wall_s = time.monotonic() - started
    child.returncode = os.waitstatus_to_exitcode(status)
    return {"status": child.returncode, "wall_s": wall_s, **account(usage)}


def account(usage: resource.struct_rusage) -> dict[str, Any]:
    """Return CPU times, and peak memory in the unit of Linux."""
    # KiB on Linux, bytes on macOS: https://man7.org/linux/man-pages/man2/getrusage.2.html
    unit = 1024 if sys.platform == "darwin" else 1
    return {
        "user_s": usage.ru_utime,
        "system_s": usage.ru_stime,
        "max_rss_kib": usage.ru_maxrss // unit,
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(json.loads(sys.stdin.read()))))
