"""What Airflow stores of a copy: comes back as it was, is checked before use, holds no secret."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import airflow_home  # noqa: F401  # before anything of Airflow

# isort: split
from async_s3copy import (
    Account,
    CopyOptions,
    Overrides,
    Preserve,
    S3CopyOperation,
    ValidationError,
)
from async_s3copy.airflow.payload import CopyPayload, plain_options, read_options
from async_s3copy.airflow.triggers import CLASS_PATH, S3CopyTrigger
from tests.airflow_trigger import as_stored

pytestmark = pytest.mark.stack_b


def payload(**changes: Any) -> CopyPayload:
    """Return the payload of a recursive copy."""
    usual: dict[str, Any] = {
        "source_bucket": "source-bucket",
        "source_key": "in/",
        "destination_bucket": "target-bucket",
        "destination_key": "out/",
        "source_aws_conn_id": "theirs",
        "dest_aws_conn_id": "ours",
        "recursive": True,
    }
    return CopyPayload(**(usual | changes))


def checkpoint_of(copy: CopyPayload) -> dict[str, Any]:
    """Return a checkpoint of a copy that has not begun."""
    return copy.operation(Account(), Account()).checkpoint()


OTHERS: dict[str, list[Any]] = {
    "source_bucket": ["other-bucket"],
    "source_key": [None, "é/😀"],
    "destination_bucket": ["another-bucket"],
    "destination_key": [None, "x\0y"],
    "source_aws_conn_id": [None, "aws_default"],
    "dest_aws_conn_id": [None, "aws_default"],
    "recursive": [False],
    "batch_size": [1, 1_000],
    "overwrite": [False],
    "start_after": ["in/a", "in/__var"],
    "up_to": ["in/b"],
    "version_id": ["null", "3sL4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY"],
    "all_versions": [True],
    "pin_versions": [True],
    "options": [{"method": "relay", "fail_fast": True, "max_requests_per_second": 2.5}],
    "region_name": ["eu-west-1"],
    "verify": [True, False, "/etc/ca.pem"],
    "botocore_config": [{}, {"s3": {"addressing_style": "path"}, "max_pool_connections": 50}],
    "checkpoint_interval_s": [0.5, 3],
    "deadline": [1_800_000_000.25],
    "resume_from": [
        {"version": 1, "remaining": [[None, "a"], ["b", None]], "uploads": [["k", None]]}
    ],
}


def test_every_field_is_tried() -> None:
    """A field that is added must be added to the round trip below."""
    assert OTHERS.keys() == {each.name for each in fields(CopyPayload)}


@pytest.mark.parametrize("name, value", [(n, v) for n, values in OTHERS.items() for v in values])
def test_a_trigger_comes_back_from_the_database_as_it_was(name: str, value: object) -> None:
    """Serialised, stored, read and rebuilt, each parameter has the value it had, twice over."""
    trigger = S3CopyTrigger(**payload(**{name: value}).to_kwargs())
    class_path, arguments = trigger.serialize()
    assert class_path == CLASS_PATH
    assert arguments[name] == value
    again = S3CopyTrigger(**as_stored(arguments))
    assert again.payload == trigger.payload
    assert again.serialize() == (class_path, arguments)


@given(st.text(), st.text(), st.lists(st.tuples(st.none() | st.text(), st.none() | st.text())))
def test_keys_come_back_byte_for_byte(
    source: str, destination: str, remaining: list[tuple[str | None, str | None]]
) -> None:
    """Whatever characters keys have, alone or in a checkpoint, they are stored unchanged."""
    resume_from = {"remaining": [list(each) for each in remaining]}
    copy = payload(source_key=source, destination_key=destination, resume_from=resume_from)
    assert CopyPayload(**as_stored(copy.to_kwargs())) == copy


def test_the_class_path_is_that_of_the_trigger() -> None:
    """The path in the database leads to the class."""
    assert f"{S3CopyTrigger.__module__}.{S3CopyTrigger.__qualname__}" == CLASS_PATH


def test_only_a_type_error_comes_of_building_a_trigger() -> None:
    """Airflow fails a task on TypeError alone; anything else would end the whole triggerer."""
    with pytest.raises(TypeError, match="nonsense"):
        S3CopyTrigger(**payload().to_kwargs(), nonsense=1)
    with pytest.raises(TypeError, match="dest_aws_conn_id"):
        S3CopyTrigger(source_bucket="a", source_key=None, destination_bucket="b")
    wrong = dict.fromkeys(payload().to_kwargs(), object())
    S3CopyTrigger(**wrong)


def test_the_arguments_are_plain_json() -> None:
    """What is stored needs no serialiser but JSON's, and no credential has a place in it."""
    arguments = payload(options=plain_options(CopyOptions(method="relay"))).to_kwargs()
    assert json.loads(json.dumps(arguments)) == arguments
    assert not {"password", "secret", "key_id", "token"} & set("_".join(arguments).split("_"))


