"""Ctrl-C and SIGTERM in the middle of a multipart copy: nothing stays open, all of it is told.

The server runs in a thread of the test. It holds one request back until the test lets it go.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from aiohttp import web

from async_s3copy.cli.summary import may_be_open_text
from tests.fault_server import Answer, Call, FaultServer, Handler, Stored, run_fault_server

SOURCE, DESTINATION = "source-bucket", "destination-bucket"
SIZE: Final = 1024**3
"""From here on, an object is copied in parts; the server holds zeros that take up no memory."""
DEADLINE_S: Final = 60.0


class Holding:
    """A server in a thread that holds requests of some kinds back."""

    def __init__(self, *held: str) -> None:
        self.arrived = {name: threading.Event() for name in held}
        self.server = FaultServer()
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop
        self._released: asyncio.Event
        self._ended: asyncio.Event

    def serve(self) -> None:
        """Serve, until the end."""
        asyncio.run(self._serve())

    def release(self) -> None:
        """Let go of what is held back, and hold nothing from now on."""
        self._loop.call_soon_threadsafe(self._released.set)

    def end(self) -> None:
        """Stop serving."""
        self.release()
        self._loop.call_soon_threadsafe(self._ended.set)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._released, self._ended = asyncio.Event(), asyncio.Event()
        async with run_fault_server() as self.server:
            self.server.objects[SOURCE]["large"] = Stored(bytes(SIZE), "0" * 32)
            self.server.always("UploadPartCopy", self._holding("UploadPartCopy", _small_part))
            for name in self.arrived.keys() - {"UploadPartCopy"}:
                self.server.always(name, self._holding(name))
            self._ready.set()
            await self._ended.wait()

    def _holding(self, name: str, instead: Answer | None = None) -> Answer:
        async def answer(
            server: FaultServer, request: web.Request, call: Call, handler: Handler
        ) -> web.StreamResponse:
            if name in self.arrived and not self._released.is_set():
                self.arrived[name].set()
                await self._released.wait()
            if instead is not None:
                return await instead(server, request, call, handler)
            return await handler(server, call)

        return answer


async def _small_part(
    server: FaultServer, request: web.Request, call: Call, handler: Handler
) -> web.StreamResponse:
    """Keep one byte for a part: nobody reads the object."""
    server.uploads[call.query["uploadId"]][int(call.query["partNumber"])] = b"p"
    text = f"<CopyPartResult><ETag>{server.manners.etag_of(b'p')}</ETag></CopyPartResult>"
    return web.Response(text=text, content_type="application/xml")


@contextmanager
def standing(*held: str) -> Iterator[Holding]:
    """Run a server in a thread for a block."""
    holding = Holding(*held)
    thread = threading.Thread(target=holding.serve)
    thread.start()
    holding._ready.wait(DEADLINE_S)
    try:
        yield holding
    finally:
        holding.end()
        thread.join()


@contextmanager
def copying(holding: Holding, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Start the copy of the large object, inside S3, in a process of its own."""
    config = folder / "config"
    config.write_text(
        "[profile one]\naws_access_key_id = AK\naws_secret_access_key = secret\n"
        f"region = us-east-1\nendpoint_url = {holding.server.url}\n"
    )
    arguments = (
        *(f"s3://{SOURCE}/large", f"s3://{DESTINATION}/large", "--json"),
        *("--source-profile", "one", "--dest-profile", "one", "--method", "server-side"),
        *("--checkpoint", str(folder / "checkpoint")),
    )
    with subprocess.Popen(
        [sys.executable, "-m", "async_s3copy", "cp", *arguments],
        env={**os.environ, "AWS_CONFIG_FILE": str(config)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        try:
            yield child
        finally:
            child.kill()


def await_arrival(holding: Holding, name: str, child: subprocess.Popen[str]) -> None:
    """Wait until a request is held back; give up as soon as the process has ended."""
    deadline = time.monotonic() + DEADLINE_S
    while not holding.arrived[name].wait(0.05):
        assert child.poll() is None, child.communicate()
        assert time.monotonic() < deadline, f"no {name} came"


def await_line(child: subprocess.Popen[str], start: str) -> str:
    """Read what a process says up to a line that begins so; returns everything."""
    assert child.stderr is not None
    said = ""
    for line in child.stderr:
        said += line
        if line.startswith(start):
            return said
    raise AssertionError(f"it never said {start!r}: {said}")


@pytest.mark.parametrize(
    "held, number, code",
    [
        ("CreateMultipartUpload", signal.SIGTERM, 143),
        ("UploadPartCopy", signal.SIGINT, 130),
        ("CompleteMultipartUpload", signal.SIGTERM, 143),
    ],
)
def test_a_signal_in_any_phase_of_a_multipart_copy_leaves_no_upload(
    tmp_path: Path, held: str, number: signal.Signals, code: int
) -> None:
    """The answer of Create or Complete is waited for, a part is not; then all is put in order."""
    with standing(held) as holding, copying(holding, tmp_path) as child:
        await_arrival(holding, held, child)
        child.send_signal(number)
        said = await_line(child, "Interrupted: aborting open uploads")
        if held != "UploadPartCopy":
            holding.release()
        output, rest = child.communicate(timeout=DEADLINE_S)
        assert holding.server.uploads == {}
    assert child.returncode == code, said + rest
    assert "Traceback" not in said + rest
    last = rest.splitlines()[-1]
    assert last.startswith("error: interrupted; 0 objects copied")
    metrics = json.loads(output)
    assert metrics["files_copied_successfully"] == metrics["files_failed"] == 0
    checkpoint = json.loads((tmp_path / "checkpoint").read_text())
    assert checkpoint["uploads"] == []
    assert f"go on from {tmp_path / 'checkpoint'}" in last


def test_a_second_signal_ends_at_once_and_names_what_may_be_left(tmp_path: Path) -> None:
    """While the abort is not answered: the upload is named, and so it is in the checkpoint."""
    parts, abort = "UploadPartCopy", "AbortMultipartUpload"
    with standing(parts, abort) as holding, copying(holding, tmp_path) as child:
        await_arrival(holding, parts, child)
        child.send_signal(signal.SIGINT)
        await_arrival(holding, abort, child)
        child.send_signal(signal.SIGINT)
        output, said = child.communicate(timeout=DEADLINE_S)
        (upload_id,) = holding.server.uploads
    assert child.returncode == 130, said
    assert "Traceback" not in said
    last = said.splitlines()[-1]
    named = f"s3://{DESTINATION}/large ({upload_id})"
    assert last.startswith(f"error: stopped at once; left open, perhaps: {named}")
    assert json.loads(output)["files_copied_successfully"] == 0
    checkpoint = json.loads((tmp_path / "checkpoint").read_text())
    assert [key for key, _ in checkpoint["uploads"]] == ["large"]


def test_a_line_names_few_uploads_and_counts_the_others() -> None:
    """However many are open; one whose id was never learned is named by its place."""
    uploads = [(f"s3://b/{number}", f"id-{number}" if number else None) for number in range(1_007)]
    text = may_be_open_text(uploads)
    assert text.startswith("; left open, perhaps: s3://b/0 (id unknown), s3://b/1 (id-1), ")
    assert text.endswith("s3://b/4 (id-4) and 1,002 more")
    assert may_be_open_text([]) == "; no upload was open"
