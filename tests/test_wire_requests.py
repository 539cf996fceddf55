"""Requests of the wire: what botocore would send for the same call, and nothing can break out."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final
from xml.parsers import expat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_s3copy.errors import ValidationError
from async_s3copy.model import unquoted
from async_s3copy.s3.acl import PERMISSIONS
from async_s3copy.s3.boto import BotoClient
from async_s3copy.s3.uploads import Marker
from async_s3copy.s3.values import ByteRange, CompletedPart, CopySource, ObjectProperties
from async_s3copy.s3.wire.http import Request
from async_s3copy.s3.wire.requests import RequestBuilder
from async_s3copy.s3.wire.sigv4 import Keys, is_signed_with
from tests.hostile_keys import HOSTILE_KEYS
from tests.wire_oracle import (
    ACCESS_KEY_ID,
    BUCKET,
    REGION,
    SECRET,
    STYLES,
    Call,
    Oracle,
    Sent,
    Style,
    clock,
    taken_apart,
)

pytestmark = pytest.mark.stack_b

# What only one of the two sends, and what does not matter: agents, ids and a length each.
_NOT_OURS: Final = ("user-agent", "amz-sdk-invocation-id", "amz-sdk-request", "expect")
_NOT_BOTOCORES: Final = ("user-agent", "host")
_LENGTH: Final = "content-length"
SOURCE: Final = CopySource(bucket="s", key="k")
MD5: Final = hashlib.md5(b"body").digest()

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
keys = st.one_of(
    st.sampled_from([hostile.key for hostile in HOSTILE_KEYS]),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60),
    st.text("ab/.~-_+ %&=?", min_size=1, max_size=20),
)
# A header cannot hold a line end or NUL; everything else is signed and sent.
header_texts = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"), max_size=30
)
names = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_.%!~'", min_size=1, max_size=10)
sources = st.builds(
    CopySource,
    bucket=st.sampled_from(
        [
            "source-bucket",
            "arn:aws:s3:eu-west-1:123456789012:accesspoint/name",
            "arn:aws:s3-outposts:eu-west-1:123456789012:outpost/op-1/accesspoint/name",
        ]
    ),
    key=keys,
    version_id=st.none() | header_texts.filter(bool),
    if_match=header_texts,
)
properties = st.builds(
    ObjectProperties,
    headers=st.dictionaries(
        st.sampled_from(["content-type", "content-language", "cache-control", "expires"]),
        header_texts,
    ),
    metadata=st.dictionaries(names, header_texts, max_size=4),
    tags=st.dictionaries(texts, texts, max_size=3),
    storage_class=st.sampled_from(["", "STANDARD_IA", "GLACIER"]),
    checksum_algorithm=st.sampled_from(["", "CRC64NVME", "SHA256"]),
    checksum_type=st.sampled_from(["", "FULL_OBJECT", "COMPOSITE"]),
    encryption=st.sampled_from(["", "AES256", "aws:kms", "aws:kms:dsse"]),
    kms_key_id=header_texts,
    bucket_key_enabled=st.sampled_from([None, True, False]),
    website_redirect=header_texts,
    lock_mode=st.sampled_from(["", "GOVERNANCE", "COMPLIANCE"]),
    lock_retain_until=st.sampled_from(["", "2030-01-01T00:00:00.000Z"]),
    legal_hold=st.sampled_from(["", "ON", "OFF"]),
    acl=st.sampled_from(["", "bucket-owner-full-control"]),
    grants=st.dictionaries(st.sampled_from(PERMISSIONS), header_texts),
)
checksums = st.dictionaries(
    st.sampled_from(["crc32", "crc32c", "crc64nvme", "sha1", "sha256"]),
    st.binary(min_size=4, max_size=32).map(lambda digest: b64encode(digest).decode()),
    max_size=2,
)
ranges = st.builds(ByteRange, st.integers(0, 2**40), st.integers(0, 2**40))
numbers = st.integers(1, 10_000)
bodies = st.binary(max_size=100)
parts = st.lists(
    st.builds(CompletedPart, numbers, header_texts.map(unquoted), checksums), min_size=1
)


@dataclass(frozen=True, slots=True)
class Pair:
    """One call, made both ways."""

    boto: Call
    wire: Callable[[RequestBuilder], Request]


def both(name: str, key: str | None, *args: Any, **given_: Any) -> Pair:
    """Make one call both ways; the Protocol and the builder differ by the bucket alone."""
    place = () if key is None else (key,)

    def boto(client: BotoClient) -> Any:
        return getattr(client, name)(BUCKET, *place, *args, **given_)

    def wire(builder: RequestBuilder) -> Request:
        request: Request = getattr(builder, name)(*place, *args, **given_)
        return request

    return Pair(boto, wire)


def reading(key: str, **given_: Any) -> Pair:
    """Make a GetObject both ways; the Protocol's is a context manager."""

    def boto(client: BotoClient) -> Any:
        return client.get_object(BUCKET, key, **given_).__aenter__()

    return Pair(boto, lambda builder: builder.get_object(key, **given_))


