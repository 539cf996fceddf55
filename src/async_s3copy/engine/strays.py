"""Strays: uploads that S3 opened for a CreateMultipartUpload whose answer never arrived.

Nobody knows their names, so they are found by their key and the time they began. A foreign upload
of the same key must not be taken for one. Of what S3 lists, those are ours that began between the
first attempt and the one that was answered, on S3's own clock: the upload that has a name is listed
with them, and tells when that was. Whoever opens an upload of the very same key within those
moments cannot be told apart; that upload is aborted, too, which its owner notices at its next part.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from async_s3copy.engine.transfer import Transfer
from async_s3copy.model import S3Location
from async_s3copy.s3.values import OpenUpload

# Servers round the time that an upload began, to a second at most.
_ROUNDING: Final = timedelta(seconds=2)
# How far apart two clocks are that are both set by NTP, and more.
_CLOCKS_APART: Final = timedelta(seconds=5)
_NEVER_SAID: Final = timedelta(days=1)


async def find_strays(
    transfer: Transfer, target: S3Location, upload_id: str, began: datetime, lasted: timedelta
) -> Sequence[str]:
    """Return the ids of the uploads that lost answers were about. Costs one request.

    Args:
        transfer: The operation's shared state.
        target: The key that the uploads are for.
        upload_id: The upload that has a name, still open; empty where every answer was lost.
        began: When the first attempt was sent, on this machine's clock.
        lasted: How long it took from there until the answer.

    Raises:
        LookupError: The server does not tell when uploads began.
        S3Error: The uploads cannot be listed.
    """
    listed = await transfer.governor.call(
        lambda: transfer.destination.list_uploads(target.bucket, target.key or "")
    )
    return strays(listed, upload_id, began, lasted)


def strays(
    listed: Sequence[OpenUpload], upload_id: str, began: datetime, lasted: timedelta
) -> Sequence[str]:
    """Choose among the open uploads of a key those that lost answers were about. Pure.

    Raises:
        LookupError: There are others, and the server does not tell when they began.
    """
    others = [each for each in listed if each.upload_id != upload_id]
    named = next((each for each in listed if each.upload_id == upload_id), None)
    if any(each.initiated.timestamp() < _NEVER_SAID.total_seconds() for each in others):
        raise LookupError("the server does not tell when uploads began")
    if named is None:
        return [each.upload_id for each in others if each.initiated >= began - _CLOCKS_APART]
    first, last = named.initiated - lasted - _ROUNDING, named.initiated + _ROUNDING
    return [each.upload_id for each in others if first <= each.initiated <= last]
