"""The simulator in a process of its own, and the handle on it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from benchmarks.simulator.caller import Caller
from benchmarks.simulator.config import Audit, SimulatorConfig, Verification

_ROOT: Final = Path(__file__).parents[2]
_END_S: Final = 10.0


class Simulator:
    """A running simulator; ``simulator`` starts and ends it.

    Attributes:
        url: Where it listens, as an endpoint URL.
        ca_file: The certificate authority to trust; None without TLS.
        pid: Its process.
    """

    def __init__(self, config: SimulatorConfig, caller: Caller, pid: int, ready: Mapping[str, Any]):
        self.url: str = ready["url"]
        self.ca_file = Path(ready["ca_file"]) if ready["ca_file"] else None
        self.pid = pid
        self._config = config
        self._caller = caller

    @property
    def config(self) -> SimulatorConfig:
        """How it behaves now."""
        return self._config

    def counters(self) -> dict[str, Any]:
        """Return what was counted since the start or the last ``reset``.

        Returns:
            ``requests``, ``refused`` (by rate) by operation, ``faults`` by kind, ``errors`` by S3's
            code; ``bytes_received``, ``bytes_sent``; ``connections_opened``, ``connections_now``,
            ``connections_peak``; ``in_flight_now``, ``in_flight_peak``; ``uploads_open``; and
            ``cpu_s``, of the simulator's process.
        """
        result: dict[str, Any] = self._caller.call("counters")
        return result

    def series(self) -> list[dict[str, Any]]:
        """Return requests on destination objects by tenths of a second, from the first one on.

        Returns:
            ``t_s``, ``accepted`` and ``refused`` for each tenth; refused are those above the rate.
        """
        result: list[dict[str, Any]] = self._caller.call("series")
        return result

    def configure(self, **changes: Any) -> None:
        """Behave otherwise from now on, for requests that have not arrived yet.

        Args:
            changes: Any field of ``SimulatorConfig`` but ``tls`` and ``cpu``.

        Raises:
            ValueError: A value is against its rule, or the field is fixed.
        """
        config = self._config.changed(changes)
        self._caller.call("configure", config=config.to_dict())
        self._config = config

    def reset(self) -> None:
        """Empty counters, series, destinations and uploads, and fill the token buckets."""
        self._caller.call("reset")

    def verify(
        self,
        source_bucket: str,
        source_prefix: str,
        destination_bucket: str,
        destination_prefix: str,
    ) -> Verification:
        """Compare all that a destination bucket holds with a copy of a source prefix.

        Takes some microseconds for each key, in which the simulator answers nothing else.
        """
        result = self._caller.call(
            "verify",
            source=source_bucket,
            source_prefix=source_prefix,
            destination=destination_bucket,
            destination_prefix=destination_prefix,
        )
        return Verification(**{**result, "examples": tuple(result["examples"])})

    def audit(
        self,
        source_bucket: str,
        source_prefix: str,
        destination_bucket: str,
        destination_prefix: str,
    ) -> Audit:
        """Judge each object that a destination bucket holds, as a copy of a source prefix.

        Takes some 20 microseconds for each key, in which the simulator answers nothing else.
        """
        result = self._caller.call(
            "audit",
            source=source_bucket,
            source_prefix=source_prefix,
            destination=destination_bucket,
            destination_prefix=destination_prefix,
        )
        return Audit(**{**result, "right": frozenset(result["right"])})


@contextmanager
def simulator(config: SimulatorConfig) -> Iterator[Simulator]:
    """Run a simulator for a block, on a free loopback port.

    Raises:
        SimulatorError: It did not start.
    """
    ours, theirs = socket.socketpair()
    with TemporaryDirectory(prefix="simulator-") as folder:
        command = [sys.executable, "-m", "benchmarks.simulator.child", folder]
        process = subprocess.Popen(
            [*command, str(theirs.fileno())],
            pass_fds=(theirs.fileno(),),
            stdin=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": _python_path()},
        )
        theirs.close()
        caller = Caller(ours)
        try:
            ready = caller.call("start", config=config.to_dict())
            yield Simulator(config, caller, process.pid, ready)
        finally:
            caller.close()
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(subprocess.TimeoutExpired):
        process.wait(_END_S)
    if process.poll() is None:
        process.kill()
        process.wait()


def _python_path() -> str:
    return os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
