"""``--checkpoint FILE``: a killed, interrupted or failed copy goes on where it was."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from async_s3copy.cli.app import run
from async_s3copy.cli.checkpoint_file import CheckpointFile
from async_s3copy.cli.progress import Progress
from async_s3copy.cli.views import QuietView, View
from async_s3copy.errors import ValidationError
from async_s3copy.operation import S3CopyOperation
from async_s3copy.testing import seed
from async_s3copy.testing.seaweedfs import Identity, SeaweedFS
from tests.cli_world import DESTINATION, SOURCE, World
from tests.gate import Gate, standing

DEADLINE_S: Final = 60.0
SMALL: Final = [seed.SeedObject(key=f"many/{n:03}.txt", size=100 + n) for n in range(120)]
# Sorts last: with one request at a time, everything else is copied before it.
LARGE: Final = seed.SeedObject(key="many/z.mp4", size=33 * 1024 * 1024, parts=3)
FEW: Final = [
    seed.SeedObject(key=f"few/{name}", size=10) for name in ("1", "2", ("x" * 180 + "/") * 3 + "x")
]
PART: Final = r"PUT .*partNumber="


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A server with both buckets, the source filled, and one principal that may use them."""
    rights = ("Read", "List", "Tagging", "Write")
    copier = Identity.generate(
        "copier", *(f"{right}:{name}" for name in (SOURCE, DESTINATION) for right in rights)
    )
    with SeaweedFS([copier]) as server:
        world = World(server, tmp_path_factory.mktemp("aws"), copier)

        async def fill() -> None:
            async with world.admin() as client:
                for name in (SOURCE, DESTINATION):
                    await client.create_bucket(Bucket=name)
                await seed.seed(client, SOURCE, [LARGE, *SMALL, *FEW])

        asyncio.run(fill())
        yield world


def arguments(source: str, destination: str, file: Path, *more: str) -> list[str]:
    profiles = ("--source-profile", "copier", "--dest-profile", "copier")
    urls = (f"s3://{SOURCE}/{source}", f"s3://{DESTINATION}/{destination}")
    return [*urls, "--recursive", "--json", "--checkpoint", str(file), *profiles, *more]


