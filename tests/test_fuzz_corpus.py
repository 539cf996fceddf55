"""Inputs kept from fuzzing, and the seeds that it starts from: each goes through its target."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from tests.fuzz_targets import TARGETS

CORPUS: Final = Path(__file__).parent / "corpus"
INPUTS: Final = sorted(path for path in CORPUS.rglob("*") if path.is_file())


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_kept_input_breaks_nothing(path: Path) -> None:
    """What once broke a parser, or teaches a fuzzer its language, holds all properties."""
    TARGETS[path.parent.name](path.read_bytes())


def test_every_target_has_a_corpus() -> None:
    """A fuzzer without seeds finds nothing behind the first check."""
    assert {path.parent.name for path in INPUTS} == set(TARGETS)
