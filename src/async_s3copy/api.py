"""``await copy(...)``: the door for Python programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

from async_s3copy.metrics import TransferMetrics
from async_s3copy.model import S3Location
from async_s3copy.observer import Observer
from async_s3copy.operation import AccountLike, S3CopyOperation, StoreCheckpoint
from async_s3copy.options import Archived, ClientChoice, CopyOptions, Method, Verify
from async_s3copy.preserve import OverrideArguments, Preserve


async def copy(
    source_url: str,
    destination_url: str,
    *,
    source: AccountLike = None,
    destination: AccountLike = None,
    recursive: bool = False,
    overwrite: bool = True,
    batch_size: int = 100,
    method: Method | None = None,
    client: ClientChoice | None = None,
    max_concurrent_requests: int | None = None,
    max_requests_per_second: float | None = None,
    fail_fast: bool | None = None,
    preserve: Preserve | None = None,
    verify: Verify | None = None,
    archived: Archived | None = None,
    requester_pays: bool | None = None,
    source_bucket_owner: str | None = None,
    destination_bucket_owner: str | None = None,
    options: CopyOptions | None = None,
    observer: Observer | None = None,
    report: str | Path | None = None,
    start_after: str | None = None,
    up_to: str | None = None,
    version_id: str | None = None,
    pin_versions: bool = False,
    all_versions: bool = False,
    resume_from: Mapping[str, Any] | None = None,
    on_checkpoint: StoreCheckpoint | None = None,
    checkpoint_interval_s: float = 10.0,
    **overrides: Unpack[OverrideArguments],
) -> TransferMetrics:
    """Copy an object, a prefix or a whole bucket, inside S3 or across accounts.

    Args:
        source_url: ``s3://bucket/key``, or ``s3://bucket/prefix`` where ``recursive``.
        destination_url: ``s3://bucket/key-or-prefix``. Not recursive, one that ends in ``/``
            receives the last part of the source's name.
        source: Whose credentials list and read: an ``Account``, an ``aioboto3.Session``, an
            aiobotocore ``AioSession``, or ``None`` for the default chain.
        destination: Whose credentials copy and write; likewise.
        recursive: Copy every key that starts with the source key, replacing that prefix. Default
            ``False``: exactly one object.
        overwrite: ``True`` (default) replaces existing objects, ``False`` skips them.
        batch_size: Objects handed to the workers together, 1 to 1,000. Default 100.
        method: ``"auto"``, ``"server_side"`` or ``"relay"``; ``None`` takes the options'.
        client: ``"auto"``, ``"wire"`` or ``"boto"``; ``None`` takes the options'.
        max_concurrent_requests: Requests in flight at most; ``None`` takes the options'.
        max_requests_per_second: Requests started per second at most; ``None`` takes the options'.
        fail_fast: Stop at the first failed object; ``None`` takes the options'.
        preserve: What of an object travels with its bytes, and how much that matters; ``None``
            takes the options'.
        verify: ``"etag"``, ``"checksum"`` or ``"none"``: how each object's arrival is proven;
            ``None`` takes the options'.
        archived: ``"fail"`` or ``"skip"`` objects that are archived; ``None`` takes the options'.
        requester_pays: Whether the requester pays; ``None`` takes the options'.
        source_bucket_owner: Account id that must own the source bucket; ``None`` takes the
            options'.
        destination_bucket_owner: Account id that must own the destination bucket; likewise.
        options: Every other knob; ``None`` for the defaults.
        observer: Is told of progress.
        report: File that receives one JSON line per object; ``None`` writes none.
        start_after: Copy only keys after this one; needs ``recursive``.
        up_to: Copy only keys up to this one, itself included; needs ``recursive``.
        version_id: Version of the one object to copy; ``None`` copies the current one.
        pin_versions: Copy each object in the version that the listing shows; needs ``recursive``.
        all_versions: Copy every version, the oldest first, and delete markers; the destination
            bucket must have versioning enabled.
        resume_from: A checkpoint of an earlier run: copy only what was left.
        on_checkpoint: Stores a checkpoint, such as ``json.dumps`` takes; awaited now and then.
        checkpoint_interval_s: Seconds between two checkpoints. Default 10.
        **overrides: What is written instead of the source's own: any field of ``Overrides``, such
            as ``content_type=``, ``metadata=``, ``tags=``, ``storage_class=`` or ``acl=``. They go
            before those of the options.

    Returns:
        The final metrics; every object found was copied or skipped.

    Raises:
        ValidationError: A parameter breaks its rule; nothing was written.
        S3Error: A bucket, key or permission is missing; nothing was written.
        CredentialsError: One side has no usable credentials; nothing was written.
        CopyFailedError: Objects failed or the listing broke off; has the metrics.

    Costs one request per small object and one per 1,000 listed keys, and a few to validate.
    Cancelled, it aborts every open multipart upload and lets ``CancelledError`` pass.
    """
    read = S3Location.parse(source_url, name="source_url")
    write = S3Location.parse(destination_url, name="destination_url")
    given: dict[str, Any] = {
        name: value
        for name, value in (
            ("method", method),
            ("client", client),
            ("max_concurrent_requests", max_concurrent_requests),
            ("max_requests_per_second", max_requests_per_second),
            ("fail_fast", fail_fast),
            ("preserve", preserve),
            ("verify", verify),
            ("archived", archived),
            ("requester_pays", requester_pays),
            ("source_bucket_owner", source_bucket_owner),
            ("destination_bucket_owner", destination_bucket_owner),
        )
        if value is not None
    }
    options = options or CopyOptions()
    if overrides:
        given["overrides"] = replace(options.overrides, **overrides)
    operation = S3CopyOperation(
        read.bucket,
        read.key,
        write.bucket,
        write.key,
        recursive=recursive,
        batch_size=batch_size,
        overwrite=overwrite,
        source=source,
        destination=destination,
        options=replace(options, **given),
        observer=observer,
        report=report,
        start_after=start_after,
        up_to=up_to,
        version_id=version_id,
        pin_versions=pin_versions,
        all_versions=all_versions,
        resume_from=resume_from,
        on_checkpoint=on_checkpoint,
        checkpoint_interval_s=checkpoint_interval_s,
    )
    return await operation.run()
