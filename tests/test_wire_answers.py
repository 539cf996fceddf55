"""Answers read by the wire: botocore's values and errors, and no success out of garbage."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_s3copy.errors import (
    InvalidResponseError,
    RetryableS3Error,
    S3Error,
    ThrottledError,
)
from async_s3copy.s3.values import ListPage
from async_s3copy.s3.wire import pages
from async_s3copy.s3.wire.http import Response
from tests.wire_oracle import BUCKET, STYLES, Oracle
from tests.wire_readings import MD5, READINGS, Reading, agree, error, facts, outcome, response
from tests.wire_samples import REFUSED, listings

pytestmark = pytest.mark.stack_b

CODES: Final = (
    "AccessDenied",
    "NoSuchKey",
    "NoSuchBucket",
    "NoSuchUpload",
    "PreconditionFailed",
    "SlowDown",
    "InternalError",
    "RequestTimeout",
    "InvalidAccessKeyId",
    "PermanentRedirect",
    "403",
    "Unheard",
)
FAILURES: Final = (301, 304, 307, 400, 403, 404, 405, 408, 409, 412, 416, 429, 500, 501, 502, 503)


readings = st.sampled_from(list(READINGS.values()))
every_call = pytest.mark.parametrize("reading", READINGS.values(), ids=READINGS.keys())
with_documents = {name: reading for name, reading in READINGS.items() if reading.root}
# A HEAD has none.
with_bodies = {name: reading for name, reading in READINGS.items() if name != "HeadObject"}
every_body = pytest.mark.parametrize("reading", with_bodies.values(), ids=with_bodies.keys())
every_document = pytest.mark.parametrize(
    "reading", with_documents.values(), ids=with_documents.keys()
)

error_codes = st.sampled_from(CODES)
messages = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="<&\ufffe\uffff"),
    min_size=1,
    max_size=20,
).filter(lambda text: text == text.strip())


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    """The reference client."""
    judge = Oracle(STYLES[0])
    yield judge
    judge.close()


@every_call
def test_a_success_is_botocores(oracle: Oracle, reading: Reading) -> None:
    """What S3 answers when all is well is read to the reference client's value."""
    headers = {"ETag": f'"{MD5}"', "Content-Length": "3", "x-amz-request-id": "R"}
    result = agree(oracle, reading, response(200, reading.document, headers))
    assert not isinstance(result, S3Error)


@given(readings, st.sampled_from(FAILURES), error_codes, messages, st.booleans(), st.data())
def test_a_refusal_is_botocores(  # noqa: PLR0917 - one draw each
    oracle: Oracle,
    reading: Reading,
    status: int,
    code: str,
    message: str,
    with_body: bool,
    data: st.DataObject,
) -> None:
    """For any status and code, with a body or without: same class, code, status and message."""
    retry_after = data.draw(st.sampled_from([{}, {"Retry-After": "3"}, {"Retry-After": "soon"}]))
    body = error(code, message) if with_body else ""
    given_ = response(status, body, {"x-amz-request-id": "R1", **retry_after})
    result = agree(oracle, reading, given_)
    assert isinstance(result, S3Error)
    assert result.request_id == "R1"


@given(
    st.sampled_from(list(with_bodies.values())),
    error_codes,
    st.sampled_from(["", " \n" * 50, '<?xml version="1.0"?>\n  \n']),
)
def test_an_error_in_a_200_is_botocores(
    oracle: Oracle, reading: Reading, code: str, lead: str
) -> None:
    """200 with an <Error>, after white space too: it counts as its code, in every call."""
    result = agree(oracle, reading, response(200, lead + error(code), {"ETag": '"x"'}))
    assert isinstance(result, S3Error)
    assert result.status == 500


