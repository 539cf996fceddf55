"""The documentation: what it says runs, and it names nothing that does not exist.

A ``python`` block whose first line is ``import asyncio`` is a whole program. It is run as written
against a server with the profiles of ``async-s3copy demo --serve``; every other one must compile.
``mkdocs build --strict`` (``make docs``) checks the site itself.
"""

from __future__ import annotations

import ast
import asyncio
import io
import json
import os
import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Final

import pytest
import typer.main
from rich.console import Console

from async_s3copy import CopyOptions
from async_s3copy.cli import demo as demo_command
from async_s3copy.cli import showcase
from async_s3copy.cli.app import app
from async_s3copy.engine.plan import plan_parts
from async_s3copy.metrics import MetricsRecorder
from async_s3copy.options import GIB, MIB, TIB

ROOT: Final = Path(__file__).parents[1]
PAGES: Final = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
EXAMPLES: Final = tuple(sorted((ROOT / "examples").glob("*.py")))
# At least what the examples name: odd keys, the large object, every year.
SEEDED_OBJECTS: Final = 80
RUN_TIMEOUT_S: Final = 60

_FENCE = re.compile(r"^```(?P<kind>[a-z]+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*(?<!-)\b(?!-)")
_LINK = re.compile(r"\]\((?P<path>[^)#:\s]+)(?:#[^)]*)?\)")
_UNITS: Final = {"MiB": MIB, "GiB": GIB, "TiB": TIB}


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    kind: str
    text: str

    @property
    def name(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def is_program(self) -> bool:
        return self.kind == "python" and self.text.startswith("import asyncio\n")


def _blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for found in _FENCE.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        yield Block(page, line, found["kind"], textwrap.dedent(found["text"]))


BLOCKS: Final = tuple(block for page in PAGES for block in _blocks(page))
PROGRAMS: Final = tuple(block for block in BLOCKS if block.is_program)
# By its words: a command that stands on several pages runs once.
COMMANDS: Final = {
    tuple(shlex.split(line)[1:]): block
    for block in BLOCKS
    if block.kind in ("bash", "console")
    for line in block.text.replace("\\\n", " ").removeprefix("$ ").splitlines()
    if line.startswith("async-s3copy cp ")
}


def _options(command: str) -> set[str]:
    parameters = typer.main.get_command(app).commands[command].params  # type: ignore[attr-defined]
    found = {option for parameter in parameters for option in parameter.opts}
    return {option for option in found if option.startswith("--")} | {"--help"}


def _table(page: str, heading: str = "") -> Iterator[Sequence[str]]:
    """Yield the cells of all table rows, from a heading of a page to the next of its level."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    if heading:
        level = heading.partition(" ")[0]
        text = text.partition(f"\n{heading}\n")[2].partition(f"\n{level} ")[0]
    for table in re.findall(r"^\|[-|]+\|\n((?:\|.*\n)+)", text, re.MULTILINE):
        for line in table.splitlines():
            yield [cell.strip() for cell in line.strip("|").split("|")]


@pytest.fixture(scope="module")
def profiles(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """Start the demo's server, seed it, and give the environment of its second terminal."""
    folder = tmp_path_factory.mktemp("docs")
    with demo_command._server() as cast:
        asyncio.run(showcase.set_up(Console(file=io.StringIO()), cast, SEEDED_OBJECTS))
        config = str(demo_command._write_config(folder / "config", cast))
        yield {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "AWS_CONFIG_FILE": config,
            "AWS_SHARED_CREDENTIALS_FILE": config,
            "AWS_EC2_METADATA_DISABLED": "true",
        }


def _run(arguments: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=RUN_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr or done.stdout
    assert "Warning" not in done.stderr, done.stderr


@pytest.mark.parametrize("block", PROGRAMS, ids=lambda block: block.name)
def test_a_program_runs_as_written(
    block: Block, profiles: Mapping[str, str], tmp_path: Path
) -> None:
    """Each example that is a whole program ends well, and leaves nothing open behind."""
    (tmp_path / "example.py").write_text(block.text, encoding="utf-8")
    _run(["-W", "default::ResourceWarning", "example.py"], profiles, tmp_path)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_runs_as_it_is(
    example: Path, profiles: Mapping[str, str], tmp_path: Path
) -> None:
    """Each file of ``examples/`` ends well, and leaves nothing open behind."""
    _run(["-W", "default::ResourceWarning", str(example)], profiles, tmp_path)


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: COMMANDS[words].name)
def test_a_copy_command_runs_as_written(
    words: Sequence[str], profiles: Mapping[str, str], tmp_path: Path
) -> None:
    """Each ``async-s3copy cp`` of the pages copies."""
    _run(["-m", "async_s3copy", *words], profiles, tmp_path)


def test_the_readme_and_the_tutorial_have_programs_and_commands() -> None:
    """The two tests above are about something."""
    named = {block.page.name for block in PROGRAMS}
    assert {"README.md", "index.md", "tutorial.md"} <= named
    assert EXAMPLES
    assert {"tutorial.md", "command-line.md"} <= {block.page.name for block in COMMANDS.values()}


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.name)
def test_a_block_is_what_it_claims_to_be(block: Block) -> None:
    """Python compiles, and JSON parses as one document or as JSON Lines."""
    if block.kind == "python":
        compile(block.text, block.name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    if block.kind == "json":
        documents = block.text.splitlines() if block.text.startswith('{"') else [block.text]
        assert all(json.loads(document) for document in documents)


def test_the_command_line_page_lists_every_option_and_no_other() -> None:
    """Its tables are the options of ``cp`` and ``demo``."""
    for command, heading in (
        ("cp", "## `async-s3copy cp SRC DST`"),
        ("demo", "## `async-s3copy demo`"),
    ):
        rows = _table("how-to/command-line.md", heading)
        told = {name for row in rows for name in _OPTION.findall(row[0]) if "`--" in row[0]}
        assert told - {"--recursive"} | {"--help"} == _options(command) - {"--recursive"}, command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_option_named_exists(page: Path) -> None:
    """No page names a command-line option of ``async-s3copy`` that there is not."""
    text = page.read_text(encoding="utf-8")
    benchmarks = {"--scenario", "--contender", "--repeat", "--output"}
    others = {"--version", "--strict", "--queues"} | benchmarks
    known = _options("cp") | _options("demo") | others
    assert set(_OPTION.findall(text)) <= known


def test_every_copy_option_is_in_the_reference_with_its_default() -> None:
    """The table of CopyOptions is complete, and its defaults are the code's."""
    told = {row[0].strip("`"): row[1] for row in _table("reference/options.md")}
    options = CopyOptions()
    for field in fields(CopyOptions):
        number = told[field.name].split(" ")[0].strip('`"').replace(",", "")
        usual = getattr(options, field.name)
        shown = f"{type(usual).__name__}()" if is_dataclass(usual) else str(usual)
        assert number == shown, field.name


def test_the_metrics_page_lists_every_key() -> None:
    """The output schema of the page is that of ``to_dict()``."""
    told = [row[0].strip("`") for row in _table("reference/metrics.md", "## Output schema")]
    assert told == list(MetricsRecorder("x").snapshot().to_dict())


@pytest.mark.parametrize(
    "heading, part_bytes",
    [
        ("## Parts of a server-side copy", CopyOptions().part_size_bytes),
        ("## Parts of a relay", CopyOptions().relay_part_size_bytes),
    ],
)
def test_the_part_tables_are_what_the_planner_says(heading: str, part_bytes: int) -> None:
    """Every row of the tables is a plan."""
    rows = list(_table("how-to/large-objects.md", heading))
    assert rows
    for size, part, count in rows:
        plan = plan_parts(_bytes(size), part_bytes)
        assert (plan.part_bytes, plan.count) == (_bytes(part), int(count.replace(",", ""))), size


def _bytes(text: str) -> int:
    number, unit = text.split(" ")
    return int(number.replace(",", "")) * _UNITS[unit]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_link_to_a_file_finds_it(page: Path) -> None:
    """Relative links resolve."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    missing = [path for path in _LINK.findall(text) if not (page.parent / path).exists()]
    assert not missing


def test_every_guarantee_names_a_test_that_exists() -> None:
    """The page promises nothing that no test proves."""
    page = "explanation/guarantees.md"
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    *promises, impossible = re.findall(r"^## .+$", text, re.MULTILINE)
    assert impossible == "## What nobody can promise"
    named = [row[1] for heading in promises for row in _table(page, heading)]
    assert len(named) > 30
    for cell in named:
        tests = re.findall(r"`(tests/\w+\.py)::(\w+)`", cell)
        assert tests, cell
        for path, name in tests:
            text = (ROOT / path).read_text(encoding="utf-8")
            assert re.search(rf"^ *(?:async )?def {name}\(", text, re.MULTILINE), f"{path}::{name}"


def test_every_page_is_in_the_navigation() -> None:
    """No page is lost, and none is promised in vain."""
    named = set(re.findall(r"[\w/-]+\.md", (ROOT / "mkdocs.yml").read_text(encoding="utf-8")))
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in PAGES[1:]}
    assert named == pages
