"""Copy one object to another account every day, on the worker: it is done in a second.

Change the buckets, keys and connections. ``source_account`` and ``destination_account`` are AWS
connections of Airflow's; credentials are only there.
"""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG

from async_s3copy.airflow import S3CopyOperator

with DAG(
    "copy_one_object",
    schedule="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
):
    S3CopyOperator(
        task_id="copy",
        source_key="s3://source-bucket/reports/{{ ds }}.csv",
        destination_key="s3://destination-bucket/reports/{{ ds }}.csv",
        source_aws_conn_id="source_account",
        dest_aws_conn_id="destination_account",
        retries=2,
        retry_delay=timedelta(minutes=1),
    )
