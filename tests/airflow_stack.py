"""A whole Airflow for tests: api-server, scheduler, dag-processor and triggerers, and its REST API.

Each program runs in a session of its own and is ended by its process group: ``airflow standalone``
leaves orphans behind.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from http.client import HTTPConnection
from typing import Any, Final
from urllib.parse import quote

from tests.airflow_processes import DEADLINE_S, Group, wait_until
from tests.airflow_world import Airflow, Triggerer

_ENDED: Final = frozenset(("success", "failed"))


def free_port() -> int:
    """Return a port of 127.0.0.1 that is free at the moment."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def stack_settings(port: int, *, parallelism: int) -> dict[str, str]:
    """Return what the programs of a whole Airflow need in their environment.

    Args:
        port: Of the api-server.
        parallelism: Worker slots of the LocalExecutor.
    """
    return {
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": str(parallelism),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
        "AIRFLOW__TRIGGERER__QUEUES_ENABLED": "True",
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
        "AIRFLOW__SCHEDULER__TRIGGER_TIMEOUT_CHECK_INTERVAL": "1",
    }


@dataclass(frozen=True, slots=True)
class Run:
    """A DAG run.

    Attributes:
        dag_id: Of which DAG.
        run_id: Its id.
    """

    dag_id: str
    run_id: str


@dataclass(frozen=True, slots=True)
class Api:
    """Airflow's REST API, as its user interface uses it.

    Attributes:
        port: Of the api-server.
        token: Who asks; empty to be given one.
    """

    port: int
    token: str = field(default="", repr=False)

    def login(self) -> Api:
        """Return the API with a token; everybody is an admin."""
        return replace(self, token=self._ask("GET", "/auth/token")["access_token"])

    def start(self, dag_id: str, conf: Mapping[str, object]) -> Run:
        """Start a DAG run."""
        answer = self._ask(
            "POST", f"/api/v2/dags/{dag_id}/dagRuns", {"logical_date": None, "conf": dict(conf)}
        )
        return Run(dag_id, answer["dag_run_id"])

    def state(self, run: Run) -> str:
        """Return the state of a DAG run."""
        answer = self._ask("GET", self._path(run))
        return str(answer["state"])

    def mark(self, run: Run, task_id: str, state: str) -> None:
        """Mark a task as failed or successful, as a user does."""
        self._ask("PATCH", f"{self._path(run)}/taskInstances/{task_id}", {"new_state": state})

    def clear(self, run: Run, task_id: str) -> None:
        """Clear a task, as a user does: it runs again."""
        body = {
            "dry_run": False,
            "dag_run_id": run.run_id,
            "task_ids": [task_id],
            "only_failed": False,
            "reset_dag_runs": True,
        }
        self._ask("POST", f"/api/v2/dags/{run.dag_id}/clearTaskInstances", body)

    def _path(self, run: Run) -> str:
        return f"/api/v2/dags/{run.dag_id}/dagRuns/{quote(run.run_id, safe='')}"

    def _ask(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
        headers = {"Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            sent = None if body is None else json.dumps(body)
            connection.request(method, path, sent, headers)
            answer = connection.getresponse()
            content = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {content.decode()[:500]}")
        return json.loads(content)


@dataclass(frozen=True, slots=True)
class Stack:
    """The running programs.

    Attributes:
        airflow: Their home.
        api: Their REST API.
        triggerer: The first triggerer.
    """

    airflow: Airflow
    api: Api
    triggerer: Triggerer

    def finish(self, run: Run, *, deadline_s: float = DEADLINE_S) -> str:
        """Block until a DAG run has ended; return its state."""

        def ended() -> str | None:
            state = self.api.state(run)
            return state if state in _ENDED else None

        return wait_until(ended, f"{run} has ended", deadline_s=deadline_s)

    def settle(self) -> None:
        """Block until the scheduler knows that the tasks deferred by now have left their slots.

        Airflow 3.3 fails a task whose trigger fires before: it takes the end of the process that
        deferred for the end of the task. With one slot, another task that has run is the proof.
        """
        assert self.finish(self.api.start("other", {})) == "success"


@contextmanager
def running(airflow: Airflow, port: int, *triggerer: str) -> Iterator[Stack]:
    """Run a whole Airflow for a block; ``stack_settings`` must be in its environment.

    Args:
        airflow: Its home.
        port: Of the api-server.
        triggerer: Further arguments of the triggerer.
    """
    with ExitStack() as programs:

        def start(name: str, *arguments: str) -> Group:
            group = airflow.start(name, name, *arguments)
            programs.callback(group.kill)
            return group

        api = start("api-server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1")
        start("scheduler", "--skip-serve-logs")
        start("dag-processor")
        first = programs.enter_context(airflow.triggerer("triggerer", *triggerer))
        api.wait_for_output("Uvicorn running on")
        files = len(list((airflow.home / "dags").glob("*.py")))
        wait_until(lambda: _parsed(airflow) == files, "the DAG files are parsed")
        yield Stack(airflow, Api(port).login(), first)


def _parsed(airflow: Airflow) -> int:
    """Return how many DAG files are parsed; one that cannot be is an error."""
    for row in airflow.query("SELECT stacktrace FROM import_error"):
        raise RuntimeError(row["stacktrace"])
    return len(airflow.query("SELECT DISTINCT fileloc FROM dag"))
