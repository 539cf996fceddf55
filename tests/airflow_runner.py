"""Run DAGs in this process, their triggers left to a real triggerer.

``python -m tests.airflow_runner`` reads ``{"dag_id": ..., "conf": {...}}`` lines, and answers each
with the state of the DAG run. ``dag.test()`` runs the triggers of deferred tasks inline, in this
process; here it is told not to, so that it finds the task scheduled again when a triggerer has
fired the event.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from typing import Any


def main() -> None:
    # Airflow logs to standard output, from its import on: the answers get a pipe of their own.
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)
        for line in _answers():
            print(line, file=answers, flush=True)


def _answers() -> Iterator[str]:
    from airflow.dag_processing.dagbag import DagBag
    from airflow.sdk.definitions import dag as definitions

    run_task = definitions._run_task

    def run_without_trigger(*, run_triggerer: bool = False, **given: Any) -> Any:
        return run_task(**given, run_triggerer=False)

    definitions._run_task = run_without_trigger
    bag = DagBag(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
    for line in sys.stdin:
        order = json.loads(line)
        yield json.dumps(bag.dags[order["dag_id"]].test(run_conf=order["conf"]).state)


if __name__ == "__main__":
    main()
