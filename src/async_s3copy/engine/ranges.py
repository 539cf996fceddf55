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
from typing import Final, NamedTuple

from async_s3copy.engine.spans import ALL_KEYS, Span
from async_s3copy.engine.splitting import Outlook, Splitter
from async_s3copy.model import S3Object
from async_s3copy.s3 import listed
from async_s3copy.s3.values import ListPage

_PROOF_KEYS: Final = 64
"""Keys seen in order before a listing is divided: an unordered one gets there once in 64!."""
UNORDERED: Final = "the server lists keys out of order"
IGNORED: Final = "the server ignores start-after"
IN_ANY_ORDER: Final = "max_concurrent_listings=1 reads it in any order"


class BrokenListingError(Exception):
    """Say in one sentence why a listing cannot be trusted."""


class UndividedError(Exception):
    """Say in one sentence why a listing cannot be divided; it can still be read serially."""


class Portion(NamedTuple):
    """What of a page belongs to its range.

    Attributes:
        objects: The objects to hand out.
        span: The keys that have been listed with this page: from where the page before ended to the
            last object, or to the range's end; ``None`` where that is no further.
    """

    objects: Sequence[S3Object]
    span: Span | None


@dataclass(slots=True, eq=False)
class KeyRange:
    """Keep one range.

    Attributes:
        after: It begins after this key; ``None`` at the listing's beginning.
        outlook: What the splitter knows of it; holds its end.
        last: The last key listed, or ``after`` before the first.
        handed_out: The last key handed out, or ``after`` before the first.
        token: Continuation token of its next page; ``None`` asks for the keys after ``last``.
        taken: Whether a lister has it.
        answered: Whether a page of it has come.
        done: Whether it has been listed to its end.
    """

    after: str | None = None
    outlook: Outlook = field(default_factory=Outlook)
    last: str | None = None
    handed_out: str | None = None
    token: str | None = None
    taken: bool = False
    answered: bool = False
    done: bool = False

    @classmethod
    def over(cls, after: str | None, outlook: Outlook) -> KeyRange:
        """Make a range of which nothing has been listed."""
        return cls(after, outlook, last=after, handed_out=after)

    @property
    def until(self) -> str | None:
        """The last key that belongs to the range; ``None`` at the listing's end."""
        return self.outlook.until

    @property
    def listed(self) -> bool:
        """Whether a key of it has been handed out."""
        return self.handed_out != self.after

    @property
    def is_active(self) -> bool:
        """Whether a lister is at it."""
        return self.taken and not self.done


