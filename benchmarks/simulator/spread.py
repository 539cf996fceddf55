"""Positions spread over a range: strictly rising with their index, jittered, invertible.

Everything is exact integer arithmetic, so that ``position`` and ``index`` agree at any size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_MASK: Final = (1 << 64) - 1
_JITTER_BITS: Final = 16
# Below 1, so that neighbours stay a twentieth of a step apart, and apart after rounding down.
_JITTER_SPAN: Final = 62_258
# Neighbours must differ after rounding: a twentieth of a step has to be one at least.
_STEP: Final = 20


def mix(number: int) -> int:
    """Return 64 bits that look random, the same for the same number (splitmix64)."""
    number = (number + 1) * 0x9E3779B97F4A7C15 & _MASK
    number = (number ^ number >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    number = (number ^ number >> 27) * 0x94D049BB133111EB & _MASK
    return number ^ number >> 31


@dataclass(frozen=True, slots=True)
class Spread:
    """``count`` positions in ``0..span-1``, about evenly spread, none twice.

    Attributes:
        count: How many.
        span: The range; at least 20 for each position.
    """

    count: int
    span: int

    def __post_init__(self) -> None:
        if self.count * _STEP > self.span:
            raise ValueError(f"{self.count:,} keys do not fit: at most {self.span // _STEP:,}")

    def position(self, index: int) -> int:
        """Return the position of an index: floor((index + jitter) * span / count)."""
        return self.place(index, mix(index))

    def place(self, index: int, noise: int) -> int:
        """Return the position of an index whose ``mix(index)`` is at hand already."""
        jitter = (noise & 0xFFFF) * _JITTER_SPAN >> _JITTER_BITS
        return ((index << _JITTER_BITS) + jitter) * self.span // (self.count << _JITTER_BITS)

    def index(self, position: int) -> int:
        """Return the index of a position that is taken, or the one before it.

        Rounding down can move a position just below its step.
        """
        return position * self.count // self.span
