"""How a process speaks with the simulator it started: a line of JSON each way, over a socket pair.

The pair is also the simulator's lifeline: when the other end is gone, with whatever process held
it, the simulator ends.
"""

from __future__ import annotations

import json
import socket
from threading import Lock
from typing import Any, Final

_TIMEOUT_S: Final = 600.0


class SimulatorError(Exception):
    """The simulator refused a command, or is gone."""


class Caller:
    """The end of the process that started the simulator; any thread may call.

    Args:
        pipe: Its end of the pair.
    """

    def __init__(self, pipe: socket.socket) -> None:
        self._pipe = pipe
        self._pipe.settimeout(_TIMEOUT_S)
        self._lines = pipe.makefile("rb")
        self._lock = Lock()

    def call(self, command: str, **arguments: Any) -> Any:
        """Have a command done; return its result.

        Raises:
            SimulatorError: It was refused, or the simulator is gone.
        """
        with self._lock:
            try:
                self._pipe.sendall(json.dumps([command, arguments]).encode() + b"\n")
                line = self._lines.readline()
            except OSError as error:
                raise SimulatorError(f"{command}: the simulator does not answer") from error
        if not line:
            raise SimulatorError(f"{command}: the simulator has ended")
        answer = json.loads(line)
        if "error" in answer:
            raise SimulatorError(f"{command}: {answer['error']}")
        return answer["result"]

    def close(self) -> None:
        """End the connection, and the simulator with it."""
        self._lines.close()
        self._pipe.close()
