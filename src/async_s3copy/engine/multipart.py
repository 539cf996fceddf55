"""A multipart copy inside S3: create, copy the parts concurrently, complete."""

from __future__ import annotations

from async_s3copy.engine.plan import PartPlan
from async_s3copy.engine.properties import read_properties
from async_s3copy.engine.transfer import Transfer, pinned
from async_s3copy.engine.upload import SendPart, Upload, open_upload
from async_s3copy.engine.verify import same_etag
from async_s3copy.errors import PreconditionFailedError
from async_s3copy.model import Copied, CopyMethod, S3Location, S3Object
from async_s3copy.s3.client import ByteRange, CompletedPart, ObjectHead


async def copy_multipart(
    transfer: Transfer, item: S3Object, target: S3Location, plan: PartPlan
) -> Copied:
    """Copy an object inside S3 part by part, every part pinned to what was listed.

    Costs one HEAD, one Create, one request per part, one Complete; GetObjectTagging where there
    are tags. Content headers, user metadata, tags and storage class go into Create, because S3
    carries nothing by itself here.

    Raises:
        DestinationExists: The key is taken, and ``overwrite=False``.
        PreconditionFailedError: The object is not what was listed any more.
        S3Error: S3 refused; the upload has been aborted.
    """
    await transfer.guard.refuse_if_taken(target)
    head = await unchanged_head(transfer, item)
    properties = await read_properties(transfer, head)
    async with open_upload(transfer, target, properties) as upload:
        parts = await upload.transfer_parts(plan, _part_copier(transfer, upload, item, target))
        if not transfer.source.endpoint.is_aws:
            # A server that ignores x-amz-copy-source-if-match could have mixed two objects.
            await unchanged_head(transfer, item)
        etag = await upload.complete(parts)
    transfer.server_side_proven = True
    return Copied(item, target, etag, CopyMethod.SERVER_SIDE, len(parts))


async def unchanged_head(transfer: Transfer, item: S3Object) -> ObjectHead:
    """Read an object's head, and make sure that it is still the one that was listed.

    Raises:
        PreconditionFailedError: Its ETag is another.
    """
    head = await transfer.head_source(item)
    if item.etag and not same_etag(head.object.etag, item.etag):
        raise PreconditionFailedError(
            f"the ETag is {head.object.etag}, not {item.etag} as listed",
            code="PreconditionFailed",
            operation="HeadObject",
            side="source",
            bucket=item.bucket,
            key=item.key,
        )
    return head


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
