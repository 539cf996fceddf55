"""Airflow: the work of ``S3CopyPrefixOperator``, without a scheduler around it."""

from __future__ import annotations

from airflow.providers.amazon.aws.operators.s3 import (  # type: ignore[attr-defined]
    S3CopyPrefixOperator,  # new in 9.32, which cannot be installed beside aioboto3
)

from benchmarks.drivers import common


def main() -> None:
    """Copy the prefix with the connection that AIRFLOW_CONN_AWS_DEFAULT describes."""
    job = common.job()
    operator = S3CopyPrefixOperator(
        task_id="copy",
        source_bucket_name=job["source_bucket"],
        source_bucket_prefix=job["prefix"],
        dest_bucket_name=job["destination_bucket"],
        dest_bucket_prefix=job["prefix"],
        aws_conn_id="aws_default",
        region_name=job["region"],
    )
    operator.execute({})


if __name__ == "__main__":
    main()
