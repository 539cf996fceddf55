"""Pure: which range an idle lister shares, and where it is cut: judgement, not book-keeping.

Nothing here can lose or repeat a key: a bad cut costs a request, and costs are bounded. A cut is a
bet that keys go on beyond it. Bets are laid as TCP opens a connection: few at first, more with each
one that pays, fewer when one does not; and on a smaller part of what has been seen than has been
won so far.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from async_s3copy.engine.keyspace import Alphabets, Stretch, View, measure

_LEAST_PAGES: Final = 4.0
"""A range of fewer pages is not cut: one more end costs half a page, and saves little time."""
_WASTE_SHARE: Final = 0.1
"""Pages that may be spent beside the keys, as a share of all: half of what 1.15 leaves."""
_HORIZON_PAGES: Final = 4.0
"""How far the first bets look ahead; later ones as far as the listing has come by then."""
_SMALL_SHARE: Final = 8
"""A range this much smaller than the largest is left alone: it does not end last."""
_SAMPLE_KEYS: Final = 32
"""Keys of a page whose characters are learnt."""
_LEAST_BRANCH_PAGES: Final = 1.5
"""A branch is worth a cut if it holds more than the page that is being listed anyway."""
_WINDOW: Final = 2.0
_MAX_WINDOW: Final = 64.0
_LEAST_TRUST: Final = 0.05


@dataclass(slots=True)
class Confidence:
    """Bound the cuts made by one view whose answers have not come.

    Attributes:
        window: How many there may be at once.
        outstanding: How many there are.
        trust: What share of the pages it foresees is believed in.
    """

    window: float = _WINDOW
    outstanding: int = 0
    trust: float = 1.0

    @property
    def may_bet(self) -> bool:
        """Tell whether one more may be made."""
        return self.outstanding < self.window

    def answered(self, *, paid: bool) -> None:
        """Take in the first page after a cut: most of its keys were new, or they were not."""
        self.outstanding -= 1
        if paid:
            self.window = min(_MAX_WINDOW, self.window + 1)
            self.trust += (1 - self.trust) * 0.3
        else:
            self.window = max(1.0, self.window / 2)
            self.trust = max(_LEAST_TRUST, self.trust * 0.6)


@dataclass(slots=True, eq=False)
class Outlook:
    """Keep what is known of one range's future.

    Attributes:
        until: The last key that belongs to the range; ``None`` where it has no end.
        page: First and last key of the last page; ``None`` before the first one.
        answered: Whether a page of it has come.
        view: The view that made the cut it begins at; ``None`` for the listing's first range.
        left: The range that was cut, until the first page tells whether that paid.
        trying: Cuts of this range that wait for their first page.
        misses: Cuts of this range in a row that did not pay.
        stretches: The measured future by view, until something changes.
    """

    until: str | None = None
    page: tuple[str, str] | None = None
    answered: bool = False
    view: View | None = None
    left: Outlook | None = None
    trying: int = 0
    misses: int = 0
    stretches: dict[View, Stretch | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cut:
    """Name a range that was cut, the range beyond the cut, and the last key before it."""

    left: Outlook
    right: Outlook
    at: str


class _Bet(NamedTuple):
    """A cut that could be made; the greatest is the best."""

    value: float
    caution: int
    pages: float
    number: int
    outlook: Outlook
    view: View
    stretch: Stretch


class Splitter:
    """Judge where ranges are cut.

    Args:
        prefix: The listing's prefix.
        listers: Listing requests in flight at most.
    """

    def __init__(self, prefix: str, listers: int) -> None:
        self._prefix = prefix
        self._alphabets = Alphabets()
        self._confidence = {view: Confidence() for view in View}
        # One answer to each lister may be in vain before anything is known.
        self._free_pages = listers
        self._pages = 0
        self._useful = 0.0
        self._page_keys = 1

    def saw(self, outlook: Outlook, keys: Sequence[str], used: int) -> None:
        """Take in a page.

        Args:
            outlook: The range it was asked for.
            keys: Its keys, in order, none of them before the range.
            used: How many of them, from the first, belong to the range.
        """
        self._pages += 1
        self._page_keys = max(self._page_keys, len(keys))
        self._useful += used / self._page_keys
        if keys:
            step = max(1, len(keys) // _SAMPLE_KEYS)
            self._alphabets.learn([*keys[::step], keys[-1]])
        if not outlook.answered:
            outlook.answered = True
            self._settle(outlook, paid=used * 2 >= self._page_keys)
        if used:
            outlook.page = (keys[0], keys[used - 1])
        outlook.stretches.clear()

    def cut(self, outlooks: Iterable[Outlook]) -> Cut | None:
        """Choose the range to share and the point to cut it at; ``None``: better wait.

        Args:
            outlooks: The ranges being listed.
        """
        allowed = self._free_pages + _WASTE_SHARE * self._pages
        spent = (self._pages - self._useful) / allowed
        if spent >= 1:
            return None
        bets = self._bets(outlooks)
        if not bets:
            return None
        # The dearer a cut has become, the more it has to save.
        least = max(max(bets).value / _SMALL_SHARE, _LEAST_PAGES * _LEAST_PAGES * spent)
        worth_it = [bet for bet in bets if bet.value >= least and self._is_open(bet)]
        while worth_it:
            bet = max(worth_it)
            if point := self._point(bet):
                return self._place(bet, point)
            bet.outlook.stretches[bet.view] = None
            worth_it.remove(bet)
        return None

    @property
    def _horizon(self) -> float:
        """Pages a range is believed to hold at most: as many as the whole listing had so far."""
        return _HORIZON_PAGES + self._pages

    def _bets(self, outlooks: Iterable[Outlook]) -> list[_Bet]:
        horizon, bets = self._horizon, list[_Bet]()
        for number, outlook in enumerate(outlooks):
            for view, confidence in self._confidence.items():
                stretch = self._stretch(outlook, view)
                if stretch is not None and stretch.pages >= _LEAST_PAGES:
                    pages = stretch.pages
                    value = min(pages, horizon) * confidence.trust
                    bets.append(_Bet(value, -view, pages, -number, outlook, view, stretch))
        return bets

    def _stretch(self, outlook: Outlook, view: View) -> Stretch | None:
        if outlook.page is not None and view not in outlook.stretches:
            outlook.stretches[view] = measure(
                self._alphabets, view, outlook.page, outlook.until, self._prefix
            )
        return outlook.stretches.get(view)

    def _is_open(self, bet: _Bet) -> bool:
        if not self._confidence[bet.view].may_bet:
            return False
        # Beyond the horizon one cut is tried at a time: its neighbours would fail with it.
        return not bet.outlook.trying or bet.stretch.pages <= self._horizon

    def _point(self, bet: _Bet) -> str | None:
        stretch, horizon = bet.stretch, self._horizon
        if stretch.pages <= horizon:
            # The page that is being asked for stays with the range.
            return stretch.ahead((1 + stretch.pages) / 2)
        # Few dense keys before a wide gap: try the end of what begins alike, then the middle
        # between what is believed and what is possible, in turn.
        branch = stretch.branch(_LEAST_BRANCH_PAGES, horizon) if bet.outlook.misses % 2 else None
        return branch or stretch.ahead(math.sqrt(horizon * min(stretch.pages, 1e100)))

    def _place(self, bet: _Bet, point: str) -> Cut:
        self._confidence[bet.view].outstanding += 1
        outlook = bet.outlook
        right = Outlook(until=outlook.until, view=bet.view, left=outlook)
        outlook.until = point
        outlook.trying += 1
        outlook.stretches.clear()
        return Cut(outlook, right, point)

    def _settle(self, outlook: Outlook, *, paid: bool) -> None:
        if outlook.view is None or outlook.left is None:
            return
        self._confidence[outlook.view].answered(paid=paid)
        outlook.left.trying -= 1
        outlook.left.misses = 0 if paid else outlook.left.misses + 1
        outlook.left = None
