"""The governor: requests in flight, and the one owner of retries. Its clock and dice are fakes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_s3copy import CopyOptions, S3Error
from async_s3copy.engine import rates
from async_s3copy.engine.governor import Governor, retry_wait_s
from async_s3copy.engine.lanes import Kind
from async_s3copy.engine.shared import EndpointLoad, Share
from async_s3copy.errors import Side
from async_s3copy.metrics import MetricsRecorder, TransferMetrics
from tests.fake_server import Call
from tests.harness import all_idle, fast_options, outcome_of, settle

CALL = Call("CopyObject", "destination", "my-bucket", "k")
OPTIONS = CopyOptions(max_concurrent_requests=3, max_attempts=5, retry_base_s=1, retry_max_s=10)


class Rig:
    """A governor whose waits are recorded, not waited."""

    def __init__(
        self, options: CopyOptions = OPTIONS, jitter: float = 0.5, *, shared: bool = False
    ) -> None:
        self.recorder = MetricsRecorder("test")
        self.waits: list[float] = []
        self.load_while_waiting: list[int] = []
        self.governor = Governor(
            options,
            self.recorder,
            source=share_of("source") if shared else None,
            destination=share_of("destination") if shared else None,
            sleep=self.sleep,
            jitter=lambda: jitter,
        )

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.load_while_waiting.append(self.governor.statistics().in_flight)
        await anyio.lowlevel.checkpoint()

    @property
    def metrics(self) -> TransferMetrics:
        return self.recorder.snapshot()


def share_of(bucket: str) -> Share:
    return EndpointLoad("http://localhost", time.monotonic).join(bucket, 3)


def answers(script: Sequence[S3Error | str]) -> Callable[[], Awaitable[str]]:
    """A request that answers by script, one entry per attempt."""
    left = list(script)

    async def request() -> str:
        await anyio.lowlevel.checkpoint()
        answer = left.pop(0)
        if isinstance(answer, S3Error):
            raise answer
        return answer

    return request


def refused(code: str, status: int = 0, retry_after_s: float | None = None) -> S3Error:
    return CALL.error(code, status, retry_after_s=retry_after_s)


def load(governor: Governor) -> tuple[int, int, int]:
    """In flight, waiting, and the limit."""
    now = governor.statistics()
    return now.in_flight, now.waiting, now.limit


@pytest.mark.parametrize("limit", [1, 3, 16])
async def test_the_limit_is_reached_and_never_exceeded(limit: int) -> None:
    """Many tasks, retries among them: as many requests in flight as allowed, and not one more."""
    rig = Rig(CopyOptions(max_concurrent_requests=limit))
    now = most = 0

    async def task(number: int) -> None:
        attempts = 0

        async def request() -> None:
            nonlocal now, most, attempts
            now += 1
            most = max(most, now)
            assert now <= rig.governor.statistics().in_flight <= limit
            try:
                for _ in range(10 + number % 5):
                    await anyio.lowlevel.checkpoint()
                attempts += 1
                if attempts <= number % 3:
                    raise refused("InternalError", 500)
            finally:
                now -= 1

        await rig.governor.call(request, uninterrupted=number % 7 == 0)

    async with anyio.create_task_group() as group:
        for number in range(100):
            group.start_soon(task, number)
    assert most == limit
    assert load(rig.governor) == (0, 0, limit)
    assert rig.metrics.requests_sent == 199
    assert rig.metrics.requests_retried == 99


async def test_statistics_tell_who_waits() -> None:
    """In flight, waiting and the limit, while requests are under way."""
    rig, release = Rig(), anyio.Event()
    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(rig.governor.call, release.wait)
        await all_idle()
        assert load(rig.governor) == (3, 2, 3)
        release.set()


async def test_no_permit_is_held_while_waiting_to_try_again() -> None:
    """A request that waits for its next attempt leaves its place to others."""
    rig = Rig(CopyOptions(max_concurrent_requests=1))
    request = answers([refused("SlowDown", 503), refused("InternalError", 500), "done"])
    assert await rig.governor.call(request) == "done"
    assert rig.load_while_waiting == [0, 0]


async def test_a_success_is_one_request_without_a_wait() -> None:
    """The ordinary case costs nothing."""
    rig = Rig()
    assert await rig.governor.call(answers(["done"])) == "done"
    assert (rig.waits, rig.metrics.requests_sent, rig.metrics.requests_retried) == ([], 1, 0)


@pytest.mark.parametrize(
    "code, status",
    [("NoSuchKey", 404), ("AccessDenied", 403), ("PreconditionFailed", 412), ("Unheard", 400)],
)
async def test_what_a_retry_cannot_cure_is_raised_at_once(code: str, status: int) -> None:
    """One attempt, no wait, the error as it came."""
    rig, error = Rig(), refused(code, status)
    with pytest.raises(S3Error) as caught:
        await rig.governor.call(answers([error]))
    assert caught.value is error
    assert not error.after_unknown
    assert (rig.waits, rig.metrics.requests_sent) == ([], 1)


async def test_attempts_are_exhausted() -> None:
    """After the last attempt its error is raised, without another wait."""
    rig = Rig()
    errors = [refused("InternalError", 500) for _ in range(5)]
    with pytest.raises(S3Error) as caught:
        await rig.governor.call(answers(errors))
    assert caught.value is errors[-1]
    assert len(rig.waits) == 4
    assert (rig.metrics.requests_sent, rig.metrics.requests_retried) == (5, 4)


@pytest.mark.parametrize("wanted, made", [(1, 1), (2, 2), (99, 5), (None, 5)])
async def test_a_call_may_ask_for_fewer_attempts_not_for_more(
    wanted: int | None, made: int
) -> None:
    """The options' number is the upper bound."""
    rig = Rig()
    with pytest.raises(S3Error):
        await rig.governor.call(answers([refused("SlowDown", 503)] * 9), max_attempts=wanted)
    assert rig.metrics.requests_sent == made