def started(world: World, given: Sequence[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "async_s3copy", "cp", *given],
        env=world.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(world: World, given: Sequence[str]) -> tuple[int, dict[str, Any], list[str]]:
    """Run to the end: the exit code, the metrics and the lines for people."""
    with started(world, given) as child:
        output, errors = child.communicate(timeout=DEADLINE_S)
    assert "Traceback" not in errors
    return child.returncode, json.loads(output or "{}"), errors.splitlines()


@contextmanager
def stuck(world: World, prefix: str, file: Path) -> Iterator[subprocess.Popen[str]]:
    """A copy of everything whose last object's parts never get through."""
    gate = Gate(world.server.endpoint_url, PART)
    with standing(gate) as url:
        more = ("--dest-endpoint-url", url, "--concurrency", "1")
        with started(world, arguments("many/", prefix, file, *more)) as child:
            try:
                deadline = time.monotonic() + DEADLINE_S
                while not gate.arrived[PART].wait(0.1):
                    assert child.poll() is None, child.communicate()
                    assert time.monotonic() < deadline, "no part was sent"
                yield child
            finally:
                child.kill()


def assert_goes_on(world: World, prefix: str, file: Path) -> None:
    """The same command copies what is left, for a few requests, and leaves nothing behind."""
    before = json.loads(file.read_text())
    code, metrics, lines = finished(world, arguments("many/", prefix, file))
    assert code == 0, lines
    assert lines[0] == "going on: 120 objects done by an earlier run"
    assert metrics["operation_id"] == before["operation_id"]
    assert metrics["files_copied_successfully"] == metrics["total_files_found"] == 121
    assert metrics["total_bytes_transferred"] == sum(item.size for item in (*SMALL, LARGE))
    assert metrics["requests_sent"] - before["metrics"]["requests_sent"] < 30
    copied = world.look(prefix)
    assert {key: item.size for key, item in copied.items()} == {
        item.key.replace("many/", prefix): item.size for item in (*SMALL, LARGE)
    }
    assert world.open_uploads() == 0
    assert not list(file.parent.iterdir())


def test_a_copy_killed_in_the_middle_goes_on(world: World, tmp_path: Path) -> None:
    """``kill -9`` leaves an upload open, and the checkpoint that names it: nothing is lost."""
    file = tmp_path / "copy.checkpoint"
    with stuck(world, "killed/", file) as child:
        child.kill()
        child.wait(DEADLINE_S)
    assert child.returncode == -signal.SIGKILL
    assert world.open_uploads() == 1
    assert_goes_on(world, "killed/", file)


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_writes_a_last_checkpoint_and_names_the_file(
    world: World, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    """The message says what to do next."""
    file = tmp_path / "copy.checkpoint"
    with stuck(world, f"signal-{code}/", file) as child:
        child.send_signal(number)
        _, errors = child.communicate(timeout=DEADLINE_S)
    assert child.returncode == code, errors
    last = errors.splitlines()[-1]
    assert last.startswith("error: interrupted; 120 objects copied")
    assert last.endswith(f"; run the same command again to go on from {file}")
    assert world.open_uploads() == 0
    written = json.loads(file.read_text())
    assert written["uploads"] == []
    assert written["metrics"]["files_copied_successfully"] == 120
    assert_goes_on(world, f"signal-{code}/", file)


def test_a_complete_copy_leaves_no_file(world: World, tmp_path: Path) -> None:
    """The next run of the same command begins anew."""
    file = tmp_path / "copy.checkpoint"
    for _ in range(2):
        code, metrics, lines = finished(world, arguments("many/0", "complete/", file))
        assert code == 0, lines
        assert metrics["files_copied_successfully"] == 100
        assert not list(tmp_path.iterdir())


def test_failed_objects_are_tried_again(world: World, tmp_path: Path) -> None:
    """The file remembers them, and only them: what is copied is not copied again."""
    file = tmp_path / "copy.checkpoint"
    too_long = "q" * 500 + "/"
    code, metrics, lines = finished(world, arguments("few/", too_long, file))
    assert code == 1
    assert (metrics["files_copied_successfully"], metrics["files_failed"]) == (2, 1)
    assert lines[-1].endswith(f"; run the same command again to go on from {file}")
    written = json.loads(file.read_text())
    assert (written["remaining"], written["failed"]) == ([], [FEW[2].key])
    code, metrics, lines = finished(world, arguments("few/", too_long, file))
    assert code == 1
    assert (metrics["files_copied_successfully"], metrics["files_failed"]) == (2, 1)
    assert lines[0] == "going on: 2 objects done by an earlier run"


def test_a_range_of_keys_is_copied(world: World, tmp_path: Path) -> None:
    """After one key, up to another, that one included: what ``split_prefix`` returns."""
    file = tmp_path / "copy.checkpoint"
    ends = ("--start-after", SMALL[9].key, "--up-to", SMALL[19].key)
    code, _, lines = finished(world, arguments("many/", "range/", file, *ends))
    assert code == 0, lines
    assert sorted(world.look("range/")) == [f"range/{n:03}.txt" for n in range(10, 20)]


def a_checkpoint(source_key: str = "in/", **more: Any) -> dict[str, Any]:
    return S3CopyOperation("aaa", source_key, "bbb", "out/", recursive=True, **more).checkpoint()


def refused(capsys: pytest.CaptureFixture[str], *given: str) -> str:
    """Run a copy that must not begin; return what it says."""
    assert run(["cp", "s3://aaa/in/", "s3://bbb/out/", *given]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    (line,) = output.err.splitlines()
    return line


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"7", b"{}", b'{"version": 2}', b"\xff\xfe", b"not a checkpoint"],
)
def test_a_file_of_something_else_is_refused_and_kept(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, content: bytes
) -> None:
    """A mistyped name must not overwrite somebody's data."""
    file = tmp_path / "data"
    file.write_bytes(content)
    said = refused(capsys, "-r", "--checkpoint", str(file))
    assert said.startswith(f"error: --checkpoint='{file}' must be a ")
    assert file.read_bytes() == content
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    "other",
    [
        {"source_key": "else/"},
        {"source_key": "in/", "up_to": "in/5"},
        {"source_key": "in/", "start_after": "in/5"},
    ],
)
def test_the_checkpoint_of_another_copy_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, other: dict[str, Any]
) -> None:
    """Going on from it would leave objects out; the message names both copies."""
    file = tmp_path / "copy.checkpoint"
    file.write_text(json.dumps(a_checkpoint(**other)))
    said = refused(capsys, "-r", "--checkpoint", str(file))
    assert said.startswith(f"error: --checkpoint='{file}' must be a checkpoint of this copy, ")
    assert "s3://aaa/in/ to s3://bbb/out/, not of " in said
    assert file.exists()


