"""A million objects through faults: memory and file descriptors stay what they are.

Its name keeps it out of ``pytest tests``, for it takes minutes: ``make test-soak`` names it.
"""

from __future__ import annotations

import json
import os
import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, Final

import pytest

from async_s3copy import Account, Observer, Outcome, S3CopyOperation
from async_s3copy.model import Copied
from benchmarks.simulator import FaultKind, FaultRule, SimulatorConfig, simulator
from tests.chaos import ACCESS_KEY, SECRET_KEY, SEED, Course, hurried
from tests.real import session_of
from tests.support import REGION

COUNT: Final = int(os.environ.get("ASYNC_S3COPY_SOAK_COUNT", "1000000"))
_KINDS: Final[tuple[FaultKind, ...]] = ("500", "reset", "truncated")
FAULTS: Final = (
    *(FaultRule(operation="*", kind=kind, fraction=0.0025) for kind in _KINDS),
    # More of these would be a limit, and the copy would slow down until it is below it.
    FaultRule(operation="*", kind="503", fraction=0.000_1),
    FaultRule(operation="CopyObject", kind="error-in-200", fraction=0.0025),
)
"""One request in a hundred goes wrong, by the simulator's own doing: a proxy would be the limit."""
SAMPLES: Final = 200
GROWTH_BYTES: Final = 4 << 20
"""Of the resident memory, from the third quarter of the objects to the last."""
PREFIX: Final = "data/m/"
BUCKET: Final = f"src-skew-{COUNT * 10 // 9 + 1}-1kib-mix100-11mib-5mib"
_PAGE_BYTES: Final = resource.getpagesize()

pytestmark = pytest.mark.timeout(3_600)


@dataclass(frozen=True)
class Sample:
    """How this process stands at a moment."""

    objects: int
    seconds: float
    rss_bytes: int
    descriptors: int

    def __str__(self) -> str:
        rate = self.objects / self.seconds if self.seconds else 0.0
        return (
            f"{self.objects:>9,} objects  {self.seconds:7.1f} s  {rate:7,.0f}/s  "
            f"{self.rss_bytes / 2**20:6.1f} MiB  {self.descriptors} fds"
        )


class Sampler(Observer):
    """Look at this process each time so many objects have ended."""

    def __init__(self, every: int) -> None:
        self.samples: list[Sample] = []
        self.copied = 0
        self._every = every
        self._ended = 0
        self._began = time.perf_counter()

    def object_finished(self, outcome: Outcome) -> None:
        self._ended += 1
        self.copied += isinstance(outcome, Copied)
        if self._ended % self._every == 0:
            self.samples.append(self._look())
            if len(self.samples) % (SAMPLES // 20) == 0:
                print(self.samples[-1], flush=True)

    def _look(self) -> Sample:
        resident = int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES
        descriptors = sum(1 for _ in Path("/proc/self/fd").iterdir())
        return Sample(self._ended, time.perf_counter() - self._began, resident, descriptors)


async def test_a_million_objects_leave_memory_and_descriptors_as_they_are() -> None:
    """Through faults at 1 %: flat, and at the end every object is right and no upload open."""
    sampler = Sampler(COUNT // SAMPLES)
    course = Course(bucket=BUCKET, prefix=PREFIX, options=hurried(method="server_side"))
    with simulator(SimulatorConfig(faults=FAULTS, seed=SEED)) as server:
        metrics = await _operation(course, server.url, sampler).run()
        found = server.verify(BUCKET, PREFIX, "dst-soak", "landing/")
        counters = server.counters()
    quarters = _quarters(sampler.samples)
    print("faults:", counters["faults"])
    _tell(sampler.samples, quarters, metrics.to_dict())
    assert found.complete, found
    assert counters["uploads_open"] == 0
    assert found.expected == metrics.files_copied_successfully == sampler.copied >= COUNT
    assert quarters[3].rss_bytes - quarters[2].rss_bytes < GROWTH_BYTES
    assert quarters[3].descriptors <= max(each.descriptors for each in quarters[:3])


def _operation(course: Course, url: str, observer: Observer) -> S3CopyOperation:
    account = Account(session=session_of(ACCESS_KEY, SECRET_KEY), endpoint_url=url, region=REGION)
    return S3CopyOperation(
        course.bucket,
        course.prefix,
        "dst-soak",
        "landing/",
        recursive=True,
        source=account,
        destination=account,
        options=course.options,
        observer=observer,
    )


def _quarters(samples: Sequence[Sample]) -> list[Sample]:
    size = len(samples) // 4
    quarters = [samples[n * size : (n + 1) * size] for n in range(4)]
    return [
        replace(
            quarter[-1],
            rss_bytes=round(median(each.rss_bytes for each in quarter)),
            descriptors=round(median(each.descriptors for each in quarter)),
        )
        for quarter in quarters
    ]


def _tell(samples: Sequence[Sample], quarters: Sequence[Sample], metrics: dict[str, Any]) -> None:
    print("medians of the quarters:")
    for quarter in quarters:
        print(" ", quarter)
    print("peak:", max(samples, key=lambda each: each.rss_bytes))
    print(json.dumps(metrics))
