"""A home for Airflow that holds nothing of the developer's; import it before anything of Airflow.

Importing Airflow reads its configuration once and for all, and creates its home folder on the
way. So a test file begins with ``from tests import airflow_home  # noqa: F401``, and only then
imports Airflow, or what of ours imports it. No database is made: without a supervisor, Airflow's
SDK looks up connections in ``AIRFLOW_CONN_*`` of the environment.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

#: Fixed, so that what one process of a test stores another one of the same test can read.
FERNET_KEY: Final = "cGxlYXNlLW5ldmVyLXVzZS10aGlzLWtleS1hYnJvYWQ="
_OF_AIRFLOW: Final = ("AIRFLOW__", "AIRFLOW_CONN_", "AIRFLOW_VAR_", "AIRFLOW_CONFIG")


def settings(home: Path) -> dict[str, str]:
    """Return the environment of an Airflow that lives in ``home``; for subprocesses, too."""
    return {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__CORE__FERNET_KEY": FERNET_KEY,
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    }


def _move_in() -> Path:
    if "airflow" in sys.modules:
        raise RuntimeError("airflow was imported first: import tests.airflow_home before it")
    home = Path(mkdtemp(prefix="airflow-home-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    for name in [name for name in os.environ if name.startswith(_OF_AIRFLOW)]:
        del os.environ[name]
    os.environ.update(settings(home))
    return home


#: This process's AIRFLOW_HOME; removed when the process ends.
HOME: Final = _move_in()
