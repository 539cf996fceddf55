"""Airflow knows the package as a provider, and loads no more of it than a DAG file needs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from tests import airflow_home

# isort: split
from airflow.providers_manager import ProvidersManager
from airflow.sdk._shared.module_loading import import_string
from jsonschema import Draft7Validator  # type: ignore[import-untyped]

import async_s3copy.airflow
from async_s3copy.airflow.provider_info import get_provider_info

pytestmark = pytest.mark.stack_b


def test_the_provider_info_is_what_airflow_s_schema_asks_for() -> None:
    """Airflow refuses a provider whose description its schema does not allow."""
    text = files("airflow").joinpath("provider_info.schema.json").read_text(encoding="utf-8")
    schema = json.loads(text)
    assert list(Draft7Validator(schema).iter_errors(get_provider_info())) == []
    assert set(get_provider_info()) <= set(schema["properties"])


def test_airflow_finds_the_provider_and_its_link() -> None:
    """The entry point leads Airflow's provider manager here."""
    manager = ProvidersManager()  # type: ignore[no-untyped-call]  # Airflow's has no annotations
    provider = manager.providers["async-s3copy"]
    assert provider.version == version("async-s3copy")
    assert "async_s3copy.airflow.links.S3DestinationLink" in manager.extra_links_class_names


def _named(info: dict[str, Any]) -> list[str]:
    modules = [
        module
        for kind in ("operators", "triggers")
        for each in info[kind]
        for module in each["python-modules"]
    ]
    return [*info["extra-links"], *(f"{module}.__name__" for module in modules)]


@pytest.mark.parametrize("path", _named(get_provider_info()))
def test_what_the_provider_info_names_exists(path: str) -> None:
    """Every module and class of it can be imported."""
    assert import_string(path)


def test_the_command_line_shows_the_provider(tmp_path: Path) -> None:
    """``airflow providers get async-s3copy`` describes it."""
    done = subprocess.run(
        [sys.executable, "-m", "airflow", "providers", "get", "async-s3copy", "--output", "json"],
        env={**os.environ, **airflow_home.settings(tmp_path)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (shown,) = json.loads(done.stdout[done.stdout.index("[\n") if "[\n" in done.stdout else 0 :])
    assert shown["Provider"] == "async-s3copy"


def loaded_by(statement: str) -> set[str]:
    """Return the top-level packages that a fresh process has loaded after a statement."""
    code = f"{statement}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=True
    )
    return set(done.stdout.splitlines()[-1].split())


def test_importing_the_folder_imports_no_airflow() -> None:
    """Airflow asks for the provider info whenever it starts: it must cost nothing."""
    loaded = loaded_by("from async_s3copy.airflow.provider_info import get_provider_info")
    assert not loaded & {"airflow", "botocore", "aiobotocore"}


def test_a_dag_file_does_not_load_the_asynchronous_client() -> None:
    """A DAG file is parsed every half minute: only a copy loads aiobotocore and aiohttp."""
    loaded = loaded_by("from async_s3copy.airflow import S3CopyOperator, split_prefix")
    assert not loaded & {"aiobotocore", "aioboto3"}


def test_the_public_names_resolve() -> None:
    """What ``__all__`` lists is there, and nothing else pretends to be."""
    for name in async_s3copy.airflow.__all__:
        assert getattr(async_s3copy.airflow, name).__name__ == name
    assert dir(async_s3copy.airflow) == sorted(async_s3copy.airflow.__all__)
    with pytest.raises(AttributeError, match="no attribute 'S3CopyOperato'"):
        getattr(async_s3copy.airflow, "S3CopyOperato")  # noqa: B009
