"""Pure: the ranges of keys a listing is divided into. Who lists what, and what of a page counts.

A range holds the keys after one key up to another, that one included; where one ends the next
begins. Whatever the order in which pages arrive, every key is handed out once, and in order within
its range.

Servers are not trusted: a page that is not in order, or not within its range, ends the division.
The listing's first range keeps what it takes to read on from there without it (``serial.py``).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise
from operator import lt
from typing import Final

from async_s3copy.engine.splitting import Outlook, Splitter
from async_s3copy.model import S3Object
from async_s3copy.s3.client import ListPage

_PROOF_KEYS: Final = 64
"""Keys seen in order before a listing is divided: an unordered one gets there once in 64!."""
UNORDERED: Final = "the server lists keys out of order"
IGNORED: Final = "the server ignores start-after"
IN_ANY_ORDER: Final = "max_concurrent_listings=1 reads it in any order"


class BrokenListingError(Exception):
    """Say in one sentence why a listing cannot be trusted."""


class UndividedError(Exception):
    """Say in one sentence why a listing cannot be divided; it can still be read serially."""


@dataclass(frozen=True, slots=True)
class RangeState:
    """Say how far a range has been listed.

    Attributes:
        after: The range begins after this key; ``None`` at the listing's beginning.
        until: The last key that belongs to it; ``None`` at the listing's end.
        last_key: The last key listed; ``None`` before the first.
        done: Whether it has been listed to its end.
    """

    after: str | None
    until: str | None
    last_key: str | None
    done: bool


@dataclass(frozen=True, slots=True)
class ListingStatistics:
    """Count what a listing cost.

    Attributes:
        keys: Keys listed.
        pages: Pages read, the first one included.
        empty_pages: Pages among them without a key that had not been listed.
        ranges: Ranges the listing was divided into.
    """

    keys: int
    pages: int
    empty_pages: int
    ranges: int


@dataclass(slots=True, eq=False)
class KeyRange:
    """Keep one range.

    Attributes:
        after: It begins after this key; ``None`` at the listing's beginning.
        outlook: What the splitter knows of it; holds its end.
        last: The last key listed, or ``after`` before the first.
        token: Continuation token of its next page; ``None`` asks for the keys after ``last``.
        taken: Whether a lister has it.
        answered: Whether a page of it has come.
        listed: Whether a key of it has been handed out.
        done: Whether it has been listed to its end.
    """

    after: str | None = None
    outlook: Outlook = field(default_factory=Outlook)
    last: str | None = None
    token: str | None = None
    taken: bool = False
    answered: bool = False
    listed: bool = False
    done: bool = False

    @property
    def until(self) -> str | None:
        """The last key that belongs to the range; ``None`` at the listing's end."""
        return self.outlook.until

    def state(self) -> RangeState:
        """Return how far it has been listed."""
        return RangeState(self.after, self.until, self.last if self.listed else None, self.done)


