"""The simulator's parts without sockets and without a clock: rates, latencies, bodies, faults."""

from __future__ import annotations

import hashlib
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.simulator.bodies import Sink, decoder
from benchmarks.simulator.config import FaultRule, SimulatorConfig
from benchmarks.simulator.faults import Faults
from benchmarks.simulator.front_door import FrontDoor
from benchmarks.simulator.latency import Latency, Wheel
from benchmarks.simulator.messages import MalformedRequestError, Request
from benchmarks.simulator.throttle import Throttle, TokenBucket

COPY = (
    b"PUT /dst-a/%b HTTP/1.1\r\nHost: simulator\r\n"
    b"X-Amz-Copy-Source: src-sequential-9/data/key-0000000003\r\nContent-Length: 0"
)
LIST = b"GET /src-hex-9?list-type=2 HTTP/1.1\r\nHost: simulator"
NO_BODY = Sink(keep=False)


# Rates ------------------------------------------------------------------------------------------


@given(
    rate=st.floats(1, 10_000),
    burst=st.floats(1, 1_000),
    steps_s=st.lists(st.floats(0, 0.5), min_size=1, max_size=200),
)
def test_a_token_bucket_never_gives_more_than_its_rate(
    rate: float, burst: float, steps_s: list[float]
) -> None:
    """Over any time, however requests come: its burst and what has come back since."""
    bucket = TokenBucket(rate, burst, 0.0)
    now_s, taken = 0.0, 0
    for step_s in steps_s:
        now_s += step_s
        taken += bucket.take(now_s)
        assert taken <= burst + rate * now_s + 1e-6


def test_a_token_bucket_gives_its_rate_to_who_asks_for_more() -> None:
    """Ten seconds of twice the rate: the burst once, the rate each second, the rest refused."""
    bucket = TokenBucket(100, 10, 0.0)
    admitted = [bucket.take(tick / 200) for tick in range(2_000)]
    assert sum(admitted) == pytest.approx(1_000 + 10, abs=1)


def test_a_changed_rate_counts_at_once() -> None:
    """Tokens that a smaller burst has no room for are lost, and come back at the new rate."""
    bucket = TokenBucket(1_000, 100, 0.0)
    bucket.change(10, 2, 0.0)
    assert [bucket.take(0.0) for _ in range(3)] == [True, True, False]
    assert [bucket.take(0.11), bucket.take(0.12)] == [True, False]


def test_each_name_has_a_token_bucket_of_its_own() -> None:
    """What one bucket is refused another is not; without a rate nothing is."""
    throttle = Throttle(1, 1)
    assert [throttle.admit(name, 0.0) for name in (b"a", b"a", b"b")] == [True, False, True]
    throttle.change(None, None, 0.0)
    assert all(throttle.admit(b"a", 0.0) for _ in range(10))


@pytest.mark.parametrize("scope, refused", [("bucket", 3), ("prefix", 1)])
def test_a_rate_is_of_a_bucket_or_of_a_first_level(scope: str, refused: int) -> None:
    """Four copies into three first levels of one bucket that takes one copy each."""
    config = SimulatorConfig.from_dict({"rate_per_s": 0.001, "burst": 1, "rate_scope": scope})
    door = FrontDoor(config)
    for key in (b"a/1", b"a/2", b"b/1", b"c"):
        door.take(Request(COPY % key), NO_BODY, 0.0)
    assert door.totals()["refused"] == {"CopyObject": refused}


def test_the_series_tells_accepted_and_refused_by_tenths_of_a_second() -> None:
    """From the first object request on, tenths without any included; listings are not in it."""
    door = FrontDoor(SimulatorConfig(rate_per_s=10, burst=1))
    for now_s in (5.0, 5.01, 5.31):
        door.take(Request(COPY % b"a"), NO_BODY, now_s)
        door.take(Request(LIST), NO_BODY, now_s)
    assert door.counters.series() == [
        {"t_s": 0.0, "accepted": 1, "refused": 1},
        {"t_s": 0.1, "accepted": 0, "refused": 0},
        {"t_s": 0.2, "accepted": 0, "refused": 0},
        {"t_s": 0.3, "accepted": 1, "refused": 0},
    ]


# Latencies --------------------------------------------------------------------------------------


def test_each_kind_of_call_has_its_latency() -> None:
    """Listing pages and parts their own, everything else the general one."""
    door = FrontDoor(SimulatorConfig(latency_ms=30, list_latency_ms=100, part_latency_ms=50))
    part = b"PUT /dst-a/b?partNumber=1&uploadId=x HTTP/1.1\r\nContent-Length: 0"
    delays_s = [door.take(Request(head), NO_BODY, 0.0)[1] for head in (COPY % b"a", LIST, part)]
    assert delays_s == [0.03, 0.1, 0.05]


def test_a_log_normal_latency_has_its_median() -> None:
    """Half of the draws below it, half above, and the tail of its sigma."""
    latency = Latency(30, 0.5, Random(1))
    draws_s = sorted(latency.draw_s() for _ in range(10_001))
    assert draws_s[5_000] == pytest.approx(0.03, rel=0.03)
    assert draws_s[8_413] / draws_s[5_000] == pytest.approx(2.718**0.5, rel=0.05)


