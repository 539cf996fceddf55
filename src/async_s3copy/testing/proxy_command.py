"""The fault-injecting proxy as a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from typing import Final

from async_s3copy.testing.fault_script import ALL_FAULTS, PASSING_FAULTS, RandomFaults
from async_s3copy.testing.faults import Fault
from async_s3copy.testing.proxy import FaultProxy, fault_proxy

_MIXES: Final[Mapping[str, Sequence[Fault]]] = {"all": ALL_FAULTS, "passing": PASSING_FAULTS}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the proxy until SIGTERM or SIGINT, or the end of standard input where that is asked for.

    Prints its URL as one line, and at the end one line of JSON: the number of requests by
    operation, and of faults by name.
    """
    given = _parser().parse_args(arguments)
    asyncio.run(_run(given))


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="python -m async_s3copy.testing.proxy",
        description="A proxy before an S3 server that injects faults, on a loopback port.",
    )
    parser.add_argument("--upstream", required=True, help="URL of the server")
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    parser.add_argument("--seed", type=int, default=0, help="another seed is another mix")
    parser.add_argument("--rate", type=float, default=0.05, help="share of requests, 0 to 1")
    parser.add_argument("--mix", choices=_MIXES, default="all", help="which faults")
    parser.add_argument("--max-in-a-row", type=int, default=3, help="hits of one request in a row")
    parser.add_argument(
        "--until-eof", action="store_true", help="end with standard input: with a parent that died"
    )
    return parser


async def _run(given: Namespace) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if given.until_eof:
        loop.add_reader(sys.stdin.fileno(), _watch_input, stop)
    async with fault_proxy(given.upstream, keeps_calls=False, port=given.port) as proxy:
        proxy.script = RandomFaults(
            given.seed, given.rate, _MIXES[given.mix], max_in_a_row=given.max_in_a_row
        )
        _say(proxy.url)
        await stop.wait()
    _say(json.dumps(_summary(proxy)))


def _watch_input(stop: asyncio.Event) -> None:
    number = sys.stdin.fileno()
    if not os.read(number, 4096):
        asyncio.get_running_loop().remove_reader(number)
        stop.set()


def _summary(proxy: FaultProxy) -> dict[str, dict[str, int]]:
    faults = {str(fault): times for fault, times in sorted(proxy.faults.items(), key=str)}
    return {"requests": proxy.counts(), "faults": faults}


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
