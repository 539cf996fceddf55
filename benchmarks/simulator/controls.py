"""The commands that a simulator takes from the process that started it."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Final

from benchmarks.simulator.config import SimulatorConfig
from benchmarks.simulator.server import Server

_RECEIVE_BYTES: Final = 1 << 16


class Controls:
    """The simulator's end.

    Args:
        server: What is controlled.
        pipe: Its end of the pair.
    """

    def __init__(self, server: Server, pipe: socket.socket) -> None:
        self._server = server
        self._door = server.front_door
        self._pipe = pipe
        self._pending = b""
        self._commands: Mapping[str, Callable[..., Any]] = {
            "counters": self._door.totals,
            "series": self._series,
            "configure": self._configure,
            "reset": self._door.reset,
            "verify": self._verify,
            "audit": self._door.audit,
        }

    def ready(self, mask: int) -> None:
        """Do the commands that have come."""
        try:
            data = self._pipe.recv(_RECEIVE_BYTES)
        except ConnectionError:
            data = b""
        if not data:
            self._server.stop()
            return
        *lines, self._pending = (self._pending + data).split(b"\n")
        for line in lines:
            self._pipe.sendall(json.dumps(self._do(line)).encode() + b"\n")

    def _do(self, line: bytes) -> dict[str, Any]:
        try:
            command, arguments = json.loads(line)
            return {"result": self._commands[command](**arguments)}
        except (ValueError, TypeError, KeyError) as error:
            return {"error": f"{type(error).__name__}: {error}"}

    def _series(self) -> list[dict[str, Any]]:
        return self._door.counters.series()

    def _configure(self, config: Mapping[str, Any]) -> None:
        self._door.configure(SimulatorConfig.from_dict(config), self._server.now_s)

    def _verify(self, **names: str) -> dict[str, Any]:
        return asdict(self._door.verify(**names))
