"""The open multipart uploads of one key: what a page tells of them, and where the next begins.

AWS lists uploads by key, then by age, and encodes keys where asked to. Other servers list them in
any order, say that keys are encoded though they are not, or give one of the two markers only.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from async_s3copy.errors import InvalidResponseError, Side
from async_s3copy.s3.encoded_keys import key_decoded
from async_s3copy.s3.values import OpenUpload

OPERATION: Final = "ListMultipartUploads"
PAGE_UPLOADS: Final = 100
"""Uploads of the very key come first; a longer page would be of keys that go on after it."""


class Marker(NamedTuple):
    """Where a page begins, as the server told it; ``None`` for what it did not tell."""

    key: str | None = None
    upload_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadPage:
    """One page, its keys as the answer spells them.

    Attributes:
        uploads: The uploads, in the server's order.
        encoding: What the answer says keys are encoded by: ``"url"``, or nothing.
        prefix: The prefix that the answer repeats; empty where it does not.
        next_marker: Where the next page begins; ``None`` on the last.
    """

    uploads: Sequence[OpenUpload]
    encoding: str = ""
    prefix: str = ""
    next_marker: Marker | None = None

    def of(self, key: str) -> list[OpenUpload]:
        """Return the uploads of one key; those of keys that only start with it are left out."""
        return [
            OpenUpload(key, upload.upload_id, upload.initiated)
            for upload, name in zip(self.uploads, self._keys(key), strict=True)
            if name == key
        ]

    def after(self, key: str) -> Marker | None:
        """Return where to go on looking for a key's uploads; ``None`` where none can follow."""
        if self.next_marker is None:
            return None
        keys = self._keys(key)
        if keys and keys[-1] > key and keys == sorted(keys):
            return None
        told = self.next_marker.key
        return self.next_marker._replace(key=told and self._decoded(told, key))

    def _keys(self, wanted: str) -> list[str]:
        return [self._decoded(upload.key, wanted) for upload in self.uploads]

    def _decoded(self, text: str, wanted: str) -> str:
        return key_decoded(text) if self.encoding == "url" and not self._is_plain(wanted) else text

    def _is_plain(self, wanted: str) -> bool:
        """Tell whether keys seem to be written as they are, whatever the answer says.

        Only in keys that hold one of the two signs of the encoding can that make a difference.
        Where it stays open they are taken as they are: to miss an upload leaves it open, to take
        another key's for this one's would abort it.
        """
        return (
            ("%" in wanted or "+" in wanted)
            and self.prefix in ("", wanted)
            and all(upload.key.startswith(wanted) for upload in self.uploads)
        )


async def uploads_of(
    key: str, read: Callable[[Marker], Awaitable[UploadPage]], *, side: Side, bucket: str
) -> list[OpenUpload]:
    """Read pages until no upload of the key can follow; usually that is one request.

    Args:
        key: The key.
        read: Reads the page that begins at a marker.
        side: Whose credentials ask, for the error.
        bucket: The bucket, for the error.

    Raises:
        InvalidResponseError: The listing does not get on: a page ends where one has ended before.
    """
    found: list[OpenUpload] = []
    asked: set[Marker] = set()
    marker: Marker | None = Marker()
    while marker is not None:
        if marker in asked:
            raise _endless(side, bucket)
        asked.add(marker)
        page = await read(marker)
        found += page.of(key)
        marker = page.after(key)
    return found


def _endless(side: Side, bucket: str) -> InvalidResponseError:
    return InvalidResponseError(
        "the listing of open uploads repeats itself",
        code="InvalidResponse",
        status=200,
        operation=OPERATION,
        side=side,
        bucket=bucket,
    )
