"""Pure: what is left of a listing that cannot be divided, read page by page to its end."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from async_s3copy.engine.ranges import (
    IN_ANY_ORDER,
    BrokenListingError,
    KeyRange,
    RangeState,
    check_progress,
    in_order,
    keys_of,
)
from async_s3copy.model import S3Object
from async_s3copy.s3.client import ListPage


class SerialRest:
    """Go on where the first range of a divided listing stood, past all the others.

    What other ranges have handed out is left out; without any, keys may come in any order.

    Args:
        first: The listing's first range.
        others: What has been handed out of other ranges, in key order.
    """

    def __init__(self, first: KeyRange, others: Sequence[RangeState]) -> None:
        self.token = first.token
        self.last = first.last
        self.done = False
        self._others = others
        self._others_last = [each.last_key or "" for each in others]
        # A page that reached beyond the first range's end is read again: its token was kept.
        self._skip_until = first.last if first.done else None
        self._previous: Sequence[str] = ()

    def states(self) -> list[RangeState]:
        """Return how far the listing is: one range without an end, and what others had listed."""
        return [RangeState(None, None, self.last, self.done), *self._others]

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
        if not self._others:
            return objects
        if not in_order(self._previous[-1] if self._previous else None, keys):
            raise BrokenListingError(
                f"the listing is out of order after it had been divided into ranges: {IN_ANY_ORDER}"
            )
        return [item for item in objects if not self._was_listed(item.key)]

    def _was_listed(self, key: str) -> bool:
        place = bisect_left(self._others_last, key)
        if place == len(self._others):
            return False
        after = self._others[place].after
        return after is None or after < key