async def test_an_error_that_is_not_s3s_is_not_retried() -> None:
    """A bug in a request is raised as it is."""
    rig = Rig()

    async def request() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await rig.governor.call(request)
    assert rig.metrics.requests_sent == 1


async def test_waits_double_up_to_the_maximum() -> None:
    """With the dice at the middle: half of 1, 2, 4, 8, then 10 seconds."""
    rig = Rig(CopyOptions(max_attempts=7, retry_base_s=1, retry_max_s=10))
    with pytest.raises(S3Error):
        await rig.governor.call(answers([refused("InternalError", 500)] * 7))
    assert rig.waits == [0.5, 1, 2, 4, 5, 5]


@given(st.integers(0, 99), st.floats(0, 1, exclude_max=True), st.none() | st.floats(0, 1e6))
def test_waits_stay_within_their_bounds(
    attempt: int, jitter: float, retry_after_s: float | None
) -> None:
    """From zero to the doubling bound; Retry-After is a lower bound, and itself bounded."""
    wait = retry_wait_s(OPTIONS, attempt, retry_after_s, jitter)
    bound = min(10, 2**attempt)
    if retry_after_s is None:
        assert wait == pytest.approx(bound * jitter)
    else:
        assert wait >= min(retry_after_s, 10)
        assert wait <= max(bound, min(retry_after_s, 10))


async def test_retry_after_is_honoured() -> None:
    """A server that asks for 7 seconds gets 7; one that asks for an hour gets the maximum."""
    rig = Rig()
    request = answers([refused("SlowDown", 503, 7), refused("SlowDown", 503, 3_600), "done"])
    assert await rig.governor.call(request) == "done"
    assert rig.waits == [7, 10]


async def test_throttled_answers_are_counted_apart_from_retries() -> None:
    """A SlowDown is throttled and retried, an InternalError only retried; the last one counts."""
    rig = Rig()
    script = [refused("InternalError", 500)] + [refused("SlowDown", 503) for _ in range(4)]
    with pytest.raises(S3Error):
        await rig.governor.call(answers(script))
    assert rig.metrics.requests_throttled == 4
    assert rig.metrics.requests_retried == 4


@pytest.mark.parametrize(
    "before, unknown",
    [
        ([], False),
        (["SlowDown"], False),
        (["InternalError"], True),
        (["ReadTimeout"], True),
        (["InvalidResponse"], True),
        (["InternalError", "SlowDown"], True),
        (["SlowDown", "ReadTimeout"], True),
    ],
)
async def test_the_last_error_tells_whether_an_earlier_attempt_may_have_worked(
    before: list[str], unknown: bool
) -> None:
    """A lost or broken answer leaves it open; a throttled request was refused."""
    last = refused("PreconditionFailed", 412)
    with pytest.raises(S3Error):
        await Rig().governor.call(answers([*(refused(code) for code in before), last]))
    assert last.after_unknown is unknown


