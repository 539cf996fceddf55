"""``split_prefix`` as a task: a connection instead of an account, a plain function to decorate."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests import airflow_home  # noqa: F401  # before anything of Airflow

# isort: split
from airflow.sdk import task

from async_s3copy import Account, CopyOptions, ValidationError
from async_s3copy.airflow import S3CopyOperator, split_prefix
from tests.airflow_connections import define_account
from tests.airflow_tasks import dag
from tests.support import S3Server, make_buckets, seed

pytestmark = pytest.mark.stack_b

RANGES = [{"start_after": None, "up_to": "p/m"}, {"start_after": "p/m", "up_to": None}]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Remember what the engine's function is asked, and answer two ranges."""
    calls: list[dict[str, Any]] = []

    async def remember(source_url: str, count: int, **given: Any) -> list[dict[str, str | None]]:
        calls.append({"source_url": source_url, "shards": count, **given})
        return RANGES

    monkeypatch.setattr("async_s3copy.shards.split_prefix", remember)
    return calls


@pytest.mark.parametrize(
    "given, url",
    [
        ({"source_key": "s3://src-bucket/p/"}, "s3://src-bucket/p/"),
        ({"source_key": "p/", "source_bucket": "src-bucket"}, "s3://src-bucket/p/"),
        ({"source_key": None, "source_bucket": "src-bucket"}, "s3://src-bucket/"),
    ],
)
def test_the_prefix_is_a_bucket_and_a_key_or_a_url(
    given: dict[str, Any], url: str, asked: list[dict[str, Any]]
) -> None:
    """It is named as the operator's source is, and the number may come from a template."""
    assert split_prefix(**given, shards="4", source_aws_conn_id=None) == RANGES
    (call,) = asked
    assert (call["source_url"], call["shards"]) == (url, 4)
    assert isinstance(call["source"], Account)
    assert call["options"] == CopyOptions()


@pytest.mark.parametrize("options", [CopyOptions(max_attempts=3), {"max_attempts": 3}])
def test_options_are_an_object_or_a_dictionary(options: Any, asked: list[dict[str, Any]]) -> None:
    """As for the operator."""
    split_prefix("s3://src-bucket/p/", 2, source_aws_conn_id=None, options=options)
    assert asked[0]["options"] == CopyOptions(max_attempts=3)


@pytest.mark.parametrize(
    "given, text",
    [
        ({"source_key": "p/"}, "source_bucket=None must be given"),
        ({"source_key": "s3://a-bucket/p/", "source_bucket": "b"}, "source_key='s3://a-bucket/p/'"),
        ({"source_key": "s3://a-bucket/p/", "options": {"x": 1}}, "options='x' must hold names"),
        (
            {"source_key": "s3://a-bucket/p/", "source_aws_conn_id": "nobody"},
            "source_aws_conn_id='nobody' must be an Airflow connection that exists",
        ),
    ],
)
def test_a_bad_parameter_is_told_by_its_name(
    given: dict[str, Any], text: str, asked: list[dict[str, Any]]
) -> None:
    """Nothing is asked then."""
    with pytest.raises(ValidationError) as failed:
        split_prefix(**given, shards=2)
    assert str(failed.value).startswith(text)
    assert asked == []


def test_it_is_ready_to_be_a_task_whose_ranges_are_mapped() -> None:
    """``task(split_prefix)(...)`` is a task, and the operator takes what it returns."""
    with dag() as copies:
        ranges = task(split_prefix)("s3://src-bucket/p/", shards="{{ params.shards }}")
        S3CopyOperator.partial(
            task_id="copy", source_key="s3://src-bucket/p/", destination_key="s3://dst-bucket/p/"
        ).expand_kwargs(ranges)
    assert copies.get_task("copy").upstream_task_ids == {"split_prefix"}


def test_a_connection_s_prefix_is_divided(moto: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over a real listing the ranges follow each other and leave no key out."""
    keys = [f"p/{number:03}" for number in range(200)]

    async def fill() -> str:
        async with moto.client() as admin:
            made = await make_buckets(admin)
            await seed(admin, made.source, dict.fromkeys(keys, b"x"))
            return made.source

    bucket = asyncio.run(fill())
    define_account(monkeypatch, "theirs", moto, moto.identities.source)
    ranges = split_prefix(f"s3://{bucket}/p/", 4, source_aws_conn_id="theirs")
    assert 1 < len(ranges) <= 4
    bounds = [each["start_after"] for each in ranges] + [ranges[-1]["up_to"]]
    assert bounds == [None, *(each["up_to"] for each in ranges)]
    assert all(bound in keys for bound in bounds[1:-1])
