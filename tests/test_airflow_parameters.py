"""The operator's parameters: defaults, URLs, templates, and what is refused at once."""

from __future__ import annotations

import inspect
from datetime import timedelta
from typing import Any

import pytest

from tests import airflow_home  # noqa: F401  # before anything of Airflow

# isort: split
from airflow.providers.amazon.aws.transfers.base import AwsToAwsBaseOperator
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowFailException

from async_s3copy import CopyOptions, Overrides, Preserve
from async_s3copy.airflow import S3CopyOperator
from async_s3copy.airflow.payload import CopyPayload
from tests.airflow_tasks import copy_task, execute, rendered, trigger_kwargs

pytestmark = pytest.mark.stack_b

BOUNDS = {"start_after", "up_to"}


# --------------------------------------------------------------------------------- parameters


def test_the_parameters_are_those_of_the_data_model_and_of_the_provider() -> None:
    """Names and defaults are the model's; connections default as in every AWS to AWS transfer."""
    task = copy_task(source_key="k", destination_key="k", recursive=False)
    assert isinstance(task, AwsToAwsBaseOperator)
    assert (task.recursive, task.batch_size, task.overwrite) == (False, 100, True)
    assert (task.source_aws_conn_id, task.dest_aws_conn_id) == ("aws_default", "aws_default")
    assert task.deferrable is conf.getboolean("operators", "default_deferrable", fallback=False)


@pytest.mark.parametrize(
    "given, ids",
    [
        ({}, ("aws_default", "aws_default")),
        ({"source_aws_conn_id": "theirs"}, ("theirs", "theirs")),
        ({"dest_aws_conn_id": "ours"}, ("aws_default", "ours")),
        ({"source_aws_conn_id": "theirs", "dest_aws_conn_id": "ours"}, ("theirs", "ours")),
        ({"source_aws_conn_id": "theirs", "dest_aws_conn_id": None}, ("theirs", None)),
        ({"source_aws_conn_id": None}, (None, None)),
    ],
)
def test_the_destination_is_the_source_s_account_unless_it_is_named(
    given: dict[str, Any], ids: tuple[str | None, str | None]
) -> None:
    """``None`` is a choice of its own: the default chain."""
    kwargs = trigger_kwargs(copy_task(deferrable=True, **given))
    assert (kwargs["source_aws_conn_id"], kwargs["dest_aws_conn_id"]) == ids


@pytest.mark.parametrize(
    "bucket, key, expected",
    [
        ("my-bucket", "a/b", ("my-bucket", "a/b")),
        ("my-bucket", None, ("my-bucket", None)),
        (None, "s3://my-bucket/a/b", ("my-bucket", "a/b")),
        (None, "s3://my-bucket/a%20b?c#d", ("my-bucket", "a%20b?c#d")),
        (None, "s3://my-bucket//a", ("my-bucket", "/a")),
        (None, "s3://my-bucket/", ("my-bucket", None)),
        (None, "s3://my-bucket", ("my-bucket", None)),
    ],
)
def test_a_side_is_a_bucket_and_a_key_or_a_url(
    bucket: str | None, key: str | None, expected: tuple[str, str | None]
) -> None:
    """Both ways of naming a place name the same place, for either side."""
    source = trigger_kwargs(copy_task(source_bucket=bucket, source_key=key, deferrable=True))
    assert (source["source_bucket"], source["source_key"]) == expected
    other = copy_task(destination_bucket=bucket, destination_key=key, deferrable=True)
    destination = trigger_kwargs(other)
    assert (destination["destination_bucket"], destination["destination_key"]) == expected