async def test_an_error_does_not_speak_of_its_own_attempt() -> None:
    """``after_unknown`` is about earlier attempts only."""
    error = refused("ReadTimeout")
    with pytest.raises(S3Error):
        await Rig().governor.call(answers([error]), max_attempts=1)
    assert not error.after_unknown


def cancelling(how: str, task: asyncio.Task[Any], scope: anyio.CancelScope) -> None:
    if how == "task":
        task.cancel()
    else:
        scope.cancel()


@pytest.mark.parametrize("how", ["task", "scope"])
async def test_an_uninterrupted_request_finishes_before_the_cancellation(how: str) -> None:
    """Its answer arrives; then the cancellation goes on, and the result is not returned."""
    rig, scope = Rig(), anyio.CancelScope()
    begun, release, log = anyio.Event(), anyio.Event(), list[str]()

    async def request() -> None:
        begun.set()
        await release.wait()
        log.append("answered")

    async def main() -> None:
        with scope:
            await rig.governor.call(request, uninterrupted=True)
            log.append("went on")

    task = asyncio.create_task(main())
    await begun.wait()
    cancelling(how, task, scope)
    await all_idle()
    assert not task.done()
    release.set()
    await asyncio.wait([task])
    assert log == ["answered"]
    assert task.cancelled() or scope.cancelled_caught
    assert rig.governor.statistics().in_flight == 0


@pytest.mark.parametrize("how", ["task", "scope"])
async def test_a_failing_uninterrupted_request_does_not_swallow_the_cancellation(how: str) -> None:
    """Where the answer is an error, it is not tried again: the cancellation goes on."""
    rig, scope = Rig(), anyio.CancelScope()
    begun, release, attempts = anyio.Event(), anyio.Event(), 0

    async def request() -> None:
        nonlocal attempts
        attempts += 1
        begun.set()
        await release.wait()
        raise refused("InternalError", 500)

    async def main() -> None:
        with scope:
            await rig.governor.call(request, uninterrupted=True)

    task = asyncio.create_task(main())
    await begun.wait()
    cancelling(how, task, scope)
    await all_idle()
    release.set()
    await asyncio.wait([task])
    assert attempts == 1
    assert task.cancelled() or scope.cancelled_caught


@pytest.mark.parametrize("how", ["task", "scope"])
async def test_an_uninterrupted_request_is_given_a_limited_time(how: str) -> None:
    """A request that never answers ends with ``cleanup_timeout_s``, and gives its permit back."""
    rig, scope = Rig(fast_options(cleanup_timeout_s=1e-6)), anyio.CancelScope()
    begun = anyio.Event()

    async def request() -> None:
        begun.set()
        await anyio.sleep_forever()

    async def main() -> None:
        with scope:
            await rig.governor.call(request, uninterrupted=True)

    task = asyncio.create_task(main())
    await begun.wait()
    cancelling(how, task, scope)
    await settle(task.done)
    assert task.cancelled() or scope.cancelled_caught
    assert rig.governor.statistics().in_flight == 0


async def test_an_ordinary_request_is_cancelled_at_once() -> None:
    """Nothing waits for requests whose answers do not matter."""
    rig = Rig()
    task = asyncio.create_task(rig.governor.call(anyio.sleep_forever))
    await settle(lambda: rig.governor.statistics().in_flight == 1)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert load(rig.governor) == (0, 0, 3)


async def test_a_request_that_nothing_holds_back_does_not_yield() -> None:
    """The governor costs a request no turn of the event loop."""
    rig, turns = Rig(), list[str]()

    async def request() -> str:
        return "done"

    asyncio.get_running_loop().call_soon(turns.append, "a turn")
    for _ in range(100):
        assert await rig.governor.call(request) == "done"
    assert turns == []


async def test_listings_have_a_limit_of_their_own_within_the_common_one() -> None:
    """Two listings at most, and with the copies no more than four requests in flight."""
    rig = Rig(CopyOptions(max_concurrent_requests=4, max_concurrent_listings=2))
    release = anyio.Event()
    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(lambda: rig.governor.call(release.wait, kind="list"))
        await all_idle()
        assert load(rig.governor) == (2, 3, 4)
        for _ in range(5):
            group.start_soon(rig.governor.call, release.wait)
        await all_idle()
        now = rig.governor.statistics()
        assert load(rig.governor) == (4, 6, 4)
        assert (now.listings.in_flight, now.listings.waiting, now.listings.limit) == (2, 3, 2)
        assert (now.objects.in_flight, now.objects.waiting, now.objects.limit) == (2, 3, 4)
        release.set()


