"""One CopyObject: one request per object, pinned to what was listed."""

from __future__ import annotations

from dataclasses import replace

from async_s3copy.engine.arrival import prove_arrival
from async_s3copy.engine.multipart import unchanged_head
from async_s3copy.engine.properties import header_sized, put_long_tags, read_grants, tags_to_send
from async_s3copy.engine.transfer import Transfer, pinned
from async_s3copy.engine.verify import md5_etag, same_etag
from async_s3copy.errors import AccessDeniedError, S3Error
from async_s3copy.model import Copied, CopyMethod, S3Location, S3Object
from async_s3copy.s3.values import AS_IT_IS, ObjectHead, ObjectProperties, Written


async def copy_single(
    transfer: Transfer, item: S3Object, target: S3Location, *, sends_tags: bool = False
) -> Copied:
    """Copy an object inside S3 with a single request.

    S3 carries content headers, user metadata and tags by itself; the storage class is sent. What
    the options want beyond that may cost a HEAD or a GetObjectAcl before (see ``fidelity``).

    Args:
        transfer: The operation's shared state.
        item: The object.
        target: Where it goes.
        sends_tags: Whether S3 has refused to carry the tags, so that they are read with the
            source's credentials and sent.

    Raises:
        DestinationExists: The key is taken, and ``overwrite=False``.
        PreconditionFailedError: The object is not what was listed any more.
        ObjectRejectedError: S3 refused a property that is required.
        S3Error: S3 refused.
    """
    wanted, head = transfer.fidelity, None
    if wanted.reads_nothing:
        properties = wanted.plain(item.storage_class)
    else:
        head, properties = await _read(transfer, item)
    if sends_tags or transfer.copied_tags.refused:
        written = await _send_around_tags(transfer, item, target, properties, now=sends_tags)
    else:
        written = await _send(transfer, item, target, properties)
    transfer.server_side_proven = True
    copied = item
    if not same_etag(written.etag, item.etag):
        copied = await _as_copied(transfer, item, written.etag)
        head = head if copied is item else None
    transfer.recorder.bytes_copied(copied.size)
    proof = await prove_arrival(transfer, copied, target, written, head=head)
    return Copied(
        copied, target, written.etag, CopyMethod.SERVER_SIDE, 0, proof, written.version_id
    )


async def _read(transfer: Transfer, item: S3Object) -> tuple[ObjectHead | None, ObjectProperties]:
    """Read what S3 does not carry by itself: one HEAD, one GetObjectAcl, as far as wanted."""
    wanted, head = transfer.fidelity, None
    told = ObjectProperties(storage_class=item.storage_class)
    if wanted.single.head:
        head = await _head(transfer, item)
    if head is not None:
        # A listing and a HEAD tell the same class, but servers other than AWS may not.
        told = replace(head.properties, storage_class=item.storage_class)
    grants = await read_grants(transfer, item) if wanted.reads_acl else {}
    return head, wanted.of_a_single(wanted.carried(told, tags={}, grants=grants))


async def _head(transfer: Transfer, item: S3Object) -> ObjectHead | None:
    """Read the source's HEAD; ``None`` where it may not be read, and the copy can do without."""
    single = transfer.fidelity.single
    try:
        return await unchanged_head(transfer, item)
    except AccessDeniedError as error:
        if single.head_is_vital:
            raise
        for name in single.told_by_head:
            transfer.refusals.left_out(name, f"of {item}", str(error))
        return None


async def _send(
    transfer: Transfer,
    item: S3Object,
    target: S3Location,
    properties: ObjectProperties,
    *,
    sends_tags: bool = False,
) -> Written:
    source, single = pinned(item), transfer.fidelity.single
    fitting = header_sized(properties) if properties.tags else properties

    async def copy(properties: ObjectProperties, if_none_match: bool) -> Written:
        return await transfer.governor.call(
            lambda: transfer.destination.copy_object(
                target.bucket,
                target.key or "",
                source,
                properties,
                replaces_metadata=single.replaces_metadata,
                replaces_tags=single.replaces_tags or sends_tags,
                if_none_match=if_none_match,
            )
        )

    async def send(if_none_match: bool) -> Written:
        if fitting is AS_IT_IS:
            return await copy(AS_IT_IS, if_none_match)
        return await transfer.refusals.send(fitting, lambda fewer: copy(fewer, if_none_match))

    written = await transfer.guard.write("copy", target, send)
    if fitting is not properties:
        await put_long_tags(transfer, target, properties, written.version_id)
    return written


async def _send_around_tags(
    transfer: Transfer,
    item: S3Object,
    target: S3Location,
    properties: ObjectProperties,
    *,
    now: bool,
) -> Written:
    """Copy an object of a source whose tags S3 may not carry, reading and sending them.

    Objects without tags are copied all the same: unless the last one had some, or this one is
    known to (``now``), the copy without is tried first.
    """
    if transfer.fidelity.single.replaces_tags:
        return await _send(transfer, item, target, properties)
    if not now and not transfer.copied_tags.expected:
        try:
            return await _send(transfer, item, target, properties)
        except AccessDeniedError as error:
            if error.code != "AccessDenied":
                raise
    tags = await tags_to_send(transfer, item)
    sending = replace(properties, tags=tags)
    written = await _send(transfer, item, target, sending, sends_tags=True)
    transfer.copied_tags.refused = True
    transfer.copied_tags.expected = bool(tags)
    return written


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
