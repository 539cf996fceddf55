"""Copy a large prefix with several tasks, which several triggerers can share.

A first task samples the prefix and divides it into key ranges; each mapped task copies its own, and
together they copy every key once. All copies of one triggerer share one core: this is for more than
one triggerer, or for tasks on workers (``deferrable=False``).
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, task

from async_s3copy.airflow import S3CopyOperator, split_prefix

SOURCE = "s3://source-bucket/photos/"
DESTINATION = "s3://destination-bucket/landing/"

with DAG(
    "copy_mapped_shards",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    default_args={
        "source_aws_conn_id": "source_account",
        "dest_aws_conn_id": "destination_account",
        "retries": 2,
        "retry_delay": timedelta(minutes=1),
    },
):
    shards = task(split_prefix)(SOURCE, shards=8, source_aws_conn_id="source_account")

    copied = S3CopyOperator.partial(
        task_id="copy",
        source_key=SOURCE,
        destination_key=DESTINATION,
        recursive=True,
        deferrable=True,
    ).expand_kwargs(shards)

    @task
    def total(metrics: Any) -> int:
        """Each mapped task returns the metrics of its own range."""
        return sum(each["files_copied_successfully"] for each in metrics)

    total(copied.output)
