"""The scenarios, as data: what is done, on which server, by whom, and how often."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from benchmarks.contenders import CONTENDERS, REFERENCE
from benchmarks.scenario import Change, Quick, Scenario
from benchmarks.simulator.config import SimulatorConfig
from benchmarks.simulator.keyspaces import LAYOUTS

LATENCY_MS: Final = 30.0
PAGE_LATENCY_MS: Final = 100.0
PART_LATENCY_MS: Final = 50.0
LIMIT_PER_S: Final = 3_500.0
"""COPY requests per second that S3 serves at least, per partitioned prefix."""
KEY_SPACES: Final = tuple(LAYOUTS)
LISTERS: Final = 32


_COPIERS: Final = tuple(each.name for each in CONTENDERS if "copy" in each.commands)
_LISTERS: Final = (REFERENCE, "aioboto3", "s5cmd", "rclone")
_SERVER: Final = SimulatorConfig(latency_ms=LATENCY_MS)
_PAGES: Final = SimulatorConfig(list_latency_ms=PAGE_LATENCY_MS)
_QUICK_KEY_SPACES: Final = ("hex", "skew")


def _listing(key_space: str, listers: int) -> Scenario:
    serial = listers == 1
    kind = "serial" if serial else "parallel"
    quick = Quick(objects=100_000) if key_space in _QUICK_KEY_SPACES else None
    return Scenario(
        name=f"listing-{kind}-{key_space}",
        title=f"Listing, {kind}, {key_space} keys",
        about=f"{PAGE_LATENCY_MS:.0f} ms a page, {listers} at a time.",
        action="list",
        server=_PAGES,
        key_space=key_space,
        objects=1_000_000,
        listers=listers,
        contenders=_LISTERS if serial and key_space == "sequential" else (REFERENCE,),
        measure="listing_s",
        repeats=1 if serial else 3,
        quick=quick,
    )


def _memory(objects: int) -> Scenario:
    return Scenario(
        name=f"memory-{objects}",
        title=f"Memory at {objects:,} objects",
        about="Peak resident memory, with a server that answers at once.",
        server=SimulatorConfig(),
        objects=objects,
        contenders=(REFERENCE, "s5cmd", "rclone"),
        measure="max_rss_mib",
        repeats=1,
        quick=Quick(objects=objects) if objects == 10_000 else None,
        timeout_s=1_800.0,
    )


_SMALL: Final = Scenario(
    name="small-objects",
    title="Many small objects",
    about="One request an object, answered after 30 ms, 256 in flight, one CPU.",
    server=_SERVER,
    objects=20_000,
    contenders=_COPIERS,
    baseline=True,
    measure="cpu_us_per_object",
    quick=Quick(objects=4_000, repeats=2),
)

_TLS: Final = Scenario(
    name="small-objects-tls",
    title="Many small objects over TLS",
    about="The same with certificates checked.",
    server=SimulatorConfig(latency_ms=LATENCY_MS, tls=True),
    objects=20_000,
    contenders=_COPIERS,
    baseline=True,
    measure="cpu_us_per_object",
    quick=Quick(objects=4_000, repeats=2, contenders=(REFERENCE, "s5cmd", "aioboto3")),
)

_PACED: Final = Scenario(
    name="at-3500",
    title="At 3,500 objects a second",
    about="What keeping one S3 prefix busy costs: the rate is capped a little above what S3 serves"
    " at least, because a cap can only be approached from below.",
    server=_SERVER,
    objects=50_000,
    max_requests_per_second=1.03 * LIMIT_PER_S,
    contenders=(REFERENCE, "async-s3copy-uvloop"),
    baseline=True,
    measure="cpu_share",
    repeats=3,
    quick=Quick(objects=15_000, contenders=(REFERENCE,)),
)

_PARSE: Final = Scenario(
    name="listing-parse",
    title="Parsing listing pages",
    about="Recorded pages of 1,000 keys, parsed over and over: no network, no waiting.",
    action="parse",
    objects=10_000,
    contenders=(REFERENCE, "aioboto3"),
    measure="keys_per_cpu_s",
    quick=Quick(objects=10_000),
)

_HUGE: Final = Scenario(
    name="one-huge-object",
    title="One object of 1 TiB",
    about="50 ms a part, 64 in flight; ideal is the latency of as many waves as its"
    " parts make, and start-up does not count where a driver can tell it apart.",
    server=SimulatorConfig(part_latency_ms=PART_LATENCY_MS),
    key_space="sequential",
    size="1tib",
    objects=1,
    concurrency=64,
    contenders=(REFERENCE, "rclone", "aws-cli"),
    measure="wall_s",
    repeats=3,
    quick=Quick(objects=1, contenders=(REFERENCE,)),
)

_LARGE: Final = Scenario(
    name="large-objects",
    title="Sixteen objects of 100 GiB",
    about="As above: requests in flight are shared between objects and their parts.",
    server=SimulatorConfig(part_latency_ms=PART_LATENCY_MS),
    key_space="sequential",
    size="100gib",
    objects=16,
    concurrency=64,
    contenders=(REFERENCE, "rclone", "aws-cli"),
    measure="wall_s",
    repeats=3,
)

_SLOW_DOWN: Final = Scenario(
    name="slow-down",
    title="A bucket that refuses",
    about="3,500 objects a second at most, everything above gets 503 SlowDown; half of that"
    " after 10 s.",
    server=SimulatorConfig(latency_ms=LATENCY_MS, rate_per_s=LIMIT_PER_S),
    objects=70_000,
    changes=(Change(after_s=10.0, settings={"rate_per_s": LIMIT_PER_S / 2}),),
    contenders=(REFERENCE, "s5cmd", "rclone"),
    measure="wall_s",
    repeats=3,
    quick=Quick(objects=55_000, contenders=(REFERENCE,)),
)

_LAG: Final = Scenario(
    name="loop-lag",
    title="What a neighbour on the loop notices",
    about="A task that sleeps 5 ms, over and over, beside a copy flat out: how late it wakes up."
    " What blocks the loop before the first copy is told apart.",
    server=_SERVER,
    objects=50_000,
    watch_loop=True,
    contenders=(REFERENCE, "async-s3copy-uvloop", "async-s3copy-boto", "aioboto3"),
    measure="late_max_ms",
    repeats=3,
    quick=Quick(objects=10_000, contenders=(REFERENCE, "aioboto3")),
)

_NEIGHBOUR: Final = Scenario(
    name="neighbour",
    title="What a neighbour in a triggerer notices",
    about="A real Airflow triggerer: two copies flat out as triggers, beside one that sleeps 50 ms,"
    " over and over, ten times at once, from before they are asked for until they have ended: how"
    " late it wakes up. `no copies` is what the machine and Airflow do to it by themselves. The"
    " last columns tell the turns of the event loop by their CPU time, which no other program on"
    " the machine can lengthen.",
    action="neighbour",
    server=_SERVER,
    objects=200_000,
    copies=2,
    contenders=(REFERENCE, "no copies", "aioboto3"),
    measure="whole_late_p99_9_ms",
    repeats=3,
    quick=Quick(objects=20_000, contenders=(REFERENCE,)),
)

_START: Final = Scenario(
    name="import",
    title="Import",
    about="From exec to exit of an interpreter that imports one package.",
    action="start",
    objects=1,
    contenders=("python", REFERENCE, "aioboto3"),
    measure="wall_s",
    repeats=21,
    quick=Quick(objects=1, repeats=11),
)

_COLD: Final = Scenario(
    name="one-object",
    title="Cold start: one object",
    about="From exec to exit for a single small object, from a server that answers at once.",
    objects=1,
    contenders=_COPIERS,
    measure="wall_s",
    quick=Quick(objects=1),
)


def _real(name: str, title: str, *, size: str, objects: int, method: str, quick: Quick) -> Scenario:
    relayed = method == "relay"
    return Scenario(
        name=name,
        title=title,
        about="SeaweedFS on this machine: real requests, real bytes, signatures checked.",
        server=None,
        size=size,
        objects=objects,
        concurrency=32,
        method=method,
        contenders=(REFERENCE, "rclone", "juicefs") if relayed else _COPIERS,
        baseline=not relayed,
        measure="mb_per_cpu_s" if relayed else "cpu_us_per_object",
        repeats=3,
        quick=quick,
    )


_REAL: Final = (
    _real(
        "real-server-side",
        "Small objects on a real server, copied by the server",
        size="1kib",
        objects=2_000,
        method="server_side",
        quick=Quick(objects=500, contenders=(REFERENCE, "aioboto3", "s5cmd", "rclone")),
    ),
    _real(
        "relay-small",
        "Small objects on a real server, relayed",
        size="64kib",
        objects=4_000,
        method="relay",
        quick=Quick(objects=1_000, contenders=(REFERENCE, "rclone")),
    ),
    _real(
        "relay-large",
        "Large objects on a real server, relayed",
        size="128mib",
        objects=16,
        method="relay",
        quick=Quick(objects=4, contenders=(REFERENCE, "rclone")),
    ),
)

SCENARIOS: Final[tuple[Scenario, ...]] = (
    _SMALL,
    _TLS,
    _PACED,
    *(_listing(each, listers) for each in KEY_SPACES for listers in (1, LISTERS)),
    _PARSE,
    _HUGE,
    _LARGE,
    _SLOW_DOWN,
    *_REAL,
    *(_memory(objects) for objects in (10_000, 100_000, 1_000_000)),
    _LAG,
    _NEIGHBOUR,
    _START,
    _COLD,
)

BY_NAME: Final[Mapping[str, Scenario]] = {each.name: each for each in SCENARIOS}
