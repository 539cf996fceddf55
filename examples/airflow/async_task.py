"""Await a copy in an asynchronous task of your own, among other things (Airflow 3.2 or newer).

It runs on the worker. The operator does more: it resumes, and aborts its uploads when Airflow ends
the task. This is for a copy that is one step of several.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, task

from async_s3copy import copy
from async_s3copy.airflow.connections import resolve_account

with DAG(
    "copy_in_an_async_task",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
):

    @task(retries=2, retry_delay=timedelta(minutes=1))
    async def copy_and_count() -> dict[str, Any]:
        # Connections first, one after the other, before anything else runs in the event loop.
        source = await resolve_account("source_account", name="source_aws_conn_id")
        destination = await resolve_account("destination_account", name="dest_aws_conn_id")
        metrics = await copy(
            "s3://source-bucket/photos/",
            "s3://destination-bucket/landing/",
            source=source,
            destination=destination,
            recursive=True,
        )
        return metrics.to_dict()

    copy_and_count()
