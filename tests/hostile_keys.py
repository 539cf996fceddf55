"""Keys that broke one copier or another, and which test server can hold each.

Found by trying (SeaweedFS 4.48, moto 5.2): every key goes where it can live, and one that no server
can hold says so by an empty ``where``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

SEAWEEDFS: Final = "seaweedfs"
MOTO: Final = "moto"
# https://www.w3.org/TR/xml/#charsets
_NOT_IN_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class HostileKey:
    """One key.

    Attributes:
        key: The key itself.
        where: Servers that keep it unchanged.
        why_not: Why the others do not.
    """

    key: str
    where: frozenset[str]
    why_not: str = ""


_PATHS: Final = (  # SeaweedFS keeps files in folders, so it folds or refuses what is no clean path
    "a//b",
    "a///b",
    "/a",
    "//a",
    "/",
    "//",
    ".",
    "..",
    "./a",
    "../a",
    "a/.",
    "a/..",
    "a/./b",
    "a/../b",
    "a/b//",
    "s3://bucket/key",
    "http://host/path",
    "\\",
    "a\\b",
)
_MARKERS: Final = ("marker/", "deep/er/marker/", "sp ace/")
_LONG: Final = (
    "l" * 1_024,
    "\U0001f600" * 256,
    "é" * 512,
    "n" * 256,
    "d/" * 511 + "dd",
)
_NEWLINES: Final = ("new\nline", "carriage-return\r\nnew-line", "\n", "line\n")
_EVERYWHERE: Final = (
    "+",
    "a+b",
    "1+1=2",
    "%",
    "%%",
    "%2F",
    "a%2Fb",
    "%25",
    "%252F",
    "%00",
    "%20",
    "%E0%A4%A",
    "100%",
    "?",
    "?versionId=x",
    "a?versionId=null",
    "?uploads",
    "?acl&x=y",
    "#",
    "#fragment",
    "a#b?c",
    " ",
    "  ",
    " leading",
    "trailing ",
    "double  space",
    "in side/of folder",
    "\u00a0no-break",
    "\u3000ideographic",
    "zero\u200bwidth",
    "line\u2028separator",
    "'",
    "''",
    '"',
    '"quoted"',
    "`",
    "&",
    "&amp;",
    "a&b=c",
    "<",
    ">",
    "<Key>x</Key>",
    "]]>",
    "<!--",
    "~",
    "~tilde/~",
    "*",
    "|",
    "=",
    "a=b",
    ";",
    ":",
    "@",
    "$",
    "${HOME}",
    ",",
    "!",
    "(",
    ")",
    "[x]",
    "{y}",
    "{}",
    "^",
    "-",
    "--help",
    "_",
    ".hidden",
    "...",
    "dot.",
    "null",
    "None",
    "undefined",
    "true",
    "0",
    "x-amz-meta",
    "x-amz-copy-source",
    "arn:aws:s3:::bucket",
    "uploads",
    "e\u0301 combining",
    "\u00e9 precomposed",
    "\u1e9b\u0323 reordered",
    "ﬁ ligature",
    "ß sharp",
    "İ dotted",
    "日本語",
    "مرحبا",
    "\u202eright-to-left-override",
    "שלום/world",
    "🚀🌍",
    "👩\u200d👧 joined",
    "𝒜 plane one",
    "\U0010ffff last code point",
    "\ufeff byte order mark",
    "\ufffd replacement",
    "\ufffe noncharacter",
    "\uffff noncharacter",
    "\x7f delete",
    "\x80 c1",
    "\x85 next line",
    "\t",
    "tab\there",
    "carriage\rreturn",
    *(f"control-{code:02x}-{chr(code)}-" for code in range(1, 32) if chr(code) not in "\n"),
    "f" * 255,
)


def _all() -> tuple[HostileKey, ...]:
    both = frozenset((SEAWEEDFS, MOTO))
    return (
        *(HostileKey(key, both) for key in _EVERYWHERE),
        *(
            HostileKey(key, frozenset((MOTO,)), "SeaweedFS folds or refuses it: no clean path")
            for key in _PATHS
        ),
        *(
            HostileKey(key, frozenset((MOTO,)), "SeaweedFS cannot be asked to CopyObject a folder")
            for key in _MARKERS
        ),
        *(
            HostileKey(key, frozenset((MOTO,)), "SeaweedFS allows 255 bytes between two slashes")
            for key in _LONG
        ),
        *(
            HostileKey(key, frozenset((SEAWEEDFS,)), "moto's routes end at a newline")
            for key in _NEWLINES
        ),
        HostileKey("\x00", frozenset(), "neither server takes it; nor does S3's XML"),
    )


HOSTILE_KEYS: Final = _all()


def keys_for(server: str, *, in_xml: bool = False) -> list[str]:
    """Return the keys to try on a server, in S3's order: by their UTF-8 bytes.

    moto takes a second a hundred objects, so it gets every key that SeaweedFS cannot hold and every
    third of the others.

    Args:
        server: The server's name.
        in_xml: Leave out what XML cannot spell: moto fails to answer CreateMultipartUpload then.
    """
    fitting = [hostile for hostile in HOSTILE_KEYS if server in hostile.where]
    if server == MOTO:
        alone = [hostile for hostile in fitting if SEAWEEDFS not in hostile.where]
        fitting = alone + [hostile for hostile in fitting if SEAWEEDFS in hostile.where][::3]
    keys = [hostile.key for hostile in fitting]
    return sorted(
        (key for key in keys if not in_xml or not _NOT_IN_XML.search(key)), key=str.encode
    )
