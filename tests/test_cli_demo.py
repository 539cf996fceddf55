"""The demo end to end, its server mode, and that its verification can fail."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from rich.console import Console

from async_s3copy import Account, S3CopyError, copy
from async_s3copy.cli.compare import Side, compare, compare_listings
from async_s3copy.cli.showcase import conclude
from async_s3copy.testing import seed
from async_s3copy.testing.seed import Listed
from tests.support import Buckets, S3Server

DEADLINE_S = 100.0
OBJECTS = 60


def demo(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "async_s3copy", "demo", f"--objects={OBJECTS}", *arguments]


def is_gone(url: str) -> bool:
    from http.client import HTTPConnection

    connection = HTTPConnection(url.removeprefix("http://"), timeout=5)
    try:
        connection.connect()
    except ConnectionRefusedError:
        return True
    finally:
        connection.close()
    return False


def test_the_demo_verifies_everything_and_prints_one_document() -> None:
    done = subprocess.run(
        demo("--json"),
        env={**os.environ, "FORCE_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    runs = json.loads(done.stdout)
    assert [runs[name]["files_copied_successfully"] for name in runs] == [OBJECTS, OBJECTS]
    assert (runs["relay"]["files_relayed"], runs["server_side"]["files_relayed"]) == (OBJECTS, 0)
    assert done.stderr.count("identical") == 2
    assert "0 multipart uploads left open." in done.stderr
    assert "Everything verified" in done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    (url,) = re.findall(r"http://127\.0\.0\.1:\d+", done.stderr)
    assert is_gone(url)


@contextmanager
def served() -> Iterator[tuple[subprocess.Popen[str], Path, list[str]]]:
    """Run ``demo --serve`` until it says how to reach it; yields its config file and its lines."""
    with subprocess.Popen(
        demo("--serve"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as child:
        assert child.stdout is not None
        try:
            lines = []
            for line in child.stdout:
                lines.append(line)
                if line.startswith("Profiles: "):
                    break
            (path,) = re.findall(r"^export AWS_CONFIG_FILE=(\S+)", "".join(lines), re.MULTILINE)
            yield child, Path(path), lines
        finally:
            child.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_the_served_demo_runs_the_readmes_example_and_leaves_nothing(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served() as (child, path, lines):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        keys = re.findall(r"aws_secret_access_key = (\S+)", path.read_text())
        (url,) = set(re.findall(r"http://127\.0\.0\.1:\d+", path.read_text()))
        monkeypatch.setenv("AWS_CONFIG_FILE", str(path))
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(path))
        metrics = await copy(
            "s3://source-bucket/photos/",
            "s3://destination-bucket/landing/",
            source=Account(profile="source"),
            destination=Account(profile="destination"),
            recursive=True,
        )
        assert metrics.files_copied_successfully == metrics.files_relayed == OBJECTS
        with pytest.raises(S3CopyError):
            await copy(
                "s3://source-bucket/photos/",
                "s3://destination-bucket/x/",
                source=Account(profile="destination"),
                destination=Account(profile="destination"),
                recursive=True,
            )
        child.send_signal(number)
        rest, _ = child.communicate(timeout=DEADLINE_S)
    assert child.returncode == 0, rest
    assert len(keys) == 3
    assert not any(key in "".join(lines) + rest for key in keys)
    assert not path.parent.exists()
    assert is_gone(url)


def test_a_demo_without_its_server_names_the_extra(tmp_path: Path) -> None:
    program = (
        "import shutil; shutil.which = lambda *names, **more: None;"
        "from async_s3copy.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "demo"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert done.stderr.startswith("error: ")
    assert "async-s3copy[demo]" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_listings_differ_by_missing_extra_and_size_and_an_etag_alone_decides_nothing() -> None:
    source = {key: Listed(1, "e") for key in ("same", "gone", "longer", "etag")}
    destination = {
        "same": Listed(1, "e"),
        "longer": Listed(2, "e"),
        "etag": Listed(1, "f"),
        "new": Listed(1, "e"),
    }
    result, unclear = compare_listings(source, destination)
    assert (result.missing, result.extra, result.wrong) == (["gone"], ["new"], ["longer"])
    assert unclear == ["etag"]
    assert not result.is_identical


def test_nothing_at_all_is_not_identical() -> None:
    result, _ = compare_listings({}, {})
    assert not result.is_identical


async def test_the_verification_finds_changed_bytes_and_changed_properties(
    seaweedfs: S3Server, buckets: Buckets
) -> None:
    """Same keys and sizes: only content and properties tell."""
    objects = seed.plan_objects(len(seed.ODD_NAMES) + 4, "p/")[1:]
    async with seaweedfs.client() as client:
        await seed.seed(client, buckets.source, objects)
        await seed.seed(client, buckets.destination, objects)
        source, destination = (
            Side(client, name, "p/") for name in (buckets.source, buckets.destination)
        )
        names = [item.key.removeprefix("p/") for item in objects]
        assert (await compare(source, destination, names)).is_identical

        changed, untagged = objects[0], objects[1]
        await client.put_object(
            Bucket=buckets.destination, Key=changed.key, Body=b"!" * changed.size
        )
        await client.delete_object_tagging(Bucket=buckets.destination, Key=untagged.key)
        result = await compare(source, destination, names[1:])
        assert sorted(result.wrong) == sorted(names[:2])
        assert result.by_content == 1
        for bucket in (buckets.source, buckets.destination):
            for item in objects:
                await client.delete_object(Bucket=bucket, Key=item.key)


def test_one_check_that_did_not_hold_fails_the_demo() -> None:
    console = Console(file=io.StringIO(), width=80)
    assert conclude(console, {"copy": True}, 1.0)
    assert not conclude(console, {"copy": True, "open uploads": False}, 1.0)
    assert isinstance(console.file, io.StringIO)
    assert "not verified: open uploads" in console.file.getvalue()