def uploads_page(key: str, marker: Marker) -> Pair:
    """Make a ListMultipartUploads both ways; the Protocol's call reads all pages."""

    def boto(client: BotoClient) -> Any:
        return client.upload_page(BUCKET, key, marker)

    return Pair(boto, lambda builder: builder.list_uploads(key, marker))


@st.composite
def calls(draw: st.DrawFn) -> Pair:
    """Draw any call of the Protocol whose request botocore writes the same way."""
    key = draw(keys)
    flag = draw(st.booleans())
    upload, number = draw(texts.filter(bool)), draw(numbers)
    version = draw(st.none() | texts.filter(bool))
    body = draw(bodies)
    # Each is drawn only when it is the one: most of the time goes into drawing.
    made: list[Callable[[], Pair]] = [
        lambda: both(
            "list_page",
            None,
            draw(texts),
            token=draw(st.none() | texts),
            start_after=draw(st.none() | texts),
            max_keys=draw(st.integers(0, 1_000)),
        ),
        lambda: both(
            "head_object",
            key,
            version_id=version,
            part_number=draw(st.none() | numbers),
            checksums=flag,
        ),
        lambda: reading(
            key,
            version_id=version,
            if_match=draw(header_texts),
            byte_range=draw(st.none() | ranges),
        ),
        lambda: both("get_object_tagging", key, version_id=version),
        lambda: both(
            "copy_object",
            key,
            draw(sources),
            draw(properties),
            replaces_metadata=draw(st.booleans()),
            replaces_tags=draw(st.booleans()),
            if_none_match=flag,
        ),
        lambda: both("create_multipart_upload", key, draw(properties)),
        lambda: both(
            "copy_part", key, upload, number, source=draw(sources), byte_range=draw(ranges)
        ),
        lambda: both(
            "upload_part",
            key,
            upload,
            number,
            body,
            md5=hashlib.md5(body).digest(),
            checksums=draw(checksums),
        ),
        lambda: both("complete_multipart_upload", key, upload, draw(parts), if_none_match=flag),
        lambda: both("abort_multipart_upload", key, upload),
        lambda: both("count_parts", key, upload),
        lambda: uploads_page(
            key, Marker(draw(st.none() | keys), draw(st.none() | texts.filter(bool)))
        ),
        lambda: both(
            "put_object",
            key,
            body,
            draw(properties),
            md5=MD5,
            checksums=draw(checksums),
            if_none_match=flag,
        ),
        lambda: both("get_object_acl", key, version_id=version),
        lambda: both(
            "list_versions",
            None,
            draw(texts),
            key_marker=draw(st.none() | texts),
            version_marker=draw(st.none() | texts),
            max_keys=draw(st.integers(0, 1_000)),
        ),
        lambda: both("get_bucket_versioning", None),
        lambda: both("delete_object", key),
    ]
    return draw(st.sampled_from(made))()


@pytest.fixture(scope="module", params=STYLES, ids=lambda style: style.name)
def oracle(request: pytest.FixtureRequest) -> Iterator[Oracle]:
    """The reference client, once per way to address a bucket."""
    judge = Oracle(request.param)
    yield judge
    judge.close()


@pytest.fixture(params=STYLES, ids=lambda style: style.name)
def style(request: pytest.FixtureRequest) -> Style:
    """Each way to address a bucket."""
    found: Style = request.param
    return found


def agree(ours: Sent, botos: Sent) -> None:
    """Compare two requests; the signature covers everything but body length and agent."""
    assert (ours.method, ours.path, ours.query) == (botos.method, botos.path, botos.query)
    assert ours.without(_LENGTH, *_NOT_BOTOCORES) == botos.without(_LENGTH, *_NOT_OURS)
    assert ours.body == botos.body
    assert ours.headers.get(_LENGTH, "0") == str(len(ours.body))