def test_a_repr_shows_neither_checkpoint_nor_botocore_config() -> None:
    """What may be logged holds no keys but those of the task, and no proxy's password."""
    trigger = S3CopyTrigger(
        **payload(
            botocore_config={"proxies": {"http": "http://user:pass-word@proxy"}},
            resume_from={"pending": ["some-key"]},
        ).to_kwargs()
    )
    assert "source-bucket" in repr(trigger)
    assert "pass-word" not in repr(trigger)
    assert "some-key" not in repr(trigger)


# --------------------------------------------------------------------------------------- options


def test_only_options_that_differ_are_stored() -> None:
    """Stored options are the chosen ones: a default may improve between two tries."""
    assert plain_options(CopyOptions()) == {}
    chosen = CopyOptions(method="relay", max_attempts=3)
    assert plain_options(chosen) == {"method": "relay", "max_attempts": 3}
    assert read_options(plain_options(chosen)) == chosen


FAITHFUL = CopyOptions(
    preserve=Preserve(tags="required", acl="best_effort"),
    overrides=Overrides(
        content_type="text/plain",
        metadata={"a": "é"},
        tags={},
        expires=datetime(2030, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=1))),
        lock_mode="GOVERNANCE",
        lock_retain_until="2031-01-02T03:04:05+01:00",
        legal_hold=False,
    ),
    verify="checksum",
)


def test_policies_and_overrides_are_stored_by_name() -> None:
    """Of nested options, too, only what was chosen is stored: dates as S3's headers write them."""
    assert plain_options(FAITHFUL) == {
        "preserve": {"tags": "required", "acl": "best_effort"},
        "overrides": {
            "content_type": "text/plain",
            "metadata": {"a": "é"},
            "tags": {},
            "expires": "Wed, 02 Jan 2030 02:04:05 GMT",
            "lock_mode": "GOVERNANCE",
            "lock_retain_until": "2031-01-02T03:04:05+01:00",
            "legal_hold": False,
        },
        "verify": "checksum",
    }


def test_policies_and_overrides_come_back() -> None:
    """Read again, nested options mean what they meant."""
    stored = as_stored(payload(options=plain_options(FAITHFUL)).to_kwargs())["options"]
    again = read_options(stored)
    overrides = replace(FAITHFUL.overrides, expires="Wed, 02 Jan 2030 02:04:05 GMT")
    assert again == replace(FAITHFUL, overrides=overrides)
    assert read_options(plain_options(again)) == again


# ---------------------------------------------------------------------------------------- checks


