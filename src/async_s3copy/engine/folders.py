"""Pure: does a server list ``a-b`` before ``a/b``, as S3 does?

Servers that keep folders sort the folder ``a`` as a name, before ``a-b``, and with it all it holds.
Listed from a key on, such a listing may lose keys in silence: between ``a.`` and ``a/b`` it ends
where S3's goes on. One request tells, before anything depends on it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from async_s3copy.s3.values import ListPage

SORTS_FOLDERS: Final = "the server sorts folders by their names, other than S3"
_LAST: Final = "\U0010ffff"
"""The character that sorts last."""


@dataclass(frozen=True, slots=True)
class FolderProbe:
    """Ask for what follows a folder's name and its siblings' (``a-b``, ``a.b``).

    Attributes:
        folder: The folder, without the "/" after its name; there must be a key in it.
    """

    folder: str

    @property
    def start_after(self) -> str:
        """What to list after: past ``a``, and short of ``a/``."""
        return f"{self.folder}.{_LAST}"

    def passed_by(self, page: ListPage) -> bool:
        """Tell whether the server sorts as S3 does: it goes on in the folder."""
        return bool(page.objects) and page.objects[0].key.startswith(self.folder + "/")


def in_folder(key: str, prefix: str) -> bool:
    """Tell whether a key lies in a folder below the prefix."""
    return key.find("/", len(prefix)) >= 0


def folder_probe(keys: Iterable[str], prefix: str) -> FolderProbe | None:
    """Make a probe of some keys; ``None`` where none is in a folder below the prefix.

    Args:
        keys: Keys that begin with the prefix.
        prefix: The listing's prefix.
    """
    odd: FolderProbe | None = None
    for key in keys:
        place = key.find("/", len(prefix))
        if place > 0 and key[place - 1] != "/":
            return FolderProbe(key[:place])
        if place >= 0:
            # A folder without a name: not every server can keep one, so any other goes first.
            odd = odd or FolderProbe(key[:place])
    return odd


def hidden_folders(after: str, prefix: str, *, opens: bool) -> list[str]:
    """Return folders that a listing after a key may have passed, or pass over, if any are there.

    They are the one the key lies in, or else that of its very name. After ``a-b``, S3 lists
    ``a/x``; a server that sorts the folder ``a`` by its name has listed it before.

    Args:
        after: The key.
        prefix: The listing's prefix.
        opens: Whether nobody has listed what comes before the key: ``a`` counts as well.
    """
    place = after.find("/", len(prefix))
    passed = [after if place < 0 else after[:place]]
    if opens:
        passed += [after[:at] for at in range(len(prefix), len(after)) if after[at] < "/"]
    return passed