@given(calls())
def test_every_request_is_botocores(oracle: Oracle, pair: Pair) -> None:
    """For any key, header, query and body: the request botocore sends, signature included."""
    agree(taken_apart(pair.wire(oracle.style.builder())), oracle.request(pair.boto))


@given(calls())
def test_botocores_signature_is_recognised(oracle: Oracle, pair: Pair) -> None:
    """For any request botocore has signed: it is so with these keys, and with no others."""
    prepared, sent = oracle.prepared(pair.boto), oracle.request(pair.boto)
    for secret in (SECRET, "other"):
        keys_ = Keys(ACCESS_KEY_ID, secret, oracle.style.token)
        found = is_signed_with(keys_, sent.method, prepared.url, sent.headers, REGION, "s3")
        assert found is (secret == SECRET)


@given(keys, st.dictionaries(texts.filter(bool), texts))
def test_tags_are_botocores(oracle: Oracle, key: str, tags: dict[str, str]) -> None:
    """PutObjectTagging says what botocore's does; its checksum is Content-MD5."""
    pair = both("put_object_tagging", key, tags)
    ours, botos = taken_apart(pair.wire(oracle.style.builder())), oracle.request(pair.boto)
    assert (ours.method, ours.path, ours.query) == (botos.method, botos.path, botos.query)
    assert ours.headers["content-md5"] == b64encode(hashlib.md5(ours.body).digest()).decode()
    botos_body = re.sub(rb"<(\w+) />", rb"<\1></\1>", botos.body)
    assert ours.body.replace(b"&#13;", b"\r") == botos_body


def test_a_carriage_return_in_a_tag_survives_xml(style: Style) -> None:
    """Written as it is, an XML parser would turn it into a line feed."""
    request = style.builder().put_object_tagging("key", {"name": "a\r\nb<&>"})
    seen: list[str] = []
    reader = expat.ParserCreate()
    reader.CharacterDataHandler = seen.append
    reader.Parse(request.body, True)
    assert "".join(seen) == "namea\r\nb<&>"


@pytest.mark.parametrize("hostile", ["a\r\nx-evil: 1", "a\nb", "a\rb", "a\0b", "\ud800"])
@pytest.mark.parametrize(
    "build",
    [
        lambda b, v: b.copy_object("k", CopySource(bucket="s", key="k", if_match=v)),
        lambda b, v: b.copy_object("k", CopySource(bucket="s", key="k", version_id=v)),
        lambda b, v: b.copy_object("k", SOURCE, ObjectProperties(storage_class=v)),
        lambda b, v: b.create_multipart_upload("k", ObjectProperties(metadata={"m": v})),
        lambda b, v: b.create_multipart_upload("k", ObjectProperties(headers={"expires": v})),
        lambda b, v: b.create_multipart_upload("k", ObjectProperties(metadata={v: "m"})),
        lambda b, v: b.create_multipart_upload("k", ObjectProperties(headers={v: "m"})),
        lambda b, v: b.put_object("k", b"", ObjectProperties(storage_class=v), md5=MD5),
        lambda b, v: b.get_object("k", if_match=v),
    ],
)
def test_no_value_breaks_out_of_its_header(
    style: Style, build: Callable[[RequestBuilder, str], Request], hostile: str
) -> None:
    """A line end, NUL or what is no text is refused, in one sentence with name and rule."""
    with pytest.raises(ValidationError, match=r"must (hold no|be a token|be one of)"):
        build(style.builder(), hostile)


@pytest.mark.parametrize("name", ["", "a b", "a:b", "ü", "a\tb", "a\r\nb"])
def test_a_metadata_name_is_a_token(style: Style, name: str) -> None:
    """A name that HTTP would read otherwise is refused; the empty one is legal but for us."""
    properties = ObjectProperties(metadata={name: "value"})
    if name:
        with pytest.raises(ValidationError, match="be a token of HTTP"):
            style.builder().create_multipart_upload("key", properties)
    else:
        sent = taken_apart(style.builder().create_multipart_upload("key", properties))
        assert sent.headers["x-amz-meta-"] == "value"


@pytest.mark.parametrize("name", ["host", "content-length", "transfer-encoding", "authorization"])
def test_only_content_headers_are_carried(style: Style, name: str) -> None:
    """Headers that frame or sign a request cannot come in with an object's properties."""
    with pytest.raises(ValidationError, match="be one of content-type"):
        style.builder().create_multipart_upload("key", ObjectProperties(headers={name: "1"}))