@pytest.mark.parametrize(
    "given, said",
    [
        (["--checkpoint", "/no/such/folder/x"], "--checkpoint='/no/such/folder/x' must be a file"),
        (["-r", "--checkpoint", "."], "--checkpoint='.' must be a file that can be read and"),
        (["--start-after", "in/1"], "--start-after='in/1' must be None unless"),
        (["-r", "--start-after", "b", "--up-to", "a"], "--up-to='a' must be greater than"),
        (["-r", "--up-to", ""], "--up-to='' must"),
    ],
)
def test_bad_usage_is_one_sentence_about_the_option(
    capsys: pytest.CaptureFixture[str], given: list[str], said: str
) -> None:
    """Before anything is written, and without a word about parameters nobody typed."""
    assert refused(capsys, *given).startswith(f"error: {said}")


async def test_a_file_is_replaced_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that dies while writing leaves the checkpoint before."""
    file = CheckpointFile(tmp_path / "copy.checkpoint")
    assert file.open() is None
    first, second = a_checkpoint(), a_checkpoint()
    await file.save(first)
    assert file.open() == first

    def die(descriptor: int) -> None:
        raise OSError("the disk is gone")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", die)
        with pytest.raises(OSError, match="the disk is gone"):
            await file.save(second)
    assert file.open() == first
    await file.save(second)
    assert file.open() == second
    file.remove()
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - the other blocks the loop, says ruff
    file.remove()


async def test_contents_reach_the_disk_before_the_name_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a power cut could leave the new name with nothing behind it."""
    file = CheckpointFile(tmp_path / "copy.checkpoint")
    steps: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def note_fsync(descriptor: int) -> None:
        steps.append("fsync")
        fsync(descriptor)

    def note_replace(self: Path, target: Path) -> Path:
        steps.append("replace")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(Path, "replace", note_replace)
    await file.save(a_checkpoint())
    assert steps == ["fsync", "replace", "fsync"]


async def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """The file it points at is replaced."""
    link, target = tmp_path / "link", tmp_path / "elsewhere" / "copy.checkpoint"
    target.parent.mkdir()
    link.symlink_to(target)
    await CheckpointFile(link).save(a_checkpoint())
    assert link.is_symlink()
    assert json.loads(target.read_text())["source"] == "s3://aaa/in/"


def test_the_hint_is_given_only_where_there_is_a_file(tmp_path: Path) -> None:
    """A copy that failed before its first checkpoint has nothing to go on from."""
    file = CheckpointFile(tmp_path / "copy.checkpoint")
    assert file.hint() == ""
    file.path.write_text(json.dumps(a_checkpoint()))
    assert file.hint() == f"; run the same command again to go on from {file.path}"


def test_the_operations_word_becomes_one_on_the_file(tmp_path: Path) -> None:
    """The user gave a file, not ``resume_from``."""
    file = CheckpointFile(tmp_path / "x")
    error = file.belongs_to(ValidationError("resume_from", "a to b", "be of this copy, c to d"))
    assert (error.name, error.rule) == ("--checkpoint", "be of this copy, c to d, not of a to b")


def resumed_metrics() -> Any:
    counts = {
        **a_checkpoint()["metrics"],
        "files_copied_successfully": 7,
        "files_skipped": 3,
        "total_bytes_transferred": 700,
    }
    told: list[Any] = []

    class Ear(Progress):
        def resumed(self, metrics: Any) -> None:
            told.append(metrics)

    operation = S3CopyOperation(
        "aaa",
        "in/",
        "bbb",
        "out/",
        recursive=True,
        resume_from={**a_checkpoint(), "remaining": [], "metrics": counts},
        observer=Ear(),
    )
    asyncio.run(operation.run())
    (metrics,) = told
    return metrics


def test_the_progress_begins_where_the_earlier_run_ended(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A bar that began at nothing would promise too little; a rate must not count what was done."""
    metrics = resumed_metrics()
    view = View()
    view.resumed(metrics)
    assert (view.found, view.done, view.copied, view.skipped) == (10, 10, 7, 3)
    assert (view.found_bytes, view.done_bytes) == (700, 700)
    assert capsys.readouterr().err == "going on: 10 objects done by an earlier run\n"
    quiet = QuietView()
    quiet.resumed(metrics)
    assert quiet.done == 10
    assert capsys.readouterr().err == ""
