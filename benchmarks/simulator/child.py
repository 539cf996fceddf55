"""The process that is a simulator."""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from benchmarks.simulator.config import SimulatorConfig
from benchmarks.simulator.controls import Controls
from benchmarks.simulator.front_door import FrontDoor
from benchmarks.simulator.server import Server


def build(config: SimulatorConfig, folder: Path, *, port: int = 0) -> tuple[Server, dict[str, Any]]:
    """Return a server in this process, and its URL and certificate authority.

    Args:
        config: How to behave.
        folder: Where certificates go.
        port: 0: a free one.
    """
    if config.cpu is not None:
        os.sched_setaffinity(0, {config.cpu})
    tls, ca_file = None, None
    if config.tls:
        # Imported here: without TLS nobody needs the library.
        from benchmarks.simulator.certificate import issue

        certificate = issue(folder)
        tls, ca_file = certificate.server_context(), str(certificate.ca_file)
    server = Server(FrontDoor(config), tls=tls, port=port)
    scheme = "https" if config.tls else "http"
    return server, {"url": f"{scheme}://127.0.0.1:{server.port}", "ca_file": ca_file}


def serve(folder: Path, descriptor: int) -> None:
    """Be the simulator, for the process at the other end of a socket."""
    # Ctrl-C is for the process that started this one; it says when to end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with socket.socket(fileno=descriptor) as pipe:
        with pipe.makefile("rb", buffering=0) as lines:
            line = lines.readline()
        if not line:
            return
        _, arguments = json.loads(line)
        try:
            server, ready = build(SimulatorConfig.from_dict(arguments["config"]), folder)
        except (ImportError, OSError, ValueError) as error:
            pipe.sendall(json.dumps({"error": str(error)}).encode() + b"\n")
            return
        server.watch(pipe, Controls(server, pipe).ready)
        pipe.sendall(json.dumps({"result": ready}).encode() + b"\n")
        # Nothing here is ever garbage in a cycle but the connections.
        gc.freeze()
        server.run()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]))
