"""Terms: what every request about a bucket says, whatever it asks for. Pure.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/ObjectsinRequesterPaysBuckets.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/ServerSideEncryptionCustomerKeys.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from async_s3copy.errors import Side
from async_s3copy.model import S3Location
from async_s3copy.options import CopyOptions
from async_s3copy.s3.account import Account, Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketTerms:
    """Say on what terms a bucket is spoken to.

    Attributes:
        expected_owner: Account id that must own the bucket; empty for any.
        requester_pays: Whether whoever asks also pays.
        customer_key: Key of the bucket's objects (SSE-C), in base64; ``None`` for none.
    """

    expected_owner: str = ""
    requester_pays: bool = False
    customer_key: Secret | None = field(default=None, repr=False)


ANY_TERMS: Final = BucketTerms()
"""None at all."""


@dataclass(frozen=True, slots=True)
class Terms:
    """Say on what terms the two buckets of a copy are spoken to.

    Both may have one name: they are then on two services, or one bucket whose objects get a new
    key. Each side's client means its own by it, and what is copied is always the source's.

    Attributes:
        source: Terms of the source bucket, by its name.
        destination: Terms of the destination bucket, likewise.
    """

    source: Mapping[str, BucketTerms] = field(default_factory=dict)
    destination: Mapping[str, BucketTerms] = field(default_factory=dict)

    def __bool__(self) -> bool:
        terms = (*self.source.values(), *self.destination.values())
        return any(each != ANY_TERMS for each in terms)

    def addressed(self, side: Side, bucket: str) -> BucketTerms:
        """Return the terms of the bucket that a side's request is sent to."""
        first, second = self.source, self.destination
        if side == "destination":
            first, second = second, first
        return first.get(bucket) or second.get(bucket) or ANY_TERMS

    def copied(self, bucket: str) -> BucketTerms:
        """Return the terms of the bucket that a request copies from."""
        return self.source.get(bucket) or self.destination.get(bucket) or ANY_TERMS


NO_TERMS: Final = Terms()
"""The default: any owner, whoever owns a bucket pays, no keys."""


def terms_of(
    options: CopyOptions,
    source: tuple[Account, S3Location],
    destination: tuple[Account, S3Location],
) -> Terms:
    """Return the terms of a copy's two buckets, for the clients of both sides.

    The destination's credentials also read the source.
    """
    return Terms(
        _terms(source, options.source_bucket_owner, options.requester_pays),
        _terms(destination, options.destination_bucket_owner, options.requester_pays),
    )


def _terms(
    side: tuple[Account, S3Location], owner: str | None, requester_pays: bool
) -> Mapping[str, BucketTerms]:
    account, where = side
    key = account.customer_key
    terms = BucketTerms(
        expected_owner=owner or "",
        requester_pays=requester_pays,
        customer_key=key if isinstance(key, Secret) else None,
    )
    return {where.bucket: terms}
