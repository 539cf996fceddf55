"""Pure: does a server list ``a-b`` before ``a/b``, as S3 does?

Servers that keep folders sort the folder ``a`` as a name, before ``a-b``, and with it all it holds.
Divided into ranges, such a listing would lose keys in silence: between ``a.`` and ``a/b`` it ends
where S3's goes on. One request tells, before it is divided.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from async_s3copy.s3.client import ListPage

SORTS_FOLDERS = "the server sorts folders by their names, other than S3"


@dataclass(frozen=True, slots=True)
class FolderProbe:
    """Ask for what follows a key; another one must be at hand by then.

    Attributes:
        start_after: What to list after: the name of a folder and the character before "/".
        key: A key in that folder: S3 lists it after ``start_after``.
    """

    start_after: str
    key: str

    def passed_by(self, page: ListPage) -> bool:
        """Tell whether the server sorts as S3 does."""
        return bool(page.objects) and page.objects[0].key <= self.key


def folder_probe(keys: Sequence[str], prefix: str) -> FolderProbe | None:
    """Make a probe of a page's keys; ``None`` where none is in a folder below the prefix."""
    start = len(prefix) + 1
    for key in keys:
        place = key.find("/", start)
        if place > 0 and key[place - 1] != "/":
            return FolderProbe(key[:place] + ".", key)
    return None
