"""Signatures of the wire: those of S3's documentation, and those of botocore for anything else."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Final

import pytest
from botocore.auth import SigV4Auth
from botocore.utils import percent_encode
from hypothesis import given
from hypothesis import strategies as st

from async_s3copy.errors import ValidationError
from async_s3copy.s3.values import ByteRange, CopySource, ObjectProperties
from async_s3copy.s3.wire.requests import RequestBuilder
from async_s3copy.s3.wire.route import Origin, Route
from async_s3copy.s3.wire.sigv4 import (
    EMPTY_PAYLOAD,
    Keys,
    Signer,
    canonical_query,
    canonical_request,
    is_signed_with,
    quoted_path,
    quoted_query,
    trimmed,
)
from tests.hostile_keys import HOSTILE_KEYS
from tests.wire_oracle import (
    ACCESS_KEY_ID,
    NOW,
    REGION,
    SECRET,
    STYLES,
    Style,
    clock,
    signed_by_botocore,
    taken_apart,
)

pytestmark = pytest.mark.stack_b

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
keys = st.sampled_from([hostile.key for hostile in HOSTILE_KEYS]) | texts.filter(bool)
header_texts = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0"), max_size=40
)
blanks = st.text(" \t\x0b\x0c\x1c\x85\u00a0\u2003\u3000ab", max_size=20)
styles = st.sampled_from(STYLES)

# https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html, the examples
EXAMPLE_KEYS: Final = Keys("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
EXAMPLE_SECOND: Final = 1_369_353_600.0  # 2013-05-24T00:00:00Z
EXAMPLE_HOST: Final = "examplebucket.s3.amazonaws.com"


def at(second: float) -> Signer:
    """Return a signer whose clock stands still."""
    return Signer("us-east-1", "s3", clock=lambda: second)


def test_the_documented_get_of_a_range_is_signed_as_documented() -> None:
    """The whole way, from the call to the Authorization header, gives S3's own example."""
    route = Route(
        Origin("https", EXAMPLE_HOST, 443), EXAMPLE_HOST, "", "us-east-1", "s3", "agent", False
    )
    builder = RequestBuilder(route, EXAMPLE_KEYS, clock=lambda: EXAMPLE_SECOND)
    sent = taken_apart(builder.get_object("test.txt", byte_range=ByteRange(0, 9)))
    assert sent.headers["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
        "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
        "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    )


@pytest.mark.parametrize(
    "target, query, more, payload, signature",
    [
        (
            "PUT /test%24file.text",
            {},
            {"date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"},
            "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        ),
        (
            "GET /",
            {"lifecycle": ""},
            {},
            EMPTY_PAYLOAD,
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        ),
        (
            "GET /",
            {"prefix": "J", "max-keys": "2"},
            {},
            EMPTY_PAYLOAD,
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ],
)
def test_documented_examples_are_signed_as_documented(
    target: str,
    query: Mapping[str, str],
    more: Mapping[str, str],
    payload: str,
    signature: str,
) -> None:
    """The other examples of S3's documentation give the signatures printed there."""
    moment = at(EXAMPLE_SECOND).moment(EXAMPLE_KEYS)
    headers = {
        "host": EXAMPLE_HOST,
        "x-amz-content-sha256": payload,
        "x-amz-date": moment.timestamp,
        **more,
    }
    method, path = target.split()
    canonical = canonical_request(
        method, path, canonical_query(query), sorted(headers.items()), payload
    )
    assert moment.signature(canonical) == signature


@given(
    styles,
    keys,
    st.dictionaries(st.text("abcxyz019-_.", min_size=1, max_size=8), header_texts | blanks),
    st.dictionaries(texts, texts, max_size=3),
    st.binary(max_size=50),
)
def test_any_request_is_signed_as_by_botocore(
    style: Style, key: str, metadata: dict[str, str], tags: dict[str, str], body: bytes
) -> None:
    """For any key, metadata and body: botocore's canonical request and Authorization header."""
    properties = ObjectProperties(metadata=metadata, tags=tags)
    md5 = hashlib.md5(body).digest()
    request = style.builder().put_object(key, body, properties, md5=md5)
    sent = taken_apart(request)
    judged = signed_by_botocore(request, style)
    assert sent.headers["authorization"] == judged.authorization
    signed = sent.without("authorization", "user-agent", "content-length")
    query = canonical_query(dict(sent.query))
    payload = sent.headers["x-amz-content-sha256"]
    ours = canonical_request(sent.method, sent.path, query, sorted(signed.items()), payload)
    assert ours == judged.canonical


@given(styles, texts, texts, st.integers(0, 1_000))
def test_any_query_is_signed_as_by_botocore(
    style: Style, prefix: str, token: str, max_keys: int
) -> None:
    """For any prefix and token, order and encoding of the query are botocore's."""
    request = style.builder().list_page(prefix, token=token, start_after=token, max_keys=max_keys)
    judged = signed_by_botocore(request, style)
    assert taken_apart(request).headers["authorization"] == judged.authorization


@given(styles, keys, keys, header_texts, header_texts.filter(bool))
def test_any_copy_is_signed_as_by_botocore(
    style: Style, key: str, source: str, etag: str, version_id: str
) -> None:
    """For any source, version and condition: botocore's canonical request, on the hot path too."""
    where = CopySource(bucket="source", key=source, version_id=version_id, if_match=etag)
    for pinned in (where, CopySource(bucket="source", key=source, if_match='"abc"')):
        request = style.builder().copy_object(key, pinned)
        judged = signed_by_botocore(request, style)
        assert taken_apart(request).headers["authorization"] == judged.authorization


@given(texts)
def test_paths_are_encoded_as_by_botocore(key: str) -> None:
    """A key is encoded byte by byte, slashes kept."""
    assert quoted_path(key) == percent_encode(key, safe="-._~/")


@given(st.dictionaries(texts, texts, max_size=6))
def test_queries_are_encoded_and_sorted_as_by_botocore(query: dict[str, str]) -> None:
    """Sorting comes after encoding, by name and then value."""
    judge = SigV4Auth(None, "s3", REGION)
    assert canonical_query(query) == judge._canonical_query_string_params(query)


@given(header_texts | blanks)
def test_header_values_are_trimmed_as_by_botocore(value: str) -> None:
    """Blanks around a value go, others become single; the value itself is sent as it is."""
    assert trimmed(value) == SigV4Auth(None, "s3", REGION)._header_value(value)


@pytest.mark.parametrize("encode", [quoted_path, quoted_query])
def test_lone_surrogates_are_refused(encode: object) -> None:
    """What UTF-8 cannot encode is an error of ours that names the value."""
    assert callable(encode)
    with pytest.raises(ValidationError, match=r"'a\\ud800' must be encodable as UTF-8"):
        encode("a\ud800")


def test_bytes_beyond_utf_8_are_signed_as_they_are_sent() -> None:
    """A surrogate escape stands for a byte: the hash goes over that byte."""
    moment = at(EXAMPLE_SECOND).moment(EXAMPLE_KEYS)
    key = b"AWS4" + EXAMPLE_KEYS.secret_access_key.encode()
    for step in (b"20130524", b"us-east-1", b"s3", b"aws4_request"):
        key = hmac.digest(key, step, "sha256")
    digest = hashlib.sha256(b"caf\xe9").hexdigest().encode()
    prefix = b"AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n"
    wanted = hmac.digest(key, prefix + digest, "sha256").hex()
    assert moment.signature(b"caf\xe9".decode("utf-8", "surrogateescape")) == wanted


def test_a_second_is_laid_out_once() -> None:
    """Within one second the same moment is handed out; the next second is another one."""
    now = [100.2]
    signer = Signer("r", "s3", clock=lambda: now[0])
    keys_ = Keys("a", "b")
    first = signer.moment(keys_)
    now[0] = 100.9
    assert signer.moment(keys_) is first
    now[0] = 101.0
    second = signer.moment(keys_)
    assert second is not first
    assert (first.timestamp, second.timestamp) == ("19700101T000140Z", "19700101T000141Z")


def test_a_new_day_has_a_new_signing_key() -> None:
    """Across midnight, scope and signature are the new day's; so they are for a clock set back."""
    midnight = EXAMPLE_SECOND
    now = [midnight - 1]
    signer = Signer("us-east-1", "s3", clock=lambda: now[0])
    before = signer.moment(EXAMPLE_KEYS)
    now[0] = midnight
    after = signer.moment(EXAMPLE_KEYS)
    assert "/20130523/" in before.credential
    assert "/20130524/" in after.credential
    assert after.signature("text") == at(midnight).moment(EXAMPLE_KEYS).signature("text")
    now[0] = midnight - 1
    assert signer.moment(EXAMPLE_KEYS).signature("text") == before.signature("text")


def test_other_keys_are_another_moment() -> None:
    """Refreshed keys are used at once, not from the next second on."""
    signer = at(EXAMPLE_SECOND)
    one, other = Keys("a", "one", "t"), Keys("a", "other", "u")
    assert signer.moment(one).signature("x") != signer.moment(other).signature("x")
    assert signer.moment(other).session_token == "u"


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_a_signature_is_recognised(style: Style) -> None:
    """What was signed with keys and scope is recognised; any change to it is noticed."""
    request = style.builder().list_page("a b", token="t+/=")
    sent = taken_apart(request)
    url = f"{style.scheme}://{style.host}{request.head.split(b' ')[1].decode()}"
    keys_ = Keys(ACCESS_KEY_ID, SECRET, style.token)
    assert is_signed_with(keys_, "GET", url, sent.headers, REGION, "s3")
    assert is_signed_with(keys_, "GET", url, sent.without("host"), REGION, "s3")
    wrong = [
        (Keys(ACCESS_KEY_ID, "other", style.token), "GET", url, sent.headers, REGION, "s3"),
        (Keys("OTHER", SECRET, style.token), "GET", url, sent.headers, REGION, "s3"),
        (keys_, "PUT", url, sent.headers, REGION, "s3"),
        (keys_, "GET", f"{url}x", sent.headers, REGION, "s3"),
        (keys_, "GET", url, {**sent.headers, "x-amz-date": "20240101T000000Z"}, REGION, "s3"),
        (keys_, "GET", url, sent.headers, "eu-west-2", "s3"),
        (keys_, "GET", url, sent.headers, REGION, "s3express"),
        (keys_, "GET", url, sent.without("authorization"), REGION, "s3"),
        (keys_, "GET", url, {**sent.headers, "authorization": "AWS a:b"}, REGION, "s3"),
    ]
    assert not any(is_signed_with(*pieces) for pieces in wrong)


@pytest.mark.parametrize("name", ["a", "a-b", "a=b", "versionId", "x-id"])
def test_a_signature_of_botocores_is_recognised(name: str) -> None:
    """A query is sorted by name, not as text: "a" comes before "a-b"."""
    keys_ = Keys(ACCESS_KEY_ID, SECRET)
    moment = Signer(REGION, "s3", clock=clock).moment(keys_)
    query = {name: "1", "a": "2", "a-": "3"}
    headers = {
        "host": "h",
        "x-amz-content-sha256": EMPTY_PAYLOAD,
        "x-amz-date": f"{NOW:%Y%m%dT%H%M%SZ}",
    }
    canonical = canonical_request(
        "GET", "/k", canonical_query(query), sorted(headers.items()), EMPTY_PAYLOAD
    )
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={moment.credential}, "
        f"SignedHeaders={';'.join(sorted(headers))}, Signature={moment.signature(canonical)}"
    )
    sent_in_any_order = "&".join(reversed(canonical_query(query).split("&")))
    url = f"https://h/k?{sent_in_any_order}"
    assert is_signed_with(keys_, "GET", url, headers, REGION, "s3")


@pytest.mark.parametrize("hostile", ["a\r\nb", "a b", "ü", "a\0"])
@pytest.mark.parametrize("name", ["access_key_id", "session_token"])
def test_keys_that_no_header_can_carry_are_refused_unseen(name: str, hostile: str) -> None:
    """The error names the field and the rule; it does not show the value."""
    given_ = {"access_key_id": "a", "secret_access_key": "b", name: hostile}
    with pytest.raises(ValidationError, match=f"{name}='<hidden>' must be printable") as caught:
        Keys(**given_)
    assert hostile not in str(caught.value)


def test_keys_and_moments_show_nothing() -> None:
    """No repr of what signs holds an id, a secret or a token."""
    keys_ = Keys("the-id", "the-secret", "the-token")
    shown = repr(keys_) + repr(at(0).moment(keys_)) + repr(at(0))
    assert not any(part in shown for part in ("the-id", "the-secret", "the-token"))
