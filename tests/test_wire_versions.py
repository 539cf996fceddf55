"""Listings of versions: complete, in order and decoded, whatever the server's habits."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_s3copy import AccessDeniedError, Account, CopyOptions, InvalidResponseError
from async_s3copy.s3.client import S3Client
from async_s3copy.s3.opening import open_client
from async_s3copy.s3.values import ObjectProperties, VersionPage
from async_s3copy.s3.wire.pages import VersionsAnswer, version_page
from tests.fault_answers import error
from tests.fault_server import FaultServer, run_fault_server
from tests.hostile_keys import HOSTILE_KEYS, MOTO, SEAWEEDFS
from tests.real import session_of
from tests.support import REGION, S3Server, make_buckets
from tests.wire_readings import response
from tests.wire_samples import VERSIONS, marker, version, versions

pytestmark = pytest.mark.stack_b

BUCKET = "bucket"
Told = tuple[str, str | None, bool, bool]


def page_of(document: str, prefix: str = "") -> VersionPage:
    return version_page(response(200, document), "source", BUCKET, prefix)


def told(page: VersionPage) -> list[Told]:
    """Key, version, whether it is a delete marker, whether it is the current one."""
    return [
        (each.key, each.version_id, each.delete_marker, latest)
        for each, latest in zip(page.versions, page.latest, strict=True)
    ]


@pytest.mark.parametrize("document", VERSIONS.values(), ids=VERSIONS.keys())
def test_versions_come_by_key_and_newest_first(document: str) -> None:
    """Delete markers stand where they belong, listed apart or not; no version id is "null"."""
    page = page_of(document)
    assert told(page) == [
        ("a b", "v3", True, True),
        ("a b", "v2", False, False),
        ("a b", "v1", True, False),
        ("a b", "null", False, False),
        ("c", "null", False, True),
    ]
    assert [each.size for each in page.versions] == [0, 4, 0, 2, 1]
    assert (page.next_key, page.next_version) == (None, None)


def test_the_documents_order_counts_more_than_dates() -> None:
    """A multipart upload is as old as its beginning, and yet the newer version: S3 says so."""
    page = page_of(versions(version("k", "new", 1, latest=True), version("k", "old", 9)))
    assert [each.version_id for each in page.versions] == ["new", "old"]


def test_at_the_same_second_the_current_one_is_first() -> None:
    """Listed apart, a delete marker of the same second is the newer one only if it is current."""
    entries = [version("k", "v2", 5), version("k", "v1", 5), marker("k", "m", 5, latest=True)]
    page = page_of(versions(*entries))
    assert [each.version_id for each in page.versions] == ["m", "v2", "v1"]


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.booleans()), min_size=1, max_size=8),
    st.booleans(),
)
def test_no_version_is_lost_or_moved(written: list[tuple[str, bool]], apart: bool) -> None:
    """For any history, one write a second: the page is the history of each key, newest first."""
    latest = {key: n for n, (key, _) in enumerate(written)}
    entries = {
        n: (marker if deleted else version)(key, f"v{n}", n, latest=latest[key] == n)
        for n, (key, deleted) in enumerate(written)
    }
    order = sorted(entries, key=lambda n: (written[n][0], -n))
    shown = sorted(order, key=lambda n: written[n][1]) if apart else order
    page = page_of(versions(*(entries[n] for n in shown)))
    assert [each.version_id for each in page.versions] == [f"v{n}" for n in order]
    assert [each.delete_marker for each in page.versions] == [written[n][1] for n in order]


ENCODED = "<EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>"


@pytest.mark.parametrize(
    "prefix, spelled, keys",
    [
        ("", ["a%20b", "a%2Bb", "%C3%BC"], ["a b", "a+b", "ü"]),
        ("", ["a b", "c%41"], ["a b", "c%41"]),
        ("", ["100%", "a+b"], ["100%", "a+b"]),
        ("a%41", ["a%41b", "a%41+"], ["a%41b", "a%41+"]),
        ("a%41", ["a%2541b", "a%2541%2B"], ["a%41b", "a%41+"]),
    ],
)
def test_keys_are_decoded_where_they_are_encoded(
    prefix: str, spelled: Sequence[str], keys: Sequence[str]
) -> None:
    """The answer says so, no key belies it, and decoded they still begin with the prefix."""
    entries = [version(key, "v", 1, latest=True) for key in spelled]
    page = page_of(versions(*entries, members=ENCODED), prefix)
    assert [each.key for each in page.versions] == sorted(keys, key=str.encode)


@pytest.mark.parametrize(
    "members, marker_",
    [
        (
            "<NextKeyMarker>a%2Bb</NextKeyMarker><NextVersionIdMarker>v</NextVersionIdMarker>"
            "<EncodingType>url</EncodingType>",
            ("a+b", "v"),
        ),
        ("<NextKeyMarker>a%2Bb</NextKeyMarker>", ("a%2Bb", None)),
        ("", ("k", "v1")),
    ],
)
def test_the_next_page_begins_where_the_server_says(
    members: str, marker_: tuple[str, str | None]
) -> None:
    """Markers are decoded as keys are; where there are none, it begins after the last version."""
    truncated = f"{members}<IsTruncated>true</IsTruncated>"
    page = page_of(versions(version("k", "v1", 1, latest=True), members=truncated))
    assert (page.next_key, page.next_version) == marker_


@pytest.mark.parametrize(
    "document",
    [
        "<ListVersionsResult/>",
        "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>",
        versions("<Version><VersionId>v</VersionId></Version>"),
        versions("<Version><Key>k</Key><Key>l</Key></Version>"),
        versions("<Version><Key>k</Key><VersionId></VersionId></Version>"),
        versions(members="<IsTruncated>true</IsTruncated>"),
        versions(version("k", "v", 1))[:-30],
    ],
)
def test_what_is_no_page_of_versions_is_refused(document: str) -> None:
    """Taken for an empty page, it would lose every version that follows."""
    with pytest.raises(InvalidResponseError, match="holds no listing"):
        page_of(document)


def test_a_page_is_read_in_steps() -> None:
    """A thousand versions take many short turns of the event loop, not one long one."""
    entries = [version(f"{n:04}", "v", 1, latest=True) for n in range(1_000)]
    answer = VersionsAnswer(response(200, versions(*entries)), "source", BUCKET, "")
    steps = 1
    while not answer.advance():
        steps += 1
    assert steps > 10
    assert len(answer.page().versions) == 1_000


# On servers ------------------------------------------------------------------------------------


def account(url: str, *keys: str) -> Account:
    return Account(region=REGION, endpoint_url=url, session=session_of(*keys))


async def write(client: S3Client, bucket: str, key: str, body: bytes) -> str | None:
    md5 = hashlib.md5(body, usedforsecurity=False).digest()
    return (await client.put_object(bucket, key, body, ObjectProperties(), md5=md5)).version_id


async def all_pages(client: S3Client, bucket: str, prefix: str, size: int) -> list[Told]:
    found: list[Told] = []
    key = version_id = None
    while True:
        page = await client.list_versions(
            bucket, prefix, key_marker=key, version_marker=version_id, max_keys=size
        )
        found += told(page)
        key, version_id = page.next_key, page.next_version
        if key is None:
            return found


KEYS = ("p/a b", "p/a+b", "p/a%41", "p/a&<b>'\"", "p/\u00fc\U0001f680", "p/a~.b")


@pytest.fixture(params=[SEAWEEDFS, MOTO])
async def real(request: pytest.FixtureRequest, seaweedfs: S3Server, moto: S3Server) -> S3Server:
    """Each real server."""
    return seaweedfs if request.param == SEAWEEDFS else moto


async def test_all_versions_are_listed(
    real: S3Server, seaweedfs: S3Server, client_choice: Any
) -> None:
    """Written with and without versioning, deleted, in pages of two: each once, newest first."""
    async with real.client() as admin:
        bucket = (await make_buckets(admin)).destination
        await admin.put_object(Bucket=bucket, Key="p/old", Body=b"0")
        status: Any = {"Status": "Enabled"}
        await admin.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=status)
        mine = account(real.endpoint_url, real.admin.access_key_id, real.admin.secret_access_key)
        async with open_client(mine, "destination", CopyOptions(client=client_choice)) as client:
            assert await client.get_bucket_versioning(bucket) == "Enabled"
            history: dict[str, list[tuple[str | None, bool]]] = {"p/old": [("null", False)]}
            for key in ("p/old", *KEYS):
                done = history.setdefault(key, [])
                done.insert(0, (await write(client, bucket, key, b"1"), False))
                done.insert(0, (await write(client, bucket, key, b"22"), False))
                done.insert(0, (await client.delete_object(bucket, key), True))
                # moto lists delete markers apart, and all of this happens in one second.
                if real.endpoint_url == seaweedfs.endpoint_url:
                    done.insert(0, (await write(client, bucket, key, b"333"), False))
            wanted = [
                (key, version_id, deleted, place == 0)
                for key in sorted(history, key=str.encode)
                for place, (version_id, deleted) in enumerate(history[key])
            ]
            assert await all_pages(client, bucket, "p/", 1_000) == wanted
            assert await all_pages(client, bucket, "p/", 2) == wanted


@pytest.mark.parametrize("choice", ["boto", "wire"])
@pytest.mark.parametrize("encodes", [True, False])
async def test_any_key_has_its_versions(choice: Any, encodes: bool) -> None:
    """Keys of every shape come back as they are, from a server that encodes them and one not."""
    async with run_fault_server() as server:
        server.manners.encodes_listing = encodes
        server.versions.switch(BUCKET, "Enabled")
        keys = [each.key for each in HOSTILE_KEYS]
        # Only encoded can XML spell the others.
        keys = [key for key in keys if encodes or (key.isprintable() and key.isascii())]
        for key in keys:
            server.put(BUCKET, key, b"x")
        options = CopyOptions(client=choice)
        async with open_client(account(server.url, "AK", "secret"), "source", options) as client:
            found = await all_pages(client, BUCKET, "", 7)
    assert [key for key, *_ in found] == sorted(keys, key=str.encode)


@pytest.mark.parametrize("choice", ["boto", "wire"])
async def test_a_version_is_read_as_such(choice: Any) -> None:
    """HEAD, GET, tags and ACL of a version are that version's, not the current one's."""
    async with run_fault_server() as server:
        old = _two_versions(server)
        options = CopyOptions(client=choice)
        async with open_client(account(server.url, "AK", "secret"), "source", options) as client:
            for _ in range(2):  # the first call of the wire is botocore's
                head = await client.head_object(BUCKET, "k", version_id=old)
                assert (head.object.version_id, head.object.size) == (old, 3)
                assert await client.get_object_tagging(BUCKET, "k", version_id=old) == {"t": "1"}
                await client.put_object_tagging(BUCKET, "k", {"t": "1"}, version_id=old)
                assert await client.get_object_acl(BUCKET, "k", version_id=old) == {
                    "read": 'id="x"'
                }
                async with client.get_object(BUCKET, "k", version_id=old) as body:
                    assert b"".join([chunk async for chunk in body.chunks]) == b"old"


@pytest.mark.parametrize("choice", ["boto", "wire"])
@pytest.mark.parametrize(
    "operation, permission",
    [
        ("HeadObject", "s3:GetObjectVersion"),
        ("GetObject", "s3:GetObjectVersion"),
        ("GetObjectTagging", "s3:GetObjectVersionTagging"),
        ("PutObjectTagging", "s3:PutObjectVersionTagging"),
        ("GetObjectAcl", "s3:GetObjectVersionAcl"),
        ("ListObjectVersions", "s3:ListBucketVersions"),
        ("GetBucketVersioning", "s3:GetBucketVersioning"),
        ("DeleteObject", "s3:DeleteObject"),
    ],
)
async def test_a_refusal_names_the_permission(choice: Any, operation: str, permission: str) -> None:
    """A version needs another permission than the current object; the error says which."""
    async with run_fault_server() as server:
        server.always(operation, error(403, "AccessDenied"))
        options = CopyOptions(client=choice)
        async with open_client(account(server.url, "AK", "secret"), "source", options) as client:
            await client.list_page(BUCKET, "")  # shows the wire its way
            with pytest.raises(AccessDeniedError, match=f"need {permission} on") as refused:
                await _ask(client, operation)
    assert refused.value.permission == permission


async def _ask(client: S3Client, operation: str) -> None:
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "HeadObject": lambda: client.head_object(BUCKET, "k", version_id="v"),
        "GetObject": lambda: client.get_object(BUCKET, "k", version_id="v").__aenter__(),
        "GetObjectTagging": lambda: client.get_object_tagging(BUCKET, "k", version_id="v"),
        "PutObjectTagging": lambda: client.put_object_tagging(BUCKET, "k", {}, version_id="v"),
        "GetObjectAcl": lambda: client.get_object_acl(BUCKET, "k", version_id="v"),
        "ListObjectVersions": lambda: client.list_versions(BUCKET, ""),
        "GetBucketVersioning": lambda: client.get_bucket_versioning(BUCKET),
        "DeleteObject": lambda: client.delete_object(BUCKET, "k"),
    }
    await calls[operation]()


def _two_versions(server: FaultServer) -> str:
    server.versions.switch(BUCKET, "Enabled")
    server.put(BUCKET, "k", b"old")
    stored = server.objects[BUCKET]["k"]
    stored.tags, stored.acl = {"t": "1"}, {"x-amz-grant-read": 'id="x"'}
    server.put(BUCKET, "k", b"newer")
    assert stored.version_id is not None
    return stored.version_id