@pytest.mark.parametrize("status", [400, 403, 404, 500, 502, 503])
@pytest.mark.parametrize(
    "body",
    ["", "<html><body>Bad Gateway<br></body></html>", "no XML", "<Error><Code>Slow"],
    ids=["empty", "HTML", "text", "truncated"],
)
@every_call
def test_a_refusal_without_a_code_is_botocores(
    oracle: Oracle, reading: Reading, body: str, status: int
) -> None:
    """A proxy's answer, or half of one, is known by its status."""
    assert isinstance(agree(oracle, reading, response(status, body)), S3Error)


@pytest.mark.parametrize("status", [301, 307, 400, 401, 403, 404, 405, 412, 429, 500, 501, 503])
def test_a_refused_head_has_its_meaning_in_the_status(oracle: Oracle, status: int) -> None:
    """HEAD answers without a body: the code is worked out from the status, as for botocore."""
    result = agree(oracle, READINGS["HeadObject"], response(status))
    assert not result.code.isdigit() or status == 307


@every_call
def test_a_success_without_anything_is_none(oracle: Oracle, reading: Reading) -> None:
    """An empty 200 without headers: an error where the call brings something back."""
    ours = outcome(reading, response(200))
    if reading.root or reading.takes_etag:
        assert isinstance(ours, InvalidResponseError)
        assert (ours.code, ours.status) == ("InvalidResponse", 200)
    else:
        assert not isinstance(ours, S3Error)


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED.keys())
@every_document
def test_a_damaged_success_is_an_invalid_response(reading: Reading, body: str) -> None:
    """No document, half a document, no plain document: a retryable error of its own code."""
    document = body.replace("CopyObjectResult", reading.root)
    result = outcome(reading, response(200, document, {"x-amz-request-id": "R2"}))
    assert isinstance(result, InvalidResponseError)
    assert (result.code, result.status, result.request_id) == ("InvalidResponse", 200, "R2")


@pytest.mark.parametrize("cut", [1, 5, 20, 40])
@every_document
def test_a_truncated_success_is_retried_as_by_botocore(
    oracle: Oracle, reading: Reading, cut: int
) -> None:
    """botocore calls it InternalError, the wire by its name; both are retried."""
    given_ = response(200, reading.document[:-cut])
    ours = outcome(reading, given_)
    judged = oracle.answer(reading.boto, 200, {}, given_.body)
    assert isinstance(ours, InvalidResponseError)
    assert (type(judged), judged.code) == (RetryableS3Error, "InternalError")
    assert ours.retryable


@every_document
def test_another_document_is_no_success(reading: Reading) -> None:
    """The right fields in the wrong document are not this call's answer."""
    result = outcome(reading, response(200, reading.document.replace(reading.root, "Result")))
    assert isinstance(result, InvalidResponseError)


@pytest.mark.parametrize(
    "name, field",
    [
        ("CopyObject", "ETag"),
        ("UploadPartCopy", "ETag"),
        ("CompleteMultipartUpload", "ETag"),
        ("CreateMultipartUpload", "UploadId"),
    ],
)
@pytest.mark.parametrize("form", ["", "<{0}/>", "<{0}></{0}>"])
def test_a_success_without_its_field_is_botocores(
    oracle: Oracle, name: str, field: str, form: str
) -> None:
    """A missing or empty ETag or upload id is the same InvalidResponse as the reference's."""
    root = READINGS[name].root
    body = f"<{root}><Bucket>b</Bucket>{form.format(field)}</{root}>"
    result = agree(oracle, READINGS[name], response(200, body))
    assert isinstance(result, InvalidResponseError)


@pytest.mark.parametrize(
    "body", ["<{0}><ETag>a</ETag><ETag>b</ETag></{0}>", '<{0}><ETag>""</ETag></{0}>']
)
def test_an_unclear_etag_is_none(body: str) -> None:
    """Of two ETags neither counts, and quotes around nothing are nothing."""
    result = outcome(READINGS["CopyObject"], response(200, body.format("CopyObjectResult")))
    assert isinstance(result, InvalidResponseError)


