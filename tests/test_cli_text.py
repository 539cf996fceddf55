"""Values as words: sizes, durations, counts, and text that cannot drive a terminal."""

from __future__ import annotations

import pytest

from async_s3copy.cli.text import count_text, duration_text, printable, size_text

MIB = 1024 * 1024


@pytest.mark.parametrize(
    "size_bytes, text",
    [
        (0, "0 B"),
        (1, "1 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (MIB - 1, "1.0 MiB"),
        (48 * MIB, "48.0 MiB"),
        (5 * 1024**4, "5.0 TiB"),
        (2048 * 1024**5, "2,048.0 PiB"),
    ],
)
def test_sizes_are_binary_units(size_bytes: int, text: str) -> None:
    assert size_text(size_bytes) == text


@pytest.mark.parametrize(
    "seconds, text",
    [
        (0.424, "0.42 s"),
        (12.34, "12.3 s"),
        (59.94, "59.9 s"),
        (59.96, "1:00 min"),
        (187, "3:07 min"),
        (7387, "2:03:07 h"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_one_object_is_singular() -> None:
    assert [count_text(n) for n in (0, 1, 2505)] == ["0 objects", "1 object", "2,505 objects"]


def test_printable_shows_what_a_terminal_would_obey_and_leaves_the_rest() -> None:
    assert printable("Grüße 日本 🚀 [red] 'x'") == "Grüße 日本 🚀 [red] 'x'"
    assert printable("a\x1b[31m\n\r\x07\x7f\u009b\u202e\u2028") == (
        "a\\x1b[31m\\n\\r\\x07\\x7f\\x9b\\u202e\\u2028"
    )
