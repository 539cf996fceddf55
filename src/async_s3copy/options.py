"""Every knob of the engine in one frozen object, validated once, each default with its reason."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

from async_s3copy import rules
from async_s3copy.errors import ValidationError
from async_s3copy.preserve import Overrides, Preserve

Method = Literal["auto", "server_side", "relay"]
ClientChoice = Literal["auto", "wire", "boto"]
Verify = Literal["etag", "checksum", "none"]
Archived = Literal["fail", "skip"]

_ACCOUNT_ID = re.compile(r"\d{12}")

KIB: Final = 1024
MIB: Final = 1024 * KIB
GIB: Final = 1024 * MIB
TIB: Final = 1024 * GIB

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
MAX_COPY_SOURCE_BYTES: Final = 5 * GIB
"""CopyObject takes sources up to 5 GiB."""
MIN_PART_BYTES: Final = 5 * MIB
"""Every part but the last has at least 5 MiB."""
MAX_PART_BYTES: Final = 5 * GIB
"""No part has more than 5 GiB."""
MAX_PARTS: Final = 10_000
"""A multipart upload has at most 10,000 parts."""
MAX_OBJECT_BYTES: Final = MAX_PARTS * MAX_PART_BYTES
"""10,000 parts of 5 GiB: 48.8 TiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyOptions:
    """Tune the engine; the defaults suit a copy inside one Region.

    Attributes:
        method: ``"server_side"`` copies inside S3 (the destination's credentials must be able to
            read the source), ``"relay"`` moves the bytes through this process (GET, then PUT),
            ``"auto"`` finds out once which of the two works. Default ``"auto"``.
        client: ``"wire"`` sends the hot calls over connections of its own, with a fraction of the
            CPU time; it needs an ordinary configuration (SigV4, no proxy, no hooks). ``"boto"``
            sends everything through aiobotocore, which takes any. ``"auto"``, the default, takes
            the wire where it can, and logs once why where it cannot.
        max_concurrent_requests: Requests in flight at most, over listing, copies and parts of all
            objects together. Default 128: at 30-200 ms a request this fills what one core of
            Python can drive, and stays far below S3's 3,500 COPY/s per prefix.
        max_requests_per_second: A cap of your own on the request rate of this operation; ``None``,
            the default, lets the governor find S3's limit and stay under it.
        max_concurrent_listings: Listing requests in flight at most. A prefix whose listing holds
            the copies back is divided into key ranges that are listed at the same time. Default 8:
            at 100 ms a page that is 80,000 keys a second, more than one process can copy. 1 lists
            page by page, in key order.
        max_queued_batches: How far the listing may run ahead of the workers, in batches. Default
            20: two pages of 1,000 keys at the default batch size, which hides a page's latency
            and bounds memory.
        fail_fast: Stop listing and copying at the first failed object. Default ``False``: go on,
            and report every failure at the end.
        multipart_threshold_bytes: Objects of this size and more are copied in parts. Default 1 GiB,
            as the AWS Common Runtime does: below it, one CopyObject is one request instead of
            ten or more, and keeps properties that S3 carries by itself. At most 5 GiB, CopyObject's
            own limit; at least 5 MiB.
        part_size_bytes: Smallest part of a server-side multipart copy. Default 128 MiB, as the AWS
            Common Runtime does: no bytes travel through this process, so a part costs one request
            whatever its size, and 128 MiB is past the point where S3's throughput per part stops
            growing. Grows by itself so that no object needs more than 10,000 parts.
        relay_multipart_threshold_bytes: Relayed objects of this size and more are uploaded in
            parts. Default 32 MiB: a smaller one is held in memory once, checked, and sent with a
            single PUT.
        relay_part_size_bytes: Smallest part of a relayed object. Default 16 MiB: large enough for
            throughput, small enough that several fit the memory bound.
        relay_memory_bytes: Bytes of object data held in memory at most, over all relayed objects
            and parts. Default 128 MiB: eight parts at a time, in a process that stays below
            256 MiB. An object whose single part is larger (beyond about 1.2 TiB with the default)
            fails with a message that names this option.
        max_attempts: Attempts per request, the first included. Default 10: with the waits below a
            request survives half a minute of errors on average, and a minute at most.
        retry_base_s: Upper bound of the first wait before a retry, in seconds; it doubles each time
            and the wait is drawn evenly from zero to the bound (full jitter). Default 0.2.
        retry_max_s: Largest bound of a wait, in seconds. Default 20, as the AWS SDKs do.
        outage_after_s: When every request to a bucket has failed for so long, in seconds, the
            operation ends with an error about the server instead of failing object after object.
            Default 60: twice what a request's own retries bridge on average.
        connect_timeout_s: Time for opening a connection, in seconds. Default 10.
        read_timeout_s: Longest silence while waiting for a response, in seconds. Default 120: S3
            may think for a minute over a large CopyObject before its first byte.
        cleanup_timeout_s: Time for aborting the open uploads of one object after a failure or a
            cancellation, in seconds. Default 30.
        preserve: What of an object travels with its bytes. The default carries what costs no
            request of its own.
        overrides: What is written instead of the source's own properties. Default: nothing.
        verify: How the arrival of an object is proven. ``"etag"``, the default, compares ETags
            where both can be compared, which costs no request; ``"checksum"`` compares full-object
            checksums, or sizes where there are none to compare, for one or two HEADs an object;
            ``"none"`` compares nothing. Each object's proof is told in its outcome.
        archived: What becomes of an object that is archived (S3 Glacier Flexible Retrieval, Deep
            Archive, or an archive tier of Intelligent-Tiering) and not restored: ``"fail"``, the
            default, reports it; ``"skip"`` counts it as skipped.
        requester_pays: Whether the requester pays for requests to either bucket. Default ``False``:
            who pays should be decided, not found out.
        source_bucket_owner: Account id, 12 digits, that must own the source bucket: S3 refuses
            every request otherwise. Default ``None``: any.
        destination_bucket_owner: Account id that must own the destination bucket; likewise.
        max_errors_kept: Failures kept in memory and in the metrics. Default 100; each one is also
            handed to the observer and the report, so none is lost.

    Raises:
        ValidationError: An option breaks its rule.
    """

    method: Method = "auto"
    client: ClientChoice = "auto"
    max_concurrent_requests: int = 128
    max_requests_per_second: float | None = None
    max_concurrent_listings: int = 8
    max_queued_batches: int = 20
    fail_fast: bool = False
    multipart_threshold_bytes: int = 1 * GIB
    part_size_bytes: int = 128 * MIB
    relay_multipart_threshold_bytes: int = 32 * MIB
    relay_part_size_bytes: int = 16 * MIB
    relay_memory_bytes: int = 128 * MIB
    max_attempts: int = 10
    retry_base_s: float = 0.2
    retry_max_s: float = 20.0
    outage_after_s: float = 60.0
    connect_timeout_s: float = 10.0
    read_timeout_s: float = 120.0
    cleanup_timeout_s: float = 30.0
    max_errors_kept: int = 100
    preserve: Preserve = field(default_factory=Preserve)
    overrides: Overrides = field(default_factory=Overrides)
    verify: Verify = "etag"
    archived: Archived = "fail"
    requester_pays: bool = False
    source_bucket_owner: str | None = None
    destination_bucket_owner: str | None = None

    def __post_init__(self) -> None:
        _check_choice("method", self.method, get_args(Method))
        _check_choice("client", self.client, get_args(ClientChoice))
        _check_choice("verify", self.verify, get_args(Verify))
        _check_choice("archived", self.archived, get_args(Archived))
        rules.check_bool("fail_fast", self.fail_fast)
        rules.check_bool("requester_pays", self.requester_pays)
        self._check_fidelity()
        rules.check_int("max_concurrent_requests", self.max_concurrent_requests, 1, 10_000)
        if self.max_requests_per_second is not None:
            rules.check_rate("max_requests_per_second", self.max_requests_per_second)
        rules.check_int("max_concurrent_listings", self.max_concurrent_listings, 1, 1_000)
        rules.check_int("max_queued_batches", self.max_queued_batches, 1)
        rules.check_int("max_attempts", self.max_attempts, 1, 100)
        rules.check_int("max_errors_kept", self.max_errors_kept, 0, 100_000)
        self._check_sizes()
        for name in (
            "retry_base_s",
            "retry_max_s",
            "outage_after_s",
            "connect_timeout_s",
            "read_timeout_s",
            "cleanup_timeout_s",
        ):
            rules.check_seconds(name, getattr(self, name))

    def _check_fidelity(self) -> None:
        for name, kind in (("preserve", Preserve), ("overrides", Overrides)):
            value = getattr(self, name)
            if not isinstance(value, kind):
                raise ValidationError(name, value, f"be of the class {kind.__name__}")
        for name in ("source_bucket_owner", "destination_bucket_owner"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, str) and _ACCOUNT_ID.fullmatch(value)):
                raise ValidationError(name, value, "be an AWS account id of 12 digits, as a string")

    def _check_sizes(self) -> None:
        for name, high in (
            ("multipart_threshold_bytes", MAX_COPY_SOURCE_BYTES),
            ("part_size_bytes", MAX_PART_BYTES),
            ("relay_multipart_threshold_bytes", MAX_PART_BYTES),
            ("relay_part_size_bytes", MAX_PART_BYTES),
        ):
            rules.check_int(name, getattr(self, name), MIN_PART_BYTES, high)
        rules.check_int("relay_memory_bytes", self.relay_memory_bytes, MIN_PART_BYTES)
        largest = max(self.relay_multipart_threshold_bytes, self.relay_part_size_bytes)
        if self.relay_memory_bytes < largest:
            raise ValidationError(
                "relay_memory_bytes",
                self.relay_memory_bytes,
                f"be at least the relay's largest single buffer, {largest:,} bytes",
            )


def _check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValidationError(name, value, f"be one of {', '.join(choices)}")
