"""The example DAGs, as Airflow's DAG processor reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest

from tests import airflow_home  # noqa: F401  # before anything of Airflow

# isort: split
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG
from airflow.serialization.serialized_objects import DagSerialization

from async_s3copy.airflow import S3CopyOperator
from tests.airflow_tasks import rendered, trigger_kwargs

pytestmark = pytest.mark.stack_b

FOLDER: Final = Path(__file__).parents[1] / "examples" / "airflow"
FILES: Final = sorted(path.name for path in FOLDER.glob("*.py"))


def bag_of(path: Path) -> DagBag:
    """Read the DAGs of a file or folder."""
    return DagBag(str(path))


@pytest.fixture(scope="module")
def dags() -> dict[str, DAG]:
    """All examples, by file name."""
    found = bag_of(FOLDER).dags.values()
    return {Path(each.fileloc).name: each for each in found}


@pytest.mark.parametrize("name", FILES)
def test_an_example_is_one_dag_that_airflow_can_import_and_serialise(name: str) -> None:
    """A user copies the file into the DAGs folder and edits it; nothing else is needed."""
    bag = bag_of(FOLDER / name)
    assert bag.import_errors == {}
    (example,) = bag.dags.values()
    stored = json.loads(json.dumps(DagSerialization.to_dict(example)))
    assert DagSerialization.from_dict(stored).task_ids == example.task_ids


def test_there_is_an_example_of_each_kind(dags: dict[str, DAG]) -> None:
    """One object, a prefix across accounts, mapped shards, a retry that resumes, and a task."""
    assert sorted(dags) == FILES
    assert FILES == [
        "async_task.py",
        "mapped_shards.py",
        "one_object.py",
        "prefix_across_accounts.py",
        "retry_that_resumes.py",
    ]


def test_every_copy_is_retried(dags: dict[str, DAG]) -> None:
    """Airflow 3.3.2 may fail a task whose trigger fires at once, through no fault of the copy's."""
    copies = [task for each in dags.values() for task in each.tasks if "copy" in task.task_id]
    assert len(copies) == len(FILES)
    assert [task.task_id for task in copies if _retries(task) < 1] == []


def _retries(task: Any) -> int:
    return int(task.partial_kwargs["retries"] if task.is_mapped else task.retries)


@pytest.mark.parametrize("name", ["prefix_across_accounts.py", "retry_that_resumes.py"])
def test_a_deferrable_example_defers_a_valid_copy(name: str, dags: dict[str, DAG]) -> None:
    """Its parameters pass the check that comes before deferral."""
    copy = dags[name].get_task("copy")
    assert isinstance(copy, S3CopyOperator)
    kwargs = trigger_kwargs(rendered(copy, ds="2026-05-06"))
    assert (kwargs["source_bucket"], kwargs["source_key"]) == ("source-bucket", "photos/")
    assert kwargs["destination_bucket"] == "destination-bucket"
    assert (kwargs["source_aws_conn_id"], kwargs["dest_aws_conn_id"]) == (
        "source_account",
        "destination_account",
    )
