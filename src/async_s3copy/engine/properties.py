"""What travels with the bytes, read from the source as far as a copy has to send it itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final
from urllib.parse import urlencode

from async_s3copy.engine.checksums import computable
from async_s3copy.engine.transfer import Tagging, Transfer
from async_s3copy.errors import (
    AccessDeniedError,
    NoSuchKeyError,
    ObjectRejectedError,
    S3ConnectionError,
    S3Error,
    ThrottledError,
)
from async_s3copy.model import CopyMethod, S3Location, S3Object
from async_s3copy.s3.values import ObjectHead, ObjectProperties

# https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html (x-amz-tagging), as the AWS CLI
MAX_TAGGING_HEADER_BYTES: Final = 2_048
# Where nothing says that there are tags, asking for them is worth little waiting.
_SPECULATIVE_ATTEMPTS: Final = 5
_UNKNOWN_CALL: Final = ("NotImplemented", "MethodNotAllowed", "UnsupportedOperation")
_NO_TAGS: Final[Mapping[str, str]] = {}


async def read_properties(transfer: Transfer, head: ObjectHead) -> ObjectProperties:
    """Complete what a HEAD or GET told with the object's tags and ACL, as far as they are wanted.

    Costs one GetObjectTagging where the object has tags, and one GetObjectAcl where the ACL is to
    be preserved. Where no number of tags is told, that may mean that there are none, that they may
    not be read, or that the server never tells: asking once finds out whether they may be read, and
    servers that are not known to tell are asked each time.

    Returns:
        All that the copy is written with.

    Raises:
        S3Error: A property that is required cannot be read.
    """
    wanted = transfer.fidelity
    tags = await _read_tags(transfer, head) if wanted.reads_tags else _NO_TAGS
    grants = await read_grants(transfer, head.object) if wanted.reads_acl else {}
    return wanted.carried(head.properties, tags=tags, grants=grants)


async def read_grants(transfer: Transfer, item: S3Object) -> Mapping[str, str]:
    """Read an object's ACL with the source's credentials: one GetObjectAcl.

    Raises:
        S3Error: It cannot be read, and is required; or the reason may pass.
    """
    try:
        return await transfer.governor.call(
            lambda: transfer.source.get_object_acl(
                item.bucket, item.key, version_id=item.version_id
            ),
            side="source",
        )
    except S3Error as error:
        if _may_pass(error) or not transfer.fidelity.may_leave_out("acl"):
            raise
        transfer.refusals.left_out("acl", f"of {item}", str(error))
        return {}


async def tags_to_send(transfer: Transfer, item: S3Object) -> Mapping[str, str]:
    """Read an object's tags with the source's credentials, for a copy that S3 refuses them.

    Costs one GetObjectTagging, and none where the source is known to refuse it.

    Returns:
        The tags; none where they cannot be read and may be left out, which is counted.

    Raises:
        AccessDeniedError: Neither side's credentials may read them, and they are required.
        S3Error: The reason may pass.
    """
    required = not transfer.fidelity.may_leave_out("tags")
    why = "neither side's credentials may read the source's tags"
    if required or transfer.source_tagging is not Tagging.REFUSES:
        try:
            return await _get_tags(transfer, item)
        except S3Error as error:
            if _may_pass(error):
                raise
            if required and isinstance(error, AccessDeniedError):
                raise _both_sides_need(item, error) from error
            if required:
                raise
            transfer.source_tagging = Tagging.REFUSES
            why = str(error)
    transfer.refusals.left_out("tags", f"of {item}", why)
    return _NO_TAGS


def header_sized(properties: ObjectProperties) -> ObjectProperties:
    """Leave out tags that exceed the ``x-amz-tagging`` header: ``put_long_tags`` sends them."""
    if not properties.tags or len(urlencode(properties.tags)) <= MAX_TAGGING_HEADER_BYTES:
        return properties
    return replace(properties, tags={})


async def put_long_tags(
    transfer: Transfer,
    target: S3Location,
    properties: ObjectProperties,
    version_id: str | None = None,
) -> None:
    """Write the tags that did not fit the header, to the version that was written.

    Costs no request where they did.

    Raises:
        ObjectRejectedError: They cannot be written, and are required; the object is there.
    """
    if header_sized(properties) is properties:
        return
    try:
        await transfer.governor.call(
            lambda: transfer.destination.put_object_tagging(
                target.bucket, target.key or "", properties.tags, version_id=version_id
            )
        )
    except S3Error as error:
        if not transfer.fidelity.may_leave_out("tags"):
            reason = f"{target} is there, but without its tags: {error}"
            raise ObjectRejectedError(error.code, reason) from error
        transfer.refusals.left_out("tags", f"of {target}", str(error))


def computed_checksum(transfer: Transfer, properties: ObjectProperties) -> ObjectProperties:
    """Return the properties of an object that is written with bytes of ours.

    Whoever sends an algorithm has to send the checksums, too; where they cannot be computed here,
    the algorithm is left to S3. AWS then computes CRC64NVME by itself
    (https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html).

    Raises:
        ObjectRejectedError: The algorithm cannot be computed here, and is required.
    """
    algorithm = properties.checksum_algorithm
    if not algorithm or computable(algorithm):
        return properties
    left_to_s3 = replace(properties, checksum_algorithm="", checksum_type="")
    if algorithm == "CRC64NVME" and transfer.destination.endpoint.is_aws:
        return left_to_s3
    why = f"computing {algorithm} takes the package awscrt"
    if not transfer.fidelity.may_leave_out("checksum_algorithm"):
        raise ObjectRejectedError("ChecksumNotComputable", f"{why}, and {algorithm} is required")
    transfer.refusals.left_out("checksum_algorithm", algorithm, why)
    return left_to_s3


async def _read_tags(transfer: Transfer, head: ObjectHead) -> Mapping[str, str]:
    if head.tag_count:
        return await _known_tags(transfer, head.object)
    counted = transfer.source.reports_tag_count and transfer.source_tagging is Tagging.ANSWERS
    if head.tag_count == 0 or counted or transfer.source_tagging is Tagging.UNHEARD_OF:
        return _NO_TAGS
    required = not transfer.fidelity.may_leave_out("tags")
    if required or transfer.source_tagging is not Tagging.REFUSES:
        # A server that is known to answer does so later; one that is not may fail for ever.
        answers = transfer.source.endpoint.is_aws or transfer.source_tagging is Tagging.ANSWERS
        attempts = None if answers else _SPECULATIVE_ATTEMPTS
        try:
            return await _get_tags_of_either(transfer, head.object, attempts)
        except (S3ConnectionError, ThrottledError):
            # This says nothing about tags: with all attempts there are.
            return await _get_tags_of_either(transfer, head.object)
        except S3Error as error:
            if _is_unheard_of(error):
                transfer.source_tagging = Tagging.UNHEARD_OF
                return _NO_TAGS
            if required or isinstance(error, NoSuchKeyError) or (answers and error.retryable):
                raise
            if transfer.source_tagging is Tagging.UNKNOWN:
                transfer.source_tagging = Tagging.REFUSES
    # As with CopyObject, an object without tags needs no permission to read them.
    transfer.recorder.degraded(
        "tags_unknown",
        f"whether {head.object} has tags cannot be read: if it has, they are not copied",
    )
    return _NO_TAGS


async def _known_tags(transfer: Transfer, item: S3Object) -> Mapping[str, str]:
    try:
        return await _get_tags_of_either(transfer, item)
    except S3Error as error:
        if _may_pass(error) or not transfer.fidelity.may_leave_out("tags"):
            raise
        transfer.refusals.left_out("tags", f"of {item}", str(error))
        return _NO_TAGS


async def _get_tags_of_either(
    transfer: Transfer, item: S3Object, max_attempts: int | None = None
) -> Mapping[str, str]:
    """Read tags with the source's credentials, or, as CopyObject would, with the destination's."""
    try:
        return await _get_tags(transfer, item, max_attempts)
    except AccessDeniedError as denied:
        if transfer.method is not CopyMethod.SERVER_SIDE:
            raise
        try:
            return await transfer.governor.call(
                lambda: transfer.destination.get_object_tagging(
                    item.bucket, item.key, version_id=item.version_id
                ),
                max_attempts=max_attempts,
            )
        except AccessDeniedError:
            raise _both_sides_need(item, denied) from denied


async def _get_tags(
    transfer: Transfer, item: S3Object, max_attempts: int | None = None
) -> Mapping[str, str]:
    tags = await transfer.governor.call(
        lambda: transfer.source.get_object_tagging(
            item.bucket, item.key, version_id=item.version_id
        ),
        side="source",
        max_attempts=max_attempts,
    )
    transfer.source_tagging = Tagging.ANSWERS
    return tags


def _both_sides_need(item: S3Object, error: S3Error) -> S3Error:
    permission = "s3:GetObjectTagging" if item.version_id is None else "s3:GetObjectVersionTagging"
    denied = AccessDeniedError(
        f"the source credentials or the destination credentials need {permission} on {item}: "
        "neither may read its tags",
        code=error.code,
        status=error.status,
        operation="GetObjectTagging",
        side="source",
        bucket=item.bucket,
        key=item.key,
        request_id=error.request_id,
    )
    denied.permission = permission
    return denied


def _may_pass(error: S3Error) -> bool:
    return error.retryable or isinstance(error, NoSuchKeyError)


def _is_unheard_of(error: S3Error) -> bool:
    return error.status in (405, 501) or error.code in _UNKNOWN_CALL