@pytest.mark.parametrize(
    "changes, complaint",
    [
        ({"source_bucket": "no"}, "source_bucket='no' must"),
        ({"source_key": ""}, "source_key='' must"),
        ({"destination_bucket": None}, "destination_bucket=None must"),
        ({"destination_key": 3}, "destination_key=3 must"),
        ({"source_aws_conn_id": ""}, "source_aws_conn_id='' must be a non-empty string or None"),
        ({"dest_aws_conn_id": 7}, "dest_aws_conn_id=7 must be a non-empty string or None"),
        ({"recursive": "yes"}, "recursive='yes' must"),
        ({"source_key": None, "recursive": False}, "source_key=None must name an object"),
        ({"batch_size": 0}, "batch_size=0 must"),
        ({"overwrite": None}, "overwrite=None must"),
        ({"start_after": "b", "up_to": "a"}, "up_to='a' must be greater than start_after"),
        ({"start_after": "b", "recursive": False}, "start_after='b' must be None unless"),
        ({"options": [1]}, r"options=\[1\] must be a mapping"),
        ({"options": {"methods": "relay"}}, "options='methods' must hold names of CopyOptions"),
        ({"options": {"method": "teleport"}}, "method='teleport' must be one of"),
        ({"options": {"preserve": "all"}}, "preserve='all' must be a mapping of names of Preserve"),
        ({"options": {"preserve": {"tag": "drop"}}}, "preserve='tag' must hold names of Preserve"),
        ({"options": {"preserve": {"tags": "yes"}}}, "tags='yes' must be one of required"),
        ({"options": {"overrides": {"lock_mode": "X"}}}, "lock_mode='X' must be one of"),
        ({"version_id": ""}, "version_id='' must"),
        ({"version_id": "v", "recursive": True}, "version_id='v' must"),
        ({"all_versions": "maybe"}, "all_versions='maybe' must be True or False"),
        ({"pin_versions": 1}, "pin_versions=1 must be True or False"),
        ({"region_name": ""}, "region_name='' must be a non-empty string or None"),
        ({"verify": ""}, "verify='' must be a non-empty string or None"),
        ({"verify": 1}, "verify=1 must be a non-empty string or None"),
        ({"botocore_config": "s3"}, "botocore_config='str' must be a mapping of plain JSON"),
        ({"botocore_config": {"a": object()}}, "botocore_config='dict' must be a mapping of plain"),
        ({"botocore_config": {1: 2}}, "botocore_config='dict' must be a mapping of plain"),
        ({"checkpoint_interval_s": 0}, "checkpoint_interval_s=0 must"),
        ({"deadline": "soon"}, "deadline='soon' must"),
        ({"deadline": float("inf")}, "deadline=inf must"),
    ],
)
def test_a_bad_parameter_is_refused_by_name(changes: dict[str, Any], complaint: str) -> None:
    """Each rule has its sentence, before anything is asked of S3 or of Airflow."""
    with pytest.raises(ValidationError, match=f"^{complaint}"):
        payload(**changes).check()


@pytest.mark.parametrize("name, value", [(n, v) for n, values in OTHERS.items() for v in values])
def test_good_parameters_pass(name: str, value: object) -> None:
    """What the round trip takes is also valid, but for ranges of a single object."""
    recursive = name != "version_id"
    payload(**{"recursive": recursive} | {name: value}).check()


def test_connection_ids_may_be_absent() -> None:
    """No connection is the provider's None: the default credential chain."""
    payload(source_aws_conn_id=None, dest_aws_conn_id=None).check()


# ----------------------------------------------------------------------------------- checkpoints


def test_a_checkpoint_of_the_same_copy_is_accepted() -> None:
    """A checkpoint fits the copy it was taken of, and is then where the operation goes on."""
    copy = payload(start_after="in/a")
    checkpoint = checkpoint_of(copy)
    assert copy.accepts(checkpoint)
    operation = copy.operation(Account(), Account(), resume_from=checkpoint)
    assert operation.checkpoint() == checkpoint


@pytest.mark.parametrize("name", ["source_bucket", "destination_key", "recursive", "up_to"])
def test_a_checkpoint_of_another_copy_is_not_accepted(name: str) -> None:
    """After a change of what is copied, nothing is left out for the sake of the old copy."""
    assert not payload(**{name: OTHERS[name][0]}).accepts(checkpoint_of(payload()))


@pytest.mark.parametrize("checkpoint", [{}, {"version": 2}, {"version": 1, "remaining": 3}])
def test_what_is_no_checkpoint_is_not_accepted(checkpoint: dict[str, Any]) -> None:
    """Another version's checkpoint, or none at all, is no reason to fail."""
    assert not payload().accepts(checkpoint)


def test_another_mistake_is_not_taken_for_the_checkpoints() -> None:
    """A bad parameter is reported whatever the checkpoint is."""
    with pytest.raises(ValidationError, match="batch_size"):
        payload(batch_size=0).accepts(checkpoint_of(payload()))


# ------------------------------------------------------------------------------------- operation


def test_the_operation_has_every_parameter() -> None:
    """What was stored is what runs."""
    copy = payload(
        batch_size=7,
        overwrite=False,
        start_after="in/a",
        up_to="in/b",
        options={"fail_fast": True},
        checkpoint_interval_s=2.5,
    )
    operation = copy.operation(Account(region="eu-west-1"), Account())
    for name in OTHERS.keys() & vars(S3CopyOperation("a", "b", "c", "d")).keys():
        if name not in ("options", "resume_from"):
            assert getattr(operation, name) == getattr(copy, name), name
    assert operation.options == CopyOptions(fail_fast=True)