@given(st.lists(st.tuples(st.floats(0, 2), st.floats(0, 0.3)), max_size=60))
def test_nothing_leaves_the_wheel_early_or_late(arrivals: list[tuple[float, float]]) -> None:
    """Whoever looks when it says finds what is due, a quarter of a millisecond late at most."""
    wheel: Wheel[float] = Wheel()
    for now_s, delay_s in arrivals:
        wheel.add(now_s + delay_s, 0, now_s + delay_s)
    now_s, left = 0.0, len(arrivals)
    while (wait_s := wheel.wait_s(now_s)) is not None:
        now_s += wait_s + 1e-6
        due = wheel.release(now_s)
        left -= len(due)
        assert all(now_s - 0.000_3 <= due_s <= now_s for due_s in due)
    assert left == 0


def test_answers_of_one_connection_keep_their_order() -> None:
    """One that would be due earlier waits for the one before it."""
    wheel: Wheel[str] = Wheel()
    tick = wheel.add(1.0, 0, "slow")
    assert wheel.add(0.1, tick, "quick") == tick
    assert wheel.release(0.9) == []
    assert wheel.release(1.1) == ["slow", "quick"]


# Bodies -----------------------------------------------------------------------------------------


def _chunks(pieces: list[bytes], extension: bytes = b"") -> bytes:
    framed = b"".join(b"%x%b\r\n%b\r\n" % (len(p), extension, p) for p in pieces if p)
    return framed + b"0%b\r\nx-amz-checksum-crc32: AAAAAA==\r\n\r\n" % extension


@given(
    pieces=st.lists(st.binary(max_size=300), max_size=6),
    framing=st.sampled_from(["length", "chunked", "aws-chunked", "aws-chunked in chunks"]),
    step=st.integers(1, 400),
)
def test_a_body_is_decoded_however_it_is_cut(pieces: list[bytes], framing: str, step: int) -> None:
    """By length, in chunks, signed chunks, or both; and what follows it is left alone."""
    content = b"".join(pieces)
    head = b"PUT /dst-a/b HTTP/1.1\r\n"
    body = content
    if framing.startswith("aws-chunked"):
        body = _chunks(pieces, b";chunk-signature=00")
        head += b"x-amz-content-sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER\r\n"
    if framing.endswith("chunks") or framing == "chunked":
        body = _chunks([body[:9], body[9:]])
        head += b"Transfer-Encoding: chunked"
    else:
        head += b"Content-Length: %d" % len(body)
    sink = Sink(keep=False)
    decoding = decoder(Request(head), sink)
    data = body + b"GET /next"
    position = 0
    while decoding is not None and not decoding.done:
        position += decoding.feed(memoryview(data)[position : position + step])
    assert sink.md5.digest() == hashlib.md5(content).digest()
    assert data[position:] == (b"GET /next" if body else data)


@pytest.mark.parametrize("head", [b"GET", b"GET /", b"GET / HTTP/2", b"GET / x HTTP/1.1", b""])
def test_what_is_no_request_is_not_taken_for_one(head: bytes) -> None:
    """Neither half a line nor another protocol."""
    with pytest.raises(MalformedRequestError):
        Request(head)


# Faults and settings ----------------------------------------------------------------------------


def test_faults_are_the_same_for_the_same_seed() -> None:
    """A tenth of the copies, and nothing else, goes wrong."""
    rules = (FaultRule(operation="CopyObject", kind="500", fraction=0.1),)
    first, second = (Faults(rules, Random(7)) for _ in range(2))
    picks = [first.pick("CopyObject") for _ in range(1_000)]
    assert picks == [second.pick("CopyObject") for _ in range(1_000)]
    assert 70 <= picks.count("500") <= 130
    assert all(first.pick("HeadObject") is None for _ in range(100))


def test_a_fault_ends_at_its_limit() -> None:
    """And leaves the requests after that to the next rule."""
    rules = (
        FaultRule(operation="*", kind="reset", limit=2),
        FaultRule(operation="CopyObject", kind="503", limit=1),
    )
    faults = Faults(rules, Random(0))
    assert [faults.pick("CopyObject") for _ in range(4)] == ["reset", "reset", "503", None]


@pytest.mark.parametrize(
    "settings, complaint",
    [
        ({"latency_ms": -1}, "latency_ms=-1"),
        ({"rate_per_s": 0}, "rate_per_s=0"),
        ({"rate_scope": "key"}, "rate_scope='key'"),
        ({"colour": "blue"}, "colour"),
        ({"faults": [{"operation": "*", "kind": "fire"}]}, "kind='fire'"),
        ({"faults": [{"operation": "*", "kind": "500", "fraction": 2}]}, "fraction=2"),
    ],
)
def test_a_setting_against_its_rule_is_refused(settings: dict[str, object], complaint: str) -> None:
    """With a sentence that has name and value."""
    with pytest.raises(ValueError, match=complaint):
        SimulatorConfig.from_dict(settings)


def test_a_configuration_survives_its_way_to_the_process() -> None:
    """As JSON values and back."""
    config = SimulatorConfig(
        latency_ms=30, tls=True, faults=(FaultRule(operation="*", kind="reset", limit=3),)
    )
    assert SimulatorConfig.from_dict(config.to_dict()) == config
