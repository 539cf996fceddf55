"""Copy in tries of one hour each: every try goes on where the one before stopped.

A try that runs out of time, or in which objects failed, leaves a checkpoint (Airflow 3.3 or newer
keeps it). The next one copies only what is left, failed objects included. A triggerer that dies
costs no try: the copy goes on in another one.
"""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG

from async_s3copy.airflow import S3CopyOperator

with DAG(
    "copy_with_a_retry_that_resumes",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
):
    S3CopyOperator(
        task_id="copy",
        source_key="s3://source-bucket/photos/",
        destination_key="s3://destination-bucket/landing/",
        recursive=True,
        source_aws_conn_id="source_account",
        dest_aws_conn_id="destination_account",
        deferrable=True,
        timeout=timedelta(hours=1),
        checkpoint_interval_s=10,
        retries=5,
        retry_delay=timedelta(minutes=1),
    )
