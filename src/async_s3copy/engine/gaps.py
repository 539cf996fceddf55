"""Pure: what a sampled page tells, and how many keys may lie in the gap that follows it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from async_s3copy.engine.keyspace import Alphabets, Stretch, View, measure

NEAR_KEYS: Final = 16
"""Keys at either end of a page that tell how dense keys are just there: 25 % off, but local."""
_DENSER: Final = 3.0
"""Where the end of a page is so much denser than all of it, a cluster begins: the end counts."""
_EVEN: Final = 16.0
"""A gap whose two sides differ by less is taken to be filled evenly."""
_LEAST_KEYS: Final = 2_000.0
"""Below it a gap is two pages: nothing to divide."""
_MOST: Final = 1e100


@dataclass(slots=True, eq=False)
class Sample:
    """Keep what a page told.

    Attributes:
        after: Nothing lies between it and the first key; ``None``: nothing lies before that.
        first: The page's first key.
        last: Its last one.
        near_first: The last key of its beginning.
        near_last: The first key of its end.
        count: Keys from the first to the last.
        kept: Every ``step``-th of them.
        step: 1 keeps all.
        gap: What is not known behind the last; ``None`` where the next sample follows at once.
    """

    after: str | None
    first: str
    last: str
    near_first: str
    near_last: str
    count: int
    kept: Sequence[str]
    step: int
    gap: Gap | None = None

    @classmethod
    def of(cls, after: str | None, keys: Sequence[str], step: int) -> Sample:
        """Make a sample of a page's keys, of which there is at least one."""
        near = min(len(keys), NEAR_KEYS)
        return cls(
            after=after,
            first=keys[0],
            last=keys[-1],
            near_first=keys[near - 1],
            near_last=keys[-near],
            count=len(keys),
            kept=keys[step - 1 :: step],
            step=step,
        )

    @property
    def near(self) -> int:
        """Keys of its beginning, and of its end."""
        return min(self.count, NEAR_KEYS)


@dataclass(frozen=True, slots=True)
class Look:
    """Estimate the keys of a gap by what is beside it.

    Attributes:
        left: Keys in the gap if they go on as densely as before it.
        right: Keys if they are as dense as after it; ``None`` where nothing is known there.
        stretch: The gap, measured by the keys before it; ``None`` where they cannot measure it.
        is_branch: Whether the gap ends where the branch of the keys before it does: the keys after
            it are of another one.
    """

    left: float
    right: float | None
    stretch: Stretch | None
    is_branch: bool = False

    @property
    def most(self) -> float:
        """As many keys as either side makes believe."""
        return max(self.left, self.right or 0.0)

    @property
    def is_even(self) -> bool:
        """Whether the gap holds several pages, and both sides agree about it."""
        if self.right is None:
            return False
        return _LEAST_KEYS < self.most < _EVEN * min(self.left, self.right)

    def mean(self, most: float = _MOST) -> float:
        """Estimate the keys, where neither side may make believe more than ``most``.

        Where the sides differ, density falls somewhere in between, and where is not known: the
        logarithmic mean takes each distance from the dense side, on a scale of ratios, as likely.
        """
        if self.right is None:
            return min(self.left, most)
        low, high = sorted(max(1.0, min(each, most)) for each in (self.left, self.right))
        if high <= 2 * low or (self.is_branch and self.left < most):
            return (low + high) / 2
        return (high - low) / math.log(high / low)


@dataclass(slots=True, eq=False)
class Gap:
    """Name a range of keys of which nothing is known.

    Attributes:
        left: The page before it.
        right: The page after it; ``None`` behind the last one.
        until: Where it ends, itself included; ``None`` where it has no end.
        border: The end of the outermost branch of keys that ends in it, never asked for; a branch
            holds all keys that begin alike. ``None`` where there is none.
        looks: The estimates, by view.
    """

    left: Sample
    right: Sample | None
    until: str | None
    border: str | None = None
    looks: tuple[Look, ...] = field(default=())

    @property
    def seen(self) -> Look:
        """The estimate by the characters that have been seen."""
        return self.looks[View.SEEN]


