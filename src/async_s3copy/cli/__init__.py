"""The command-line door: ``async-s3copy cp`` and ``async-s3copy demo``.

What is meant for people goes to stderr; stdout holds the metrics JSON (``--json``) or nothing.

Exit codes:
    0: All objects were copied, or nothing matched the prefix.
    1: Some objects failed, or the copy broke off half-way.
    2: Bad usage, or found wrong before anything was written: a missing bucket or key, a
        permission or credentials that are not there. Stdout is empty.
    130: Interrupted by Ctrl-C (SIGINT).
    143: Stopped by SIGTERM.

Both signals abort the open multipart uploads first and print what was done; a second one stops at
once.
"""

from __future__ import annotations

import sys
from typing import Final

PROGRAM: Final = "async-s3copy"

_EXTRA_PACKAGES: Final = frozenset({"typer", "rich"})


def main() -> None:
    """Run the command line; the ``async-s3copy`` console script starts here."""
    try:
        # Imported here, not above: a missing extra becomes a sentence, not a traceback.
        from async_s3copy.cli.app import run  # noqa: PLC0415
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _EXTRA_PACKAGES:
            raise
        print(
            f"error: the command line needs {missing}: install the extra async-s3copy[cli]",
            file=sys.stderr,
        )
        sys.exit(2)
    sys.exit(run(sys.argv[1:]))
