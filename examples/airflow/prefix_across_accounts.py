"""Copy a prefix of one account into another, deferred: however long it takes, no worker waits.

The source's connection lists and reads; the destination's copies, or writes what was read where it
may not read the source. Change the buckets, prefixes and connections.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, task

from async_s3copy.airflow import S3CopyOperator

with DAG(
    "copy_a_prefix_across_accounts",
    schedule="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
):
    copied = S3CopyOperator(
        task_id="copy",
        source_bucket="source-bucket",
        source_key="photos/",
        destination_bucket="destination-bucket",
        destination_key="landing/",
        recursive=True,
        # What is there already was copied yesterday.
        overwrite=False,
        source_aws_conn_id="source_account",
        dest_aws_conn_id="destination_account",
        deferrable=True,
        retries=2,
        retry_delay=timedelta(minutes=5),
    )

    @task
    def report(metrics: Any) -> str:
        """The operator's XCom is the metrics of the copy."""
        count, seconds = metrics["files_copied_successfully"], metrics["duration_seconds"]
        return f"{count:,} objects copied in {seconds:.0f} s"

    report(copied.output)
