"""The open uploads of one key: found whole, and those of no other key, on both clients."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_s3copy import AccessDeniedError, Account, CopyOptions, InvalidResponseError
from async_s3copy.s3.client import S3Client
from async_s3copy.s3.heads import EPOCH
from async_s3copy.s3.opening import open_client
from async_s3copy.s3.uploads import Marker, UploadPage
from async_s3copy.s3.values import ObjectProperties, OpenUpload
from tests.fault_answers import error, raw
from tests.fault_server import FaultServer, run_fault_server
from tests.hostile_keys import HOSTILE_KEYS, MOTO, SEAWEEDFS
from tests.real import session_of
from tests.support import REGION, S3Server, make_buckets

pytestmark = pytest.mark.stack_b

BUCKET = "target-bucket"
both_clients = pytest.mark.parametrize("choice", ["boto", "wire"])
# One of the two cannot spell these in its listing of uploads: neither encodes keys.
UNSPOKEN = {chr(code) for code in range(32) if chr(code) not in "\t\n"} | {"\ufffe", "\uffff"}
page_keys = st.text("a%25+ b", min_size=1, max_size=6)


@asynccontextmanager
async def opened(account: Account, choice: Any) -> AsyncIterator[S3Client]:
    async with open_client(account, "destination", CopyOptions(client=choice)) as client:
        yield client


@pytest.fixture
async def scripted() -> AsyncIterator[FaultServer]:
    """A server that lists as AWS does, two uploads a page."""
    async with run_fault_server() as running:
        running.manners.page_uploads = 2
        yield running


def account(server: FaultServer) -> Account:
    return Account(region=REGION, endpoint_url=server.url, session=session_of("AK", "secret"))


async def begin(client: S3Client, bucket: str, keys: Iterable[str]) -> dict[str, set[str]]:
    """Begin an upload of each key; return the ids by key."""
    begun: dict[str, set[str]] = {}
    for key in keys:
        upload_id = await client.create_multipart_upload(bucket, key, ObjectProperties())
        begun.setdefault(key, set()).add(upload_id)
    return begun


async def ids_of(client: S3Client, bucket: str, key: str) -> set[str]:
    found = await client.list_uploads(bucket, key)
    assert {upload.key for upload in found} <= {key}
    return {upload.upload_id for upload in found}


@pytest.fixture(params=[SEAWEEDFS, MOTO])
async def real(
    request: pytest.FixtureRequest, seaweedfs: S3Server, moto: S3Server
) -> tuple[str, S3Server]:
    """Each real server, with its name."""
    return request.param, seaweedfs if request.param == SEAWEEDFS else moto


async def test_the_uploads_of_a_key_are_found_and_no_others(
    real: tuple[str, S3Server], client_choice: str
) -> None:
    """One, two or no upload of the key, whatever else is open: keys that go on after it are not."""
    _, server = real
    async with server.client() as admin:
        bucket = (await make_buckets(admin)).destination
    async with opened(server.account(server.admin), client_choice) as client:
        begun = await begin(client, bucket, ["key", "key-longer", "two", "key/under", "two", "kex"])
        for key, ids in begun.items():
            assert await ids_of(client, bucket, key) == ids
        assert await client.list_uploads(bucket, "ke") == []
        assert await client.list_uploads(bucket, "absent") == []


async def test_hostile_keys_have_their_uploads_found(
    real: tuple[str, S3Server], client_choice: str
) -> None:
    """Plus, percent, blank, line end, emoji: each key's own upload, and no look-alike's."""
    name, server = real
    keys = [
        hostile.key
        for hostile in HOSTILE_KEYS
        if name in hostile.where and UNSPOKEN.isdisjoint(hostile.key)
    ]
    async with server.client() as admin:
        bucket = (await make_buckets(admin)).destination
    async with opened(server.account(server.admin), client_choice) as client:
        begun = await begin(client, bucket, keys)
        assert {key: await ids_of(client, bucket, key) for key in keys} == begun


@both_clients
async def test_pages_are_read_until_other_keys_come(scripted: FaultServer, choice: str) -> None:
    """Five uploads of a key and many of longer ones: three pages of two, not all of them."""
    async with opened(account(scripted), choice) as client:
        begun = await begin(client, BUCKET, ["k"] * 5 + ["k-longer"] * 9)
        assert await ids_of(client, BUCKET, "k") == begun["k"]
    assert scripted.count("ListMultipartUploads") == 3


@both_clients
@pytest.mark.parametrize("key", ["a+b", "a%20b", "a b", "%2525", "é\U0001f600\x01\r"])
async def test_pages_of_hostile_keys_go_on_after_the_decoded_marker(
    scripted: FaultServer, choice: str, key: str
) -> None:
    """Markers and keys arrive encoded and are sent back as they are meant."""
    async with opened(account(scripted), choice) as client:
        begun = await begin(client, BUCKET, [key] * 4 + [key + "%", key + " "])
        assert await ids_of(client, BUCKET, key) == begun[key]


@both_clients
async def test_a_listing_that_does_not_get_on_is_an_error(
    scripted: FaultServer, choice: str
) -> None:
    """A page that begins where one began before would be asked for until the end of days."""
    page = "<Upload><Key>{0}</Key><UploadId>u</UploadId></Upload><IsTruncated>true</IsTruncated>"
    body = f"<ListMultipartUploadsResult>{page.format('k')}</ListMultipartUploadsResult>"
    scripted.always("ListMultipartUploads", raw(200, body))
    async with opened(account(scripted), choice) as client:
        with pytest.raises(InvalidResponseError, match="open uploads repeats itself"):
            await client.list_uploads(BUCKET, "k")
    assert scripted.count("ListMultipartUploads") == 1


@both_clients
async def test_a_refused_listing_names_the_permission(scripted: FaultServer, choice: str) -> None:
    """AccessDenied says what is missing on the bucket, though the key is what was asked about."""
    scripted.always("ListMultipartUploads", error(403, "AccessDenied"))
    async with opened(account(scripted), choice) as client:
        with pytest.raises(AccessDeniedError) as caught:
            await client.list_uploads(BUCKET, "k")
    assert caught.value.permission == "s3:ListBucketMultipartUploads"
    assert caught.value.where == f"s3://{BUCKET}"


@both_clients
@pytest.mark.parametrize("entry", ["<Key>k</Key>", "<UploadId>u</UploadId>", "<Key/><UploadId/>"])
async def test_an_upload_without_a_name_is_no_answer(
    scripted: FaultServer, choice: str, entry: str
) -> None:
    """What cannot be aborted by name must not be passed over in silence."""
    body = f"<ListMultipartUploadsResult><Upload>{entry}</Upload></ListMultipartUploadsResult>"
    scripted.always("ListMultipartUploads", raw(200, body))
    async with opened(account(scripted), choice) as client:
        with pytest.raises(InvalidResponseError):
            await client.list_uploads(BUCKET, "k")


async def test_the_wire_lists_uploads_without_the_reference_client(scripted: FaultServer) -> None:
    """Once the bucket is known, the listing is the wire's; as a first call it teaches the way."""
    async with opened(account(scripted), "wire") as client:
        for _ in range(2):
            assert await client.list_uploads(BUCKET, "k") == []
    ways = ["amz-sdk-invocation-id" in call.headers for call in scripted.calls]
    assert ways == [True, False]


