"""Terms: what is said with every request about a bucket, by both clients, and to whom it is not."""

from __future__ import annotations

import base64
import hashlib
import itertools
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest
from botocore.session import Session

from async_s3copy import (
    Account,
    CopyOptions,
    S3Error,
    S3Location,
    ValidationError,
)
from async_s3copy.errors import Side
from async_s3copy.s3.account import Secret
from async_s3copy.s3.endpoint import Endpoint
from async_s3copy.s3.opening import open_client
from async_s3copy.s3.term_headers import TermHeaders, term_headers
from async_s3copy.s3.terms import NO_TERMS, BucketTerms, Terms, terms_of
from async_s3copy.s3.values import ByteRange, CompletedPart, CopySource, ObjectProperties, Written
from tests.fault_server import FaultServer, run_fault_server
from tests.real import session_of
from tests.support import REGION, S3Server, make_buckets
from tests.test_wire_requests import agree, both, reading
from tests.wire_oracle import BUCKET, STYLES, Oracle, Style, taken_apart

pytestmark = pytest.mark.stack_b

KEY: Final = base64.b64encode(b"k" * 32).decode()
OTHER_KEY: Final = base64.b64encode(b"o" * 32).decode()
ALL: Final = BucketTerms(
    expected_owner="111122223333", requester_pays=True, customer_key=Secret(KEY)
)
OTHER: Final = BucketTerms(expected_owner="999988887777", customer_key=Secret(OTHER_KEY))
TERMS: Final = Terms({BUCKET: ALL}, {"target-bucket": OTHER})
SOURCE: Final = CopySource("target-bucket", "k")
MD5: Final = hashlib.md5(b"body").digest()
NOTHING: Final = ObjectProperties()
CALLS: Final = {
    "ListObjectsV2": both("list_page", None, ""),
    "ListObjectVersions": both("list_versions", None, ""),
    "GetBucketVersioning": both("get_bucket_versioning", None),
    "HeadObject": both("head_object", "k"),
    "GetObject": reading("k"),
    "GetObjectTagging": both("get_object_tagging", "k"),
    "GetObjectAcl": both("get_object_acl", "k"),
    "PutObject": both("put_object", "k", b"body", NOTHING, md5=MD5),
    "CopyObject": both("copy_object", "k", SOURCE),
    "CreateMultipartUpload": both("create_multipart_upload", "k", NOTHING),
    "UploadPart": both("upload_part", "k", "id", 1, b"body", md5=MD5),
    "UploadPartCopy": both("copy_part", "k", "id", 1, source=SOURCE, byte_range=ByteRange(0, 1)),
    "CompleteMultipartUpload": both(
        "complete_multipart_upload", "k", "id", [CompletedPart(1, "e")]
    ),
    "AbortMultipartUpload": both("abort_multipart_upload", "k", "id"),
    "ListParts": both("count_parts", "k", "id"),
    "DeleteObject": both("delete_object", "k"),
}
COPIES: Final = ("CopyObject", "UploadPartCopy")
OPERATIONS: Final = (*CALLS, "PutObjectTagging", "ListMultipartUploads")
TERM_HEADERS: Final = (
    "x-amz-expected-bucket-owner",
    "x-amz-source-expected-bucket-owner",
    "x-amz-request-payer",
    *(
        f"x-amz-{copied}server-side-encryption-customer-{name}"
        for copied in ("", "copy-source-")
        for name in ("algorithm", "key", "key-md5")
    ),
)


@pytest.fixture(scope="module")
def model() -> Any:
    """S3 as botocore describes it."""
    return Session().get_service_model("s3")


@pytest.fixture(scope="module", params=STYLES, ids=lambda style: style.name)
def oracle(request: pytest.FixtureRequest) -> Iterator[Oracle]:
    """The reference client, on these terms."""
    judge = Oracle(request.param, TERMS)
    yield judge
    judge.close()


def headers_for(style: Style, operation: str) -> Callable[[str, str], Any]:
    terms = TermHeaders(TERMS, "source", Endpoint(style.endpoint_url))
    return lambda name, source: terms.of(name, BUCKET, source)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_each_call_says_what_its_model_has_a_place_for(model: Any, operation: str) -> None:
    """No term is left out where S3 takes it, and none is sent where it has no meaning."""
    members = model.operation_model(operation).input_shape.members.values()
    places = {str(member.serialization.get("name", "")).lower() for member in members}
    copied = ALL if operation in COPIES else None
    assert set(term_headers(operation, ALL, copied)) == places & set(TERM_HEADERS)


