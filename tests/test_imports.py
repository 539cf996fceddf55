"""``import async_s3copy`` is light, and its public names are what they seem."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import async_s3copy

HEAVY = ("botocore", "boto3", "aiobotocore", "aioboto3", "aiohttp", "anyio", "airflow", "asyncio")


def loaded_after(statement: str) -> set[str]:
    """Top-level modules a fresh interpreter has loaded after a statement."""
    program = f"{statement}\nimport sys\nprint(*sorted({{m.split('.')[0] for m in sys.modules}}))"
    # The package as it is imported here, wherever that is; nothing of the site configuration.
    source = str(Path(async_s3copy.__file__).parent.parent)
    result = subprocess.run(
        [sys.executable, "-c", f"import sys\nsys.path.insert(0, {source!r})\n{program}"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert result.stderr == ""
    return set(result.stdout.split())


def home_of(name: str) -> str:
    return async_s3copy._HOME_OF.get(name, "async_s3copy.errors")


def test_importing_the_package_loads_nothing_heavy() -> None:
    """The import costs no botocore, no aiohttp, not even an event loop."""
    baseline = loaded_after("pass")
    assert not (loaded_after("import async_s3copy") - baseline) & set(HEAVY)


def test_the_values_need_no_s3_library() -> None:
    """Options, metrics, errors and models can be used where S3 is not."""
    names = "CopyOptions, TransferMetrics, S3Object, S3Location, ValidationError, Observer"
    loaded = loaded_after(f"from async_s3copy import {names}") - loaded_after("pass")
    assert not loaded & set(HEAVY)


def test_an_operation_is_built_without_botocore() -> None:
    """botocore's quarter of a second is paid when a copy starts, not by a program that imports."""
    statement = "from async_s3copy import S3CopyOperation, Account, copy\nAccount()"
    loaded = loaded_after(statement) - loaded_after("pass")
    assert not loaded & {"botocore", "aiobotocore", "aioboto3", "aiohttp", "airflow"}


@pytest.mark.parametrize("name", async_s3copy.__all__)
def test_every_public_name_resolves(name: str) -> None:
    """Whatever ``__all__`` lists can be imported, and comes from where the table says."""
    value = getattr(async_s3copy, name)
    if isinstance(value, type):
        assert value.__name__ == name
        assert value.__module__ == home_of(name)


def test_the_type_checkers_imports_and_the_table_agree() -> None:
    """What a type checker sees under TYPE_CHECKING is exactly what exists at run time."""
    tree = ast.parse(Path(async_s3copy.__file__).read_text(encoding="utf-8"))
    checked = {
        alias.name: node.module
        for block in tree.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    public = set(async_s3copy.__all__) - {"__version__"}
    assert checked == {name: home_of(name) for name in public}
    assert set(async_s3copy._HOME_OF) <= public


def test_dir_lists_the_public_names() -> None:
    """Interactive completion knows the names before they are loaded."""
    assert dir(async_s3copy) == sorted(async_s3copy.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A misspelt name fails as in any module."""
    with pytest.raises(AttributeError, match="no attribute 'Copi'"):
        getattr(async_s3copy, "Copi")  # noqa: B009
    with pytest.raises(ImportError):
        from async_s3copy import Copi  # noqa: F401


def test_star_import_gives_the_public_names() -> None:
    """``from async_s3copy import *`` brings exactly ``__all__``."""
    names: dict[str, object] = {}
    exec("from async_s3copy import *", names)  # noqa: S102 - the statement under test
    assert set(names) - {"__builtins__"} == set(async_s3copy.__all__)