async def test_copies_do_not_wait_for_listings() -> None:
    """A listing that waits for a listing's place keeps no copy from its own."""
    rig, release = (
        Rig(CopyOptions(max_concurrent_requests=4, max_concurrent_listings=1)),
        anyio.Event(),
    )
    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(lambda: rig.governor.call(release.wait, kind="list"))
        await settle(lambda: rig.governor.statistics().listings.waiting == 2)
        assert await rig.governor.call(answers(["done"])) == "done"
        release.set()


async def throttle(rig: Rig, kind: Kind, side: Side) -> None:
    """Let a server refuse enough requests of a kind to make a limit."""

    async def refuse() -> None:
        raise refused("SlowDown", 503)

    async with anyio.create_task_group() as group:
        for _ in range(rates.FIRST_EVIDENCE):
            group.start_soon(
                outcome_of, rig.governor.call(refuse, kind=kind, side=side, max_attempts=1)
            )


@pytest.mark.parametrize("kind", ["object", "list"])
@pytest.mark.parametrize("side", ["source", "destination"])
async def test_a_limit_holds_for_one_kind_at_one_place(kind: Kind, side: Side) -> None:
    """SlowDowns of copies slow neither the listing of that bucket nor anything at the other."""
    rig = Rig(shared=True)
    await throttle(rig, kind, side)
    slowed = {
        (each_kind, each_side)
        for (each_side, each_kind), way in rig.governor._ways.items()
        if way.lane.rate_per_s is not None
    }
    assert slowed == {(kind, side)}
    now = rig.governor.statistics()
    assert (now.objects.rate_per_s is not None) == (kind == "object")
    assert (now.listings.rate_per_s is not None) == (kind == "list")


@pytest.mark.parametrize(
    "kind, side, place",
    [
        ("object", None, "destination"),
        ("list", None, "source"),
        ("object", "source", "source"),
        ("list", "destination", "destination"),
    ],
)
async def test_a_request_goes_to_its_kinds_usual_side(
    kind: Kind, side: Side | None, place: Side
) -> None:
    """Listings go to the source and everything else to the destination, unless said otherwise."""
    rig = Rig(shared=True)

    async def request() -> None:
        assert {where for where, way in rig.governor._ways.items() if way.in_flight} == {
            (place, kind)
        }

    await rig.governor.call(request, kind=kind, side=side)


@pytest.mark.parametrize("held_by", ["permits", "lane", "cap"])
@pytest.mark.parametrize("how", ["task", "scope"])
async def test_cancelled_while_waiting_nothing_was_sent_and_nothing_is_held(
    held_by: str, how: str
) -> None:
    """Whatever holds a request back, a cancellation ends the wait and leaves no trace."""
    cap = 1e-3 if held_by == "cap" else None
    rig = Rig(CopyOptions(max_concurrent_requests=1, max_requests_per_second=cap, max_attempts=1))
    release, scope, sent = anyio.Event(), anyio.CancelScope(), 0
    if held_by == "lane":
        await throttle(rig, "object", "destination")
    first = asyncio.create_task(rig.governor.call(release.wait))

    async def request() -> None:
        nonlocal sent
        sent += 1

    async def main() -> None:
        with scope:
            await rig.governor.call(request)

    await settle(lambda: sum(load(rig.governor)[:2]) == 1)
    task = asyncio.create_task(main())
    await settle(lambda: sum(load(rig.governor)[:2]) == 2)
    cancelling(how, task, scope)
    await asyncio.wait([task])
    assert sent == 0
    release.set()
    first.cancel()
    await asyncio.wait([first])
    assert load(rig.governor) == (0, 0, 1)
    way = rig.governor._ways["destination", "object"]
    assert [permits.held for permits in way.permits] == [0, 0]


@pytest.mark.parametrize("how", ["task", "scope"])
async def test_an_uninterrupted_request_is_not_begun_after_a_cancellation(how: str) -> None:
    """What a cancellation would have to wait for is not even sent once it was cancelled."""
    rig, scope, sent = Rig(), anyio.CancelScope(), list[str]()

    async def request() -> None:
        sent.append("sent")

    async def main() -> None:
        with scope:
            cancelling(how, task, scope)
            await rig.governor.call(request, uninterrupted=True)

    task = asyncio.create_task(main())
    await asyncio.wait([task])
    assert sent == []
    assert task.cancelled() or scope.cancelled_caught