@pytest.mark.parametrize("operation", CALLS)
def test_both_clients_say_the_same(oracle: Oracle, operation: str) -> None:
    """The wire's request is botocore's, its terms among what is signed."""
    pair, style = CALLS[operation], oracle.style
    ours = taken_apart(pair.wire(style.builder(headers_for(style, operation))))
    agree(ours, oracle.request(pair.boto))
    sent = {name: text for name, text in ours.headers.items() if name in TERM_HEADERS}
    assert sent == term_headers(operation, ALL, OTHER if operation in COPIES else None)
    signed = ours.headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0]
    assert set(sent) <= set(signed.split(";"))


def test_a_key_goes_out_with_its_digest() -> None:
    """S3 takes a customer key with algorithm and MD5, for the source of a copy by other names."""
    headers = term_headers("CopyObject", ALL, OTHER)
    digest = base64.b64encode(hashlib.md5(b"o" * 32).digest()).decode()
    prefix = "x-amz-copy-source-server-side-encryption-customer"
    assert headers[f"{prefix}-algorithm"] == "AES256"
    assert headers[f"{prefix}-key"] == OTHER_KEY
    assert headers[f"{prefix}-key-md5"] == digest
    assert headers["x-amz-server-side-encryption-customer-key"] == KEY


@pytest.mark.parametrize("payer", [(True, False), (False, True)])
def test_a_copy_pays_if_either_bucket_wants_it(payer: tuple[bool, bool]) -> None:
    """One request about two buckets has one payer."""
    here, there = (BucketTerms(requester_pays=pays) for pays in payer)
    assert term_headers("CopyObject", here, there) == {"x-amz-request-payer": "requester"}


def test_no_terms_add_nothing() -> None:
    """The defaults send no header more, and the wire does not even ask for one."""
    assert term_headers("CopyObject", BucketTerms(), BucketTerms()) == {}
    assert not NO_TERMS
    where = (Account(), S3Location("a")), (Account(), S3Location("b"))
    assert not terms_of(CopyOptions(), *where)


@pytest.mark.parametrize("side", ["source", "destination"])
@pytest.mark.parametrize("keys", list(itertools.product([None, b"k" * 32], [None, b"o" * 32])))
def test_two_buckets_of_one_name_keep_their_terms_apart(
    side: Side, keys: tuple[bytes | None, bytes | None]
) -> None:
    """Each client means its own side's bucket; what is copied is the source's. No key strays."""
    here, there = (Account(customer_key=key) for key in keys)
    location = S3Location("b")
    terms = terms_of(CopyOptions(), (here, location), (there, location))
    mine = here if side == "source" else there
    assert terms.addressed(side, "b").customer_key == mine.customer_key
    assert terms.copied("b").customer_key == here.customer_key


def test_options_and_accounts_become_terms() -> None:
    """Owners and keys belong to a side; who pays belongs to both."""
    options = CopyOptions(
        requester_pays=True,
        source_bucket_owner="111122223333",
        destination_bucket_owner="999988887777",
    )
    account = Account(customer_key=KEY)
    terms = terms_of(options, (account, S3Location("a")), (Account(), S3Location("b")))
    assert terms.addressed("destination", "a") == ALL
    assert terms.addressed("source", "b") == BucketTerms(
        expected_owner="999988887777", requester_pays=True
    )
    assert terms.addressed("source", "c") == BucketTerms()


@pytest.mark.parametrize(
    "url, private",
    [
        ("https://s3.example.com", True),
        ("http://localhost:9000", True),
        ("http://127.0.0.1:9000", True),
        ("http://127.1.2.3", True),
        ("http://[::1]:9000", True),
        ("http://s3.example.com", False),
        ("http://10.0.0.1:9000", False),
        ("http://127.0.0.1.example.com", False),
        ("http://localhost.example.com", False),
    ],
)
def test_a_customer_key_needs_a_private_line(url: str, private: bool) -> None:
    """Over plain HTTP a key goes to this host only: every call about its bucket is refused."""
    headers = TermHeaders(TERMS, "source", Endpoint(url))
    for operation, bucket, source in (
        ("ListObjectsV2", BUCKET, ""),
        ("CopyObject", "elsewhere", BUCKET),
    ):
        if private:
            assert headers.of(operation, bucket, source)
        else:
            with pytest.raises(ValidationError, match=r"^customer_key.*https:// only"):
                headers.of(operation, bucket, source)
    assert headers.of("ListObjectsV2", "elsewhere") == {}


