"""The governor against a server that limits the rate: the figures it is held to, in virtual time.

256 workers, 30 ms a request, a token bucket of a tenth of a second's worth unless said otherwise.
Shares and rates are counted by the server, second by second.
"""

from __future__ import annotations

from functools import partial

import anyio
import pytest

from async_s3copy.engine.rates import Cut
from async_s3copy.engine.shared import Loads, Place
from tests.throttling_server import Client, ThrottlingServer, work_for
from tests.virtual_time import VirtualLoop, pause, run

LIMIT = 3_500


@pytest.mark.parametrize("burst", [35, 350, 3_500])
def test_the_limit_is_found_and_kept(burst: int) -> None:
    """From second 5 on 95 % of the limit is used and at most 1 % refused, whatever the burst."""

    async def main(loop: VirtualLoop) -> ThrottlingServer:
        server = ThrottlingServer(loop, LIMIT, burst=burst)
        await work_for(15, server, Client(loop))
        return server

    server = run(main)
    assert server.rate(5, 15) >= 0.95 * LIMIT
    assert server.refused_share(5, 15) <= 0.01


@pytest.mark.parametrize("new_limit", [1_750, 3_000])
def test_a_lowered_limit_is_found_within_five_seconds(new_limit: int) -> None:
    """No request fails for good, and 5 s later the same shares hold for the new limit."""

    async def main(loop: VirtualLoop) -> ThrottlingServer:
        server = ThrottlingServer(loop, LIMIT, burst=350)
        lower = partial(server.limit, new_limit, new_limit / 10)
        await work_for(20, server, Client(loop), changes={10: lower})
        return server

    server = run(main)
    assert server.rate(15, 20) >= 0.95 * new_limit
    assert server.refused_share(15, 20) <= 0.01


def test_a_raised_limit_is_found_within_half_a_minute() -> None:
    """The growth that starts slowly has doubled the rate after 21 seconds."""

    async def main(loop: VirtualLoop) -> ThrottlingServer:
        server = ThrottlingServer(loop, 500, burst=50)
        client = Client(loop, workers=64)
        await work_for(45, server, client, changes={10: partial(server.limit, 1_000, 100)})
        return server

    server = run(main)
    assert server.rate(5, 10) >= 0.95 * 500
    assert server.rate(40, 45) >= 0.95 * 1_000
    assert server.refused_share(10, 45) <= 0.01


def test_where_latency_bounds_the_rate_nothing_is_held_back() -> None:
    """A limit that 64 requests in flight cannot reach is never felt."""

    async def main(loop: VirtualLoop) -> tuple[ThrottlingServer, Client]:
        server, client = ThrottlingServer(loop, 100_000, burst=1_000), Client(loop, workers=64)
        await work_for(3, server, client)
        return server, client

    server, client = run(main)
    assert server.rate(0, 3) == pytest.approx(64 / 0.03, rel=0.02)
    assert client.metrics.requests_throttled == 0
    assert client.metrics.seconds_throttled == 0
    assert client.metrics.request_rate_limit is None


def test_slow_answers_do_not_hide_the_limit() -> None:
    """At 200 ms the refusals of an overload arrive late, and 256 workers hardly exceed 1,000/s."""

    async def main(loop: VirtualLoop) -> ThrottlingServer:
        server = ThrottlingServer(loop, 1_000, burst=100, latency_s=0.2)
        await work_for(20, server, Client(loop))
        return server

    server = run(main)
    assert server.rate(5, 20) >= 0.95 * 1_000
    assert server.refused_share(5, 20) <= 0.01


def test_a_tiny_limit_works() -> None:
    """Five a second and 256 workers: nothing fails, 95 % is used, at most 1 in 50 is refused."""

    async def main(loop: VirtualLoop) -> ThrottlingServer:
        server = ThrottlingServer(loop, 5, burst=5)
        await work_for(90, server, Client(loop))
        return server

    server = run(main)
    assert server.rate(10, 90) >= 0.95 * 5
    assert server.refused_share(10, 90) <= 0.02


@pytest.mark.parametrize("shared", [True, False])
def test_two_operations_split_one_limit(shared: bool) -> None:
    """Evenly where they share; as two processes that do not, neither gets less than a third."""

    async def main(loop: VirtualLoop) -> tuple[ThrottlingServer, list[int]]:
        server, loads = ThrottlingServer(loop, 1_000, burst=100), Loads(loop.time)
        place = Place("http://localhost", "my-bucket")
        with loads.joined(place, 64) as one, loads.joined(place, 64) as two:
            shares = (one, two) if shared else (None, None)
            clients = [
                Client(loop, workers=64, share=share, seed=seed)
                for seed, share in enumerate(shares)
            ]
            await work_for(20, server, *clients)
        return server, [client.done for client in clients]

    server, done = run(main)
    assert server.rate(5, 20) >= 0.95 * 1_000
    assert server.refused_share(5, 20) <= 0.01
    assert min(done) >= (0.48 if shared else 1 / 3) * sum(done)


def test_the_next_operation_starts_from_what_was_learnt() -> None:
    """Within a minute after the last one; then as if nothing had been."""

    async def main(loop: VirtualLoop) -> list[int]:
        server, loads = ThrottlingServer(loop, 500, burst=50), Loads(loop.time)
        place, refused = Place("http://localhost", "my-bucket"), list[int]()
        for wait_s in (0.0, 10.0, 100.0):
            await work_for(wait_s, server)
            with loads.joined(place, 64) as share:
                client = Client(loop, workers=64, share=share)
                await work_for(3, server, client)
            refused.append(client.metrics.requests_throttled)
        return refused

    first, soon, late = run(main)
    assert soon <= first / 4
    assert late >= first / 2


def test_a_users_cap_holds_below_the_servers_limit() -> None:
    """100 a second asked for: 100 a second sent, evenly, and no request refused or throttled."""

    async def main(loop: VirtualLoop) -> tuple[ThrottlingServer, Client]:
        server, client = ThrottlingServer(loop, LIMIT, burst=350), Client(loop, cap=100)
        await work_for(10, server, client)
        return server, client

    server, client = run(main)
    assert all(server.served[second] == pytest.approx(100, abs=4) for second in range(10))
    assert client.metrics.requests_throttled == 0
    assert client.metrics.seconds_throttled == 0


def test_only_the_time_in_which_requests_wait_counts() -> None:
    """One request a second, twice a second one at once: two seconds, not the pause between."""

    async def main(loop: VirtualLoop) -> Client:
        client, server = Client(loop), ThrottlingServer(loop, LIMIT, burst=350)
        lane = client.governor._ways["destination", "object"].lane
        lane.finder.found = Cut(loop.time(), 1.0, steady=True)
        for _ in range(2):
            async with anyio.create_task_group() as group:
                for _ in range(2):
                    group.start_soon(client.governor.call, server.answer)
            await pause(10)
        return client

    assert run(main).metrics.seconds_throttled == pytest.approx(2, abs=0.1)


def test_the_metrics_tell_what_was_found() -> None:
    """The rate limit and the time in which it held requests back."""

    async def main(loop: VirtualLoop) -> Client:
        client = Client(loop, workers=64)
        await work_for(10, ThrottlingServer(loop, 500, burst=50), client)
        return client

    metrics = run(main).metrics
    assert metrics.request_rate_limit == pytest.approx(500, rel=0.05)
    assert 8 <= metrics.seconds_throttled <= 10
