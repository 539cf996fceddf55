"""`python -m benchmarks.simulator`: a simulator to point any S3 client at, or its ceiling."""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks.simulator.ceiling import Ceiling, Load, measure
from benchmarks.simulator.child import build
from benchmarks.simulator.config import SimulatorConfig
from benchmarks.simulator.server import Server

_SETTINGS: Final = (
    "latency_ms",
    "latency_sigma",
    "list_latency_ms",
    "part_latency_ms",
    "rate_per_s",
    "burst",
    "list_rate_per_s",
)
_LATENCIES_MS: Final = (0.0, 30.0)
# At 30 ms, 25,000 a second are 750 in flight; some more are needed to be sure of that.
_CONNECTIONS: Final = 1_536
_DEPTHS: Final = (1, 8)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; return the exit code."""
    options = _parser().parse_args(arguments)
    if options.ceiling:
        _print_ceiling(options.seconds)
        return 0
    settings = {name: getattr(options, name) for name in _SETTINGS}
    given = {name: value for name, value in settings.items() if value is not None}
    try:
        config = SimulatorConfig(tls=options.tls, cpu=options.cpu, **given)
    except ValueError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    with TemporaryDirectory(prefix="simulator-") as folder:
        _serve(config, Path(folder), options.port)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m benchmarks.simulator", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0, the default: a free one")
    parser.add_argument("--tls", action="store_true", help="HTTPS, with an authority of its own")
    parser.add_argument("--cpu", type=int, help="the only processor to run on")
    for name in _SETTINGS:
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, metavar="N")
    parser.add_argument("--ceiling", action="store_true", help="measure copies/s, then end")
    parser.add_argument("--seconds", type=float, default=3.0, help="for each of the measurements")
    return parser


def _serve(config: SimulatorConfig, folder: Path, port: int) -> None:
    server, ready = build(config, folder, port=port)
    with _stopped_by_signals(server):
        print(json.dumps(ready), flush=True)
        server.run()
    print(json.dumps(server.front_door.totals()), flush=True)


@contextmanager
def _stopped_by_signals(server: Server) -> Iterator[None]:
    reading, writing = socket.socketpair()
    writing.setblocking(False)
    # A loop that waits for sockets hears of a signal by a byte on one of them.
    server.watch(reading, lambda _: server.stop())
    signal.set_wakeup_fd(writing.fileno())
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: None)
    try:
        yield
    finally:
        signal.set_wakeup_fd(-1)
        reading.close()
        writing.close()


def _print_ceiling(duration_s: float) -> None:
    cpus = sorted(os.sched_getaffinity(0))
    pair = (cpus[0], cpus[1]) if len(cpus) > 1 else (None, None)
    print("        latency  requests  copies/s   copies/s      simulator  simulator  load")
    print("        ms       a batch   measured   of a core     of a core  us/copy    us/copy")
    for tls in (False, True):
        for latency_ms in _LATENCIES_MS:
            for depth in _DEPTHS:
                load = Load(
                    latency_ms=latency_ms,
                    tls=tls,
                    connections=_CONNECTIONS // depth,
                    depth=depth,
                    duration_s=duration_s,
                )
                print(_line(measure(load, cpus=pair)), flush=True)


def _line(ceiling: Ceiling) -> str:
    load = ceiling.load
    return (
        f"{'HTTPS' if load.tls else 'HTTP':<8}{load.latency_ms:<9.0f}{load.depth:<10}"
        f"{ceiling.copies_per_s:<11,.0f}{1e6 / ceiling.server_us:<14,.0f}"
        f"{ceiling.server_cpu:<11.0%}{ceiling.server_us:<11.1f}{ceiling.load_us:.1f}"
    )


if __name__ == "__main__":
    sys.exit(main())
