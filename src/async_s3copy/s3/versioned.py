"""What differs in a refusal where a version was asked for by its id."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from async_s3copy.errors import AccessDeniedError

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/security_iam_service-with-iam.html
_PERMISSIONS: Final = {
    "s3:GetObject": "s3:GetObjectVersion",
    "s3:GetObjectTagging": "s3:GetObjectVersionTagging",
    "s3:PutObjectTagging": "s3:PutObjectVersionTagging",
    "s3:GetObjectAcl": "s3:GetObjectVersionAcl",
}


@contextmanager
def asking_for(version_id: str | None) -> Iterator[None]:
    """Name the permission that a version needs, where the block is refused one.

    Args:
        version_id: The version asked for; ``None`` for the current one.
    """
    try:
        yield
    except AccessDeniedError as error:
        needed = _PERMISSIONS.get(error.permission)
        if version_id is not None and needed is not None:
            error.message = error.message.replace(f"{error.permission} on", f"{needed} on")
            error.permission = needed
        raise
