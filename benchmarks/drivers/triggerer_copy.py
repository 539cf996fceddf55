"""A triggerer: copies as triggers of a real one, beside a neighbour that measures its lateness."""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from benchmarks.drivers import common
from benchmarks.triggerer import home
from benchmarks.triggerer.process import Triggerer, triggerer
from benchmarks.triggerer.sightings import Moments, Sightings

_NEIGHBOUR: Final = "neighbour"
# What starting the triggerer leaves to be done shall not be charged to a copy.
_SETTLE_S: Final = 2.0
# Without a copy, there is an end only because somebody sets one.
_ALONE_S: Final = 20.0
_PACKAGES: Final = ("apache-airflow-core", "apache-airflow-providers-amazon", "aiobotocore")


@dataclass(frozen=True, slots=True)
class Stage:
    """Where it happens.

    Attributes:
        job: The job of this process.
        home: Airflow's home, with a task for each copy and one for the neighbour.
        triggerer: The triggerer that runs them.
        folder: Where the neighbour leaves what it has seen.
    """

    job: dict[str, Any]
    home: home.Home
    triggerer: Triggerer
    folder: Path = field(default_factory=Path.cwd)

    def wait(self, done: Callable[[], bool]) -> float:
        """Wait for something; return when it was there."""
        self.triggerer.wait_until(done)
        return time.monotonic()

    def has_begun(self, bucket: str) -> bool:
        """Ask whether a copy has begun: whoever copies, its first object shows it.

        Raises:
            RuntimeError: It has ended without one.
        """
        if bucket not in self.home.deferred():
            self.check(bucket)
        url = f"{self.job['url']}/{quote(bucket)}?list-type=2&max-keys=1"
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - the simulator's
            return b"<Contents>" in answer.read()

    def check(self, bucket: str) -> None:
        """Check the event of a trigger that has fired.

        Raises:
            RuntimeError: It tells no success.
        """
        event = self.home.event(bucket)
        if event is None or '"success"' not in event:
            raise RuntimeError(f"the copy into {bucket} ended by {event}")


def main() -> None:
    """Run the triggerer, the neighbour and the copies, and tell how late the neighbour was."""
    kind, job, folder = sys.argv[2], common.job(), Path.cwd()
    os.environ |= home.settings(folder) | {"AIRFLOW_CONN_BENCHMARK": home.connection(job)}
    copies = () if kind == "nothing" else tuple(job["destinations"])
    airflow = home.Home(folder, (_NEIGHBOUR, *copies))
    with triggerer(folder / "triggerer.log") as running:
        stage = Stage(job, airflow, running, folder)
        _move_in(stage)
        running.forget_warnings()
        moments = _copy(stage, {bucket: _trigger(kind, job, bucket) for bucket in copies})
        warnings = running.warnings()
        seen = _move_out(stage)
    common.tell(
        **seen.figures(moments),
        blocked_warnings=len(warnings),
        in_triggerer={name: version(name) for name in _PACKAGES},
    )


def _move_in(stage: Stage) -> None:
    """Have the neighbour run, and Airflow come to rest."""
    neighbour = importlib.import_module("benchmarks.triggerer.neighbour")
    stage.home.defer(_NEIGHBOUR, neighbour.CLASSPATH, {"folder": str(stage.folder)})
    stage.wait((stage.folder / home.READY).exists)
    time.sleep(_SETTLE_S)


def _copy(stage: Stage, triggers: dict[str, tuple[str, dict[str, Any]]]) -> Moments:
    """Copy, or let the time pass where there is nothing to copy."""
    asked = time.monotonic()
    if not triggers:
        time.sleep(_ALONE_S)
        return Moments(asked, asked, time.monotonic(), time.monotonic())
    for bucket, (classpath, keywords) in triggers.items():
        stage.home.defer(bucket, classpath, keywords)
    copying = max(stage.wait(partial(stage.has_begun, bucket)) for bucket in triggers)
    one_ended = stage.wait(lambda: not triggers.keys() <= stage.home.deferred())
    all_ended = stage.wait(lambda: not triggers.keys() & stage.home.deferred())
    for bucket in triggers:
        stage.check(bucket)
    return Moments(asked, copying, one_ended, all_ended)


def _move_out(stage: Stage) -> Sightings:
    """Send the neighbour away, and take what it leaves."""
    (stage.folder / home.STOP).touch()
    stage.wait(lambda: not stage.home.deferred())
    return Sightings(**json.loads((stage.folder / home.SEEN).read_text()))


def _trigger(kind: str, job: dict[str, Any], bucket: str) -> tuple[str, dict[str, Any]]:
    """Return class path and keywords of the trigger that copies into a bucket."""
    if kind == "aioboto3":
        classpath = "benchmarks.triggerer.peer.Aioboto3CopyTrigger"
        return classpath, {"job": {**job, "destination_bucket": bucket}}
    keywords = {
        "source_bucket": job["source_bucket"],
        "source_key": job["prefix"],
        "destination_bucket": bucket,
        "destination_key": job["prefix"],
        "recursive": True,
        "source_aws_conn_id": home.CONNECTION,
        "dest_aws_conn_id": home.CONNECTION,
        "options": {
            "client": "wire",
            "method": job["method"],
            "max_concurrent_requests": job["concurrency"],
        },
    }
    return "async_s3copy.airflow.triggers.S3CopyTrigger", keywords


if __name__ == "__main__":
    main()
