"""A DAG of the end-to-end tests: one mapped copy for each key range of a prefix."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, get_current_context, task

from async_s3copy.airflow.operators import S3CopyOperator
from async_s3copy.airflow.shards import split_prefix

with DAG("copy_shards", schedule=None):

    @task
    def split() -> list[dict[str, str | None]]:
        """Divide the prefix, on the worker."""
        conf: Any = get_current_context()["dag_run"].conf
        return split_prefix(
            conf["prefix"],
            4,
            source_bucket=conf["source"],
            source_aws_conn_id="source_account",
        )

    S3CopyOperator.partial(
        task_id="copy",
        source_bucket="{{ dag_run.conf['source'] }}",
        source_key="{{ dag_run.conf['prefix'] }}",
        source_aws_conn_id="source_account",
        destination_bucket="{{ dag_run.conf['destination'] }}",
        destination_key="landing/",
        dest_aws_conn_id="destination_account",
        recursive=True,
        deferrable=True,
        method="server_side",
        queue="copies",
        retries=1,
        retry_delay=timedelta(0),
    ).expand_kwargs(split())
