"""Requests signed anew: no attempt is spent on it, and it has an end."""

from __future__ import annotations

import pytest

from async_s3copy import AccessDeniedError, CopyOptions, CredentialsError, S3Error
from tests.test_governor import OPTIONS, Rig, answers, refused

SINGLE = CopyOptions(max_attempts=1)


def superseded() -> S3Error:
    error = refused("ExpiredToken", 400)
    error.superseded = True
    return error


async def test_a_request_signed_anew_spends_no_attempt_and_waits_for_nothing() -> None:
    """Even a request with one attempt is sent again, and counted as a retry."""
    rig = Rig(SINGLE)
    assert await rig.governor.call(answers([superseded(), superseded(), "done"])) == "done"
    assert rig.waits == []
    assert (rig.metrics.requests_sent, rig.metrics.requests_retried) == (3, 2)


async def test_a_request_refused_however_it_is_signed_ends_the_run() -> None:
    """Four times with ever other keys: not this request's fault, and not tried for ever."""
    rig = Rig()
    with pytest.raises(CredentialsError, match="refused 4 requests in a row") as caught:
        await rig.governor.call(answers([superseded()] * 4))
    assert caught.value.side == "destination"
    assert rig.metrics.requests_sent == 4


async def test_keys_that_were_never_accepted_are_refused_at_once() -> None:
    """While validating a mistyped access key costs one request, not five with waits."""
    rig = Rig()
    with pytest.raises(AccessDeniedError):
        await rig.governor.call(answers([refused("InvalidAccessKeyId", 403)]))
    assert rig.waits == []


async def test_keys_that_s3_forgets_in_mid_run_are_tried_again_then_end_the_run() -> None:
    """A part of S3 may not know new keys yet; deleted ones are no object's failure."""
    rig = Rig()
    forgotten = refused("InvalidAccessKeyId", 403)
    await rig.governor.call(answers(["done"]))
    assert await rig.governor.call(answers([forgotten, "done"])) == "done"
    assert len(rig.waits) == 1
    with pytest.raises(CredentialsError, match="does not know them any more"):
        await rig.governor.call(answers([forgotten] * OPTIONS.max_attempts))


async def test_a_signature_that_does_not_match_is_one_objects_matter() -> None:
    """A server may fail to verify an odd key; the other objects go on."""
    rig = Rig()
    await rig.governor.call(answers(["done"]))
    with pytest.raises(AccessDeniedError):
        await rig.governor.call(answers([refused("SignatureDoesNotMatch", 403)]))
    assert rig.waits == []
