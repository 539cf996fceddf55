"""DAGs of the end-to-end tests: each copies from and to the buckets that the run's conf names."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from airflow.sdk import DAG, BaseOperator, Context, task

from async_s3copy.airflow.operators import S3CopyOperator
from async_s3copy.airflow.triggers import S3CopyTrigger

MIB: Final = 1024 * 1024
SOURCE: Final = {
    "source_bucket": "{{ dag_run.conf['source'] }}",
    "source_key": "{{ dag_run.conf['prefix'] }}",
    "source_aws_conn_id": "source_account",
}
COPY: Final[dict[str, Any]] = {
    **SOURCE,
    "task_id": "copy",
    "destination_bucket": "{{ dag_run.conf['destination'] }}",
    "destination_key": "landing/",
    "dest_aws_conn_id": "destination_account",
    "recursive": True,
    "deferrable": True,
    # A refused copy is a failed object; "auto" would relay it.
    "method": "server_side",
    "checkpoint_interval_s": 1.0,
    "retries": 1,
    "retry_delay": timedelta(0),
}

with DAG("copy_small", schedule=None):
    S3CopyOperator(**COPY)

with DAG("copy_large", schedule=None):
    S3CopyOperator(
        **COPY,
        # The default of 128 requests in flight is more than the tests hold back: none of those
        # keeps another from its permit.
        options={"multipart_threshold_bytes": 5 * MIB, "part_size_bytes": 5 * MIB},
    )

with DAG("copy_timed", schedule=None):
    S3CopyOperator(**COPY, timeout=30)

with DAG("copy_mapped", schedule=None):
    numbers = [{"start_after": f"data/{n:02}", "up_to": f"data/{n + 1:02}"} for n in range(6)]
    S3CopyOperator.partial(**COPY).expand_kwargs(numbers)

with DAG("other", schedule=None):

    @task
    def other() -> str:
        """Need a worker."""
        return "done"

    other()


class Bounded(BaseOperator):
    """Defer the trigger as an operator of somebody else's may: the limit is Airflow's alone."""

    template_fields = ("payload",)

    def __init__(self, *, payload: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.payload = payload

    def execute(self, context: Context) -> None:
        """Defer for ten seconds at most."""
        trigger = S3CopyTrigger(**self.payload)
        self.defer(trigger=trigger, method_name="complete", timeout=timedelta(seconds=10))

    def complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Return the event."""
        return event


with DAG("copy_bounded", schedule=None):
    Bounded(
        task_id="copy",
        payload={
            **SOURCE,
            "destination_bucket": COPY["destination_bucket"],
            "destination_key": COPY["destination_key"],
            "dest_aws_conn_id": COPY["dest_aws_conn_id"],
            "recursive": True,
            "options": {
                "method": "server_side",
                "multipart_threshold_bytes": 5 * MIB,
                "part_size_bytes": 5 * MIB,
            },
        },
    )
