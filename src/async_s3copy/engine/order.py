"""FolderOrder: does the source sort keys as S3 does? Asked once, before a listing depends on it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

import anyio

from async_s3copy.engine.folders import FolderProbe, folder_probe, hidden_folders
from async_s3copy.engine.spans import Span
from async_s3copy.s3.values import ListPage

ReadPage: TypeAlias = Callable[[str | None, str | None], Awaitable[ListPage | None]]
"""Reads a page: that of a prefix (``None``: the listing's), after a key (``None``: the first one).

Gives ``None`` where the listing has ended meanwhile.
"""


class FolderOrder:
    """Find out whether a server sorts folders by their names, other than S3.

    Costs one request, when the first key in a folder comes. A range that begins after a key may
    have passed folders by then: unless its first page tells of one, each folder that could be
    concerned is looked for, by one request more.

    Args:
        prefix: The listing's prefix.
        bounds: The keys that are copied.
        ranges: What of them is listed.
        is_reference: Whether this is S3 itself, which need not be asked.
        read: Reads a page.
    """

    def __init__(
        self,
        prefix: str,
        bounds: Span,
        ranges: Sequence[Span],
        *,
        is_reference: bool,
        read: ReadPage,
    ) -> None:
        self._prefix = prefix
        afters = {span.after: False for span in ranges} | {bounds.after: True}
        # In their order, each once. Where an earlier run stopped, it knew all that came before.
        self._passed = dict.fromkeys(
            folder
            for after, opens in afters.items()
            if after is not None and after.startswith(prefix)
            for folder in hidden_folders(after, prefix, opens=opens)
        )
        self._read = read
        self._lock = anyio.Lock()
        self._as_s3: bool | None = True if is_reference else None

    @property
    def is_s3s(self) -> bool:
        """Whether the server is known to sort as S3 does."""
        return self._as_s3 is True

    async def holds(self, keys: Sequence[str]) -> bool:
        """Tell whether a page can be trusted; others that cannot tell by themselves wait.

        Args:
            keys: The page's keys; none of them has been handed out.
        """
        if self.is_s3s or not (self._passed or folder_probe(keys, self._prefix)):
            return True
        async with self._lock:
            if self._as_s3 is None:
                self._as_s3 = await self._ask(keys)
        return self._as_s3 is not False

    async def _ask(self, keys: Sequence[str]) -> bool | None:
        """Return the answer; ``None``: there is nothing to ask about, or none has come."""
        probe = folder_probe(keys, self._prefix) or await self._look_back()
        page = None if probe is None else await self._read(None, probe.start_after)
        return None if probe is None or page is None else probe.passed_by(page)

    async def _look_back(self) -> FolderProbe | None:
        folders, self._passed = self._passed, {}
        for folder in folders:
            page = await self._read(folder + "/", None)
            if page is not None and page.objects:
                return FolderProbe(folder)
        return None
