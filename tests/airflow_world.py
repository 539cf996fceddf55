"""Real Airflow processes for tests: their home, their environment, their beginning and their end.

Nothing here imports Airflow: its processes are started, watched through their database and log
files, and ended by their process group. ``sys.executable`` decides whose Airflow it is.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

from tests.airflow_processes import DEADLINE_S, Group

DAGS: Final = Path(__file__).parent / "airflow_dags"
_DATABASE: Final = "airflow.db"
# A key for nothing: what it encrypts is made for one test, and deleted with it.
_FERNET_KEY: Final = "cGxlYXNlLW5ldmVyLXVzZS10aGlzLWtleS1hYnJvYWQ="
_JWT_SECRET: Final = "a secret of tests alone, long enough for signatures with SHA-512".ljust(
    96, "."
)


def environment(home: Path) -> dict[str, str]:
    """Return the whole environment of an Airflow that lives in a folder, on SQLite."""
    foreign = ("AIRFLOW", "_AIRFLOW", "AWS_", "BOTO_")
    others = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {
        **others,
        "HOME": str(home),
        "AWS_EC2_METADATA_DISABLED": "true",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__API_AUTH__JWT_SECRET": _JWT_SECRET,
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__CORE__FERNET_KEY": _FERNET_KEY,
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / _DATABASE}",
        # Every record of ours, so that a credential in one would be found.
        "AIRFLOW__LOGGING__NAMESPACE_LEVELS": "async_s3copy=DEBUG",
        # A dead triggerer is noticed after four seconds instead of thirty.
        "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
        "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "4",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    }


@dataclass(frozen=True, slots=True)
class Connection:
    """An AWS connection of Airflow's.

    Attributes:
        access_key_id: Access key id.
        secret_access_key: Secret access key; not part of the ``repr``.
        endpoint_url: Where its requests go.
        region: Its Region.
    """

    access_key_id: str
    secret_access_key: str = field(repr=False)
    endpoint_url: str
    region: str = "us-east-1"

    def to_json(self) -> str:
        """Return it as an ``AIRFLOW_CONN_*`` variable takes it."""
        extra = {
            "endpoint_url": self.endpoint_url,
            "region_name": self.region,
            "config_kwargs": {"s3": {"addressing_style": "path"}},
        }
        keys = {"login": self.access_key_id, "password": self.secret_access_key}
        return json.dumps({"conn_type": "aws", **keys, "extra": extra})


@dataclass(frozen=True, slots=True)
class Airflow:
    """A home of Airflow's, with a database of its own.

    Attributes:
        home: Its folder.
        env: The environment of its processes.
    """

    home: Path
    env: dict[str, str]

    def start(self, name: str, *arguments: str, **settings: str) -> Group:
        """Start ``airflow ARGUMENTS``, its output in a file of that name in the log folder."""
        command = [sys.executable, "-m", "airflow", *arguments]
        return Group(command, {**self.env, **settings}, self.home / "logs" / f"{name}.log")

    @contextlib.contextmanager
    def triggerer(self, name: str = "triggerer", *arguments: str) -> Iterator[Triggerer]:
        """Run a triggerer for a block; it can be killed and started again inside."""
        triggerer = Triggerer(self, name, arguments)
        triggerer.start()
        try:
            yield triggerer
        finally:
            triggerer.group.kill()

    def query(self, statement: str, *values: object) -> list[dict[str, Any]]:
        """Read from its database."""
        uri = f"file:{self.home / _DATABASE}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=30)) as database:
            database.row_factory = sqlite3.Row
            return [dict(row) for row in database.execute(statement, values)]

    def tasks(self, dag_id: str, run_id: str | None = None) -> list[dict[str, Any]]:
        """Return the task instances of a DAG, by task and map index."""
        rows = self.query(
            "SELECT * FROM task_instance WHERE dag_id = ? ORDER BY task_id, map_index", dag_id
        )
        return [row for row in rows if run_id in (None, row["run_id"])]

    def states(self, dag_id: str, run_id: str | None = None) -> list[str | None]:
        """Return the states of the task instances of a DAG."""
        return [row["state"] for row in self.tasks(dag_id, run_id)]

    def xcoms(self, dag_id: str, run_id: str | None = None) -> list[tuple[str, Any]]:
        """Return the XComs of a DAG: keys and values."""
        rows = self.query("SELECT run_id, key, value FROM xcom WHERE dag_id = ?", dag_id)
        wanted = [row for row in rows if run_id in (None, row["run_id"])]
        return [(row["key"], _plain(row["value"])) for row in wanted]

    def result(self, dag_id: str, run_id: str | None = None) -> Any:
        """Return what the only task of a DAG returned."""
        (value,) = [value for key, value in self.xcoms(dag_id, run_id) if key == "return_value"]
        return value

    def files_with(self, *texts: str) -> list[tuple[str, str]]:
        """Return which of its files hold which of these texts, anywhere in their bytes."""
        return [
            (str(path.relative_to(self.home)), text)
            for path in sorted(self.home.rglob("*"))
            if path.is_file()
            for content in [path.read_bytes()]
            for text in texts
            if text.encode() in content
        ]


def _plain(value: Any) -> Any:
    """Return the value of an XCom, which is JSON in JSON."""
    for _ in range(2):
        if isinstance(value, str | bytes):
            with contextlib.suppress(ValueError):
                value = json.loads(value)
    return value


class Triggerer:
    """A real triggerer: one process that supervises, and one that runs the triggers.

    Args:
        airflow: Whose.
        name: Names its log.
        arguments: Further arguments, such as ``--queues``.
    """

    def __init__(self, airflow: Airflow, name: str, arguments: tuple[str, ...] = ()) -> None:
        self._airflow, self._name, self._arguments = airflow, name, arguments
        self.group: Group

    def start(self) -> None:
        """Start it; it is not ready when this returns, and need not be."""
        self.group = self._airflow.start(
            self._name, "triggerer", "--skip-serve-logs", *self._arguments
        )


class Runner:
    """A process that runs DAGs task by task, as ``dag.test()`` does, but leaves triggers alone."""

    def __init__(self, airflow: Airflow) -> None:
        self.group = Group(
            [sys.executable, "-m", "tests.airflow_runner"],
            airflow.env,
            airflow.home / "logs" / "runner.log",
            stdin=subprocess.PIPE,
        )

    def begin(self, dag_id: str, **conf: object) -> None:
        """Run a DAG with this configuration; ``end`` waits for it."""
        stdin = self._pipe(self.group.process.stdin)
        stdin.write(json.dumps({"dag_id": dag_id, "conf": conf}).encode() + b"\n")
        stdin.flush()

    def end(self) -> str:
        """Block until the DAG run has ended; return its state.

        Raises:
            RuntimeError: The process ended.
        """
        line = self._pipe(self.group.process.stdout).readline()
        if not line:
            raise RuntimeError(f"the runner ended:\n{self.group.output[-4000:]}")
        return str(json.loads(line))

    def run(self, dag_id: str, **conf: object) -> str:
        """Run a DAG with this configuration; return the state it ended in."""
        self.begin(dag_id, **conf)
        return self.end()

    def close(self) -> None:
        """End the process."""
        self.group.kill()
        for pipe in (self.group.process.stdin, self.group.process.stdout):
            self._pipe(pipe).close()

    @staticmethod
    def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
        assert pipe is not None
        return pipe


def make_template(folder: Path) -> Path:
    """Make a database of Airflow's in a folder, and return it: six seconds, once."""
    subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"],
        env=environment(folder),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=DEADLINE_S,
        check=True,
    )
    return folder / _DATABASE


def move_in(
    template: Path, home: Path, connections: Mapping[str, Connection], **settings: str
) -> Airflow:
    """Make a home with a copy of the template, the DAGs of the tests and these connections."""
    # Not the template's airflow.cfg: it names the template's own folders.
    (home / "logs").mkdir(parents=True)
    shutil.copy(template, home)
    shutil.copytree(DAGS, home / "dags", ignore=shutil.ignore_patterns("__pycache__"))
    variables = {f"AIRFLOW_CONN_{name.upper()}": c.to_json() for name, c in connections.items()}
    return Airflow(home, {**environment(home), **variables, **settings})
