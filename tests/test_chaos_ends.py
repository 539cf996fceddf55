"""Storms that end a run, refuse objects or meet others: what is left is right, and goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from async_s3copy import CopyCancelledError, CopyFailedError, S3CopyOperation
from async_s3copy.errors import CredentialsError
from async_s3copy.model import Copied, Failed, Skipped
from async_s3copy.testing import (
    BackwardsPage,
    ExpiredToken,
    Fault,
    OkWithError,
    RepeatedPage,
    Seen,
    Skewed,
    Status,
    fault_proxy,
)
from async_s3copy.testing.seaweedfs import Identity
from benchmarks.simulator import Simulator, SimulatorConfig, simulator
from tests.chaos import (
    ACCESS_KEY,
    DESTINATION,
    LANDING,
    SECRET_KEY,
    Course,
    Ledger,
    Weather,
    at_once,
    inside,
    relayed,
    run_through,
    source_keys,
)
from tests.support import open_client, seed

pytestmark = pytest.mark.timeout(300)

COUNT = 400
ADMIN = Identity.generate("admin", "Admin")
WRITES = ("CopyObject", "PutObject", "CompleteMultipartUpload")
COURSES = {
    "wire": lambda **given: inside(COUNT, client="wire", **given),
    "boto": lambda **given: inside(COUNT // 2, client="boto", **given),
    "relay": lambda **given: relayed(COUNT // 2, client="wire", **given),
}
each_way = pytest.mark.parametrize("way", COURSES)


@pytest.fixture(scope="module")
def running() -> Iterator[Simulator]:
    with simulator(SimulatorConfig()) as sim:
        yield sim


@pytest.fixture
def sim(running: Simulator) -> Simulator:
    """The running simulator, empty."""
    running.reset()
    return running


class Until:
    """A storm in which every request is refused from some moment on.

    Args:
        requests: How many are let through, or have the weather's faults, before.
        then: What the others have.
    """

    def __init__(self, requests: int, then: Fault) -> None:
        self._weather = Weather(burst=0)
        self._left = requests
        self._then = then

    def __call__(self, seen: Seen) -> Fault | None:
        """Return what goes wrong with a request."""
        self._left -= 1
        return self._weather(seen) if self._left >= 0 else self._then


class Denied:
    """A storm in which nobody may write some keys, told as S3 does: inside a 200 where it can be.

    Args:
        keys: Of the destination.
    """

    def __init__(self, keys: set[str]) -> None:
        self._weather = Weather(burst=0)
        self._keys = keys

    def __call__(self, seen: Seen) -> Fault | None:
        """Return what goes wrong with a request."""
        if seen.key in self._keys and seen.operation in WRITES:
            late = OkWithError("AccessDenied")
            return late if late.fits(seen.operation) else Status(403, "AccessDenied")
        return self._weather(seen)


class Stopper(Ledger):
    """Cancel an operation once it has copied so many objects."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.after = after
        self.operation: S3CopyOperation | None = None

    def object_finished(self, outcome: Any) -> None:
        super().object_finished(outcome)
        if len(self.outcomes) == self.after and self.operation is not None:
            self.operation.cancel()


