"""Where credentials may come from: sessions of both libraries, profiles, roles, the environment."""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiobotocore.session import AioSession

from async_s3copy import Account, CredentialsError, OperationState
from tests.fault_answers import raw
from tests.fault_server import run_fault_server
from tests.real import Place, place_on
from tests.support import REGION, S3Server, seed

OBJECTS = {"a": b"1", "b": b"2"}

needs_aioboto3 = pytest.mark.skipif(
    importlib.util.find_spec("aioboto3") is None, reason="aioboto3 is not installed"
)


@pytest.fixture
async def place(seaweedfs: S3Server) -> AsyncIterator[Place]:
    """A bucket pair on SeaweedFS with two objects in the source."""
    async with place_on(seaweedfs) as made:
        await seed(made.admin, made.buckets.source, OBJECTS)
        yield made


def write_profile(config: Path, name: str, place: Place, *more: str) -> None:
    """Write a profile with the admin's keys and the server's endpoint."""
    admin = place.server.admin
    lines = (
        f"[profile {name}]",
        f"aws_access_key_id = {admin.access_key_id}",
        f"aws_secret_access_key = {admin.secret_access_key}",
        f"region = {REGION}",
        f"endpoint_url = {place.server.endpoint_url}",
        *more,
    )
    with config.open("a") as file:
        file.write("\n".join(lines) + "\n")


@pytest.mark.stack_b
async def test_an_aiobotocore_session_is_taken(
    place: Place, isolated_aws_environment: Path
) -> None:
    """A bare AioSession on either side: its credentials, region and endpoint are used."""
    write_profile(isolated_aws_environment, "mine", place)
    session = AioSession(profile="mine")
    operation = place.operation(source=session, destination=session)
    assert (await operation.run()).files_copied_successfully == 2
    assert await place.bodies() == OBJECTS


@needs_aioboto3
async def test_an_aioboto3_session_is_taken(place: Place, isolated_aws_environment: Path) -> None:
    """An aioboto3.Session on either side, with explicit keys or a profile."""
    import aioboto3

    write_profile(isolated_aws_environment, "mine", place)
    by_profile = aioboto3.Session(profile_name="mine")
    admin = place.server.admin
    by_keys = aioboto3.Session(
        aws_access_key_id=admin.access_key_id,
        aws_secret_access_key=admin.secret_access_key,
        region_name=REGION,
    )
    destination = Account(session=by_keys, endpoint_url=place.server.endpoint_url)
    await place.operation(source=by_profile, destination=destination).run()
    assert await place.bodies() == OBJECTS


@pytest.mark.stack_b
async def test_a_profile_brings_keys_region_and_endpoint(
    place: Place, isolated_aws_environment: Path
) -> None:
    """Account(profile=...) reads all of it from the config file."""
    write_profile(isolated_aws_environment, "mine", place)
    account = Account(profile="mine")
    await place.operation(source=account, destination=account).run()
    assert await place.bodies() == OBJECTS


@pytest.mark.stack_b
async def test_the_default_chain_reads_the_environment(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With nothing given, AWS_* variables decide, the endpoint among them."""
    admin = place.server.admin
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", admin.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", admin.secret_access_key)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", place.server.endpoint_url)
    await place.operation(source=Account(), destination=Account()).run()
    assert await place.bodies() == OBJECTS


@pytest.mark.stack_b
@pytest.mark.parametrize("side", ["source", "destination"])
async def test_an_unknown_profile_is_a_credentials_error(place: Place, side: str) -> None:
    """A profile that does not exist is named together with its side; nothing is written."""
    accounts: dict[str, Any] = {"source": place.admin_account, "destination": place.admin_account}
    operation = place.operation(**(accounts | {side: Account(profile="not-there")}))
    with pytest.raises(CredentialsError, match=f"{side} credentials: .*not-there"):
        await operation.run()
    assert operation.state is OperationState.VALIDATION_FAILED


@pytest.mark.stack_b
@pytest.mark.parametrize("side", ["source", "destination"])
async def test_no_credentials_at_all(place: Place, side: str) -> None:
    """Nothing in the chain: the error names the side and says that nothing was found."""
    empty = Account(endpoint_url=place.server.endpoint_url, region=REGION)
    accounts: dict[str, Any] = {"source": place.admin_account, "destination": place.admin_account}
    with pytest.raises(CredentialsError, match=f"^{side} credentials: ") as caught:
        await place.operation(**(accounts | {side: empty})).run()
    assert caught.value.side == side


@pytest.mark.stack_b
async def test_a_role_is_assumed_at_its_sts(moto: S3Server) -> None:
    """role_arn is assumed with the account's keys at sts_endpoint_url, and copies."""
    async with place_on(moto) as place:
        await seed(place.admin, place.buckets.source, OBJECTS)
        role = Account(
            access_key_id="AKBASE",
            secret_access_key="base-secret",
            role_arn="arn:aws:iam::123456789012:role/copier",
            external_id="shared-word",
            region=REGION,
            endpoint_url=moto.endpoint_url,
            sts_endpoint_url=moto.endpoint_url,
        )
        await place.operation(source=role, destination=role).run()
        assert await place.bodies() == OBJECTS


@pytest.mark.stack_b
@pytest.mark.parametrize("side", ["source", "destination"])
async def test_a_role_whose_sts_refuses(place: Place, side: str) -> None:
    """An STS that does not assume the role is a credentials error of its side, before any write."""
    async with run_fault_server() as sts:
        sts.always(
            "ListObjectsV2",
            raw(403, "<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>"),
        )
        role = Account(
            access_key_id="AKBASE",
            secret_access_key="base-secret",
            role_arn="arn:aws:iam::123456789012:role/copier",
            region=REGION,
            endpoint_url=place.server.endpoint_url,
            sts_endpoint_url=sts.url,
        )
        given: dict[str, Any] = {side: role}
        operation = place.operation(**given)
        with pytest.raises(CredentialsError, match=f"^{side} credentials: ") as caught:
            await operation.run()
    assert "AccessDenied" in str(caught.value)
    assert "base-secret" not in str(caught.value)
    assert operation.state is OperationState.VALIDATION_FAILED