class RangeTable:
    """Divide a listing into ranges, and account for every page.

    Args:
        splitter: Judges where ranges are cut.
        proof_keys: Keys that must come in order before the listing is divided.

    Attributes:
        first: The range at the listing's beginning.
    """

    def __init__(self, splitter: Splitter, *, proof_keys: int = _PROOF_KEYS) -> None:
        self.first = KeyRange()
        self._splitter = splitter
        self._unproven_keys = proof_keys
        self._ranges = [self.first]
        self._previous: Sequence[str] = ()
        self._divided = 1

    @property
    def divided(self) -> int:
        """Ranges there have been."""
        return self._divided

    def states(self) -> list[RangeState]:
        """Return the ranges in key order; neighbours that are done are one."""
        return [each.state() for each in self._ranges]

    def take(self, *, divide: bool) -> KeyRange | None:
        """Return a range for an idle lister, or ``None`` where there is nothing to share.

        Args:
            divide: Whether a range that is being listed may be cut for it.
        """
        waiting = (each for each in self._ranges if not each.taken and not each.done)
        found = next(waiting, None)
        if found is None and divide and self._unproven_keys <= 0:
            found = self._divide()
        if found is not None:
            found.taken = True
        return found

    def leave(self, key_range: KeyRange) -> None:
        """Give a range back; another lister goes on with it."""
        key_range.taken = False

    def accept(self, key_range: KeyRange, page: ListPage) -> Sequence[S3Object]:
        """Account for the next page of a range.

        Returns:
            The objects of the page to hand out: those that belong to the range.

        Raises:
            UndividedError: The server does not list in order, or not after a given key; what was
                handed out before counts, nothing of this page does.
            BrokenListingError: The listing does not get on, or cannot be told apart from what was
                handed out.
        """
        keys = keys_of(page)
        if key_range is self.first:
            self._check_first(keys, page)
        elif not in_order(key_range.last, keys):
            self._distrust(key_range, keys)
        return page.objects[: self._use(key_range, keys, page)]

    def others(self) -> list[RangeState]:
        """Return what has been handed out of other ranges than the first."""
        return [each.state() for each in self._ranges if each.listed and each is not self.first]

    def _divide(self) -> KeyRange | None:
        by_outlook = {each.outlook: each for each in self._ranges if not each.done}
        cut = self._splitter.cut(by_outlook)
        if cut is None:
            return None
        new = KeyRange(after=cut.at, outlook=cut.right, last=cut.at)
        self._ranges.insert(self._ranges.index(by_outlook[cut.left]) + 1, new)
        self._divided += 1
        return new

    def _use(self, key_range: KeyRange, keys: Sequence[str], page: ListPage) -> int:
        until = key_range.until
        used = len(keys) if until is None else bisect_right(keys, until)
        self._splitter.saw(key_range.outlook, keys, used)
        self._unproven_keys -= used
        key_range.answered = True
        if used:
            key_range.last, key_range.listed = keys[used - 1], True
        at_end = until is not None and key_range.last == until
        if used < len(keys) or at_end or not page.truncated:
            # The token stays: it asks for this page again, should the first range have to go on.
            self._finish(key_range)
        else:
            key_range.token = page.next_token
        return used

    def _finish(self, key_range: KeyRange) -> None:
        key_range.done = True
        place = self._ranges.index(key_range)
        if place + 1 < len(self._ranges):
            self._merge(key_range, self._ranges[place + 1])
        if place:
            self._merge(self._ranges[place - 1], key_range)

    def _merge(self, left: KeyRange, right: KeyRange) -> None:
        """Make one of two neighbours that are done, so that the table stays small."""
        if left is self.first or not (left.done and right.done):
            return
        left.outlook = right.outlook
        if right.listed:
            left.last, left.listed = right.last, True
        self._ranges.remove(right)

    def _check_first(self, keys: Sequence[str], page: ListPage) -> None:
        check_progress(self.first.token, self._previous, keys, page)
        if not in_order(self.first.last, keys):
            if self.others():
                raise BrokenListingError(_out_of_order(self.first.last, keys))
            raise UndividedError(UNORDERED)
        self._previous = keys

    def _distrust(self, key_range: KeyRange, keys: Sequence[str]) -> None:
        ignored = not key_range.answered and in_order(None, keys)
        if self.others() and not ignored:
            raise BrokenListingError(_out_of_order(key_range.last, keys))
        raise UndividedError(IGNORED if ignored else UNORDERED)


def keys_of(page: ListPage) -> list[str]:
    """Return a page's keys.

    Raises:
        BrokenListingError: It says that more follow, but not how to ask for them.
    """
    keys = [item.key for item in page.objects]
    if page.truncated and not page.next_token and not keys:
        raise BrokenListingError("the listing is truncated, but gives neither a token nor a key")
    return keys


def in_order(after: str | None, keys: Sequence[str]) -> bool:
    """Tell whether keys rise strictly, from above ``after``."""
    if after is not None and keys and keys[0] <= after:
        return False
    return all(map(lt, keys, islice(keys, 1, None)))


def check_progress(
    token: str | None, previous: Sequence[str], keys: Sequence[str], page: ListPage
) -> None:
    """Check that a page of a listing read serially is not the one before it.

    Args:
        token: The token the page was asked for with.
        previous: The keys of the page before.
        keys: The page's keys.
        page: The page.

    Raises:
        BrokenListingError: It is.
    """
    if keys and previous:
        stands_still = keys[-1] == previous[-1]
    else:
        stands_still = token is not None and token == page.next_token
    if stands_still:
        raise BrokenListingError("the listing repeats the same page for ever")
    again = set(previous).intersection(keys)
    if again:
        raise BrokenListingError(f"the listing repeats itself: it names {min(again)!r} twice")


def _out_of_order(after: str | None, keys: Sequence[str]) -> str:
    later = next((key for before, key in pairwise([after or "", *keys]) if key <= before), keys[0])
    return (
        f"the listing is out of order at {later!r}, after it had been divided into ranges: "
        f"{IN_ANY_ORDER}"
    )
