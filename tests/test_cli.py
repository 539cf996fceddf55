"""The command line end to end: exit codes, what goes to which stream, signals, hostile keys."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from async_s3copy.testing import seed
from async_s3copy.testing.seaweedfs import Identity, SeaweedFS
from tests.cli_world import DESTINATION, SOURCE, World
from tests.gate import Gate, standing

SCHEMA = [
    "operation_id",
    "duration_seconds",
    "total_files_found",
    "files_copied_successfully",
    "files_failed",
    "total_bytes_transferred",
    "errors",
]
# Together with a destination prefix of 500 bytes this is longer than a key may be.
HOSTILE_KEY = "bad/\x1b[31m[red]a\u202e[/red]" + ("x" * 180 + "/") * 3 + "x"
LONG_PREFIX = "q" * 500 + "/"
SMALL = [seed.SeedObject(key=f"small/{number}.txt", size=100 + number) for number in range(20)]
MIXED = [seed.SeedObject(key=key, size=10) for key in ("bad/1", "bad/2", HOSTILE_KEY)]
LARGE = seed.SeedObject(key="large/film.mp4", size=33 * 1024 * 1024, parts=3)
DEADLINE_S = 60.0


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    rights = ("Read", "List", "Tagging", "Write")
    identities = [
        Identity.generate("source", *(f"{right}:{SOURCE}" for right in rights)),
        Identity.generate("destination", *(f"{right}:{DESTINATION}" for right in rights)),
        Identity.generate(
            "copier", *(f"{right}:{name}" for name in (SOURCE, DESTINATION) for right in rights)
        ),
    ]
    with SeaweedFS(identities) as server:
        world = World(server, tmp_path_factory.mktemp("aws"), *identities)

        async def fill() -> None:
            async with world.admin() as client:
                for name in (SOURCE, DESTINATION):
                    await client.create_bucket(Bucket=name)
                await seed.seed(client, SOURCE, [LARGE, *SMALL, *MIXED])

        asyncio.run(fill())
        yield world


def command(*arguments: str, profiles: Sequence[str] = ("copier", "copier")) -> list[str]:
    source, destination = profiles
    names = ["--source-profile", source, "--dest-profile", destination] if source else []
    return [sys.executable, "-m", "async_s3copy", "cp", *arguments, *names]


def cp(
    world: World, *arguments: str, profiles: Sequence[str] = ("copier", "copier")
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command(*arguments, profiles=profiles),
        env=world.environment,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    for secret in world.secrets:
        assert secret not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    return done


def test_all_copied_is_0_with_the_metrics_as_the_only_document_on_stdout(world: World) -> None:
    done = cp(world, f"s3://{SOURCE}/small/", f"s3://{DESTINATION}/all/", "-r", "--json")
    assert done.returncode == 0, done.stderr
    metrics = json.loads(done.stdout)
    assert list(metrics)[:7] == SCHEMA
    assert metrics["total_files_found"] == metrics["files_copied_successfully"] == 20
    assert metrics["total_bytes_transferred"] == sum(item.size for item in SMALL)
    assert sorted(world.look("all/")) == sorted(
        item.key.replace("small/", "all/") for item in SMALL
    )


def test_without_json_stdout_is_empty_and_plain_lines_go_to_stderr(world: World) -> None:
    done = cp(world, f"s3://{SOURCE}/small/", f"s3://{DESTINATION}/plain/", "--recursive")
    assert (done.returncode, done.stdout) == (0, "")
    first, copied, proven = done.stderr.splitlines()
    assert first == f"copying: s3://{SOURCE}/small/ to s3://{DESTINATION}/plain/"
    assert re.fullmatch(
        r"Copied 20 objects \(2\.1 KiB\) in .* objects/s, .*/s, \d+ requests\.", copied
    )
    assert proven == "Proven by: ETag 20."


def test_accounts_that_cannot_see_each_other_relay_and_say_so_once(world: World) -> None:
    done = cp(
        world,
        f"s3://{SOURCE}/small/",
        f"s3://{DESTINATION}/relayed/",
        "-r",
        profiles=("source", "destination"),
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("note: ") == 1
    assert "Relayed through this machine: 20 objects." in done.stderr
    assert len(world.look("relayed/")) == 20


@pytest.mark.parametrize("method", ["server-side", "server_side"])
def test_server_side_is_accepted_in_both_spellings(world: World, method: str) -> None:
    done = cp(
        world,
        f"s3://{SOURCE}/small/1.txt",
        f"s3://{DESTINATION}/{method}/",
        "--method",
        method,
        "--json",
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["files_relayed"] == 0
    assert list(world.look(f"{method}/")) == [f"{method}/1.txt"]


def test_an_empty_prefix_is_0_and_says_that_nothing_matched(world: World) -> None:
    done = cp(world, f"s3://{SOURCE}/no-such/", f"s3://{DESTINATION}/x/", "-r")
    assert done.returncode == 0
    assert "Nothing was copied: no object matched" in done.stderr


def test_existing_objects_are_skipped_with_no_overwrite(world: World) -> None:
    arguments = (f"s3://{SOURCE}/small/1.txt", f"s3://{DESTINATION}/once/1.txt", "--no-overwrite")
    assert cp(world, *arguments).returncode == 0
    again = cp(world, *arguments, "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["files_skipped"] == 1
    assert "Skipped 1 object" in again.stderr


def test_some_failed_is_1_and_each_failure_is_one_harmless_line_with_its_code(
    world: World, tmp_path: Path
) -> None:
    report = tmp_path / "report.jsonl"
    done = cp(
        world,
        f"s3://{SOURCE}/bad/",
        f"s3://{DESTINATION}/{LONG_PREFIX}",
        "-r",
        "--json",
        "--report",
        str(report),
    )
    assert done.returncode == 1
    metrics = json.loads(done.stdout)
    assert (metrics["files_copied_successfully"], metrics["files_failed"]) == (2, 1)
    assert len(metrics["errors"]) == 1
    (line,) = (line for line in done.stderr.splitlines() if line.startswith("failed: "))
    shown = HOSTILE_KEY.replace("\x1b", "\\x1b").replace("\u202e", "\\u202e")
    assert line.startswith(f"failed: {shown}: KeyTooLongError: ")
    assert done.stderr.splitlines()[-1].startswith("error: 1 of 3 objects failed")
    assert len(report.read_text().splitlines()) == 3


def test_quiet_prints_nothing_on_success(world: World) -> None:
    done = cp(world, f"s3://{SOURCE}/small/", f"s3://{DESTINATION}/quiet/", "-r", "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert len(world.look("quiet/")) == 20


def test_quiet_failure_is_one_line_that_names_the_first(world: World) -> None:
    done = cp(world, f"s3://{SOURCE}/bad/", f"s3://{DESTINATION}/{LONG_PREFIX}", "-r", "-q")
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: 1 of 3 objects failed")
    assert "bad/\\x1b[31m[red]a" in line


@pytest.mark.parametrize(
    "source, destination, profiles, said",
    [
        ("source-bucket/none", "destination-bucket/x", ("copier", "copier"), "source-bucket/none"),
        ("no-such-bucket/k", "destination-bucket/x", ("copier", "copier"), "no-such-bucket"),
        ("source-bucket/small/", "destination-bucket/x", ("destination",) * 2, "AccessDenied"),
        ("source-bucket/small/1.txt", "destination-bucket/x", ("", ""), "credentials"),
        ("source-bucket/small/1.txt", "destination-bucket/x", ("nobody", "copier"), "nobody"),
        ("source-bucket/small/", "source-bucket/small/deeper/", ("copier", "copier"), "must"),
    ],
    ids=["key", "bucket", "list", "credentials", "profile", "nested"],
)
def test_what_is_found_wrong_before_the_first_write_is_2_in_one_sentence(
    world: World, source: str, destination: str, profiles: Sequence[str], said: str
) -> None:
    recursive = ["--recursive"] if source.endswith("/") else []
    done = cp(
        world, f"s3://{source}", f"s3://{destination}", "--json", *recursive, profiles=profiles
    )
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert said in line


def test_a_write_denied_is_1_and_names_the_side_and_the_permission(world: World) -> None:
    done = cp(
        world,
        f"s3://{SOURCE}/small/1.txt",
        f"s3://{DESTINATION}/denied",
        profiles=("source", "source"),
    )
    assert done.returncode == 1
    (line,) = (line for line in done.stderr.splitlines() if line.startswith("failed: "))
    assert line.startswith("failed: small/1.txt: AccessDenied: ")
    assert "s3:PutObject" in line
    assert "destination" in line


PART = r"PUT .*partNumber="


@contextmanager
def relaying(world: World, url: str, prefix: str, *more: str) -> Iterator[subprocess.Popen[str]]:
    """Start a copy of the large object whose parts go through the gate."""
    arguments = command(
        f"s3://{SOURCE}/large/", f"s3://{DESTINATION}/{prefix}", "-r", "--dest-endpoint-url", url
    )
    with subprocess.Popen(
        [*arguments, "--json", *more],
        env=world.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        try:
            yield child
        finally:
            child.kill()


def await_arrival(gate: Gate, pattern: str, child: subprocess.Popen[str]) -> None:
    """Wait until a request is held back; give up as soon as the child has ended."""
    deadline = time.monotonic() + DEADLINE_S
    while not gate.arrived[pattern].wait(0.1):
        assert child.poll() is None, child.communicate()
        assert time.monotonic() < deadline, f"no request like {pattern}"


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("more", [[], ["--quiet"]], ids=["loud", "quiet"])
def test_a_signal_aborts_the_open_upload_and_tells_what_was_done(
    world: World, number: signal.Signals, code: int, more: list[str]
) -> None:
    gate = Gate(world.server.endpoint_url, PART)
    with standing(gate) as url, relaying(world, url, f"stopped-{code}/", *more) as child:
        await_arrival(gate, PART, child)
        assert world.open_uploads() == 1
        child.send_signal(number)
        output, errors = child.communicate(timeout=DEADLINE_S)
    assert child.returncode == code, errors
    assert world.open_uploads() == 0
    assert world.look(f"stopped-{code}/") == {}
    metrics = json.loads(output)
    assert list(metrics)[:7] == SCHEMA
    assert metrics["files_copied_successfully"] == 0
    assert "Interrupted: aborting open uploads" in errors
    assert errors.splitlines()[-1].startswith("error: interrupted; 0 objects copied")
    assert "Traceback" not in errors


def test_on_a_terminal_a_bar_is_drawn_and_removed_and_stdout_stays_clean(world: World) -> None:
    reader, writer = pty.openpty()
    child = subprocess.Popen(
        command(f"s3://{SOURCE}/small/", f"s3://{DESTINATION}/bar/", "-r", "--json"),
        env={**world.environment, "TERM": "xterm", "COLUMNS": "80"},
        stdout=subprocess.PIPE,
        stderr=writer,
        text=True,
    )
    os.close(writer)
    drawn = b"".join(iter(lambda: _read(reader), b"")).decode()
    os.close(reader)
    output, _ = child.communicate(timeout=DEADLINE_S)
    assert child.returncode == 0
    assert json.loads(output)["files_copied_successfully"] == 20
    assert "checking both sides..." in drawn
    assert "listing..." in drawn
    assert "━" in drawn
    assert drawn.rindex("\x1b[?25h") > drawn.rindex("\x1b[?25l")
    assert re.search(r"\x1b\[2KCopied 20 objects .* requests\.\r\nProven by: ETag 20\.\r\n$", drawn)


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # Linux's way to say that the other end is closed
        return b""
