"""Pure: what is left of a listing that cannot be divided, read page by page to its end."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import TypeAlias

from async_s3copy.engine.ranges import (
    IN_ANY_ORDER,
    BrokenListingError,
    KeyRange,
    check_progress,
    in_order,
    keys_of,
)
from async_s3copy.engine.spans import ALL_KEYS, Span
from async_s3copy.model import S3Object
from async_s3copy.s3.values import ListPage

Sortable: TypeAlias = Callable[[str], bool]


def _always(key: str) -> bool:
    return True


class SerialRest:
    """Go on where the first range of a divided listing stood, past all the others.

    What has been handed out already is left out; without any, keys may come in any order.

    Args:
        first: The listing's first range; ``None`` lists from the very beginning.
        handed_out: What is left out, in key order: each span up to the last key handed out.
        bounds: The keys to hand out.
        sortable: Which keys the server is known to sort as S3 does: only such have been handed out,
            and the others may come in any order.
    """

    def __init__(
        self,
        first: KeyRange | None,
        handed_out: Sequence[Span],
        *,
        bounds: Span = ALL_KEYS,
        sortable: Sortable = _always,
    ) -> None:
        first = first or KeyRange()
        self.token = first.token
        self.last = first.last
        self.done = False
        self._handed_out = handed_out
        self._ends = [each.until or "" for each in handed_out]
        self._bounds = bounds
        self._sortable = sortable
        # A page that reached beyond the first range's end is read again: its token was kept.
        self._skip_until = first.last if first.done else None
        self._previous: Sequence[str] = ()
        self._last_sorted: str | None = None

    def accept(self, page: ListPage) -> Sequence[S3Object]:
        """Account for the next page.

        Returns:
            The objects of the page that have not been handed out.

        Raises:
            BrokenListingError: The listing does not get on, or not in order where it has to.
        """
        keys = keys_of(page)
        check_progress(self.token, self._previous, keys, page)
        objects = self._new(page.objects, keys)
        self._previous, self._skip_until = keys, None
        self.last = keys[-1] if keys else self.last
        self.token, self.done = page.next_token, not page.truncated
        return objects

    def _new(self, objects: Sequence[S3Object], keys: Sequence[str]) -> Sequence[S3Object]:
        if self._skip_until is not None:
            objects = [item for item in objects if item.key > self._skip_until]
        if self._bounds != ALL_KEYS:
            objects = [item for item in objects if item.key in self._bounds]
        if not self._handed_out:
            return objects
        self._check_order(keys)
        return [item for item in objects if not self._was_handed_out(item.key)]

    def _check_order(self, keys: Sequence[str]) -> None:
        found = list(filter(self._sortable, keys))
        if not in_order(self._last_sorted, found):
            raise BrokenListingError(
                f"the listing is out of order after it had been divided into ranges: {IN_ANY_ORDER}"
            )
        self._last_sorted = found[-1] if found else self._last_sorted

    def _was_handed_out(self, key: str) -> bool:
        place = bisect_left(self._ends, key)
        return place < len(self._ends) and key in self._handed_out[place] and self._sortable(key)