@pytest.mark.parametrize(
    "given, text",
    [
        ({"source_bucket": None}, "source_bucket=None must be given, unless source_key is an s3"),
        ({"source_key": "s3://src-bucket/p/"}, "source_key='s3://src-bucket/p/' must be no s3:"),
        ({"destination_bucket": None}, "destination_bucket=None must be given"),
        ({"destination_key": "s3://d/p/"}, "destination_key='s3://d/p/' must be no s3"),
        ({"source_bucket": None, "source_key": None}, "source_bucket=None must be given"),
        ({"source_bucket": None, "source_key": "s3://"}, "source_key='' must be a non-empty"),
        ({"source_bucket": ""}, "source_bucket='' must be"),
        ({"source_key": ""}, "source_key='' must not be empty"),
        ({"destination_key": ""}, "destination_key='' must not be empty"),
        ({"source_key": None, "recursive": False}, "source_key=None must name an object"),
        ({"source_key": 2024}, "source_key=2024 must be a string"),
        ({"source_aws_conn_id": ""}, "source_aws_conn_id='' must be a non-empty string"),
        ({"dest_aws_conn_id": 7}, "dest_aws_conn_id=7 must be a non-empty string"),
        ({"recursive": "yes"}, "recursive='yes' must be True or False"),
        ({"overwrite": None}, "overwrite=None must be True or False"),
        ({"resume": "no"}, "resume='no' must be True or False"),
        ({"batch_size": "many"}, "batch_size='many' must be an integer"),
        ({"batch_size": 0}, "batch_size=0 must be between 1 and 1,000"),
        ({"batch_size": "٥"}, "batch_size='٥' must be an integer"),
        ({"start_after": ""}, "start_after='' must not be empty"),
        ({"start_after": "p/{{ ds }}"}, "start_after='p/{{ ds }}' must hold no template"),
        ({"up_to": "p/{% if x %}"}, "up_to='p/{% if x %}' must hold no template"),
        ({"start_after": "p/b", "up_to": "p/a"}, "up_to='p/a' must be greater than start_after"),
        ({"method": "teleport"}, "method='teleport' must be one of"),
        ({"client": "curl"}, "client='curl' must be one of"),
        ({"max_concurrent_requests": 0}, "max_concurrent_requests=0 must be between"),
        ({"max_requests_per_second": "fast"}, "max_requests_per_second='fast' must be a number"),
        ({"fail_fast": "maybe"}, "fail_fast='maybe' must be True or False"),
        ({"timeout": 0}, "timeout=0 must be"),
        ({"timeout": timedelta(seconds=-1)}, "timeout=-1.0 must be"),
        ({"timeout": "60"}, "timeout='60' must be a number of seconds"),
        ({"checkpoint_interval_s": 0}, "checkpoint_interval_s=0 must be"),
        ({"options": "fast"}, "options='fast' must be CopyOptions or a dictionary"),
        ({"options": {"speed": 9}}, "options='speed' must hold names of CopyOptions only"),
        ({"options": {"max_attempts": 0}}, "max_attempts=0 must be between"),
        ({"region_name": 3}, "region_name=3 must be a non-empty string"),
        ({"botocore_config": {"x": object()}}, "botocore_config='dict' must be a mapping of plain"),
    ],
)
@pytest.mark.parametrize("deferrable", [True, False])
def test_a_bad_parameter_fails_the_task_for_good_before_anything_is_sent(
    given: dict[str, Any], text: str, deferrable: bool
) -> None:
    """It is neither deferred nor retried, and the sentence names parameter, value and rule."""
    task = copy_task(deferrable=deferrable, **given)
    with pytest.raises(AirflowFailException) as failed:
        execute(task)
    assert str(failed.value).startswith(text)


def test_the_named_knobs_go_before_the_options() -> None:
    """``options`` holds every other knob, as an object or as a dictionary, and loses a conflict."""
    knobs = CopyOptions(max_attempts=3, max_concurrent_requests=7, method="relay")
    as_dict = {"max_attempts": 3, "max_concurrent_requests": 7, "method": "relay"}
    for options in (knobs, as_dict):
        task = copy_task(options=options, method="server_side", fail_fast=True, deferrable=True)
        assert trigger_kwargs(task)["options"] == {
            "max_attempts": 3,
            "max_concurrent_requests": 7,
            "method": "server_side",
            "fail_fast": True,
        }


def test_policies_and_overrides_are_given_as_objects_or_as_dictionaries() -> None:
    """Both forms are the same copy, stored as plain JSON, and go before those of the options."""
    as_objects: dict[str, Any] = {
        "preserve": Preserve(acl="required"),
        "overrides": Overrides(tags={"a": "b"}),
    }
    as_dicts = {"preserve": {"acl": "required"}, "overrides": {"tags": {"a": "b"}}}
    for given in (as_objects, as_dicts):
        task = copy_task(options=CopyOptions(preserve=Preserve.everything()), **given)
        task.deferrable = True
        assert trigger_kwargs(task)["options"] == as_dicts


