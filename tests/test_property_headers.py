"""Headers of an object's properties: what each call takes, and nothing unasked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import pytest
from botocore.session import Session

from async_s3copy.errors import ValidationError
from async_s3copy.s3.property_headers import (
    checksum_headers,
    copy_headers,
    create_headers,
    put_headers,
)
from async_s3copy.s3.values import AS_IT_IS, ObjectProperties

pytestmark = pytest.mark.stack_b

FULL: Final = ObjectProperties(
    headers={
        "content-type": "text/plain",
        "content-encoding": "gzip",
        "content-language": "de",
        "content-disposition": "attachment",
        "cache-control": "no-store",
        "expires": "0",
    },
    metadata={"Name": "value"},
    tags={"a b": "ü&="},
    storage_class="STANDARD_IA",
    checksum_algorithm="SHA256",
    checksum_type="COMPOSITE",
    encryption="aws:kms",
    kms_key_id="key",
    bucket_key_enabled=False,
    website_redirect="/else",
    lock_mode="GOVERNANCE",
    lock_retain_until="2030-01-01T00:00:00.000Z",
    legal_hold="ON",
    acl="private",
    grants={"full-control": 'id="a"', "read": 'id="b"', "read-acp": "", "write-acp": ""},
)
CARRIED: Final = frozenset((*FULL.headers, "x-amz-meta-name"))


@pytest.fixture(scope="module")
def model() -> Any:
    """S3 as botocore describes it."""
    return Session().get_service_model("s3")


def places(model: Any, operation: str) -> set[str]:
    members = model.operation_model(operation).input_shape.members.values()
    return {str(each.serialization.get("name", "")).lower() for each in members}


def sent(operation: str) -> dict[str, str]:
    if operation == "PutObject":
        return put_headers(FULL, {"sha256": "AA=="})
    if operation == "CreateMultipartUpload":
        return create_headers(FULL)
    return copy_headers(FULL, replaces_metadata=True, replaces_tags=True)


@pytest.mark.parametrize("operation", ["PutObject", "CreateMultipartUpload", "CopyObject"])
def test_every_property_has_its_place_in_each_write(model: Any, operation: str) -> None:
    """Small or large, copied or relayed: all that the properties hold is said, and S3 takes it."""
    headers = sent(operation)
    own = {name for name in headers if not name.startswith("x-amz-meta-")}
    assert own <= places(model, operation)
    common = set.intersection(*(set(sent(each)) for each in ("PutObject", "CopyObject")))
    assert common - {"x-amz-metadata-directive"} <= set(headers)
    assert headers["x-amz-tagging"] == "a+b=%C3%BC%26%3D"
    assert headers["x-amz-meta-name"] == "value"
    assert headers["x-amz-server-side-encryption-bucket-key-enabled"] == "false"
    assert headers["x-amz-grant-full-control"] == 'id="a"'


def test_each_write_says_its_checksum_in_its_own_way() -> None:
    """PutObject brings the value, Create declares algorithm and type, CopyObject the algorithm."""
    put, create, copy = (
        {name: text for name, text in sent(each).items() if "checksum" in name}
        for each in ("PutObject", "CreateMultipartUpload", "CopyObject")
    )
    assert put == {"x-amz-checksum-sha256": "AA=="}
    assert create == {"x-amz-checksum-algorithm": "SHA256", "x-amz-checksum-type": "COMPOSITE"}
    assert copy == {"x-amz-checksum-algorithm": "SHA256"}


def test_no_type_goes_without_its_algorithm() -> None:
    """S3 refuses a type alone, and takes PutObject without a checksum."""
    assert "x-amz-checksum-type" not in create_headers(replace(FULL, checksum_algorithm=""))
    assert not any("checksum" in name for name in put_headers(FULL, {}))


@pytest.mark.parametrize("metadata", [False, True])
@pytest.mark.parametrize("tags", [False, True])
def test_what_a_copy_carries_is_sent_only_to_replace_it(metadata: bool, tags: bool) -> None:
    """Content headers and metadata, and tags, go with their directive or not at all."""
    headers = copy_headers(FULL, replaces_metadata=metadata, replaces_tags=tags)
    assert headers.get("x-amz-metadata-directive") == ("REPLACE" if metadata else None)
    assert CARRIED & set(headers) == (CARRIED if metadata else frozenset())
    assert headers.get("x-amz-tagging-directive") == ("REPLACE" if tags else None)
    assert ("x-amz-tagging" in headers) is tags
    assert headers["x-amz-storage-class"] == "STANDARD_IA"


def test_replacing_by_nothing_is_said() -> None:
    """An empty set of tags or metadata replaces, too: the directive alone removes them."""
    headers = copy_headers(AS_IT_IS, replaces_metadata=True, replaces_tags=True)
    assert headers == {
        "x-amz-metadata-directive": "REPLACE",
        "x-amz-tagging-directive": "REPLACE",
    }


def test_no_properties_are_no_headers() -> None:
    """Nothing unasked: an ACL header alone makes buckets refuse, an encryption overrides theirs."""
    assert copy_headers(AS_IT_IS, replaces_metadata=False, replaces_tags=False) == {}
    assert copy_headers(ObjectProperties(), replaces_metadata=False, replaces_tags=False) == {}
    assert create_headers(AS_IT_IS) == put_headers(AS_IT_IS, {}) == {}


@pytest.mark.parametrize(
    "properties, rule",
    [
        (ObjectProperties(headers={"content-length": "1"}), "be one of content-type"),
        (ObjectProperties(grants={"write": 'id="a"'}), "be one of full-control"),
        (ObjectProperties(tags={"\ud800": ""}), "be encodable as UTF-8"),
    ],
)
def test_what_no_header_can_say_is_refused(properties: ObjectProperties, rule: str) -> None:
    """An error of ours with the name and the rule, before a request is made."""
    with pytest.raises(ValidationError, match=rule):
        create_headers(properties)


def test_an_unknown_checksum_is_refused() -> None:
    """The algorithms are S3's five."""
    assert set(checksum_headers({"crc64nvme": "x"})) == {"x-amz-checksum-crc64nvme"}
    with pytest.raises(ValidationError, match="be one of crc32"):
        checksum_headers({"md5": "x"})
