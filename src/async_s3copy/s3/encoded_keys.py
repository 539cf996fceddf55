"""Keys as ``encoding-type=url`` spells them in listings. Pure."""

from __future__ import annotations

import re
from typing import Final

_ESCAPES: Final = re.compile(r"(?:%[0-9A-Fa-f]{2})+")


def key_decoded(text: str) -> str:
    """Resolve ``encoding-type=url``: percent-encoded UTF-8, a plus for a blank."""
    if "+" in text:
        text = text.replace("+", " ")
    if "%" not in text:
        return text
    return _plainly_decoded(text) or _ESCAPES.sub(_bytes_decoded, text)


def _plainly_decoded(text: str) -> str | None:
    """Decode in a few steps of C, whatever the number of escapes; ``None`` for odd text."""
    if "\\" in text or not text.isascii():
        return None
    try:
        # As escapes of a Python literal they become characters, one for each byte.
        escaped = text.replace("%", "\\x").encode("ascii")
        return escaped.decode("unicode_escape").encode("latin-1").decode("utf-8")
    except UnicodeError:
        return None


def _bytes_decoded(escapes: re.Match[str]) -> str:
    return bytes.fromhex(escapes[0].replace("%", "")).decode("utf-8", "replace")
