"""``await split_prefix(...)``: a prefix as key ranges, to be copied side by side."""

from __future__ import annotations

import logging
import uuid
from itertools import pairwise
from typing import Final

from async_s3copy import rules
from async_s3copy.engine.connect import connected_source
from async_s3copy.engine.governor import governed
from async_s3copy.engine.ranges import UndividedError
from async_s3copy.engine.shared import Place
from async_s3copy.engine.survey import Survey
from async_s3copy.metrics import MetricsRecorder
from async_s3copy.model import S3Location
from async_s3copy.operation import AccountLike
from async_s3copy.options import CopyOptions
from async_s3copy.s3.account import Account, as_account

logger = logging.getLogger("async_s3copy")

MAX_SHARDS: Final = 1_000
"""More are of no use: one process copies what S3 allows a prefix, and Airflow maps 1,024 tasks."""


async def split_prefix(
    source_url: str,
    shards: int,
    *,
    source: AccountLike = None,
    options: CopyOptions | None = None,
) -> list[dict[str, str | None]]:
    """Sample a prefix and divide it into key ranges, to be copied by one operation each.

    Each range holds the keys after ``start_after`` up to ``up_to``, itself included: arguments of
    ``copy`` and ``S3CopyOperation``. Together they hold every key exactly once, also keys that
    appear later. They are cut at keys that exist, so that they hold about as many keys each, of
    whatever size: a prefix of few pages exactly, any other by a sample. At 10^6 keys the largest
    of 16 ranges held 1.00 to 1.16 times the average, over seven shapes of keys; where folders of
    very different sizes have names without a pattern, it may hold a few times as much.

    Args:
        source_url: ``s3://bucket/prefix``, or ``s3://bucket/`` for all of it.
        shards: Ranges at most, 1 to 1,000. Fewer where there are fewer keys.
        source: Whose credentials list: an ``Account``, an aioboto3 or aiobotocore session, or
            ``None`` for the default chain.
        options: The engine's knobs; those of requests and listings count. ``None`` takes the
            defaults.

    Returns:
        ``{"start_after": ..., "up_to": ...}`` for each range, in key order; ``None`` at the two
        ends. A single range, and one warning in the log, where the server lists in another order
        than S3 or not from a key on.

    Raises:
        ValidationError: A parameter breaks its rule.
        S3Error: The prefix cannot be listed.
        OutageError: No request has succeeded for ``outage_after_s``.
        CredentialsError: There are no usable credentials.

    Costs at most 19 listing requests per range (160 in all for few ranges, 4,000 for many), eight
    at a time by default, and three more to a server other than S3. Cancelled, it closes its client.
    """
    where = S3Location.parse(source_url, name="source_url")
    rules.check_int("shards", shards, 1, MAX_SHARDS)
    try:
        cuts = await _survey(where, shards, as_account("source", source), options or CopyOptions())
    except UndividedError as reason:
        logger.warning("split_prefix.undivided: %s: %s stays one range", reason, where)
        cuts = []
    ends = pairwise([None, *cuts, None])
    return [{"start_after": after, "up_to": up_to} for after, up_to in ends]


async def _survey(
    where: S3Location, shards: int, account: Account, options: CopyOptions
) -> list[str]:
    recorder = MetricsRecorder(str(uuid.uuid4()))
    async with connected_source(account, options, recorder.unseen_request) as client:
        place = Place(client.endpoint.url, where.bucket)
        with governed(options, recorder, source=place, destination=place) as governor:
            return await Survey(client, governor, where).cuts(shards)
