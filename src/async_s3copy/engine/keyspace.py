"""Pure: which characters keys have, and how far apart two keys are, measured in them.

S3 lists keys in the order of their UTF-8 bytes, which is the order of their code points, and so
that of Python's ``str``. Between two keys lie astronomically many possible ones, and nearly all of
them could never occur. A key is therefore read as a number whose digits are the characters seen at
each position: in that measure keys lie about evenly, whatever they are made of.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import zip_longest
from typing import Final

from async_s3copy.rules import MAX_KEY_BYTES

_END: Final = ""  # the "character" after the last one: it sorts before all others
_ONLY_END: Final = [_END]
_ALPHABET_SIZE: Final = 4_096
"""Characters remembered per position: enough to interpolate, and bounded for hostile keys."""
_RESOLUTION: Final = 1 << 18
"""A page is measured to this many steps at least, so that fractions of it can be told."""


class View(IntEnum):
    """Which characters are taken to be possible at a position."""

    SEEN = 0
    """Those seen there: right once enough of the keys are known, too narrow before."""
    LIKELY = 1
    """Also those of the same kind seen anywhere: a digit where digits are."""


class Alphabets:
    """Remember the characters of the keys seen so far, by position."""

    def __init__(self) -> None:
        self._seen: list[list[str]] = []
        self._kinds: list[int] = []
        self._known: list[set[str]] = []
        self._everywhere: list[str] = []
        self._likely: dict[int, list[str]] = {}

    def learn(self, keys: Sequence[str]) -> None:
        """Take in the characters of some keys."""
        for position, column in enumerate(zip_longest(*keys, fillvalue=_END)):
            if position == len(self._seen):
                self._seen.append([])
                self._known.append(set())
                self._kinds.append(0)
            known = self._known[position]
            if not known.issuperset(column) and len(known) < _ALPHABET_SIZE:
                self._add(position, set(column) - known)

    def at(self, position: int, view: View) -> Sequence[str]:
        """Return the characters possible at a position, sorted; "" is the end of the key."""
        if position >= len(self._seen):
            return _ONLY_END
        if view is View.SEEN:
            return self._seen[position]
        kinds = self._kinds[position]
        if kinds not in self._likely:
            self._likely[kinds] = [each for each in self._everywhere if _kind(each) & kinds]
        return self._likely[kinds]

    def _add(self, position: int, characters: set[str]) -> None:
        self._known[position] |= characters
        for character in characters:
            insort(self._seen[position], character)
            self._kinds[position] |= _kind(character)
            self._add_everywhere(character)

    def _add_everywhere(self, character: str) -> None:
        place = bisect_left(self._everywhere, character)
        if self._everywhere[place : place + 1] == [character]:
            return
        if len(self._everywhere) >= _ALPHABET_SIZE:
            return
        self._everywhere.insert(place, character)
        for kinds, alphabet in self._likely.items():
            if _kind(character) & kinds:
                insort(alphabet, character)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Measure what lies between the last key listed and the end of a range.

    Attributes:
        pages: Pages to come if the keys go on as densely as on the last page.
        stem: What all keys of the stretch begin with.
        after: The last key listed; ``until`` the range's end, ``None`` where it has none.
        until: The last key that belongs to the range; ``None`` where it has no end.
        alphabets: The possible characters of each position after the stem.
        sizes: How many each of them had when the stretch was measured.
        last: The last key listed, as a number.
        end: The range's end, as a number.
        page: The width of the last page, as a number.
    """

    pages: float
    stem: str
    after: str
    until: str | None
    alphabets: tuple[Sequence[str], ...]
    sizes: tuple[int, ...]
    last: int
    end: int
    page: int

    def ahead(self, pages: float) -> str | None:
        """Return the point so many pages after the last key; ``None`` where there is none."""
        steps = int(self.page * min(pages, 2.0**60) + 1)
        return self._key(min(self.last + steps, self.end - 1))

    def branch(self, at_least: float, at_most: float) -> str | None:
        """Return the end of the largest branch of keys that fits between two numbers of pages.

        A branch holds all keys that begin alike: a folder, a day, a leading digit.
        """
        weight, found = 1, None
        for size in reversed(self.sizes):
            weight *= size
            border = (self.last // weight + 1) * weight
            if border > self.end or border - self.last > at_most * self.page:
                break
            if border - self.last >= at_least * self.page:
                found = border
        return None if found is None else self._key(found - 1)

    def _key(self, number: int) -> str | None:
        digits: list[str] = []
        for alphabet, size in zip(reversed(self.alphabets), reversed(self.sizes), strict=True):
            number, digit = divmod(number, size)
            digits.append(alphabet[digit])
        digits.reverse()
        if _END in digits:
            # What follows a key's end has no meaning.
            del digits[digits.index(_END) :]
        key = _at_most_bytes(self.stem + "".join(digits), MAX_KEY_BYTES)
        inside = self.after < key and (self.until is None or key < self.until)
        return key if inside else None


def measure(
    alphabets: Alphabets, view: View, page: tuple[str, str], until: str | None, prefix: str
) -> Stretch | None:
    """Measure the stretch from the end of a page to the end of its range.

    Args:
        alphabets: What is known of the keys.
        view: Which characters count.
        page: The first and the last key of the page.
        until: The last key that belongs to the range; ``None`` where it has no end.
        prefix: The listing's prefix.

    Returns:
        The stretch; ``None`` where the page is too narrow to measure with.
    """
    first, last = page
    start = len(prefix) if until is None else _common(first, until)
    used = _positions(alphabets, view, start, first, last)
    sizes = tuple(len(alphabet) for alphabet in used)
    here = _number(used, start, last)
    width = here - _number(used, start, first)
    if width <= 0:
        return None
    end = _top(sizes) if until is None else _number(used, start, until)
    pages = float(max(0, end - here) * 1_000 // width) / 1_000 if end - here < 1 << 900 else 1e200
    return Stretch(pages, last[:start], last, until, used, sizes, here, end, width)


def _positions(
    alphabets: Alphabets, view: View, start: int, first: str, last: str
) -> tuple[Sequence[str], ...]:
    """Return the alphabets from ``start`` to where the page can be told apart finely."""
    differ = _common(first, last)
    used: list[Sequence[str]] = []
    steps = 1
    for position in range(start, max(len(first), len(last)) + 1):
        if position > differ and steps >= _RESOLUTION:
            break
        used.append(alphabets.at(position, view))
        if position > differ:
            steps *= len(used[-1])
    return tuple(used)


def _number(alphabets: tuple[Sequence[str], ...], start: int, key: str) -> int:
    number, exact = 0, True
    for position, alphabet in enumerate(alphabets, start):
        number *= len(alphabet)
        if not exact:
            continue
        character = key[position : position + 1]
        digit = bisect_left(alphabet, character)
        number += digit
        # Between two digits, or above the last: every digit after it counts as the lowest.
        exact = digit < len(alphabet) and alphabet[digit] == character
    return number


def _common(key: str, other: str) -> int:
    differing = (place for place, (a, b) in enumerate(zip(key, other, strict=False)) if a != b)
    return next(differing, min(len(key), len(other)))


def _top(sizes: tuple[int, ...]) -> int:
    top = 1
    for size in sizes:
        top *= size
    return top


def _kind(character: str) -> int:
    """Return the kind of a character, one bit each: end, digit, lower, upper, other, beyond."""
    if character == _END:
        return 1
    if character > "\x7f":
        return 32
    if character.isdigit():
        return 2
    return 4 if character.islower() else 8 if character.isupper() else 16


def _at_most_bytes(key: str, limit_bytes: int) -> str:
    if len(key) * 4 <= limit_bytes:
        return key
    return key.encode()[:limit_bytes].decode(errors="ignore")
