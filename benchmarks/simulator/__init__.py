"""An S3-shaped server, fast enough that it is never what a benchmark measures.

Source buckets are computed from their names, ``src-<keyspace>-<count>[-<size>]``; buckets named
``dst-*`` remember what is copied into them, so that it can be verified. Latency, rate limits and
faults are configured, also while it runs.

    >>> with simulator(SimulatorConfig(latency_ms=30)) as s3:
    ...     copy_everything(s3.url, "src-hex-100000-1kib", "dst-a")
    ...     assert s3.verify("src-hex-100000-1kib", "data/", "dst-a", "data/").complete
"""

from __future__ import annotations

from benchmarks.simulator.caller import SimulatorError
from benchmarks.simulator.config import (
    Audit,
    FaultKind,
    FaultRule,
    RateScope,
    SimulatorConfig,
    Verification,
)
from benchmarks.simulator.keyspaces import KEYSPACES, KeySpace
from benchmarks.simulator.process import Simulator, simulator

__all__ = [
    "KEYSPACES",
    "Audit",
    "FaultKind",
    "FaultRule",
    "KeySpace",
    "RateScope",
    "Simulator",
    "SimulatorConfig",
    "SimulatorError",
    "Verification",
    "simulator",
]
