"""No credential in any record, repr, error, traceback, report or metric."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from async_s3copy import Account, S3CopyError, S3CopyOperation
from tests.fault_answers import error
from tests.fault_server import run_fault_server
from tests.real import Place, Watch, place_on, quick
from tests.support import REGION, S3Server, seed

pytestmark = pytest.mark.stack_b

OBJECTS = {"a": b"1", "b": b"2"}
KEY, SECRET = "AKIAHUSHHUSHHUSHHUSH", "hush+hush/secretaccesskeyhushhushhushhus"
TOKEN, EXTERNAL_ID = "hush-session-token//+==", "hush-external-id"
CUSTOMER_KEY = "aHVzaGh1c2hodXNoaHVzaGh1c2hodXNoaHVzaGh1c2g="
SECRETS = (KEY, SECRET, TOKEN, EXTERNAL_ID, CUSTOMER_KEY)


@pytest.fixture
async def moto_place(moto: S3Server) -> AsyncIterator[Place]:
    """A bucket pair on moto, which accepts any credentials."""
    async with place_on(moto) as made:
        await seed(made.admin, made.buckets.source, OBJECTS)
        yield made


@pytest.fixture
async def place(seaweedfs: S3Server) -> AsyncIterator[Place]:
    """A bucket pair on SeaweedFS, which rejects them."""
    async with place_on(seaweedfs) as made:
        await seed(made.admin, made.buckets.source, OBJECTS)
        yield made


class Records(logging.Handler):
    """Keep every record of every logger, from DEBUG on."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.kept: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.kept.append(record)


@pytest.fixture
def records(caplog: pytest.LogCaptureFixture) -> Iterator[list[logging.LogRecord]]:
    """Every record of every logger, from DEBUG on."""
    handler = Records()
    logging.getLogger().addHandler(handler)
    with caplog.at_level(logging.DEBUG), caplog.at_level(logging.DEBUG, "async_s3copy"):
        yield handler.kept
    logging.getLogger().removeHandler(handler)


def hushed(endpoint_url: str) -> Account:
    """Return an account with all five secrets."""
    return Account(
        access_key_id=KEY,
        secret_access_key=SECRET,
        session_token=TOKEN,
        external_id=EXTERNAL_ID,
        customer_key=CUSTOMER_KEY,
        region=REGION,
        endpoint_url=endpoint_url,
    )


def whole_text(record: logging.LogRecord) -> str:
    """Return a record as any formatter could show it: message, arguments, extras, traceback."""
    text = f"{record.getMessage()} {record.__dict__!r}"
    if record.exc_info:
        text += "".join(traceback.format_exception(*record.exc_info))
    return text


def found_in(text: str) -> list[str]:
    """Return the secrets a text shows."""
    return [secret for secret in SECRETS if secret in text]


def assert_ours_are_clean(records: list[logging.LogRecord]) -> None:
    """Fail if a record of the library shows a secret."""
    ours = [record for record in records if record.name.startswith("async_s3copy")]
    assert [whole_text(record) for record in ours if found_in(whole_text(record))] == []
    assert any(record.name.startswith("botocore") for record in records), "DEBUG was not captured"


def shown_by(operation: S3CopyOperation, failed: BaseException | None, report: Path) -> str:
    """Return all that an operation shows of itself."""
    texts = [repr(operation), str(operation), str(operation.failure_reason)]
    texts += [json.dumps(operation.metrics.to_dict()), repr(operation.metrics)]
    texts.append(report.read_text() if report.exists() else "")
    while failed is not None:
        texts += [str(failed), repr(failed), repr(failed.args), repr(vars(failed))]
        texts += traceback.format_exception(failed)
        failed = failed.__cause__ or failed.__context__
    return "\n".join(texts)


@pytest.mark.parametrize("method", ["auto", "relay"])
async def test_a_successful_copy_shows_no_credential(
    moto_place: Place, records: list[logging.LogRecord], tmp_path: Path, method: str
) -> None:
    """Success: nothing secret in our records, reprs, metrics, report or observer's texts."""
    account, watch = hushed(moto_place.server.endpoint_url), Watch()
    report = tmp_path / "report.jsonl"
    operation = moto_place.operation(
        source=account,
        destination=account,
        options=quick(method=method),
        observer=watch,
        report=report,
    )
    metrics = await operation.run()
    assert metrics.files_copied_successfully == 2
    assert_ours_are_clean(records)
    assert found_in(shown_by(operation, None, report)) == []
    assert found_in(f"{watch!r} {account!r} {account} {operation.options!r}") == []


@pytest.mark.parametrize("side", ["source", "destination"])
@pytest.mark.parametrize("kind", ["rejected", "no-answer", "no-role"])
async def test_a_refused_copy_shows_no_credential(
    place: Place, records: list[logging.LogRecord], tmp_path: Path, side: str, kind: str
) -> None:
    """Rejected keys, a dead endpoint, a role that cannot be assumed: no secret shows."""
    dead = "http://127.0.0.1:9"
    account = hushed(dead if kind == "no-answer" else place.server.endpoint_url)
    report = tmp_path / "report.jsonl"
    async with run_fault_server() as sts:
        sts.always("ListObjectsV2", error(403, "AccessDenied"))
        if kind == "no-role":
            role = "arn:aws:iam::123456789012:role/copier"
            account = replace(account, role_arn=role, sts_endpoint_url=sts.url)
        given: dict[str, Any] = {side: account}
        operation = place.operation(report=report, **given)
        with pytest.raises(S3CopyError) as caught:
            await operation.run()
    assert_ours_are_clean(records)
    assert found_in(shown_by(operation, caught.value, report)) == []


async def test_failing_objects_show_no_credential(
    moto_place: Place, place: Place, records: list[logging.LogRecord], tmp_path: Path
) -> None:
    """Objects that fail: their errors, the report's lines and the metrics' texts are clean."""
    report = tmp_path / "report.jsonl"
    who = place.server.identities
    operation = moto_place.operation(
        source=hushed(moto_place.server.endpoint_url),
        destination=place.server.account(who.destination_no_write),
        to=place,
        report=report,
    )
    with pytest.raises(S3CopyError) as caught:
        await operation.run()
    secrets = (*SECRETS, who.destination_no_write.secret_access_key)
    shown = shown_by(operation, caught.value, report)
    assert [secret for secret in secrets if secret in shown] == []
    assert len(report.read_text().splitlines()) == 2
    assert_ours_are_clean(records)


async def test_third_parties_show_no_secret(
    moto_place: Place, records: list[logging.LogRecord]
) -> None:
    """botocore, aiobotocore and aiohttp log no secret of a plain S3 call, not even at DEBUG."""
    account = hushed(moto_place.server.endpoint_url)
    await moto_place.operation(source=account, destination=account).run()
    assert {(r.name, secret) for r in records for secret in found_in(whole_text(r))} == set()
