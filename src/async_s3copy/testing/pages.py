"""Pages: the last pages of listings that went through the proxy, to be given again."""

from __future__ import annotations

from collections import OrderedDict
from html import unescape
from typing import Final, NamedTuple
from urllib.parse import unquote_plus

from async_s3copy.testing.seen import Seen

LISTINGS: Final = frozenset(("ListObjectsV2", "ListObjects", "ListObjectVersions"))
# A page of long keys is half a megabyte.
_KEPT_PAGES: Final = 32
_CURSORS: Final = ("continuation-token", "start-after", "key-marker", "marker")
_NEXT: Final = (b"NextContinuationToken", b"NextKeyMarker", b"NextMarker")
_URL_ENCODED: Final = b"<EncodingType>url</EncodingType>"


class _Page(NamedTuple):
    body: bytes
    cursor: str


class Pages:
    """Remember which page came before which."""

    def __init__(self) -> None:
        # By listing and cursor: the page that came before.
        self._before: OrderedDict[tuple[str, str], _Page] = OrderedDict()

    def remember(self, seen: Seen, body: bytes) -> None:
        """Take note of a page on its way to the client."""
        listing, cursor = _listing(seen), _cursor(seen)
        for following in _following(body):
            self._before[listing, following] = _Page(body, cursor)
            self._before.move_to_end((listing, following))
        while len(self._before) > 2 * _KEPT_PAGES:
            self._before.popitem(last=False)

    def before(self, seen: Seen, pages: int = 1) -> bytes | None:
        """Return the page that came so many pages before the one that is asked for.

        Returns:
            The earliest known page where there are fewer; ``None`` where none is known.
        """
        listing, cursor = _listing(seen), _cursor(seen)
        found: _Page | None = None
        for _ in range(pages):
            earlier = self._before.get((listing, cursor))
            if earlier is None:
                break
            found, cursor = earlier, earlier.cursor
        return None if found is None else found.body


def _listing(seen: Seen) -> str:
    query = seen.query
    return "\n".join((seen.operation, seen.bucket, query.get("prefix", "")))


def _cursor(seen: Seen) -> str:
    return next((seen.query[name] for name in _CURSORS if seen.query.get(name)), "")


def _following(body: bytes) -> set[str]:
    """Return all that the next page may be asked for by: a token or marker, and the last key."""
    encoded = _URL_ENCODED in body
    found = {_text(body, name, encoded and name != _NEXT[0]) for name in _NEXT}
    found.add(_text(body, b"Key", encoded))
    return found - {""}


def _text(body: bytes, name: bytes, encoded: bool) -> str:
    begin = body.rfind(b"<" + name + b">")
    if begin < 0:
        return ""
    begin += len(name) + 2
    end = body.find(b"<", begin)
    text = unescape(body[begin:end].decode("utf-8", "surrogateescape"))
    return unquote_plus(text) if encoded else text
