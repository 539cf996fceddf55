"""Bad usage, help, version, and a command line without its extra: nothing here needs a server."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner


@pytest.mark.parametrize(
    "arguments, said",
    [
        ([], "Missing argument 'SRC'"),
        (["s3://aaa/x"], "Missing argument 'DST'"),
        (["s3://aaa/x", "s3://bbb/x", "--no-such"], "No such option"),
        (["s3://aaa/x", "s3://bbb/x", "--concurrency", "0"], "--concurrency"),
        (["s3://aaa/x", "s3://bbb/x", "--batch-size", "1001"], "--batch-size"),
        (["file.txt", "s3://bbb/x"], "SRC='file.txt' must be an s3://bucket/key URL"),
        (["s3://aaa/x", "folder/"], "DST='folder/' must be an s3://bucket/key URL"),
        (["s3://A_B/x", "s3://bbb/x"], "SRC='A_B' must consist of lowercase"),
        (["s3://aaa/", "s3://bbb/x"], "name an object unless --recursive is given"),
        (["s3://aaa/x", "s3://bbb/x", "--method", "fax"], "--method='fax' must be one of auto"),
        (["s3://aaa/x", "s3://bbb/x", "--source-endpoint-url", "ftp:/"], "--source-endpoint-url="),
        (["s3://aaa/x", "s3://bbb/x", "--dest-role-arn", "me"], "--dest-role-arn='me' must be"),
        (["s3://aaa/x", "s3://bbb/x", "--ca-bundle", "/no/such"], "--ca-bundle='/no/such' must"),
    ],
)
def test_bad_usage_is_2_in_one_sentence(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from async_s3copy.cli.app import run

    assert run(["cp", *arguments]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    (line,) = output.err.splitlines()
    assert line.startswith("error: ")
    assert said in line


def test_the_help_documents_the_exit_codes() -> None:
    from async_s3copy.cli.app import app

    for arguments in (["--help"], ["cp", "--help"]):
        shown = CliRunner().invoke(app, arguments)
        assert shown.exit_code == 0
        words = " ".join(shown.output.split())
        for code in ("0 all copied", "1 some", "2 bad usage", "130 interrupted", "143 stopped"):
            assert code in words


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    from async_s3copy import __version__
    from async_s3copy.cli.app import run

    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"async-s3copy {__version__}\n"


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_a_missing_extra_is_one_sentence_and_2(missing: str) -> None:
    program = f"import sys; sys.modules[{missing!r}] = None; import async_s3copy.cli as c; c.main()"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"error: the command line needs {missing}: install the extra async-s3copy[cli]\n"
    )


def test_help_and_usage_errors_load_neither_botocore_nor_aiohttp() -> None:
    program = (
        "import sys; from async_s3copy.cli.app import run; run(['cp', '--help']); run(['cp', 'x']);"
        "print(sorted({'botocore', 'aiohttp', 'aioboto3'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stderr.splitlines()[-1] == "[]"
