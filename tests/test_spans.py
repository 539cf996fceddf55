"""Spans of keys, and their union: what is covered, and what is left."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from async_s3copy.engine.spans import ALL_KEYS, Coverage, Span

# Few keys, so that spans meet; the ends of what keys can be among them.
KEYS = st.sampled_from(["\x00", "a", "a/", "aé", "b", "\ue000", "\U0001f600", "\U0010ffff"])
SPANS = st.builds(Span, st.none() | KEYS, st.none() | KEYS)
PROBES = sorted(["\x00", "\x01", "Z", "a", "a.", "a/", "a/b", "aé", "b", "\ue000", "\U0010ffff!"])


def in_any(key: str, spans: Sequence[Span]) -> bool:
    return any(key in span for span in spans)


@pytest.mark.parametrize(
    "key, span, inside",
    [
        ("a", Span("a", "b"), False),
        ("a\x00", Span("a", "b"), True),
        ("b", Span("a", "b"), True),
        ("b\x00", Span("a", "b"), False),
        ("\x00", Span(None, "a"), True),
        ("\U0010ffff", Span("a"), True),
        ("é", ALL_KEYS, True),
    ],
)
def test_a_span_is_half_open(key: str, span: Span, inside: bool) -> None:
    """The key it begins after is not in it, its last key is; ``None`` has no end."""
    assert (key in span) is inside


@given(st.lists(SPANS))
def test_a_coverage_is_the_union_of_its_spans(spans: list[Span]) -> None:
    """A key is covered if it lies in one of them; what touches is one."""
    coverage = Coverage()
    for span in spans:
        coverage.add(span)
    covered = coverage.spans
    assert [in_any(key, covered) for key in PROBES] == [in_any(key, spans) for key in PROBES]
    for left, right in pairwise(covered):
        assert left.until is not None
        assert right.after is not None
        assert left.until < right.after


@given(st.lists(SPANS), st.lists(SPANS, max_size=3))
def test_what_remains_is_the_complement(spans: list[Span], within: list[Span]) -> None:
    """A key remains of a span if it lies in it and is not covered; no gap is empty."""
    coverage = Coverage()
    for span in spans:
        coverage.add(span)
    gaps = coverage.remaining(within)
    for key in PROBES:
        assert in_any(key, gaps) == (in_any(key, within) and not in_any(key, spans))
    assert all(gap.until is None or (gap.after or "") < gap.until for gap in gaps)


@given(st.lists(SPANS), st.randoms())
def test_the_order_of_adding_does_not_matter(spans: list[Span], dice: st.DataObject) -> None:
    """Nor does adding a span twice."""
    one, other = Coverage(), Coverage()
    mixed = [*spans, *spans]
    dice.shuffle(mixed)  # type: ignore[attr-defined]
    for span in spans:
        one.add(span)
    for span in mixed:
        other.add(span)
    assert one.spans == other.spans


def test_nothing_covered_leaves_everything() -> None:
    """And what fills every gap leaves nothing."""
    coverage = Coverage()
    assert coverage.remaining([ALL_KEYS]) == [ALL_KEYS]
    coverage.add(Span("a", "b"))
    gaps = coverage.remaining([ALL_KEYS])
    assert gaps == [Span(None, "a"), Span("b", None)]
    for gap in gaps:
        coverage.add(gap)
    assert coverage.spans == [ALL_KEYS]
    assert coverage.remaining([ALL_KEYS]) == []
