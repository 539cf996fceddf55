"""Pure: spans of keys, and what of them is covered.

S3 sorts keys by their UTF-8 bytes. That is the order of their code points, and so that of Python's
strings: comparing two keys needs no encoding.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

_End: TypeAlias = tuple[bool, str]
"""Where a span ends, comparable: ``(False, key)``, or ``_NO_END`` after every key."""
_NO_END: Final[_End] = (True, "")


@dataclass(frozen=True, slots=True)
class Span:
    """Name the keys after one key up to another: a half-open range.

    Attributes:
        after: They begin after this key, which does not belong to them; ``None`` begins with the
            first key there is.
        until: The last key that belongs to them; ``None`` goes on to the last key there is.
    """

    after: str | None = None
    until: str | None = None

    def __contains__(self, key: str) -> bool:
        return (self.after is None or self.after < key) and (
            self.until is None or key <= self.until
        )


ALL_KEYS: Final = Span()


class Coverage:
    """Keep the union of spans, as few of them as will do: neighbours become one.

    It grows with the number of gaps, not with that of spans or keys.
    """

    def __init__(self) -> None:
        # Two lists that rise strictly, the n-th span between their n-th values.
        self._afters: list[str] = []
        self._ends: list[_End] = []

    @property
    def spans(self) -> list[Span]:
        """What is covered: in key order, disjoint, and nowhere touching."""
        return [_span(after, end) for after, end in zip(self._afters, self._ends, strict=True)]

    def add(self, span: Span) -> None:
        """Cover a span, whatever of it is covered already.

        Finding its place takes O(log n) comparisons of n gaps.
        """
        after, end = span.after or "", _end(span)
        if end <= (False, after):
            return
        first = bisect_left(self._ends, (False, after))
        last = len(self._afters) if end == _NO_END else bisect_right(self._afters, end[1])
        if first < last:
            after = min(after, self._afters[first])
            end = max(end, self._ends[last - 1])
        self._afters[first:last] = [after]
        self._ends[first:last] = [end]

    def remaining(self, within: Sequence[Span]) -> list[Span]:
        """Return what is not covered of some spans, in their order."""
        return [gap for span in within for gap in self._gaps(span)]

    def _gaps(self, span: Span) -> list[Span]:
        after, end = span.after or "", _end(span)
        gaps: list[Span] = []
        for place in range(bisect_left(self._ends, (False, after)), len(self._afters)):
            start = (False, self._afters[place])
            if start >= end:
                break
            if (False, after) < start:
                gaps.append(_span(after, start))
            if self._ends[place] >= end:
                return gaps
            after = self._ends[place][1]
        if (False, after) < end:
            gaps.append(_span(after, end))
        return gaps


def _end(span: Span) -> _End:
    return _NO_END if span.until is None else (False, span.until)


def _span(after: str, end: _End) -> Span:
    return Span(after or None, None if end == _NO_END else end[1])
