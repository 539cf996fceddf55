"""On what a run was measured: the machine, and the versions of everything that took part."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import Final

from benchmarks.contenders import Contender
from benchmarks.places import ROOT, site_packages

_ANSWER_TIMEOUT_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Cpus:
    """Which CPU the server gets and which the contender; ``None`` pins nothing."""

    server: int | None
    client: int | None

    @classmethod
    def choose(cls) -> Cpus:
        """Take the first and the last CPU this process may use; pin nothing on a single one."""
        if not hasattr(os, "sched_getaffinity"):
            return cls(None, None)
        usable = sorted(os.sched_getaffinity(0))
        return cls(usable[0], usable[-1]) if len(usable) > 1 else cls(None, None)


def describe() -> dict[str, str | int]:
    """Return CPU model, cores, kernel, Python, and the state of this project's own code."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count() or 0,
        "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20,
        "kernel": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
        "revision": _revision(),
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())


def _revision() -> str:
    """Return the commit, with a plus where files differ from it."""
    commit = _answer(("git", "-C", str(ROOT), "rev-parse", "--short=12", "HEAD"))
    changed = _answer(("git", "-C", str(ROOT), "status", "--porcelain", "--", "src", "benchmarks"))
    return commit + ("+" if changed else "") if commit else "unknown"


def versions(contender: Contender) -> dict[str, str]:
    """Return what versions a contender consists of: packages, and what the program says itself."""
    packages = site_packages(contender.program) or site_packages_of_binary(contender.program)
    found = installed(packages, contender.packages) if packages else {}
    if contender.ask:
        found[contender.name] = _answer((str(contender.program), *contender.ask))
    return found


def site_packages_of_binary(program: Path) -> Path | None:
    """Return the packages a binary inside a wheel lies among."""
    return next((folder for folder in program.parents if folder.name == "site-packages"), None)


def installed(packages: Path, names: Sequence[str]) -> dict[str, str]:
    """Return the versions of the named distributions in a folder of packages."""
    wanted = {name.lower().replace("_", "-") for name in names}
    found: Mapping[str, str] = {
        each.name.lower().replace("_", "-"): each.version
        for each in distributions(path=[str(packages)])
    }
    return {name: found[name] for name in sorted(wanted & found.keys())}


def _answer(argv: tuple[str, ...]) -> str:
    """Return the first line a program prints; empty where it cannot be run."""
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, timeout=_ANSWER_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return (done.stdout.splitlines() or [""])[0].strip()
