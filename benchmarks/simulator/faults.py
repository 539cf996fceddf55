"""Which requests go wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from random import Random

from benchmarks.simulator.config import FaultKind, FaultRule


class Faults:
    """Decides for each request whether and how it goes wrong.

    Args:
        rules: The first that applies counts.
        random: Where chance comes from: with one seed, the same requests go wrong.
    """

    def __init__(self, rules: Sequence[FaultRule], random: Random) -> None:
        self._rules = rules
        self._random = random
        self._used: Counter[int] = Counter()

    def pick(self, operation: str) -> FaultKind | None:
        """Return what happens to a request; None: nothing."""
        for number, rule in enumerate(self._rules):
            if rule.operation not in {operation, "*"}:
                continue
            if rule.limit is not None and self._used[number] >= rule.limit:
                continue
            if self._random.random() < rule.fraction:
                self._used[number] += 1
                return rule.kind
        return None
