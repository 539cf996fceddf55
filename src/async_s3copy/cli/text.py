"""Values as words for people: sizes, durations, counts, and keys that cannot drive a terminal."""

from __future__ import annotations

from typing import Final

_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def printable(text: str) -> str:
    r"""Show what a terminal might obey as an escape: ``\n``, ``\x1b``, ``\u202e``.

    Keys are opaque bytes of other people's making; one may hold a newline, an ANSI sequence or a
    character that reverses the line.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def size_text(size_bytes: float) -> str:
    """Write bytes in binary units: ``0 B``, ``1.5 KiB``, ``48.0 MiB``."""
    value, unit = float(size_bytes), 0
    # 1023.95 KiB would round to "1024.0 KiB": go on while the shown value would not be smaller.
    while round(value, 1) >= 1024 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{value:.0f} B" if unit == 0 else f"{value:,.1f} {_UNITS[unit]}"


def duration_text(seconds: float) -> str:
    """Write a duration: ``0.42 s``, ``12.3 s``, ``3:07 min``, ``2:03:07 h``."""
    if seconds < 1:
        return f"{seconds:.2f} s"
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, whole = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{whole:02} h" if hours else f"{minutes}:{whole:02} min"


def count_text(count: int, noun: str = "object") -> str:
    """Write a count with its noun: ``1 object``, ``2,505 objects``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
