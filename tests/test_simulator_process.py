"""The simulator as a process: HTTP as it travels, TLS, control, its beginning and its end."""

from __future__ import annotations

import hashlib
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

import pytest
from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession
from botocore.exceptions import SSLError

from benchmarks.simulator import (
    KeySpace,
    Simulator,
    SimulatorConfig,
    SimulatorError,
    simulator,
)
from tests.support import REGION

if TYPE_CHECKING:
    from types_aiobotocore_s3.client import S3Client

ROOT = Path(__file__).parents[1]
SOURCE = "src-nonascii-40-1kib"
SPACE = KeySpace.parse(SOURCE)


@pytest.fixture(scope="module")
def sim() -> Iterator[Simulator]:
    with simulator(SimulatorConfig()) as running:
        yield running


async def _copy(s3: S3Client) -> None:
    source = {"Bucket": SOURCE, "Key": SPACE.key(0)}
    await s3.copy_object(Bucket="dst-a", Key="x/" + SPACE.key(0)[5:], CopySource=source)  # type: ignore[arg-type]


def _replies(sim: Simulator, data: bytes) -> bytes:
    address = urlsplit(sim.url)
    with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
        connection.sendall(data)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def test_pipelined_requests_are_answered_in_order(sim: Simulator) -> None:
    """Also where a body is waited for with 100-continue, and where answers take time."""
    sim.configure(latency_ms=1)
    heads = b"".join(
        b"HEAD /%b/%b HTTP/1.1\r\n\r\n" % (SOURCE.encode(), quote(SPACE.key(i)).encode())
        for i in range(3)
    )
    put = b"PUT /dst-a/k HTTP/1.1\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc"
    answers = _replies(sim, heads + put)
    etags = [line[6:] for line in answers.split(b"\r\n") if line.startswith(b"ETag: ")]
    expected = [hashlib.md5(b"abc").hexdigest()]
    assert len(set(etags)) == 4
    assert etags[3:] == [f'"{digest}"'.encode() for digest in expected]
    asking = put.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")
    assert _replies(sim, asking).startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")


def test_what_is_not_http_is_refused(sim: Simulator) -> None:
    """With a 400 and the end of the connection."""
    assert _replies(sim, b"\x16\x03\x01 hello\r\n\r\n").startswith(b"HTTP/1.1 400 ")


async def test_tls_is_trusted_by_its_authority_only() -> None:
    """With the CA file a client connects; without, it refuses to."""
    with simulator(SimulatorConfig(tls=True)) as sim:
        assert sim.url.startswith("https://")
        async with _tls_client(sim, str(sim.ca_file)) as s3:
            await _copy(s3)
        assert sim.verify(SOURCE, "data/", "dst-a", "x/").found == 1
        async with _tls_client(sim, True) as stranger:
            with pytest.raises(SSLError):
                await _copy(stranger)


def _tls_client(sim: Simulator, verify: str | bool) -> AbstractAsyncContextManager[S3Client]:
    client: AbstractAsyncContextManager[S3Client] = AioSession().create_client(
        "s3",
        endpoint_url=sim.url,
        region_name=REGION,
        verify=verify,
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="secret",
        config=AioConfig(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
    )
    return client


def test_what_cannot_change_is_refused(sim: Simulator) -> None:
    """And the simulator goes on as it was."""
    before = sim.config
    with pytest.raises(ValueError, match="tls cannot change"):
        sim.configure(tls=True)
    with pytest.raises(TypeError, match="colour"):
        sim.configure(colour="blue")
    with pytest.raises(SimulatorError, match="dst-a"):
        sim.verify("dst-a", "", "dst-a", "")
    assert sim.config is before


def test_the_simulator_ends_with_its_parent() -> None:
    """Even if that dies without a word: the output that both hold open comes to its end."""
    program = (
        "import os\n"
        "from benchmarks.simulator import SimulatorConfig, simulator\n"
        "with simulator(SimulatorConfig()) as sim:\n"
        "    print(sim.url, flush=True)\n"
        "    os._exit(7)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, timeout=60, check=False
    )
    assert done.returncode == 7
    assert done.stdout.startswith(b"http://127.0.0.1:")


def test_the_command_line_serves_until_it_is_told_to_end() -> None:
    """It prints its URL, and what it counted when it ends."""
    command = [sys.executable, "-m", "benchmarks.simulator", "--latency-ms", "1"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["url"].startswith("http://127.0.0.1:")
        process.send_signal(signal.SIGTERM)
        assert json.loads(process.stdout.readline())["requests"] == {}
        assert process.wait(30) == 0