@pytest.mark.parametrize("choice", ["boto", "wire"])
async def test_a_key_on_an_open_line_is_refused_before_anything_is_sent(choice: Any) -> None:
    """The error is about the key, not about the name that nobody could have resolved."""
    account = Account(
        region=REGION, endpoint_url="http://s3.invalid", session=session_of("AK", "secret")
    )
    options = CopyOptions(client=choice)
    async with open_client(account, "source", options, terms=TERMS) as client:
        for call in (client.list_page(BUCKET, ""), client.head_object(BUCKET, "k")):
            with pytest.raises(ValidationError, match="customer_key") as refused:
                await call
            assert KEY not in str(refused.value)


def test_nothing_shows_a_key() -> None:
    """Neither terms nor the headers' keeper give a key away in a repr."""
    headers = TermHeaders(TERMS, "source", Endpoint("https://s3.example.com"))
    headers.of("PutObject", BUCKET)
    assert KEY not in f"{TERMS!r}{headers!r}{ALL!r}"


def test_under_a_key_every_etag_is_opaque() -> None:
    """Complete does not say that a customer key was at work; whoever sent it knows."""
    headers = TermHeaders(TERMS, "destination", Endpoint("https://s3.example.com"))
    written = Written("etag", "version")
    assert headers.told("target-bucket", written) == written._replace(etag_is_md5=False)
    assert headers.told("elsewhere", written) == written


# On servers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("choice", ["boto", "wire"])
async def test_terms_go_out_with_every_request(choice: Any) -> None:
    """From the first request on, by which the wire learns the way, nothing is asked without."""
    async with run_fault_server() as server:
        server.put(BUCKET, "k", b"body")
        account = Account(
            region=REGION, endpoint_url=server.url, session=session_of("AK", "secret")
        )
        options = CopyOptions(client=choice)
        async with open_client(account, "destination", options, terms=TERMS) as client:
            for _ in range(2):
                await client.head_object(BUCKET, "k")
                await client.copy_object("target-bucket", "k", CopySource(BUCKET, "k"))
                await client.put_object_tagging(BUCKET, "k", {"a": "b"})
                await client.list_uploads(BUCKET, "k")
                await client.delete_object("target-bucket", "k")
    _check(server)
    by_wire = [call for call in server.calls if "amz-sdk-invocation-id" not in call.headers]
    assert len(by_wire) == (0 if choice == "boto" else len(server.calls) - 2)


def _check(server: FaultServer) -> None:
    for call in server.calls:
        there = ALL if call.bucket == BUCKET else OTHER
        copied = ALL if call.operation == "CopyObject" else None
        sent = {name: text for name, text in call.headers.items() if name in TERM_HEADERS}
        assert sent == term_headers(call.operation, there, copied)


async def test_objects_under_a_customer_key(seaweedfs: S3Server, client_choice: Any) -> None:
    """A real server keeps them, gives a new key in a copy, and refuses whoever has no key."""
    async with seaweedfs.client() as admin:
        pair = await make_buckets(admin)
    account = Account(
        region=REGION,
        endpoint_url=seaweedfs.endpoint_url,
        session=session_of(seaweedfs.admin.access_key_id, seaweedfs.admin.secret_access_key),
    )
    options = CopyOptions(client=client_choice)
    with_keys = Terms(
        {pair.source: BucketTerms(customer_key=Secret(KEY))},
        {pair.destination: BucketTerms(customer_key=Secret(OTHER_KEY))},
    )
    async with open_client(account, "destination", options, terms=with_keys) as client:
        first = await client.put_object(pair.source, "k", b"body", NOTHING, md5=MD5)
        copied = await client.copy_object(pair.destination, "k", CopySource(pair.source, "k"))
        assert not first.etag_is_md5
        assert not copied.etag_is_md5
        head = await client.head_object(pair.destination, "k")
        assert not head.etag_is_md5
        async with client.get_object(pair.destination, "k") as body:
            assert b"".join([chunk async for chunk in body.chunks]) == b"body"
    async with open_client(account, "destination", options) as stranger:
        with pytest.raises(S3Error):
            await stranger.head_object(pair.destination, "k")
        with pytest.raises(S3Error):
            await stranger.copy_object(pair.destination, "l", CopySource(pair.source, "k"))
