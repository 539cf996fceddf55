"""The reference client before the documents that the wire refuses: botocore reads them by expat."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from async_s3copy.errors import InvalidResponseError, S3Error
from tests.wire_oracle import STYLES, Oracle
from tests.wire_readings import READINGS, outcome, response
from tests.wire_samples import BOMB

pytestmark = pytest.mark.stack_b

WITH_DOCUMENT: Final = sorted(name for name, reading in READINGS.items() if reading.document)
EXTERNAL: Final = '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
INTERNAL: Final = '<!DOCTYPE r [<!ENTITY x "aaaaaaaaaa"><!ENTITY y "&x;&x;&x;&x;&x;">]>'


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    """The reference client, ending before the network."""
    made = Oracle(STYLES[0])
    yield made
    made.close()


def with_entity(name: str, declared: str, entity: str) -> bytes:
    """Put a document type before a right answer, and an entity into each of its texts."""
    document = READINGS[name].document.partition("?>")[2] or READINGS[name].document
    return (declared + document.replace("</", f"{entity}</")).encode()


@pytest.mark.parametrize("name", WITH_DOCUMENT)
@pytest.mark.parametrize(
    "declared, entity", [(EXTERNAL, "&x;"), (INTERNAL, "&y;"), ("<!DOCTYPE r>", "")]
)
def test_a_document_type_is_no_success_on_the_reference_client_either(
    oracle: Oracle, name: str, declared: str, entity: str
) -> None:
    """No entity is expanded, be it ever so small, and no file is read: an error."""
    found = oracle.answer(READINGS[name].boto, 200, {}, with_entity(name, declared, entity))
    assert isinstance(found, InvalidResponseError), found
    assert "root:" not in str(found)


@pytest.mark.parametrize("name", WITH_DOCUMENT)
@pytest.mark.parametrize("status", [200, 503])
def test_an_entity_bomb_does_not_go_off_in_the_reference_client(
    oracle: Oracle, name: str, status: int
) -> None:
    """Billion laughs, as an answer or as an error: refused before an entity is expanded."""
    found = oracle.answer(READINGS[name].boto, status, {}, BOMB.encode())
    assert isinstance(found, S3Error)
    assert len(str(found)) < 2_000


@pytest.mark.parametrize("name", WITH_DOCUMENT)
@pytest.mark.parametrize("body", [b"", b" \r\n"])
def test_nothing_at_all_is_no_success(oracle: Oracle, name: str, body: bytes) -> None:
    """botocore would take it for a document without fields: an object without tags, say."""
    found = oracle.answer(READINGS[name].boto, 200, {}, body)
    assert isinstance(found, S3Error), found
    assert found.retryable
    assert isinstance(outcome(READINGS[name], response(200, body)), InvalidResponseError)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("name", WITH_DOCUMENT)
def test_no_document_hides_in_utf_16(oracle: Oracle, name: str, encoding: str) -> None:
    """expat would read it, entities and all; S3 sends UTF-8, and neither client takes another."""
    reading = READINGS[name]
    body = with_entity(name, INTERNAL, "&y;").decode().encode(encoding)
    assert isinstance(oracle.answer(reading.boto, 200, {}, body), S3Error)
    plain = reading.document.partition("?>")[2] or reading.document
    assert isinstance(oracle.answer(reading.boto, 200, {}, plain.encode(encoding)), S3Error)
    assert isinstance(outcome(reading, response(200, plain.encode(encoding))), S3Error)
