"""A dead destination ends the whole operation, and leaves nothing behind."""

from __future__ import annotations

import pytest

from async_s3copy import CopyFailedError, OutageError
from async_s3copy.model import OperationState
from tests.fake_server import Fault
from tests.harness import World, fast_options


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World().install(monkeypatch)


@pytest.mark.parametrize("operation", ["CopyObject", "UploadPartCopy"])
async def test_an_outage_ends_the_operation_with_its_own_sentence(
    world: World, operation: str
) -> None:
    """Ten failed requests and a patience of nothing: one reason, the rest not attempted."""
    size = 1 if operation == "CopyObject" else 12 * 1024 * 1024
    for number in range(200):
        world.source.put("source-bucket", f"in/{number:03}", bytes(size))
    world.source.faults = [Fault(operation, "InternalError", 500, times=10**9)]
    copy = world.operation(options=fast_options(outage_after_s=1e-9, max_attempts=100))
    with pytest.raises(CopyFailedError) as caught:
        await copy.run()
    outage = caught.value.__cause__
    assert isinstance(outage, OutageError)
    assert caught.value.reason == str(outage) == copy.failure_reason
    assert copy.state is OperationState.COPY_FAILED
    metrics = caught.value.metrics
    assert (metrics.files_copied_successfully, metrics.files_failed) == (0, 0)
    assert metrics.degradations["not_attempted"] >= 100
    assert metrics.errors_encountered == [str(outage)]
    world.assert_clean()


async def test_an_outage_of_the_listing_ends_the_operation(world: World) -> None:
    """The next page never comes: the reason is the outage, and says for which bucket."""
    world.source.page_size = 10
    for number in range(50):
        world.source.put("source-bucket", f"in/{number:03}", b"x")
    copy = world.operation(options=fast_options(outage_after_s=1e-9, max_attempts=100))

    async def fail_later_pages(call: object, phase: str) -> None:
        if getattr(call, "operation", "") == "ListObjectsV2" and getattr(call, "token", None):
            raise call.error("InternalError", 500)  # type: ignore[attr-defined]

    world.source.hook = fail_later_pages
    with pytest.raises(CopyFailedError) as caught:
        await copy.run()
    assert isinstance(caught.value.__cause__, OutageError)
    assert caught.value.__cause__.bucket == "source-bucket"
    world.assert_clean()