@each_way
async def test_what_exists_is_never_replaced(sim: Simulator, way: str) -> None:
    """With overwrite=False, in whatever storm: every tenth key is taken, and stays as it was."""
    course = COURSES[way](overwrite=False)
    taken = source_keys(course)[::10]
    there = {course.target(key): b"was here before" for key in taken}
    async with open_client(sim.url, ADMIN) as client:
        await seed(client, DESTINATION, there)
    verdict = await run_through(course, sim, Weather(burst_after=COUNT // 3, burst=30))
    verdict.check(before=frozenset(there))
    assert set(taken) <= set(verdict.ledger.of(Skipped))


@each_way
async def test_expired_credentials_end_a_run_that_goes_on_later(sim: Simulator, way: str) -> None:
    """The run ends with one error about the credentials; resumed, it completes what was left."""
    course = COURSES[way]()
    async with fault_proxy(sim.url, sleep=at_once) as proxy:
        proxy.script = Until(COUNT // 3, ExpiredToken())
        first = course.operation(proxy.url)
        with pytest.raises((CredentialsError, CopyFailedError)):
            await first.run()
        proxy.script = Weather(burst=0)
        ledger = Ledger()
        second = course.operation(proxy.url, ledger, resume_from=_stored(first))
        metrics = await second.run()
    _assert_all_there(sim, course)
    assert metrics.total_files_found == len(source_keys(course))
    assert metrics.files_failed == 0


@each_way
async def test_a_run_stopped_again_and_again_completes(sim: Simulator, way: str) -> None:
    """Cancelled in the middle of a storm, three times: nothing lost, found is exact at the end."""
    course = COURSES[way]()
    checkpoint: dict[str, Any] | None = None
    async with fault_proxy(sim.url, sleep=at_once) as proxy:
        proxy.script = Weather(burst=0)
        for _ in range(3):
            stopper = Stopper(COUNT // 8)
            stopper.operation = course.operation(proxy.url, stopper, resume_from=checkpoint)
            with pytest.raises(CopyCancelledError):
                await stopper.operation.run()
            assert sim.counters()["uploads_open"] == 0
            checkpoint = _stored(stopper.operation)
        metrics = await course.operation(proxy.url, resume_from=checkpoint).run()
    _assert_all_there(sim, course)
    assert metrics.total_files_found == metrics.files_copied_successfully
    assert metrics.total_files_found == len(source_keys(course))


@each_way
async def test_refused_objects_are_reported_by_key_and_copied_by_the_next_run(
    sim: Simulator, way: str
) -> None:
    """Writes of every tenth key are denied, in a storm: they fail, alone, and are made up for."""
    course = COURSES[way]()
    refused = set(source_keys(course)[::10])
    ledger = Ledger()
    async with fault_proxy(sim.url, sleep=at_once) as proxy:
        proxy.script = Denied({course.target(key) for key in refused})
        first = course.operation(proxy.url, ledger)
        with pytest.raises(CopyFailedError) as caught:
            await first.run()
        proxy.script = None
        metrics = await course.operation(proxy.url, resume_from=_stored(first)).run()
    failed, copied = ledger.of(Failed), ledger.of(Copied)
    assert set(failed) == refused
    assert {each.code for each in failed.values()} == {"AccessDenied"}
    assert caught.value.metrics.files_failed == len(refused)
    assert sorted([*failed, *copied]) == sorted(source_keys(course))
    assert metrics.files_copied_successfully == len(source_keys(course))
    _assert_all_there(sim, course)


@pytest.mark.parametrize("page", [RepeatedPage(), BackwardsPage()], ids=["repeated", "backwards"])
@pytest.mark.parametrize("client, count", [("wire", 3_300), ("boto", 1_100)])
async def test_pages_that_repeat_or_go_backwards_lose_nothing(
    sim: Simulator, client: str, count: int, page: Fault
) -> None:
    """The listing ends in an error, or finds every key once: it never says done with keys left."""
    course = inside(count, client=client)
    ledger = Ledger()
    complete = False
    async with fault_proxy(sim.url, sleep=at_once) as proxy:
        proxy.always("ListObjectsV2", page)
        operation = course.operation(proxy.url, ledger)
        try:
            await operation.run()
            complete = True
        except CopyFailedError:
            proxy.always("ListObjectsV2", None)
            await course.operation(proxy.url, resume_from=_stored(operation)).run()
        assert proxy.faults.total() > 0
    assert not ledger.twice
    assert not complete or len(ledger.outcomes) == len(source_keys(course))
    _assert_all_there(sim, course)


@each_way
@pytest.mark.parametrize("seconds", [3_600, -7_200])
async def test_a_clock_that_is_wrong_is_put_right(sim: Simulator, way: str, seconds: int) -> None:
    """Hours apart from the server's, ahead or behind, and in a storm: the copy is exact."""
    course = COURSES[way]()
    ledger = Ledger()
    credentials = {ACCESS_KEY: SECRET_KEY}
    async with fault_proxy(sim.url, credentials=credentials, sleep=at_once) as proxy:
        proxy.script = lambda seen: Skewed(seconds)
        metrics = await course.operation(proxy.url, ledger).run()
        assert proxy.faults[Skewed(seconds)] > 0
    assert metrics.files_copied_successfully == len(source_keys(course))
    _assert_all_there(sim, course)


def _stored(operation: S3CopyOperation) -> dict[str, Any]:
    checkpoint: dict[str, Any] = json.loads(json.dumps(operation.checkpoint()))
    return checkpoint


def _assert_all_there(sim: Simulator, course: Course) -> None:
    audit = sim.audit(course.bucket, course.prefix, DESTINATION, LANDING)
    assert audit.wrong == {}
    assert audit.right == {course.target(key) for key in source_keys(course)}
    assert sim.counters()["uploads_open"] == 0
