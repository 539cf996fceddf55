"""Who may read and write what: the choice of method, and which side a denial is about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from async_s3copy.engine.transfer import Transfer
from async_s3copy.errors import (
    AccessDeniedError,
    NoSuchBucketError,
    NoSuchKeyError,
    S3Error,
    ValidationError,
)
from async_s3copy.model import CopyMethod, S3Location, S3Object
from async_s3copy.s3.values import ByteRange

_NOT_IMPLEMENTED: Final = ("NotImplemented", "MethodNotAllowed", "UnsupportedOperation")
# What servers other than AWS answer for ever to a call they do not know.
_BROKEN: Final = ("InternalError", "InvalidResponse")


async def choose_method(transfer: Transfer, sample: S3Object | None, max_attempts: int) -> None:
    """Set the transfer's method, before the first write.

    Different services always relay. ``"auto"`` finds out by reading one byte of a listed object,
    signed with the destination's credentials, whether they may read the source.

    Args:
        transfer: The operation's shared state; its ``method`` is set.
        sample: An object of the source; ``None`` when there is none, and nothing to find out.
        max_attempts: Attempts for that request.

    Raises:
        ValidationError: ``"server_side"`` between different services.
    """
    wanted = transfer.options.method
    here, there = transfer.source.endpoint, transfer.destination.endpoint
    if not here.same_service(there):
        if wanted == "server_side":
            rule = f"be 'auto' or 'relay' between different services ({here.url}, {there.url})"
            raise ValidationError("method", wanted, rule)
        _relay(transfer, f"{here.url} and {there.url} are different services")
    elif wanted == "relay":
        transfer.method = CopyMethod.RELAY
    elif wanted == "auto":
        transfer.may_relay = True
        if sample is not None:
            await _probe(transfer, sample, max_attempts)


async def _probe(transfer: Transfer, sample: S3Object, max_attempts: int) -> None:
    try:
        await _read_as_destination(transfer, sample, max_attempts)
    except AccessDeniedError:
        _relay(transfer, f"the destination credentials may not read s3://{sample.bucket}")
    except (NoSuchKeyError, NoSuchBucketError):
        _relay(transfer, f"the destination credentials do not see {sample}")
    except S3Error as error:
        # Anything else, such as an archived object, says nothing about who may read.
        if error.retryable:
            raise


class Refusal(NamedTuple):
    """Why a server-side copy was refused, and what is left to try.

    Attributes:
        error: Says what is wrong.
        may_relay: Whether the bytes could still travel through this process.
        about_tags: Whether it may be the tags, which could be read and sent instead of carried.
    """

    error: S3Error
    may_relay: bool = False
    about_tags: bool = False


async def explain_refusal(
    transfer: Transfer, item: S3Object, target: S3Location, error: S3Error
) -> Refusal:
    """Find out why a server-side copy was refused, for two more requests at most.

    S3's bare AccessDenied does not tell whether the destination's principal lacks a permission on
    the source or on the destination. Other servers do not implement UploadPartCopy, or do not find
    a key that is there.
    """
    if error.operation not in ("CopyObject", "UploadPartCopy"):
        return Refusal(error)
    if isinstance(error, AccessDeniedError):
        return await _explain_denial(transfer, item, target, error)
    if isinstance(error, NoSuchKeyError | NoSuchBucketError):
        return Refusal(error, await _is_there(transfer, item))
    if error.status in (405, 501) or error.code in _NOT_IMPLEMENTED:
        return Refusal(error, may_relay=True)
    broken = error.code in _BROKEN and not transfer.destination.endpoint.is_aws
    return Refusal(error, broken)


def fall_back(transfer: Transfer, item: S3Object, error: S3Error) -> None:
    """Note that a server-side copy is impossible, though ``"auto"`` hoped so.

    Until one server-side copy has succeeded a denial is taken to hold for the whole source;
    everything else for the one object.
    """
    if isinstance(error, AccessDeniedError) and not transfer.server_side_proven:
        _relay(transfer, error.message)
    else:
        transfer.recorder.notice(
            "relay.some",
            f"Relaying the objects that cannot be copied inside S3, first {item}: {error}",
        )


async def _explain_denial(
    transfer: Transfer, item: S3Object, target: S3Location, denied: AccessDeniedError
) -> Refusal:
    if not denied.permission and denied.code != "AccessDenied":
        return Refusal(denied)  # the credentials themselves were refused
    if not await _may_read(transfer, item):
        missing = "s3:GetObject (and kms:Decrypt, if it is encrypted with a KMS key)"
        return Refusal(_named(denied, missing, str(item), "source"), may_relay=True)
    about_tags = False
    if denied.operation == "CopyObject" and not transfer.fidelity.single.replaces_tags:
        tags = await _tags_as_destination(transfer, item)
        if isinstance(tags, AccessDeniedError):
            missing = tags.permission or "s3:GetObjectTagging"
            return Refusal(_named(denied, missing, str(item), "source"), True, True)
        about_tags = bool(tags)
    return Refusal(denied_to_write(denied, target), False, about_tags)


def denied_to_write(denied: AccessDeniedError, target: S3Location) -> AccessDeniedError:
    """Say of a denied copy whose source may be read what the destination's principal lacks."""
    permissions = "s3:PutObject (and s3:PutObjectTagging for tags, and the use of its KMS key)"
    return _named(denied, permissions, str(target), "destination")


async def _may_read(transfer: Transfer, item: S3Object) -> bool:
    """Tell whether the destination's credentials may read an object; they may, unless denied."""
    try:
        await _read_as_destination(transfer, item)
    except AccessDeniedError:
        return False
    except S3Error:
        return True  # whatever it is, it is no denial
    return True


async def _tags_as_destination(
    transfer: Transfer, item: S3Object
) -> Mapping[str, str] | AccessDeniedError:
    """Read an object's tags as S3 would for a copy; none where the reason is another."""
    try:
        return await transfer.governor.call(
            lambda: transfer.destination.get_object_tagging(
                item.bucket, item.key, version_id=item.version_id
            )
        )
    except AccessDeniedError as error:
        return error
    except S3Error:
        return {}


async def _is_there(transfer: Transfer, item: S3Object) -> bool:
    try:
        await transfer.head_source(item)
    except S3Error:
        return False
    return True


async def _read_as_destination(
    transfer: Transfer, item: S3Object, max_attempts: int | None = None
) -> None:
    """Read one byte with the destination's credentials: unlike a HEAD, it needs kms:Decrypt."""

    async def read() -> None:
        if not item.size:
            await transfer.destination.head_object(
                item.bucket, item.key, version_id=item.version_id
            )
            return
        async with transfer.destination.get_object(
            item.bucket, item.key, version_id=item.version_id, byte_range=ByteRange(0, 0)
        ):
            pass

    await transfer.governor.call(read, max_attempts=max_attempts)


def _relay(transfer: Transfer, reason: str) -> None:
    transfer.method = CopyMethod.RELAY
    transfer.recorder.notice("relay", f"Relaying bytes through this process: {reason}")


def _named(denied: AccessDeniedError, permission: str, where: str, side: str) -> AccessDeniedError:
    error = AccessDeniedError(
        f"the destination credentials need {permission} on the {side} {where}",
        code=denied.code,
        status=denied.status,
        operation=denied.operation,
        side=denied.side,
        bucket=denied.bucket,
        key=denied.key,
        request_id=denied.request_id,
    )
    error.permission = permission
    return error