class RangeTable:
    """Divide a listing into ranges, and account for every page.

    Until keys have been proven to come in order, one range is read at a time, and past its end: of
    an unordered listing, keys of the range could come later.

    Args:
        splitter: Judges where ranges are cut.
        ranges: What is to be listed, in key order and disjoint; not empty.
        can_restart: Whether the listing can begin anew when it loses its order; otherwise that is
            an error once other ranges than the first have handed keys out.
        proof_keys: Keys that must come in order before the listing is divided.

    Attributes:
        first: The range that comes first.
    """

    def __init__(
        self,
        splitter: Splitter,
        *,
        ranges: Sequence[Span] = (ALL_KEYS,),
        can_restart: bool = False,
        proof_keys: int = _PROOF_KEYS,
    ) -> None:
        self._ranges = [KeyRange.over(each.after, Outlook(until=each.until)) for each in ranges]
        self.first = self._ranges[0]
        self._splitter = splitter
        self._can_restart = can_restart
        self._unproven_keys = proof_keys
        self._previous: Sequence[str] = ()
        self._divided = len(ranges)

    @property
    def divided(self) -> int:
        """Ranges there have been."""
        return self._divided

    @property
    def is_proven(self) -> bool:
        """Whether enough keys have come in order."""
        return self._unproven_keys <= 0

    def take(self, *, divide: bool) -> KeyRange | None:
        """Return a range for an idle lister, or ``None`` where there is nothing to share.

        Args:
            divide: Whether a range that is being listed may be cut for it.
        """
        found = next((each for each in self._ranges if not each.taken and not each.done), None)
        if found is None:
            found = self._divide() if divide and self.is_proven else None
        elif not self.is_proven and any(each.is_active for each in self._ranges):
            return None
        if found is not None:
            found.taken = True
        return found

    def leave(self, key_range: KeyRange) -> None:
        """Give a range back; another lister goes on with it."""
        key_range.taken = False

    def accept(self, key_range: KeyRange, page: ListPage) -> Portion:
        """Account for the next page of a range.

        Returns:
            What of it to hand out: the objects that belong to the range.

        Raises:
            UndividedError: The server does not list in order, or not after a given key; what was
                handed out before counts, nothing of this page does.
            BrokenListingError: The listing does not get on, or cannot be told apart from what was
                handed out.
        """
        keys = keys_of(page)
        if key_range is self.first:
            check_progress(key_range.token, self._previous, keys, page)
        elif not keys:
            check_progress(key_range.token, (), keys, page)
        if not in_order(key_range.last, keys):
            self._distrust(key_range, keys)
        if key_range is self.first:
            self._previous = keys
        return self._use(key_range, keys, page)

    def handed_out(self, *, first: bool) -> list[Span]:
        """Return what has been handed out, in key order: of each range up to its last key.

        Args:
            first: Whether to name the first range as well.
        """
        return [
            Span(each.after, each.handed_out)
            for each in self._ranges
            if each.listed and (first or each is not self.first)
        ]

    def _divide(self) -> KeyRange | None:
        by_outlook = {each.outlook: each for each in self._ranges if not each.done}
        cut = self._splitter.cut(by_outlook)
        if cut is None:
            return None
        new = KeyRange.over(cut.at, cut.right)
        self._ranges.insert(self._ranges.index(by_outlook[cut.left]) + 1, new)
        self._divided += 1
        return new

    def _use(self, key_range: KeyRange, keys: Sequence[str], page: ListPage) -> Portion:
        until = key_range.until
        used = len(keys) if until is None else bisect_right(keys, until)
        self._splitter.saw(key_range.outlook, keys, used)
        self._unproven_keys -= len(keys)
        key_range.answered = True
        before = key_range.handed_out
        if used:
            key_range.last = key_range.handed_out = keys[used - 1]
        if not page.truncated or (self.is_proven and _is_beyond(keys, key_range)):
            # The token stays: it asks for this page again, should the first range have to go on.
            self._finish(key_range)
            is_news = until is None or until != before
            return Portion(page.objects[:used], Span(before, until) if is_news else None)
        key_range.token = page.next_token
        key_range.last = keys[-1] if keys else key_range.last
        return Portion(page.objects[:used], Span(before, key_range.handed_out) if used else None)

    def _finish(self, key_range: KeyRange) -> None:
        key_range.done = True
        place = self._ranges.index(key_range)
        if place + 1 < len(self._ranges):
            self._merge(key_range, self._ranges[place + 1])
        if place:
            self._merge(self._ranges[place - 1], key_range)

    def _merge(self, left: KeyRange, right: KeyRange) -> None:
        """Make one of two neighbours that are done, so that the table stays small."""
        if left is self.first or not (left.done and right.done) or left.until != right.after:
            return
        left.outlook = right.outlook
        if right.listed:
            left.handed_out = right.handed_out
        self._ranges.remove(right)

    def _distrust(self, key_range: KeyRange, keys: Sequence[str]) -> None:
        opens = key_range.after is not None and not key_range.answered
        ignored = opens and in_order(None, keys)
        if self.handed_out(first=False) and not (ignored or self._can_restart):
            raise BrokenListingError(_out_of_order(key_range.last, keys))
        raise UndividedError(IGNORED if ignored else UNORDERED)


def _is_beyond(keys: Sequence[str], key_range: KeyRange) -> bool:
    """Tell whether a page goes beyond the end of its range.

    One that ends there exactly does not: what the server lists next is still to be seen, as some
    pass over the folder of that very name when they are asked for what follows it.
    """
    last = keys[-1] if keys else key_range.last
    return key_range.until is not None and last is not None and last > key_range.until


def keys_of(page: ListPage) -> list[str]:
    """Return a page's keys.

    Raises:
        BrokenListingError: It says that more follow, but not how to ask for them.
    """
    keys = listed.keys_of(page.objects)
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
