"""No success out of garbage: right answers, damaged, are read as botocore reads them or refused."""

from __future__ import annotations

import html
from collections.abc import Iterator
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from async_s3copy.errors import S3Error
from async_s3copy.s3.values import ListPage
from tests.fuzz_mutations import damaged
from tests.fuzz_targets import ROOTS, fuzz_listing, fuzz_xml
from tests.wire_oracle import STYLES, Oracle
from tests.wire_readings import READINGS, outcome, response
from tests.wire_samples import LISTINGS

pytestmark = pytest.mark.stack_b

WITH_DOCUMENT: Final = sorted(name for name, reading in READINGS.items() if reading.document)
# The same every time, and without a deadline: the machine may be busy.
few = settings(max_examples=40, derandomize=True, deadline=None)
LISTS: Final = [name for name in WITH_DOCUMENT if name.startswith("List")]


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    """The reference client, ending before the network."""
    made = Oracle(STYLES[0])
    yield made
    made.close()


@pytest.mark.parametrize("name", WITH_DOCUMENT)
@few
@given(data=st.data())
def test_a_damaged_answer_is_what_botocore_reads_or_an_error(
    oracle: Oracle, name: str, data: st.DataObject
) -> None:
    """Whatever became of a right answer: what botocore reads in it, or an S3Error.

    Neither client raises anything else.
    """
    reading = READINGS[name]
    given_ = response(200, data.draw(damaged(reading.document)))
    ours = outcome(reading, given_)
    judged = oracle.answer(reading.boto, 200, {}, given_.body)
    if isinstance(ours, S3Error):
        return
    if not isinstance(judged, S3Error):
        assert undated(ours) == undated(judged)
    elif name not in LISTS and not isinstance(ours, dict):
        # botocore stumbles over fields that are there twice, also where nobody asks for them.
        assert getattr(ours, "etag", ours) in html.unescape(given_.body.decode())


def undated(found: Any) -> Any:
    """Return what two readings are compared by: botocore takes more texts for dates."""
    if isinstance(found, ListPage):
        objects = [(each.key, each.size, each.etag, each.storage_class) for each in found.objects]
        return objects, found.next_token, found.truncated
    if isinstance(found, list):
        return [(each.key, each.upload_id) for each in found]
    return found.strip() if isinstance(found, str) else found


@pytest.mark.parametrize("name", WITH_DOCUMENT)
def test_an_answer_cut_off_anywhere_is_no_success(name: str) -> None:
    """At every byte: the document's end is missing, so whatever arrived does not count."""
    reading = READINGS[name]
    whole = reading.document.rstrip().encode()
    assert not isinstance(outcome(reading, response(200, whole)), S3Error)
    for end in range(len(whole)):
        error = outcome(reading, response(200, whole[:end]))
        assert isinstance(error, S3Error), (end, error)
        assert error.retryable


@pytest.mark.parametrize("name", WITH_DOCUMENT)
@pytest.mark.parametrize("status", [200, 301, 400, 403, 404, 412, 500, 503])
def test_no_status_turns_garbage_into_a_crash(name: str, status: int) -> None:
    """HTML, JSON, nothing, noise, another call's answer: an S3Error each."""
    others = [READINGS[other].document.encode() for other in WITH_DOCUMENT if other != name]
    garbage = [b"", b"\0" * 64, b"\xff\xfe<\0a\0", b"<html></html>", b'{"ETag": "x"}', *others]
    for body in garbage:
        found: Any = outcome(READINGS[name], response(status, body))
        assert isinstance(found, S3Error), (body, found)


@few
@given(st.sampled_from(sorted(LISTINGS)).flatmap(lambda name: damaged(LISTINGS[name])))
def test_both_ways_to_read_a_damaged_page_agree(body: bytes) -> None:
    """The quick way sees neither more keys nor others than expat does."""
    fuzz_listing(body)


@few
@given(st.sampled_from(WITH_DOCUMENT).flatmap(lambda name: damaged(READINGS[name].document)))
def test_a_damaged_document_is_read_as_elementtree_reads_it(body: bytes) -> None:
    """In any pieces, with or without the quick ways."""
    fuzz_xml(body)


def test_every_call_whose_success_is_a_document_is_fuzzed() -> None:
    """The targets of ``make fuzz`` know the roots that the readings know."""
    known = {root for roots in ROOTS.values() for root in roots}
    parts = {"CopyPartResult", "ListMultipartUploadsResult", "ListVersionsResult"}
    assert {READINGS[name].root for name in WITH_DOCUMENT} <= known | parts
