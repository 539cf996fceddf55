"""ListedObjects: the objects of a page, kept in columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import overload

from async_s3copy.model import S3Object


@dataclass(slots=True, eq=False)
class ListedObjects(Sequence[S3Object]):
    """Hold the objects of a listing page; each is made when it is asked for.

    Python's garbage collector is set going by the number of objects that are kept, and looks at
    all that is in work meanwhile. A queue of thousands, page after page, would set it going several
    times a second; a list of strings is one object to it.

    Attributes:
        bucket: The bucket of all of them.
        keys: Their keys.
        sizes_bytes: Their sizes.
        modified: When each was last modified.
        etags: Their ETags.
        storage_classes: Their storage classes; empty where the server names none.
    """

    bucket: str
    keys: list[str] = field(default_factory=list)
    sizes_bytes: list[int] = field(default_factory=list)
    modified: list[datetime] = field(default_factory=list)
    etags: list[str] = field(default_factory=list)
    storage_classes: list[str] = field(default_factory=list)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # it grows while a page is read

    def __len__(self) -> int:
        return len(self.keys)

    @overload
    def __getitem__(self, index: int) -> S3Object: ...

    @overload
    def __getitem__(self, index: slice) -> ListedObjects: ...

    def __getitem__(self, index: int | slice) -> S3Object | ListedObjects:
        if isinstance(index, slice):
            return ListedObjects(
                self.bucket,
                self.keys[index],
                self.sizes_bytes[index],
                self.modified[index],
                self.etags[index],
                self.storage_classes[index],
            )
        return S3Object.reported(
            self.bucket,
            self.keys[index],
            self.sizes_bytes[index],
            self.modified[index],
            self.etags[index],
            None,
            self.storage_classes[index],
        )

    def __iter__(self) -> Iterator[S3Object]:
        return map(self.__getitem__, range(len(self.keys)))


def keys_of(objects: Sequence[S3Object]) -> list[str]:
    """Return the keys of objects, without making those that are kept in columns."""
    return objects.keys if isinstance(objects, ListedObjects) else [each.key for each in objects]


def size_of(objects: Sequence[S3Object]) -> int:
    """Return the bytes of objects together; likewise."""
    if isinstance(objects, ListedObjects):
        return sum(objects.sizes_bytes)
    return sum(each.size for each in objects)
