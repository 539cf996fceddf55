"""A storm before a real server: what arrives is read back, byte for byte, with its properties."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from async_s3copy import CopyFailedError, TransferMetrics
from async_s3copy.model import Copied
from async_s3copy.testing import fault_proxy
from tests.chaos import Ledger, Weather, at_once
from tests.real import PART, Place, for_each, place_on, quick
from tests.support import REGION, S3Server, Stored, list_keys, list_open_uploads, seed

pytestmark = pytest.mark.timeout(300)

SMALL = 200
LARGE = 4


def objects() -> dict[str, Stored]:
    """Return some hundred small objects and some in parts, with properties of all kinds."""
    dice = random.Random(1)
    sizes = [dice.randrange(2_000) for _ in range(SMALL)] + [PART + n for n in range(LARGE)]
    return {
        f"in/{number % 7}/ä {number:04}+%2F": Stored(
            body=dice.randbytes(size),
            headers={"content-type": f"text/x-{number}", "cache-control": f"max-age={number}"},
            metadata={"number": str(number)},
            tags={"owner": str(number)} if number % 4 == 0 else {},
        )
        for number, size in enumerate(sizes)
    }


async def through_a_storm(place: Place, method: str, ledger: Ledger) -> TransferMetrics:
    """Copy with 5 % of all requests going wrong."""
    admin = place.server.admin
    credentials = {admin.access_key_id: admin.secret_access_key}
    options = quick(method=method, retry_max_s=0.05)
    async with fault_proxy(
        place.server.endpoint_url, credentials=credentials, sleep=at_once
    ) as proxy:
        proxy.script = Weather(burst=0)
        account = replace(place.admin_account, endpoint_url=proxy.url, region=REGION)
        operation = place.operation(
            "in/", "out/", source=account, destination=account, options=options, observer=ledger
        )
        try:
            metrics = await operation.run()
        except CopyFailedError as error:
            metrics = error.metrics
        assert proxy.faults.total() > proxy.count() / 40
    return metrics


@pytest.mark.parametrize("method", ["server_side", "relay"])
async def test_what_arrives_through_a_storm_is_what_was_there(
    seaweedfs: S3Server, method: str
) -> None:
    """Bytes, content headers, user metadata and tags; no other key; no upload left open."""
    wanted = objects()
    ledger = Ledger()
    async with place_on(seaweedfs) as place:
        await seed(place.admin, place.buckets.source, wanted)
        metrics = await through_a_storm(place, method, ledger)
        keys = await list_keys(place.admin, place.buckets.destination)
        found: dict[str, Stored] = {}

        async def read(key: str) -> None:
            found[key] = await place.stored(key)

        await for_each(keys, read)
        assert await list_open_uploads(place.admin, place.buckets.destination) == []
    assert metrics.files_copied_successfully == len(ledger.of(Copied)) == len(wanted)
    assert metrics.total_bytes_transferred == sum(len(each.body) for each in wanted.values())
    _assert_equal(found, {"out/" + key.removeprefix("in/"): each for key, each in wanted.items()})


def _assert_equal(found: dict[str, Stored], wanted: dict[str, Stored]) -> None:
    assert found.keys() == wanted.keys()
    differing = [
        key
        for key, each in wanted.items()
        if (each.body, each.headers, each.metadata, each.tags)
        != (found[key].body, found[key].headers, found[key].metadata, found[key].tags)
    ]
    assert differing == []
