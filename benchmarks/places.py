"""Where things are in a clone: the environments that ``make bench-env`` sets up, the results."""

from __future__ import annotations

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
RESULTS: Final = ROOT / "benchmarks" / "results"

BENCH_PYTHON: Final = ROOT / ".venv-bench/bin/python"
AWS_PYTHON: Final = ROOT / ".venv-bench-aws/bin/python"
AIRFLOW_PYTHON: Final = ROOT / ".venv-bench-airflow/bin/python"
TRIGGERER_PYTHON: Final = ROOT / ".venv/bin/python"
"""Stack a: Airflow, the amazon provider, aioboto3 and this package in one environment."""


def site_packages(python: Path) -> Path | None:
    """Return where an environment keeps its packages; ``None`` when it is not there."""
    return next(iter(sorted((python.parent.parent / "lib").glob("python*/site-packages"))), None)