def page(keys: Iterable[str], **more: Any) -> UploadPage:
    return UploadPage(uploads=[OpenUpload(key, key, EPOCH) for key in keys], **more)


@given(page_keys, st.lists(page_keys, max_size=4), st.booleans())
def test_a_server_that_only_claims_to_encode_is_seen_through(
    key: str, rests: list[str], repeats_prefix: bool
) -> None:
    """Keys that came as they are, under ``EncodingType``: look-alikes are not taken for the key."""
    listed = [key, *(key + rest for rest in rests)]
    found = page(listed, encoding="url", prefix=key if repeats_prefix else "").of(key)
    assert [upload.upload_id for upload in found] == [name for name in listed if name == key]


@given(page_keys, st.lists(page_keys, max_size=4), st.booleans())
def test_a_server_that_encodes_is_taken_at_its_word(
    key: str, rests: list[str], encodes_prefix: bool
) -> None:
    """Encoded keys are decoded: with the prefix encoded as well, each upload of the key counts.

    Where the prefix is not, one may be missed; another key's is not taken in any case.
    """
    listed = [quote(name) for name in (key, *(key + rest for rest in rests))]
    found = page(listed, encoding="url", prefix=quote(key) if encodes_prefix else key).of(key)
    ours = [name for name in listed if name == quote(key)]
    assert [upload.upload_id for upload in found] in ([ours] if encodes_prefix else [ours, []])


def test_an_unordered_page_is_not_the_last() -> None:
    """Where keys come in any order, later pages may hold the key: only an ordered one ends it."""
    marker = Marker(None, "u")
    assert page(["k", "k-z", "k-a"], next_marker=marker).after("k") == marker
    assert page(["k", "k-a", "k-z"], next_marker=marker).after("k") is None
    assert page([], next_marker=marker).after("k") == marker