class Estimator:
    """Estimate gaps by the characters of the keys seen so far.

    Args:
        prefix: The listing's prefix.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._alphabets = Alphabets()

    def learn(self, keys: Sequence[str]) -> None:
        """Take in the characters of some keys."""
        self._alphabets.learn(keys)

    def gap(self, left: Sample, right: Sample | None, until: str | None) -> Gap:
        """Make a gap, estimated."""
        gap = Gap(left, right, until, branch_end(left.last, until, len(self._prefix)))
        self.estimate(gap)
        return gap

    def estimate(self, gap: Gap) -> None:
        """Estimate a gap anew: more is known of the keys by now."""
        gap.looks = tuple(self._look(gap, view) for view in View)

    def _look(self, gap: Gap, view: View) -> Look:
        left = gap.left
        stretch = self._stretch(gap, view, left.near_last)
        near = _keys(stretch, left.near)
        whole = _keys(self._stretch(gap, view, left.first), left.count)
        return Look(
            _settled(near, whole) or 0.0,
            self._right(gap, view),
            stretch,
            is_branch=gap.until is not None and left.last.startswith(gap.until[:-1]),
        )

    def _stretch(self, gap: Gap, view: View, first: str) -> Stretch | None:
        last = gap.left.last
        if first == last:
            first = gap.left.after or self._prefix
        return measure(self._alphabets, view, (first, last), gap.until, self._prefix)

    def _right(self, gap: Gap, view: View) -> float | None:
        right = gap.right
        if right is None or gap.until is None:
            return None
        near = self._back(gap, view, right.near_first, right.near)
        return _settled(near, self._back(gap, view, right.last, right.count))

    def _back(self, gap: Gap, view: View, last: str, count: int) -> float | None:
        """Estimate by ``count`` keys after the gap, the last of which is given."""
        there = measure(self._alphabets, view, (gap.left.last, gap.until or ""), last, self._prefix)
        if there is None or there.end <= there.last:
            return None
        if there.page.bit_length() > 900:
            return _MOST
        return min(_MOST, count * (there.page / (there.end - there.last)))


def branch_end(key: str, until: str | None, start: int) -> str | None:
    """Return where the outermost branch ends that holds a key, and ends before ``until``.

    Args:
        key: The key.
        until: The end must come before it; ``None`` for any.
        start: The branches begin alike in more characters than that.
    """
    for place in range(max(start, 0 if until is None else common(key, until)), len(key)):
        end = key[:place] + _successor(key[place])
        if key < end and (until is None or end < until):
            return end
    return None


def folder_end(gap: Gap, start: int) -> str | None:
    """Return the end of the outermost folder that holds the page's end, and ends in the gap.

    Args:
        gap: The gap after the page.
        start: Folders have longer names than that.
    """
    key, until = gap.left.last, gap.until
    shared = common(gap.left.near_last, key)
    place = key.find("/", max(start, 0 if until is None else common(key, until)))
    while 0 <= place < shared:
        end = key[:place] + "0"  # the character after "/"
        if until is None or end < until:
            return end
        place = key.find("/", place + 1)
    return None


def common(key: str, other: str) -> int:
    """Return how many characters two keys have in common at their beginnings."""
    differing = (place for place, (a, b) in enumerate(zip(key, other, strict=False)) if a != b)
    return next(differing, min(len(key), len(other)))


def _successor(character: str) -> str:
    if character == "\ud7ff":
        return "\ue000"  # surrogates are no characters
    return chr(min(ord(character) + 1, 0x10FFFF))


def _keys(stretch: Stretch | None, count: int) -> float:
    return 0.0 if stretch is None else count * min(stretch.pages, _MOST)


def _settled(near: float | None, whole: float | None) -> float | None:
    """Take the whole page's word, unless keys have become much denser at its end.

    Where they seem sparser there, the end may as well hold the way to another folder.
    """
    if near is None or whole is None:
        return whole if near is None else near
    return near if near > whole * _DENSER else whole
