"""Run one target under atheris for a while: ``python -m tests.fuzz_run xml 60``.

New inputs are kept in ``build/fuzz/<target>``, so that the next run goes on from there; the first
begins with the corpus. An input that breaks something is written to ``build/fuzz``, named after its
target, and the exit status is not 0: put it into ``tests/corpus/<target>``, and mend the code.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import atheris

with atheris.instrument_imports(include=["async_s3copy.s3"]):
    from tests.fuzz_targets import TARGETS

CORPUS: Final = Path(__file__).parent / "corpus"
FOUND: Final = Path("build/fuzz")
# A parse of this takes milliseconds; more is a hang.
_TIMEOUT_S: Final = 10
_MEMORY_MIB: Final = 1024
_MAX_INPUT_BYTES: Final = 64 * 1024


def main(target: str, seconds: str) -> None:
    """Run until something breaks or the time is over."""
    found = FOUND / target
    found.mkdir(parents=True, exist_ok=True)
    arguments = [
        sys.argv[0],
        f"-max_total_time={seconds}",
        f"-timeout={_TIMEOUT_S}",
        f"-rss_limit_mb={_MEMORY_MIB}",
        f"-max_len={_MAX_INPUT_BYTES}",
        f"-artifact_prefix={found}-",
        "-print_final_stats=1",
        str(found),
        str(CORPUS / target),
    ]
    atheris.Setup(arguments, TARGETS[target])
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