@pytest.mark.parametrize("name", ["UploadPart", "PutObject"])
@pytest.mark.parametrize("etag", ["", '""'])
def test_an_upload_without_an_etag_is_botocores(oracle: Oracle, name: str, etag: str) -> None:
    """The ETag in the headers is what proves the bytes; without it nothing was proven."""
    headers = {"ETag": etag} if etag else {}
    assert isinstance(
        agree(oracle, READINGS[name], response(200, "", headers)), InvalidResponseError
    )


@given(st.binary(max_size=60), st.sampled_from([200, 204, 206]), readings)
def test_garbage_is_never_a_success(body: bytes, status: int, reading: Reading) -> None:
    """For any bytes: the house's error, or a value that the headers alone bring."""
    result = outcome(reading, response(status, body))
    if reading.root or reading.takes_etag:
        assert isinstance(result, InvalidResponseError)


@given(st.binary(max_size=60), st.integers(300, 599), readings)
def test_garbage_with_a_refusal_is_an_error_by_its_status(
    body: bytes, status: int, reading: Reading
) -> None:
    """For any bytes and status: an S3Error of that status."""
    result = outcome(reading, response(status, body))
    assert isinstance(result, S3Error)
    assert result.status == status


@given(listings())
def test_a_page_read_in_steps_is_the_page(body: bytes) -> None:
    """A listing answer read step by step ends in what it is when read in one go."""
    reading = READINGS["ListObjectsV2"]
    whole = outcome(reading, response(200, body))

    def stepwise(given_: Response) -> ListPage:
        answer = pages.ListingAnswer(given_, "source", BUCKET)
        while not answer.advance():
            pass
        return answer.page()

    assert facts(outcome(Reading(reading.boto, stepwise), response(200, body))) == facts(whole)


@pytest.mark.parametrize("value, seconds", [("7", 7.0), ("", None), ("soon", None), ("²", None)])
def test_retry_after_counts_in_digits_only(value: str, seconds: float | None) -> None:
    """Seconds are taken over; a date or nonsense is not."""
    result = outcome(
        READINGS["CopyObject"], response(503, error("SlowDown"), {"Retry-After": value})
    )
    assert isinstance(result, ThrottledError)
    assert result.retry_after_s == seconds


@pytest.mark.parametrize(
    "body",
    [
        "<ErrorResponse><Error><Code>SlowDown</Code></Error><RequestId>r</RequestId></ErrorResponse>",
        '<Error xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Code>SlowDown</Code></Error>',
    ],
)
@pytest.mark.parametrize("status", [200, 503])
@every_body
def test_other_forms_of_an_error_are_read(reading: Reading, status: int, body: str) -> None:
    """Wrapped or in a namespace, an <Error> is one."""
    assert outcome(reading, response(status, body, {"ETag": "x"})).code == "SlowDown"


@pytest.mark.parametrize(
    "body",
    [
        "<Tagging><TagSet><Tag><Value>v</Value></Tag></TagSet></Tagging>",
        "<Tagging><TagSet><Other><Key>k</Key></Other></TagSet></Tagging>",
        "<Tagging><TagSet><Tag><Key>k</Key><Key>l</Key></Tag></TagSet></Tagging>",
        "<Tagging><TagSet/><TagSet/></Tagging>",
    ],
)
def test_tags_that_cannot_be_told_are_refused(body: str) -> None:
    """Lost tags would be a silent loss: an answer that is unclear about them is none."""
    result = outcome(READINGS["GetObjectTagging"], response(200, body))
    assert isinstance(result, InvalidResponseError)


@pytest.mark.parametrize("body", ["<Tagging/>", "<Tagging><TagSet/></Tagging>"])
def test_no_tags_are_no_error(body: str) -> None:
    """An object without tags is an ordinary one."""
    assert outcome(READINGS["GetObjectTagging"], response(200, body)) == {}