# ----------------------------------------------------------------------------------- templates


def test_every_template_field_is_a_parameter() -> None:
    """Airflow renders attributes by these names, and the data model's are all among them."""
    parameters = inspect.signature(S3CopyOperator.__init__).parameters
    assert set(S3CopyOperator.template_fields) <= set(parameters)
    model = inspect.signature(CopyPayload).parameters
    untemplated = {"botocore_config", "checkpoint_interval_s", "deadline", "resume_from"}
    assert set(model) - untemplated - BOUNDS <= set(S3CopyOperator.template_fields)
    assert not BOUNDS & set(S3CopyOperator.template_fields)
    assert set(S3CopyOperator.template_fields_renderers) <= set(S3CopyOperator.template_fields)


TEMPLATED = {
    "source_bucket": "{{ params.bucket }}",
    "source_key": "{{ ds }}/",
    "destination_bucket": None,
    "destination_key": "s3://dst-bucket/{{ ds }}/",
    "recursive": "{{ params.yes }}",
    "source_aws_conn_id": "{{ params.theirs }}",
    "dest_aws_conn_id": "{{ params.ours }}",
    "batch_size": "{{ params.count }}",
    "overwrite": "{{ not params.yes }}",
    "version_id": "{{ none }}",
    "all_versions": "{{ not params.yes }}",
    "pin_versions": "{{ params.yes }}",
    "preserve": {"tags": "{{ params.policy }}"},
    "overrides": {"metadata": {"day": "{{ ds }}"}},
    "method": "{{ params.method }}",
    "client": "{{ params.client }}",
    "max_concurrent_requests": "{{ params.count }}",
    "max_requests_per_second": "{{ params.rate }}",
    "fail_fast": "{{ params.yes }}",
    "resume": "{{ params.yes }}",
    "options": {"cleanup_timeout_s": 5, "method": "{{ params.method }}"},
    "region_name": "{{ params.region }}",
    "verify": "{{ params.bundle }}",
}
CONTEXT = {
    "ds": "2024-05-06",
    "params": {
        "bucket": "src-bucket",
        "yes": True,
        "policy": "required",
        "theirs": "theirs",
        "ours": "ours",
        "count": 500,
        "method": "relay",
        "client": "boto",
        "rate": 2.5,
        "region": "eu-west-1",
        "bundle": "/ca.pem",
    },
}


@pytest.mark.parametrize("native", [True, False])
def test_templates_render_to_the_values_they_stand_for(native: bool) -> None:
    """Every templated parameter may come from a template, as text or natively."""
    assert set(TEMPLATED) == set(S3CopyOperator.template_fields)
    task = copy_task(native=native, deferrable=True, **TEMPLATED)
    kwargs = trigger_kwargs(rendered(task, **CONTEXT))
    expected = {
        "source_bucket": "src-bucket",
        "source_key": "2024-05-06/",
        "destination_bucket": "dst-bucket",
        "destination_key": "2024-05-06/",
        "recursive": True,
        "source_aws_conn_id": "theirs",
        "dest_aws_conn_id": "ours",
        "batch_size": 500,
        "overwrite": False,
        "version_id": None,
        "all_versions": False,
        "pin_versions": True,
        "options": {
            "preserve": {"tags": "required"},
            "overrides": {"metadata": {"day": "2024-05-06"}},
            "method": "relay",
            "client": "boto",
            "max_concurrent_requests": 500,
            "max_requests_per_second": 2.5,
            "fail_fast": True,
            "cleanup_timeout_s": 5,
        },
        "region_name": "eu-west-1",
        "verify": "/ca.pem",
    }
    assert {name: kwargs[name] for name in expected} == expected


@pytest.mark.parametrize("native", [True, False])
def test_a_knob_rendered_to_none_is_left_out(native: bool) -> None:
    """The text "None" can be no number, so it means ``None``."""
    knobs = dict.fromkeys(("max_concurrent_requests", "max_requests_per_second"), "{{ none }}")
    kwargs = trigger_kwargs(rendered(copy_task(native=native, deferrable=True, **knobs)))
    assert kwargs["options"] == {}
