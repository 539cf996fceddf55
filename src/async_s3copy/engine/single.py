"""One CopyObject: one request per object, pinned to what was listed."""

from __future__ import annotations

from async_s3copy.engine.properties import carried_storage_class, with_storage_class
from async_s3copy.engine.transfer import Transfer, pinned
from async_s3copy.engine.verify import md5_etag, same_etag
from async_s3copy.errors import S3Error
from async_s3copy.model import Copied, CopyMethod, S3Location, S3Object


async def copy_single(transfer: Transfer, item: S3Object, target: S3Location) -> Copied:
    """Copy an object inside S3 with a single request.

    S3 carries content headers, user metadata and tags by itself; the storage class is sent.

    Raises:
        DestinationExists: The key is taken, and ``overwrite=False``.
        PreconditionFailedError: The object is not what was listed any more.
        S3Error: S3 refused.
    """
    source = pinned(item)

    async def copy(storage_class: str, if_none_match: bool) -> str:
        return await transfer.governor.call(
            lambda: transfer.destination.copy_object(
                target.bucket,
                target.key or "",
                source,
                storage_class=storage_class,
                if_none_match=if_none_match,
            )
        )

    async def send(if_none_match: bool) -> str:
        storage_class = carried_storage_class(item.storage_class)
        if not storage_class:
            return await copy("", if_none_match)
        return await with_storage_class(
            transfer, storage_class, lambda name: copy(name, if_none_match)
        )

    etag = await transfer.guard.write("copy", target, send)
    transfer.server_side_proven = True
    copied = item if same_etag(etag, item.etag) else await _as_copied(transfer, item, etag)
    transfer.recorder.bytes_copied(copied.size)
    return Copied(copied, target, etag, CopyMethod.SERVER_SIDE)


async def _as_copied(transfer: Transfer, item: S3Object, etag: str) -> S3Object:
    """Return the object as it was copied, where a server ignores the pin and it has changed since.

    A plain MD5 in, another plain MD5 out: on AWS that is encryption at work, because the pin held.
    """
    if transfer.source.endpoint.is_aws:
        return item
    listed, copied = md5_etag(item.etag), md5_etag(etag)
    if not listed or not copied or listed == copied:
        return item
    try:
        head = await transfer.head_source(item)
    except S3Error:
        return item  # it has arrived, whatever it was
    return head.object if md5_etag(head.object.etag) == copied else item
