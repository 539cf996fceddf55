"""How well a limit was kept: what the simulator's series of accepted and refused requests says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

SETTLE_S: Final = 5.0
"""Time to find a limit, at the start and after each change of it."""
# In the last second a run empties its queue: it has fewer objects left than the limit allows.
_TAIL_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of time with one limit.

    Attributes:
        start_s: When it began, in the time of the series.
        limit_per_s: What the server accepts.
    """

    start_s: float
    limit_per_s: float


def judge(series: Sequence[Mapping[str, Any]], phases: Sequence[Phase]) -> dict[str, float]:
    """Compare what was accepted and refused with the limits, 5 s after each began.

    Args:
        series: Slices of equal length, with ``t_s``, ``accepted`` and ``refused``.
        phases: The limits in the order of their beginning; the first begins at 0.

    Returns:
        ``refused_share`` over all phases, ``utilisation`` of the first limit,
        ``recovered_utilisation`` of the last; what the run was too short to tell is left out.
    """
    if len(series) < 2:
        return {}
    ends = [*(phase.start_s for phase in phases[1:]), series[-1]["t_s"] - _TAIL_S]
    windows = [
        [slot for slot in series if phase.start_s + SETTLE_S <= slot["t_s"] < end]
        for phase, end in zip(phases, ends, strict=True)
    ]
    slice_s = series[1]["t_s"] - series[0]["t_s"]
    used = [_used(window, phase, slice_s) for window, phase in zip(windows, phases, strict=True)]
    found = {
        "refused_share": _refused_share([slot for window in windows for slot in window]),
        "utilisation": used[0],
        "recovered_utilisation": used[-1] if len(used) > 1 else None,
    }
    return {name: value for name, value in found.items() if value is not None}


def _used(window: Sequence[Mapping[str, Any]], phase: Phase, slice_s: float) -> float | None:
    if not window:
        return None
    accepted: int = sum(slot["accepted"] for slot in window)
    return accepted / (phase.limit_per_s * slice_s * len(window))


def _refused_share(slots: Sequence[Mapping[str, Any]]) -> float | None:
    refused: int = sum(slot["refused"] for slot in slots)
    total: int = refused + sum(slot["accepted"] for slot in slots)
    return refused / total if total else None
