"""A proxy before an S3 server that holds chosen requests back, so that tests need no sleep."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HOLD_S = 60.0


class Gate:
    """A proxy before the server that holds back requests until the test ends.

    Args:
        endpoint_url: Where everything else goes.
        held: Regular expressions of ``METHOD /path``; ``arrived`` tells which have come.
    """

    def __init__(self, endpoint_url: str, *held: str) -> None:
        self.upstream = endpoint_url.removeprefix("http://")
        self.arrived = {pattern: threading.Event() for pattern in held}
        self.released = threading.Event()

    def hold(self, request_line: str) -> bool:
        for pattern, event in self.arrived.items():
            if re.match(pattern, request_line):
                event.set()
                self.released.wait(HOLD_S)
                return True
        return False


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    gate: Gate

    def handle_one(self) -> None:
        if self.gate.hold(f"{self.command} {self.path}"):
            self.close_connection = True
            return
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        connection = HTTPConnection(self.gate.upstream)
        # The headers go on as they are: the signature covers the host the client named.
        connection.request(self.command, self.path, body, dict(self.headers))
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        length = answer.getheader("Content-Length") if self.command == "HEAD" else len(content)
        if answer.status != 204:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_one  # noqa: N815 - the names http.server calls

    def log_message(self, *args: object) -> None:
        """Keep silent."""


@contextmanager
def standing(gate: Gate) -> Iterator[str]:
    handler = type("Handler", (_Handler,), {"gate": gate})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as proxy:
        thread = threading.Thread(target=proxy.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{proxy.server_address[1]}"
        finally:
            gate.released.set()
            proxy.shutdown()
            thread.join()
