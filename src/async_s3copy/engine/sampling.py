"""Pure: where a prefix is cut into shards of about as many keys, judged by a sample of its pages.

A page that was asked for after some key tells which keys follow it, and that nothing lies before
the first of them. Between the pages lie gaps. How many keys a gap may hold is estimated by how
dense keys are at its sides, in the measure of ``keyspace``. Half of the pages are asked for in the
heaviest gaps, until none of them matters; the others where something may hide: at the ends of
branches, shallow ones first. A gap that has been read is known exactly, and so is a prefix of few
pages.

Nothing here can lose or repeat a key: shards meet at keys, wherever these are. Keys that XML cannot
spell are not among them: there are servers that fail to answer a listing after one.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from heapq import heappop, heappush
from itertools import islice
from typing import Final, NamedTuple

from async_s3copy.engine.gaps import Estimator, Gap, Look, Sample, common, folder_end
from async_s3copy.engine.keyspace import View

PROBES_PER_SHARD: Final = 19
"""Pages sampled per shard: half of them divide it, and half look for what hides."""
LEAST_PROBES: Final = 160
"""Pages sampled of few shards: it takes some to find where keys are at all."""
MOST_PROBES: Final = 4_000
"""Pages sampled in any case at most."""
_TOLERANCE: Final = 1 / 12
"""A gap of a smaller part of a shard does not matter."""
_LANDMARKS: Final = "0Aa\x7f\u0400\u3000\U00010000"
"""Where digits, letters and scripts begin: asked for once, so that no part of Unicode is missed."""
_LEAST_ROUND: Final = 8
"""Pages asked for at a time at least: as many as are in flight by default."""
_ROUND_SHARE: Final = 16
"""A round asks for a sixteenth of the pages there are: planning it looks at every gap."""
_EXACT_PAGES: Final = 64
"""Of so many pages every key is remembered, to cut exactly; of later ones every sixteenth."""
_STEP: Final = 16
"""A cut may then be off by eight keys; the keys of 4,000 pages would be hundreds of MiB."""
_LEARNT_KEYS: Final = 32
"""Keys of a page whose characters are learnt."""
_PAGE_KEYS: Final = 1_000.0
_LEAST_TRUST: Final = 0.05
"""As in ``splitting``: what was guessed wrong twenty times may still be right."""
# https://www.w3.org/TR/xml/#charsets
_NOT_IN_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class _Wish(NamedTuple):
    """A gap to look into; the least is the most urgent."""

    urgency: float
    view: View
    depth: int
    number: int
    points: int


class Sampler:
    """Find out where the keys of a prefix are.

    Tell the prefix's first page with ``saw()``. Then ask for ``probes()`` and tell what each of
    them gave, until there are no more, and take the ``cuts()``.

    Args:
        prefix: The listing's prefix.
        shards: Shards at most.
    """

    def __init__(self, prefix: str, shards: int) -> None:
        self._start = len(prefix)
        self._prefix = prefix
        self._shards = shards
        self._estimator = Estimator(prefix)
        self._samples: list[Sample] = []
        self._end: str | None = None
        self._pages = 0
        self._budget = min(MOST_PROBES, max(LEAST_PROBES, PROBES_PER_SHARD * shards))
        self._refreshed = 0
        self._trust = 1.0
        self._guesses: set[str] = set()
        self._total = self._most = 0.0

    @property
    def pages(self) -> int:
        """Pages seen."""
        return self._pages

    def saw(self, after: str | None, keys: Sequence[str], *, truncated: bool) -> None:
        """Take in a page.

        Args:
            after: What it was asked for after; ``None`` for the prefix's first page.
            keys: Its keys, in order.
            truncated: Whether more follow.
        """
        self._pages += 1
        if keys:
            step = max(1, len(keys) // _LEARNT_KEYS)
            self._estimator.learn([*keys[::step], keys[-1]])
        guess = after in self._guesses
        place, after, keys = self._unknown(after, keys)
        right = self._samples[place] if place < len(self._samples) else None
        border = self._end if right is None else right.after
        used = len(keys) if border is None else bisect_right(keys, border)
        if guess:
            self._judge(paid=used > 0)
        if used:
            step = 1 if self._pages <= _EXACT_PAGES else _STEP
            self._samples.insert(place, Sample.of(after, keys[:used], step))
            self._open(place - 1)
        if used < len(keys) or not truncated:
            self._close(place, after, used > 0)
        self._open(place if used else place - 1)

    def probes(self) -> list[str]:
        """Say after which keys to list next, in key order; none: enough is known."""
        size = min(max(_LEAST_ROUND, self._pages // _ROUND_SHARE), self._budget - self._pages)
        gaps = [sample.gap for sample in self._samples if sample.gap is not None]
        if size <= 0 or not gaps:
            return []
        self._refresh(2 * size)
        self._total = self._believed()
        plan = self._plan(gaps, max(1, size - size // 2))
        self._guesses = set()
        found: dict[str, None] = {}
        for wish in plan:
            points = self._points(gaps[wish.number], wish)
            found.update(dict.fromkeys(points))
            if wish.view is View.LIKELY:
                self._guesses.update(points)
        borders = self._borders(gaps, max(1, size - len(plan)))
        found.update(dict.fromkeys([*self._landmarks(), *borders]))
        points = [point for point in found if travels(point)]
        return sorted(points[: self._budget - self._pages])

    def cuts(self) -> list[str]:
        """Return the keys that end a shard, all but the last one's, in order."""
        ranks, keys, total = self._places()
        cuts: list[str] = []
        for number in range(1, self._shards):
            place = _nearest(ranks, total * number / self._shards)
            if place is None or ranks[place] >= total:
                break
            if not cuts or keys[place] > cuts[-1]:
                cuts.append(keys[place])
        return cuts

    def _unknown(
        self, after: str | None, keys: Sequence[str]
    ) -> tuple[int, str | None, Sequence[str]]:
        """Leave out of a page what is known: another one of its round may have reached into it.

        Returns:
            The place of the sample that follows what is left, what that comes after, and its keys.
        """
        place = 0 if after is None else bisect_right(self._samples, after, key=_last)
        for sample in islice(self._samples, place, None):
            if after is None or (sample.after is not None and after < sample.after):
                break
            place, after = place + 1, sample.last
            keys = keys[bisect_right(keys, after) :]
        return place, after, keys

    def _open(self, place: int) -> None:
        """Note the gap behind a sample, or that there is none."""
        if place < 0:
            return
        left = self._samples[place]
        right = self._samples[place + 1] if place + 1 < len(self._samples) else None
        until = self._end if right is None else right.after
        is_open = until is None or left.last < until
        left.gap = self._estimator.gap(left, right, until) if is_open else None

    def _close(self, place: int, after: str | None, used: bool) -> None:
        """Note that nothing more comes before the next sample, or before the end of all."""
        last = self._samples[place].last if used else after
        following = place + used
        if following < len(self._samples):
            self._samples[following].after = last
        else:
            self._end = last if self._end is None or last is None else min(self._end, last)

    def _judge(self, *, paid: bool) -> None:
        """Trust guesses more when they pay, less when they do not."""
        if paid:
            self._trust += (1 - self._trust) * 0.3
        else:
            self._trust = max(_LEAST_TRUST, self._trust * 0.6)

    def _refresh(self, count: int) -> None:
        """Estimate some gaps anew, in turn: what is known of characters grows."""
        samples = self._samples
        for number in range(min(count, len(samples))):
            gap = samples[(self._refreshed + number) % len(samples)].gap
            if gap is not None:
                self._estimator.estimate(gap)
        self._refreshed = (self._refreshed + count) % max(1, len(samples))

    def _believed(self) -> float:
        """Return how many keys there seem to be.

        What a gap makes believe beyond all the others is an end that was not found.
        """
        seen = [sample.gap.seen for sample in self._samples if sample.gap]
        known = sum(sample.count for sample in self._samples)
        self._most = known + sum(look.mean() for look in seen if look.is_even)
        return self._most + sum(look.mean(self._most) for look in seen if not look.is_even)

    @property
    def _horizon(self) -> float:
        """Keys that a gap is believed to hold at most."""
        return 4 * (_PAGE_KEYS + self._total)

    def _plan(self, gaps: Sequence[Gap], size: int) -> list[_Wish]:
        """Choose the heaviest gaps, each in one view; an even one may get several points."""
        heap: list[_Wish] = []
        for wish in self._wishes(gaps):
            heappush(heap, wish)
        plan: dict[int, _Wish] = {}
        points = 0
        while heap and points < size:
            wish = heappop(heap)
            if wish.number in plan and plan[wish.number].view is not wish.view:
                continue
            plan[wish.number] = wish
            points += 1
            if self._is_even(gaps[wish.number], wish.view):
                more = wish.points + 1
                urgency = wish.urgency * wish.points / more
                heappush(heap, wish._replace(urgency=urgency, points=more))
        return list(plan.values())

    def _wishes(self, gaps: Sequence[Gap]) -> Iterator[_Wish]:
        least = self._total / self._shards * _TOLERANCE
        for number, gap in enumerate(gaps):
            for view, look in zip(View, gap.looks, strict=True):
                value = look.mean()
                if not self._is_even(gap, view):
                    # Where in it the keys end is not known: what may be off counts.
                    value = max(value, look.most / 2)
                value = min(value, self._horizon) * (1.0 if view is View.SEEN else self._trust)
                if value > least:
                    depth = common(gap.left.last, gap.until or self._prefix)
                    yield _Wish(-value, view, depth, number, 1)

    def _is_even(self, gap: Gap, view: View) -> bool:
        look = gap.looks[view]
        if gap.until is None:
            return 2 * _PAGE_KEYS < look.left < self._horizon
        return look.is_even

    def _points(self, gap: Gap, wish: _Wish) -> list[str]:
        """Choose where to look into a gap."""
        look = gap.looks[wish.view]
        stretch = look.stretch
        if stretch is None or look.most <= gap.left.count:
            return [gap.left.last]
        if wish.points > 1:
            shares = (number / (wish.points + 1) for number in range(1, wish.points + 1))
            points = (stretch.ahead(share * stretch.pages) for share in shares)
            return [point for point in points if point is not None]
        if look.mean() > self._horizon and (end := folder_end(gap, self._start)):
            return [end]
        return [stretch.ahead(self._share(gap, look) * stretch.pages) or gap.left.last]

    def _share(self, gap: Gap, look: Look) -> float:
        """Choose which part of a gap to leave before the point.

        Where one side is denser, the point keeps near it: in the middle, on a scale of ratios,
        between what is known to be as dense and what would be if all of the gap were.
        """
        if gap.until is None:
            return 0.5 if look.left < self._horizon else math.sqrt(self._horizon / look.left)
        if look.right is None or look.left >= look.right:
            run = max(look.right or 0.0, self._run(gap, -1), _PAGE_KEYS)
            return min(0.5, math.sqrt(run / look.left))
        run = max(look.left, self._run(gap, 1), _PAGE_KEYS)
        return 1 - min(0.5, math.sqrt(run / look.right))

    def _run(self, gap: Gap, way: int) -> float:
        """Return the keys in the gap before (-1) or after (1) a gap's own page."""
        place = bisect_left(self._samples, gap.left.last, key=_last) + way
        beside = self._samples[place].gap if 0 <= place < len(self._samples) else None
        return 0.0 if beside is None else beside.seen.mean()

    def _borders(self, gaps: Sequence[Gap], count: int) -> list[str]:
        """Choose ends of branches, where something may hide: where no end is known, first.

        A gap that a page may fill is read instead.
        """
        outermost = 1 + max(self._start, common(self._samples[0].first, self._samples[-1].last))
        found = [
            (
                gap.until is not None,
                len(gap.border) > outermost,
                self._is_even(gap, View.SEEN),
                len(gap.border),
                -number,
                gap.left.last if gap.seen.mean() <= gap.left.count else gap.border,
            )
            for number, gap in enumerate(gaps)
            if gap.border is not None
        ]
        return [point for *_, point in sorted(found)[:count]]

    def _landmarks(self) -> list[str]:
        if self._pages > 1:
            return []
        last = self._samples[-1].last
        return [point for mark in _LANDMARKS if (point := self._prefix + mark) > last]

    def _places(self) -> tuple[list[float], list[str], float]:
        """Return the keys a shard may end at, with how many are believed to come up to each."""
        self._refresh(len(self._samples))
        self._believed()
        ranks, keys, rank = list[float](), list[str](), 0.0
        for sample in self._samples:
            for number, key in enumerate(sample.kept, 1):
                ranks.append(rank + number * sample.step)
                keys.append(key)
            rank += sample.count
            if keys[-1:] != [sample.last]:
                ranks.append(rank)
                keys.append(sample.last)
            if sample.gap is not None:
                rank += sample.gap.seen.mean(self._most)
        plain = [number for number, key in enumerate(keys) if travels(key)]
        return [ranks[number] for number in plain], [keys[number] for number in plain], rank


def travels(key: str) -> bool:
    """Tell whether any server can list after a key: XML can spell it, which has to be answered."""
    return not _NOT_IN_XML.search(key)


def _last(sample: Sample) -> str:
    return sample.last


def _nearest(ranks: Sequence[float], rank: float) -> int | None:
    place = bisect_left(ranks, rank)
    near = (each for each in (place - 1, place) if 0 <= each < len(ranks))
    return min(near, key=lambda each: abs(ranks[each] - rank), default=None)
