"""S3CopyOperator: the copy as a task, on the triggerer or on the worker."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, NoReturn

from airflow.providers.amazon.aws.transfers.base import AwsToAwsBaseOperator
from airflow.providers.amazon.version_compat import NOTSET, ArgNotSet
from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowTaskTimeout,
    conf,
)
from airflow.sdk.bases.operator import TRIGGER_FAIL_REPR

from async_s3copy import rules
from async_s3copy.airflow import checkpoints, parameters
from async_s3copy.airflow.events import CopyEvent, CopySucceeded, parse_event
from async_s3copy.airflow.lineage import copy_lineage
from async_s3copy.airflow.links import S3DestinationLink
from async_s3copy.airflow.payload import CopyPayload, as_plain
from async_s3copy.airflow.rendered import switch
from async_s3copy.airflow.triggers import S3CopyTrigger
from async_s3copy.errors import ValidationError
from async_s3copy.options import ClientChoice, CopyOptions, Method
from async_s3copy.preserve import Overrides, Preserve

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import Context

    from async_s3copy.airflow.worker import WorkerCopy

BACKSTOP_S: Final = 60
"""Airflow's own limit comes so much later than ours, which ends the copy in good order."""


class S3CopyOperator(AwsToAwsBaseOperator):
    """Copy an object, a prefix or a whole bucket, inside S3 or across accounts.

    Deferred, the copy runs on the triggerer and holds no worker slot; it survives the triggerer's
    death. A try that failed or ran out of time leaves a checkpoint, from which the next one goes on
    (Airflow 3.3 or newer keeps it; before, a retry begins anew).

    All parameters are given by keyword. Those marked (t) are templated; numbers and switches may be
    rendered as text, such as ``"500"`` or ``"True"``.

    Args:
        source_bucket: (t) Source bucket name or access-point ARN; ``None`` (default) where
            ``source_key`` is a URL.
        source_key: (t) Source key, or prefix where ``recursive``; ``None`` (default) for the whole
            bucket. Or ``s3://bucket/key``, where ``s3://bucket/`` is the whole bucket. An empty
            text is refused: a template that rendered to nothing must not copy a bucket.
        destination_bucket: (t) Destination bucket; likewise.
        destination_key: (t) Destination key or prefix, or a URL; ``None`` (default) for the
            bucket's root. Not recursive, one that ends in ``/`` receives the last part of the
            source's name.
        recursive: (t) Copy every key that starts with the source key, replacing that prefix.
            Default ``False``: exactly one object.
        source_aws_conn_id: (t) Airflow connection that lists and reads. Default ``"aws_default"``.
            ``None`` is the default credential chain; a connection that does not exist fails the
            task, and never becomes the default chain.
        dest_aws_conn_id: (t) Airflow connection that copies and writes. Default: the source's.
        batch_size: (t) Objects handed to the workers together, 1 to 1,000. Default 100.
        overwrite: (t) ``True`` (default) replaces existing objects, ``False`` skips them.
        start_after: Copy only keys after this one; ``None`` (default) from the first. With
            ``up_to`` it is what ``split_prefix`` returns, for ``expand_kwargs``. Not templated:
            these are keys found in the bucket, and a key that looks like a template must be none.
        up_to: Copy only keys up to this one, itself included; ``None`` (default) to the last.
        version_id: (t) Version of the one object to copy; ``None`` (default) for the current one.
        all_versions: (t) Copy every version, oldest first, and delete markers. Default ``False``.
        pin_versions: (t) Copy each object in the version the listing shows. Default ``False``.
        preserve: (t) What travels with the bytes, as ``Preserve`` or a dictionary of its fields.
        overrides: (t) What is written instead of the source's own, as ``Overrides`` or a dictionary
            of its fields. ``None``, the default of both, takes the options'.
        deferrable: Copy on the triggerer. Default: ``[operators] default_deferrable``. A copy of a
            second or two is better off on the worker.
        method: (t) ``"auto"``, ``"server_side"`` or ``"relay"``; ``None`` takes the options'.
        client: (t) ``"auto"``, ``"wire"`` or ``"boto"``; ``None`` takes the options'.
        max_concurrent_requests: (t) Requests in flight at most; ``None`` takes the options'.
        max_requests_per_second: (t) Requests started per second at most; ``None`` takes the
            options'.
        fail_fast: (t) Stop at the first failed object; ``None`` takes the options'.
        timeout: Seconds, or a timedelta, that one try may take from ``execute`` on; ``None``
            (default) for ever. The copy then stops in good order, leaves its checkpoint, and the
            task fails with ``AirflowTaskTimeout``, so retries apply. ``execution_timeout``, which
            Airflow does not enforce while a task is deferred, ends a copy on the worker the same
            way.
        checkpoint_interval_s: Seconds between two saved checkpoints: at most so much is copied
            again after a crash. Default 10.
        resume: (t) Go on from the checkpoint that an earlier try of this task instance left, also
            after the user cleared it. Default ``True``; ``False`` begins anew: choose it where the
            source changes between tries. An object copied twice does no harm.
        options: (t) Every other knob of the engine, as ``CopyOptions`` or as a dictionary of its
            fields. The parameters above go before it.
        region_name: (t) Region of both buckets; ``None`` (default) takes the connections'.
        verify: (t) TLS verification as the amazon provider has it; ``None`` takes the connections'.
        botocore_config: Arguments of a botocore ``Config``; ``None`` takes the connections'. Not
            templated, as in the provider: a proxy's password is not to be shown among the rendered
            templates.
        **kwargs: What every operator takes. Give ``retries`` of at least 1.

    Returns:
        (XCom) The metrics output schema, a dictionary: counts, bytes, seconds, the first errors.

    Raises:
        AirflowFailException: A parameter breaks its rule. Retries do not apply, because they would
            not change it; nothing was deferred, no request sent.
        AirflowException: Objects failed, a bucket, permission or connection is missing, the listing
            broke off, or the task was ended on the worker. The text names the count and the first
            failures; retries apply.
        AirflowTaskTimeout: ``timeout`` passed; retries apply.

    Costs one request per small object and one per 1,000 listed keys, and a few to validate.
    However it ends, no multipart upload stays open, and no destination object is deleted.
    """

    template_fields: Sequence[str] = (
        "source_bucket",
        "source_key",
        "destination_bucket",
        "destination_key",
        "recursive",
        "source_aws_conn_id",
        "dest_aws_conn_id",
        "batch_size",
        "overwrite",
        "version_id",
        "all_versions",
        "pin_versions",
        "preserve",
        "overrides",
        "method",
        "client",
        "max_concurrent_requests",
        "max_requests_per_second",
        "fail_fast",
        "resume",
        "options",
        "region_name",
        "verify",
    )
    template_fields_renderers = dict.fromkeys(("options", "preserve", "overrides"), "json")
    operator_extra_links = (S3DestinationLink(),)
    ui_color = "#d5e8f7"

    def __init__(  # noqa: PLR0915 - one statement a parameter
        self,
        *,
        source_bucket: str | None = None,
        source_key: str | None = None,
        destination_bucket: str | None = None,
        destination_key: str | None = None,
        recursive: bool | str = False,
        source_aws_conn_id: str | None = "aws_default",
        dest_aws_conn_id: str | ArgNotSet | None = NOTSET,
        batch_size: int | str = 100,
        overwrite: bool | str = True,
        start_after: str | None = None,
        up_to: str | None = None,
        version_id: str | None = None,
        all_versions: bool | str = False,
        pin_versions: bool | str = False,
        preserve: Preserve | Mapping[str, Any] | None = None,
        overrides: Overrides | Mapping[str, Any] | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        method: Method | None = None,
        client: ClientChoice | None = None,
        max_concurrent_requests: int | str | None = None,
        max_requests_per_second: float | str | None = None,
        fail_fast: bool | str | None = None,
        timeout: float | timedelta | None = None,
        checkpoint_interval_s: float = 10.0,
        resume: bool | str = True,
        options: CopyOptions | Mapping[str, Any] | None = None,
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            source_aws_conn_id=source_aws_conn_id, dest_aws_conn_id=dest_aws_conn_id, **kwargs
        )
        self.source_bucket = source_bucket
        self.source_key = source_key
        self.destination_bucket = destination_bucket
        self.destination_key = destination_key
        self.recursive = recursive
        self.batch_size = batch_size
        self.overwrite = overwrite
        self.start_after = start_after
        self.up_to = up_to
        self.version_id = version_id
        self.all_versions = all_versions
        self.pin_versions = pin_versions
        self.preserve = as_plain(preserve)
        self.overrides = as_plain(overrides)
        self.deferrable = deferrable
        self.method = method
        self.client = client
        self.max_concurrent_requests = max_concurrent_requests
        self.max_requests_per_second = max_requests_per_second
        self.fail_fast = fail_fast
        self.timeout = timeout
        self.checkpoint_interval_s = checkpoint_interval_s
        self.resume = resume
        self.options = as_plain(options)
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config
        self._running: WorkerCopy | None = None
        self._is_killed = False
        self._metrics: Mapping[str, Any] | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        """Check the parameters, then defer, or copy on this worker; see the class.

        Args:
            context: Airflow's; its ``task_state_store`` holds the checkpoint of the last try.

        Returns:
            The metrics output schema; nothing where it defers.

        Raises:
            AirflowFailException: A parameter breaks its rule; likewise the rest.
            TaskDeferred: The copy goes on in the triggerer.
        """
        try:
            payload = parameters.read_payload(self, is_mapped=parameters.is_mapped(context))
            payload.check()
            resume = rules.check_bool("resume", switch(self.resume))
        except ValidationError as error:
            raise AirflowFailException(str(error)) from error
        payload = self._resumed(payload, context) if resume else payload
        source, destination = parameters.read_locations(self)
        self.log.info("Copying %s to %s%s", source, destination, parameters.range_text(payload))
        if self.deferrable:
            self._defer(payload)
        return self._finish(self._copy_here(payload, context), context)

    def execute_complete(self, context: Context, event: Any = None) -> dict[str, Any]:
        """End the task as the trigger's event says.

        Args:
            context: Airflow's; a failed copy's checkpoint goes to its ``task_state_store``.
            event: The payload of the trigger's event.

        Returns:
            The metrics output schema.

        Raises:
            AirflowException: The copy failed, or the event says nothing known.
            AirflowTaskTimeout: ``timeout`` passed.
        """
        try:
            ended = parse_event(event)
        except ValidationError as error:
            raise AirflowException(f"the trigger's event is not understood: {error}") from error
        return self._finish(ended, context)

    def resume_execution(
        self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context
    ) -> Any:
        """Go on after deferral; a trigger that sent no event leaves its checkpoint all the same.

        Airflow's own limit may pass while no triggerer runs, or a triggerer may fail to start the
        trigger: the task then fails without ``execute_complete``, and the next try's beginning
        clears the trigger's XCom. So the checkpoint moves to the task state store first.

        Args:
            next_method: What is called; Airflow's mark for a failed trigger calls nothing.
            next_kwargs: Its arguments.
            context: Airflow's.

        Returns:
            What the method returns.

        Raises:
            TaskDeferralError: The trigger failed.
            TaskDeferralTimeout: Airflow's own limit passed, a minute after ``timeout``.
        """
        if next_method == TRIGGER_FAIL_REPR:
            checkpoint = asyncio.run(checkpoints.XComCheckpoints(context["ti"]).load())
            if checkpoint is not None:
                checkpoints.store(context, checkpoint)
        return super().resume_execution(next_method, next_kwargs, context)

    def on_kill(self) -> None:
        """Ask a copy on this worker to stop: it aborts its uploads, then ``execute`` raises.

        Airflow calls it in a handler of SIGTERM, maybe before the copy has begun: then it will not.
        """
        self._is_killed = True
        if self._running is not None:
            self._running.stop()

    def get_openlineage_facets_on_start(self) -> OperatorLineage:
        """Return source and destination as OpenLineage's datasets."""
        return copy_lineage(*parameters.read_locations(self))

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage:
        """Return the same, with what was copied; ``task_instance`` is not looked at."""
        return copy_lineage(*parameters.read_locations(self), self._metrics)

    def _resumed(self, payload: CopyPayload, context: Context) -> CopyPayload:
        checkpoint = checkpoints.load(context)
        if checkpoint is None:
            return payload
        if not payload.accepts(checkpoint):
            self.log.warning("The stored checkpoint is one of another copy: beginning anew")
            return payload
        self.log.info("Going on from the checkpoint of an earlier try")
        return replace(payload, resume_from=checkpoint)

    def _defer(self, payload: CopyPayload) -> NoReturn:
        limit_s = parameters.read_timeout_s(self.timeout)
        self.defer(
            trigger=S3CopyTrigger(**payload.to_kwargs()),
            method_name="execute_complete",
            timeout=None if limit_s is None else timedelta(seconds=limit_s + BACKSTOP_S),
        )

    def _copy_here(self, payload: CopyPayload, context: Context) -> CopyEvent:
        # It imports aiobotocore and the provider's hooks: a DAG file is parsed without.
        from async_s3copy.airflow.worker import WorkerCopy  # noqa: PLC0415

        self._running = WorkerCopy(payload, context)
        if self._is_killed:
            self._running.stop()
        try:
            return self._running.run()
        finally:
            self._running = None

    def _finish(self, ended: CopyEvent, context: Context) -> dict[str, Any]:
        self._metrics = ended.metrics
        if isinstance(ended, CopySucceeded):
            checkpoints.clear(context)
            return dict(ended.metrics)
        if ended.checkpoint is not None:
            checkpoints.store(context, dict(ended.checkpoint))
        if ended.status == "timeout":
            raise AirflowTaskTimeout(ended.sentence())
        raise AirflowException(ended.sentence())
