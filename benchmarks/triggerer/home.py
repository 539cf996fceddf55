"""An Airflow home made for one run: settings, database, a DAG, and tasks that wait for triggers."""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

DAG_ID: Final = "neighbours"
CONNECTION: Final = "benchmark"

READY: Final = "neighbour-is-there"
STOP: Final = "neighbour-may-go"
SEEN: Final = "seen.json"
"""The files by which the neighbour and this process talk."""

_DAG_FILE: Final = """\
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

with DAG({dag_id!r}, schedule=None):
    for name in {names!r}:
        EmptyOperator(task_id=name)
"""


def settings(folder: Path) -> dict[str, str]:
    """Return the environment of an Airflow that lives in a folder, on SQLite."""
    return {
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__CORE__DAGS_FOLDER": str(folder / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{folder / 'airflow.db'}",
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(64),
        "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
    }


def connection(job: Mapping[str, Any]) -> str:
    """Return an Airflow connection to a job's server; the account is in the environment."""
    return json.dumps(
        {
            "conn_type": "aws",
            "login": os.environ["AWS_ACCESS_KEY_ID"],
            "password": os.environ["AWS_SECRET_ACCESS_KEY"],
            "extra": {"endpoint_url": job["url"], "region_name": job["region"]},
        }
    )


class Home:
    """One DAG with a run, each of whose tasks is deferred to a trigger when asked to.

    Made where ``settings`` hold, before anything of Airflow is imported.

    Args:
        folder: Airflow's home, empty.
        names: The tasks.
    """

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        from airflow.utils.db import initdb

        self._folder = folder
        initdb()
        dags = folder / "dags"
        dags.mkdir()
        (dags / "neighbours.py").write_text(_DAG_FILE.format(dag_id=DAG_ID, names=tuple(names)))
        self._start_run()

    def _start_run(self) -> None:
        """Enter the DAG and a run of it, as DAG processor and scheduler do."""
        from airflow.dag_processing.bundles.manager import DagBundlesManager
        from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db
        from airflow.models.serialized_dag import SerializedDagModel
        from airflow.sdk import timezone
        from airflow.utils.session import create_session
        from airflow.utils.state import DagRunState
        from airflow.utils.types import DagRunTriggeredByType, DagRunType

        manager = DagBundlesManager()  # type: ignore[no-untyped-call]  # Airflow's has no annotations
        manager.sync_bundles_to_db()
        for bundle in manager.get_all_dag_bundles():
            bundle.initialize()
            bag = BundleDagBag(bundle.path, bundle_path=bundle.path, bundle_name=bundle.name)
            sync_bag_to_db(bag, bundle.name, bundle.version)
        now = timezone.utcnow()
        with create_session() as session:
            dag = SerializedDagModel.get_dag(DAG_ID, session=session)
            if dag is None:
                raise RuntimeError(f"{DAG_ID} did not get into the database")
            dag.create_dagrun(
                run_id="benchmark",
                logical_date=None,
                data_interval=None,
                run_after=now,
                run_type=DagRunType.MANUAL,
                state=DagRunState.RUNNING,
                triggered_by=DagRunTriggeredByType.TEST,
                start_date=now,
                session=session,
            )

    def defer(self, name: str, classpath: str, keywords: Mapping[str, Any]) -> None:
        """Leave a task to a trigger, as the execution API does when a task defers."""
        from airflow.models.taskinstance import TaskInstance
        from airflow.models.trigger import Trigger
        from airflow.utils.session import create_session
        from airflow.utils.state import TaskInstanceState
        from sqlalchemy import select

        with create_session() as session:
            trigger = Trigger(classpath=classpath, kwargs=dict(keywords))
            session.add(trigger)
            session.flush()
            task = session.scalars(select(TaskInstance).where(TaskInstance.task_id == name)).one()
            task.state = TaskInstanceState.DEFERRED
            task.trigger_id = trigger.id
            task.next_method = "execute_complete"

    def deferred(self) -> set[str]:
        """Return the tasks whose triggers have not fired."""
        return {name for name, (state, _) in self._tasks().items() if state == "deferred"}

    def event(self, name: str) -> Any:
        """Return what a task's trigger fired, as it is in the database; ``None`` before."""
        return self._tasks()[name][1]

    def _tasks(self) -> dict[str, tuple[str, str | None]]:
        # A look without the ORM costs next to nothing: the triggerer has this CPU as well.
        with closing(sqlite3.connect(self._folder / "airflow.db", timeout=30)) as database:
            rows = database.execute("SELECT task_id, state, next_kwargs FROM task_instance")
            return {name: (state, event) for name, state, event in rows}
