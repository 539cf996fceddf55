"""``async-s3copy demo``: a copy between two accounts on a local S3 server, verified."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

from rich.console import Console
from rich.text import Text

from async_s3copy.cli import showcase
from async_s3copy.cli.run import EXIT_FAILED, EXIT_OK, EXIT_SIGNAL, EXIT_USAGE, print_error
from async_s3copy.cli.showcase import DESTINATION_BUCKET, SOURCE_BUCKET, Cast
from async_s3copy.errors import S3CopyError
from async_s3copy.model import CopyMethod
from async_s3copy.testing.seaweedfs import Identity, SeaweedFS, ServerError
from async_s3copy.testing.seed import REGION

_READ: Final = ("Read", "List", "Tagging")
_WRITE: Final = (*_READ, "Write")


def run_demo(*, objects: int, serve: bool, as_json: bool) -> int:
    """Run the demo, or with ``serve`` only its server.

    Returns:
        The exit code: 0 only if everything was verified.
    """
    console = _console(to_stderr=as_json)
    stopped_by = [signal.SIGINT]
    try:
        with _sigterm_as_sigint(stopped_by), _server() as cast:
            if serve:
                return asyncio.run(_serve(console, cast, objects))
            return asyncio.run(_show(console, cast, objects, as_json))
    except KeyboardInterrupt:
        print_error("interrupted; the demo's server is stopped and its data deleted")
        return EXIT_SIGNAL + stopped_by[-1]
    except ServerError as error:
        print_error(str(error))
        return EXIT_USAGE
    except S3CopyError as error:
        print_error(str(error))
        return EXIT_FAILED


def _console(*, to_stderr: bool) -> Console:
    stream = sys.stderr if to_stderr else sys.stdout
    return Console(file=stream, force_terminal=stream.isatty(), highlight=False)


@contextmanager
def _sigterm_as_sigint(stopped_by: list[signal.Signals]) -> Iterator[None]:
    """Let SIGTERM unwind the demo like Ctrl-C: a killed demo must not leave its server behind."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        del frame
        stopped_by.append(signal.Signals(number))
        signal.raise_signal(signal.SIGINT)

    # A job that a script starts in the background inherits SIGINT as ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _server() -> Iterator[Cast]:
    source = Identity.generate("source", *(f"{right}:{SOURCE_BUCKET}" for right in _WRITE))
    destination = Identity.generate(
        "destination", *(f"{right}:{DESTINATION_BUCKET}" for right in _WRITE)
    )
    copier = Identity.generate(
        "copier",
        *(f"{right}:{SOURCE_BUCKET}" for right in _READ),
        *(f"{right}:{DESTINATION_BUCKET}" for right in _WRITE),
    )
    with SeaweedFS(identities=[source, destination, copier]) as server:
        yield Cast(
            endpoint_url=server.endpoint_url,
            admin=server.admin,
            source=source,
            destination=destination,
            copier=copier,
        )


async def _show(console: Console, cast: Cast, count: int, as_json: bool) -> int:
    checks = {}
    showcase.heading(console, "1. A server with two accounts")
    objects = await showcase.set_up(console, cast, count)
    began = time.monotonic()
    showcase.heading(console, "2. Neither account sees the other's bucket")
    checks["the accounts are separated"] = await showcase.show_walls(console, cast)
    showcase.heading(console, "3. Copy from account to account: the bytes must be relayed")
    relayed = await showcase.copy_to(
        console, cast, "landing/", reader=cast.source, writer=cast.destination, method="auto"
    )
    checks["relayed copy"] = showcase.travelled(relayed, count, CopyMethod.RELAY)
    showcase.heading(console, "4. Copy again, by a principal that may see both: inside the server")
    inside = await showcase.copy_to(
        console, cast, "server-side/", reader=cast.copier, writer=cast.copier, method="server_side"
    )
    checks["server-side copy"] = showcase.travelled(inside, count, CopyMethod.SERVER_SIDE)
    showcase.heading(console, "5. Every object compared with its source, by another S3 client")
    prefixes = ("landing/", "server-side/")
    checks["comparison"] = await showcase.verify(console, cast, objects, prefixes)
    checks["open uploads"] = await showcase.check_uploads(console, cast)
    runs = {"relay": relayed, "server_side": inside}
    if as_json:
        print(json.dumps({name: run.to_dict() for name, run in runs.items()}, indent=2))
    else:
        showcase.heading(console, "6. The metrics of both copies")
        showcase.show_metrics(console, runs)
    verified = showcase.conclude(console, checks, time.monotonic() - began)
    return EXIT_OK if verified else EXIT_FAILED


async def _serve(console: Console, cast: Cast, count: int) -> int:
    showcase.heading(console, "A server with two accounts")
    await showcase.set_up(console, cast, count)
    with tempfile.TemporaryDirectory(prefix="async-s3copy-demo-") as folder:
        path = _write_config(Path(folder) / "config", cast)
        showcase.heading(console, "Paste this into a second terminal, then copy")
        _show_usage(console, path)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            # The way to end a server: Ctrl-C is no failure here. This is the outermost task.
            console.print("\nstopping: the server's data and the config file are deleted")
            return EXIT_OK
    return EXIT_FAILED


def _show_usage(console: Console, path: Path) -> None:
    file = shlex.quote(str(path))
    # The second variable keeps profiles of the same names in ~/.aws/credentials out of the way.
    print(f"export AWS_CONFIG_FILE={file} AWS_SHARED_CREDENTIALS_FILE={file}", file=console.file)
    print(
        f"async-s3copy cp s3://{SOURCE_BUCKET}/{showcase.SOURCE_PREFIX} "
        f"s3://{DESTINATION_BUCKET}/landing/ --recursive "
        "--source-profile source --dest-profile destination",
        file=console.file,
    )
    console.print()
    console.print(
        Text("Profiles: source, destination and copier (may read and write both). Ctrl-C stops.")
    )
    console.file.flush()


def _write_config(path: Path, cast: Cast) -> Path:
    """Write the profiles of the demo's accounts where only this user can read them."""
    sections = [
        f"[profile {who.name}]\n"
        f"aws_access_key_id = {who.access_key_id}\n"
        f"aws_secret_access_key = {who.secret_access_key}\n"
        f"region = {REGION}\n"
        f"endpoint_url = {cast.endpoint_url}\n"
        for who in (cast.source, cast.destination, cast.copier)
    ]
    # Created with its mode, not changed to it: at no moment can another user read it.
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write("\n".join(sections))
    return path