@pytest.mark.parametrize(
    "build",
    [
        lambda b, v: b.head_object(v),
        lambda b, v: b.list_page(v),
        lambda b, v: b.copy_object("k", CopySource(bucket="s", key=v)),
        lambda b, v: b.put_object_tagging("k", {v: ""}),
        lambda b, v: b.create_multipart_upload("k", ObjectProperties(tags={v: ""})),
    ],
)
def test_what_is_no_utf_8_is_refused(
    style: Style, build: Callable[[RequestBuilder, str], Request]
) -> None:
    """A lone surrogate in a key, prefix or tag is an error of ours, not a crash."""
    with pytest.raises(ValidationError, match="be encodable as UTF-8"):
        build(style.builder(), "a\ud800b")


@pytest.mark.parametrize(
    "replayable, build",
    [
        (True, lambda b: b.copy_object("k", CopySource(bucket="s", key="k"))),
        (False, lambda b: b.copy_object("k", CopySource(bucket="s", key="k"), if_none_match=True)),
        (True, lambda b: b.put_object("k", b"", ObjectProperties(), md5=MD5)),
        (False, lambda b: b.put_object("k", b"", ObjectProperties(), md5=MD5, if_none_match=True)),
        (False, lambda b: b.create_multipart_upload("k", ObjectProperties())),
        (False, lambda b: b.complete_multipart_upload("k", "id", [])),
        (True, lambda b: b.abort_multipart_upload("k", "id")),
        (True, lambda b: b.upload_part("k", "id", 1, b"", md5=MD5)),
        (True, lambda b: b.head_object("k")),
        (True, lambda b: b.list_page("")),
    ],
)
def test_what_a_second_sending_could_change_is_not_replayable(
    style: Style, build: Callable[[RequestBuilder], Request], replayable: bool
) -> None:
    """Conditional writes, Create and Complete are never repeated unseen; the others may be."""
    assert build(style.builder()).replayable is replayable


@pytest.mark.parametrize("signs", [True, False])
def test_bodies_are_hashed_where_the_route_says_so(style: Style, signs: bool) -> None:
    """A given hash is taken as it is; without signing, none is made."""
    builder = RequestBuilder(style.route(signs_payload=signs), Keys("a", "b"), clock=clock)
    sent = taken_apart(builder.put_object("k", b"x", ObjectProperties(), md5=MD5, sha256="ab" * 32))
    assert sent.headers["x-amz-content-sha256"] == ("ab" * 32 if signs else "UNSIGNED-PAYLOAD")
    computed = taken_apart(builder.upload_part("k", "id", 1, b"x", md5=MD5))
    wanted = hashlib.sha256(b"x").hexdigest() if signs else "UNSIGNED-PAYLOAD"
    assert computed.headers["x-amz-content-sha256"] == wanted


def test_documents_are_hashed_always(style: Style) -> None:
    """Complete carries no MD5; its hash is what vouches for it, with TLS as without."""
    builder = RequestBuilder(style.route(signs_payload=False), Keys("a", "b"), clock=clock)
    sent = taken_apart(builder.complete_multipart_upload("k", "id", [CompletedPart(1, "e")]))
    assert sent.headers["x-amz-content-sha256"] == hashlib.sha256(sent.body).hexdigest()


def test_metadata_that_is_no_utf_8_goes_out_as_it_came(style: Style) -> None:
    """Bytes that a HEAD brought as surrogate escapes are the same bytes on the way out."""
    value = b"caf\xe9".decode("utf-8", "surrogateescape")
    request = style.builder().create_multipart_upload("k", ObjectProperties(metadata={"m": value}))
    assert b"x-amz-meta-m: caf\xe9\r\n" in request.head


def test_a_request_shows_neither_key_nor_signature(style: Style) -> None:
    """Neither a request nor its builder's keys give a credential away in a repr."""
    builder = style.builder()
    shown = repr(builder.head_object("k")) + repr(builder.keys) + repr(builder)
    for secret in ("AKEXAMPLE", "wJalrXUtnFEMI", "FwoGZXIv", "Signature"):
        assert secret not in shown


def test_new_keys_sign_the_next_request(style: Style) -> None:
    """Within the same second, a request after a refresh is signed with the new keys."""
    builder = style.builder()
    before = taken_apart(builder.head_object("k"))
    builder.keys = Keys("AKNEW", "new", "newtoken")
    after = taken_apart(builder.head_object("k"))
    assert "AKNEW" in after.headers["authorization"]
    assert after.headers["x-amz-security-token"] == "newtoken"
    assert "AKNEW" not in before.headers["authorization"]
