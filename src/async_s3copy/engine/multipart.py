"""A multipart copy inside S3: create, copy the parts concurrently, complete."""

from __future__ import annotations

from typing import Final

from async_s3copy.engine.arrival import prove_arrival
from async_s3copy.engine.etags import repeated_layout
from async_s3copy.engine.plan import PartPlan
from async_s3copy.engine.properties import read_properties
from async_s3copy.engine.transfer import Transfer, pinned
from async_s3copy.engine.upload import SendPart, Upload, open_upload
from async_s3copy.engine.verify import same_etag
from async_s3copy.errors import (
    AccessDeniedError,
    ObjectRejectedError,
    PreconditionFailedError,
    S3Error,
)
from async_s3copy.model import Copied, CopyMethod, S3Location, S3Object
from async_s3copy.s3.values import ByteRange, CompletedPart, ObjectHead, ObjectProperties, Written

_INCOMPLETE: Final = ("InvalidPart", "InvalidRequest", "InvalidArgument", "BadDigest")


async def copy_multipart(
    transfer: Transfer, item: S3Object, target: S3Location, plan: PartPlan
) -> Copied:
    """Copy an object inside S3 part by part, every part pinned to what was listed.

    Costs one HEAD, one Create, one request per part, one Complete; one HEAD more for the layout of
    a source uploaded in parts; GetObjectTagging where there are tags. Content headers, user
    metadata, tags and storage class go into Create, because S3 carries nothing by itself here.

    Raises:
        DestinationExists: The key is taken, and ``overwrite=False``.
        PreconditionFailedError: The object is not what was listed any more.
        ObjectRejectedError: The object is archived, or cannot be copied as is required.
        S3Error: S3 refused; the upload has been aborted.
    """
    await transfer.guard.refuse_if_taken(target)
    head = await readable_head(transfer, item)
    plan = await repeated_layout(transfer, head, plan)
    properties = await read_properties(transfer, head)
    try:
        parts, written = await _copy_parts(transfer, item, target, plan, properties)
    except S3Error as error:
        if not _blames_checksums(transfer, properties, error):
            raise
        parts, written = await _copy_parts(transfer, item, target, plan, properties)
    transfer.server_side_proven = True
    proof = await prove_arrival(
        transfer, item, target, written, head=head, parts=plan, completed=parts
    )
    return Copied(
        item, target, written.etag, CopyMethod.SERVER_SIDE, len(parts), proof, written.version_id
    )


async def _copy_parts(
    transfer: Transfer,
    item: S3Object,
    target: S3Location,
    plan: PartPlan,
    properties: ObjectProperties,
) -> tuple[list[CompletedPart], Written]:
    async with open_upload(transfer, target, properties) as upload:
        parts = await upload.transfer_parts(plan, _part_copier(transfer, upload, item, target))
        if not transfer.source.endpoint.is_aws:
            # A server that ignores x-amz-copy-source-if-match could have mixed two objects.
            await unchanged_head(transfer, item)
        return parts, await upload.complete(parts)


def _blames_checksums(transfer: Transfer, properties: ObjectProperties, error: S3Error) -> bool:
    """Tell whether a server other than AWS has taken an algorithm at first, and not in the end.

    Its parts then lack the checksums that completing the upload would have to repeat. The
    algorithm is left out from then on.
    """
    return (
        error.operation == "CompleteMultipartUpload"
        and error.code in _INCOMPLETE
        and bool(properties.checksum_algorithm)
        and not transfer.destination.endpoint.is_aws
        and transfer.fidelity.may_leave_out("checksum_algorithm")
        and transfer.refusals.refuse("checksum_algorithm", properties, error.code)
    )


async def readable_head(transfer: Transfer, item: S3Object) -> ObjectHead:
    """Read an object's head before it is copied in parts, with its checksums as far as wanted.

    Raises:
        ObjectRejectedError: It is archived, so that no upload needs to be opened.
        PreconditionFailedError: It is not what was listed any more.
    """
    wanted = transfer.fidelity.reads_checksums or transfer.options.verify == "checksum"
    head = await _with_checksums(transfer, item) if wanted else await unchanged_head(transfer, item)
    if head.archived:
        raise ObjectRejectedError("InvalidObjectState", "archived, says its HEAD")
    return head


async def unchanged_head(
    transfer: Transfer, item: S3Object, *, checksums: bool = False
) -> ObjectHead:
    """Read an object's head, and make sure that it is still the one that was listed.

    Raises:
        PreconditionFailedError: Its ETag is another.
    """
    head = await transfer.head_source(item, checksums=checksums)
    refuse_if_changed(item, head, "HeadObject")
    return head


def refuse_if_changed(item: S3Object, head: ObjectHead, operation: str) -> None:
    """Compare what answered with what was listed: not every server honours If-Match.

    Raises:
        PreconditionFailedError: Its ETag is another.
    """
    if item.etag and not same_etag(head.object.etag, item.etag):
        raise PreconditionFailedError(
            f"the ETag is {head.object.etag}, not {item.etag} as listed",
            code="PreconditionFailed",
            operation=operation,
            side="source",
            bucket=item.bucket,
            key=item.key,
        )


async def _with_checksums(transfer: Transfer, item: S3Object) -> ObjectHead:
    """Read a head with checksums: of an object encrypted with KMS that takes kms:Decrypt, too.

    Who may not use the key still learns the rest by a second HEAD
    (https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html, x-amz-checksum-mode).
    """
    try:
        return await unchanged_head(transfer, item, checksums=True)
    except AccessDeniedError as error:
        head = await unchanged_head(transfer, item)
        _checksum_unknown(transfer, item, error)
        return head


def _checksum_unknown(transfer: Transfer, item: S3Object, error: S3Error) -> None:
    if not transfer.fidelity.reads_checksums:
        return
    if not transfer.fidelity.may_leave_out("checksum_algorithm"):
        error.message += "; its checksum takes kms:Decrypt, too, where a KMS key encrypts it"
        raise error
    transfer.refusals.left_out("checksum_algorithm", f"of {item}", str(error))


def _part_copier(
    transfer: Transfer, upload: Upload, item: S3Object, target: S3Location
) -> SendPart:
    async def copy_part(number: int, byte_range: ByteRange) -> CompletedPart:
        return await transfer.governor.call(
            lambda: transfer.destination.copy_part(
                target.bucket,
                target.key or "",
                upload.upload_id,
                number,
                source=pinned(item),
                byte_range=byte_range,
            )
        )

    return copy_part
