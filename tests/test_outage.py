"""An outage ends the operation with one sentence, and nothing less than an outage does."""

from __future__ import annotations

import random

import anyio
import pytest

from async_s3copy import CopyOptions, S3CopyError, S3Error
from async_s3copy.engine.governor import FEWEST_FAILURES, Governor
from async_s3copy.engine.shared import EndpointLoad, Loads, Place
from async_s3copy.engine.tasks import task_group
from async_s3copy.errors import OutageError, error_code
from async_s3copy.metrics import MetricsRecorder
from tests.fake_server import Call
from tests.harness import outcome_of
from tests.virtual_time import VirtualLoop, pause, run

CALL = Call("CopyObject", "destination", "my-bucket", "k")
PLACE = Place("https://s3.example.com", "my-bucket")
OUTAGE_S = 60


class Server:
    """Answers after 30 ms; with an error while it is down."""

    def __init__(self, code: str = "InternalError", status: int = 500) -> None:
        self.error = code, status
        self.is_down = True
        self.answers = 0

    async def answer(self) -> None:
        await pause(0.03)
        self.answers += 1
        if self.is_down:
            raise CALL.error(*self.error)


def governor_of(loop: VirtualLoop, **options: float) -> Governor:
    share = EndpointLoad(PLACE.url, loop.time).join(PLACE.bucket, 16)
    return Governor(
        CopyOptions(max_concurrent_requests=16, **options),  # type: ignore[arg-type]  # by name
        MetricsRecorder("test"),
        destination=share,
        clock=loop.time,
        jitter=random.Random(1).random,
    )


async def copy_all(governor: Governor, server: Server, objects: int) -> tuple[int, int]:
    """A pipeline in small: an object's failure is its own, an outage is everybody's."""
    todo, copied, failed = iter(range(objects)), 0, 0

    async def worker() -> None:
        nonlocal copied, failed
        for _ in todo:
            try:
                await governor.call(server.answer)
                copied += 1
            except OutageError:
                raise
            except S3CopyError:
                failed += 1

    async with task_group() as group:
        for _ in range(16):
            group.start_soon(worker)
    return copied, failed


@pytest.mark.parametrize(
    "code, status",
    [("InternalError", 500), ("SlowDown", 503), ("ConnectionError", 0), ("InternalError", 200)],
)
def test_an_outage_ends_the_operation(code: str, status: int) -> None:
    """A million objects and a dead server: one error after a minute, not a million failures."""

    async def main(loop: VirtualLoop) -> tuple[float, OutageError, Governor]:
        governor, began = governor_of(loop), loop.time()
        with pytest.raises(OutageError) as caught:
            await copy_all(governor, Server(code, status), 1_000_000)
        return loop.time() - began, caught.value, governor

    lasted_s, error, governor = run(main)
    assert OUTAGE_S <= lasted_s <= OUTAGE_S + 20
    assert FEWEST_FAILURES <= error.failed_requests <= 1_000
    assert error_code(error) == code
    load = governor.statistics()
    assert (load.in_flight, load.waiting) == (0, 0)


def test_the_error_is_one_clear_sentence() -> None:
    """Where, for how long, how many requests, and with what the last one failed."""
    last = CALL.error("InternalError", 500)
    error = OutageError(
        url=PLACE.url, bucket="my-bucket", lasting_s=61.4, failed_requests=1_234, last=last
    )
    assert str(error) == (
        "no request to s3://my-bucket at https://s3.example.com has succeeded for 61 s: "
        f"1,234 failed, the last with {last}"
    )
    assert isinstance(error, S3CopyError)
    assert not isinstance(error, S3Error)


def test_an_outage_shorter_than_the_patience_fails_nothing() -> None:
    """The server comes back after 20 seconds: every object is copied in the end."""

    async def main(loop: VirtualLoop) -> tuple[int, int]:
        governor, server = governor_of(loop, max_attempts=20), Server()
        loop.call_later(20, setattr, server, "is_down", False)
        return await copy_all(governor, server, 1_000)

    assert run(main) == (1_000, 0)


@pytest.mark.parametrize("others", ["copied", "denied"])
def test_one_object_that_always_fails_is_no_outage(others: str) -> None:
    """While others are answered, if only by a denial, it fails alone, after all its attempts."""

    async def main(loop: VirtualLoop) -> tuple[list[str], int]:
        governor, broken = governor_of(loop, max_attempts=50), Server()
        fine = Server("AccessDenied", 403)
        fine.is_down = others == "denied"
        codes = list[str]()

        async def poison() -> None:
            try:
                await governor.call(broken.answer)
            except S3CopyError as error:
                codes.append(type(error).__name__)
            group.cancel_scope.cancel()

        async def work() -> None:
            while True:
                await outcome_of(governor.call(fine.answer))
                await pause(1)

        async with anyio.create_task_group() as group:
            group.start_soon(poison)
            group.start_soon(work)
        return codes, broken.answers

    assert run(main) == (["RetryableS3Error"], 50)


def test_a_refusal_shows_that_the_server_lives() -> None:
    """A missing key or a denial is an answer: what fails besides it is no outage."""

    async def main(loop: VirtualLoop) -> tuple[int, int]:
        governor, server = governor_of(loop), Server("AccessDenied", 403)
        return await copy_all(governor, server, 50_000)

    assert run(main) == (0, 50_000)


def test_a_few_slow_failures_are_no_outage() -> None:
    """One request that takes its ten attempts over more than a minute fails by itself."""

    async def main(loop: VirtualLoop) -> str:
        governor = governor_of(loop, max_attempts=FEWEST_FAILURES - 1, retry_base_s=60)
        try:
            await governor.call(Server().answer)
        except S3CopyError as error:
            return type(error).__name__
        raise AssertionError

    assert run(main) == "RetryableS3Error"


def test_an_operation_is_not_judged_by_what_happened_before_it() -> None:
    """It begins during an outage that others have seen for long: its own minute counts."""

    async def main(loop: VirtualLoop) -> float:
        loads, server = Loads(loop.time), Server()
        began = loop.time()
        for _ in range(2):
            with loads.joined(PLACE, 16) as share:
                governor = Governor(
                    CopyOptions(max_concurrent_requests=16),
                    MetricsRecorder("test"),
                    destination=share,
                    clock=loop.time,
                )
                with pytest.raises(OutageError):
                    await copy_all(governor, server, 1_000_000)
        return loop.time() - began

    assert run(main) >= 2 * OUTAGE_S


def test_the_patience_is_an_option() -> None:
    """``outage_after_s`` decides; the default is a minute."""

    async def main(loop: VirtualLoop) -> float:
        governor, began = governor_of(loop, outage_after_s=5), loop.time()
        with pytest.raises(OutageError):
            await copy_all(governor, Server(), 1_000_000)
        return loop.time() - began

    assert 5 <= run(main) <= 12
