"""Pages of keys: ListObjectsV2, ListObjects and their common prefixes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote_from_bytes
from xml.sax.saxutils import escape

from benchmarks.simulator.buckets import Bucket
from benchmarks.simulator.messages import S3Error

Show = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Query:
    """What a page is asked for.

    Attributes:
        version: Of ListObjects, 1 or 2.
        prefix: Of the keys.
        delimiter: Groups keys into common prefixes; empty: none.
        start_after: The page begins after this key (V1: ``marker``).
        token: Where a V2 listing goes on; None: at its start.
        max_keys: Keys and common prefixes of a page.
        url: Keys are percent-encoded.
        owner: Entries name their owner.
    """

    version: int
    prefix: bytes
    delimiter: bytes
    start_after: bytes
    token: str | None
    max_keys: int
    url: bool
    owner: bool


@dataclass(frozen=True, slots=True)
class Page:
    """What a page holds; ``next_index`` is None on the last."""

    keys: list[bytes]
    prefixes: list[bytes]
    next_index: int | None


def parse(parameters: Mapping[str, str]) -> Query:
    """Read a listing's query.

    Raises:
        S3Error: A value is against S3's rules.
    """
    version = 2 if parameters.get("list-type") == "2" else 1
    start = parameters.get("start-after" if version == 2 else "marker", "")
    maximum = parameters.get("max-keys", "") or "1000"
    if not maximum.isdecimal():
        raise S3Error(400, "InvalidArgument", "max-keys must be a number from 0 on.")
    return Query(
        version=version,
        prefix=_bytes(parameters.get("prefix", "")),
        delimiter=_bytes(parameters.get("delimiter", "")),
        start_after=_bytes(start),
        token=parameters.get("continuation-token") if version == 2 else None,
        max_keys=min(1_000, int(maximum)),
        url=parameters.get("encoding-type") == "url",
        owner=version == 1 or parameters.get("fetch-owner") == "true",
    )


def read_page(bucket: Bucket, query: Query) -> Page:
    """Return a page.

    Raises:
        S3Error: The continuation token was not made here.
    """
    start = _start(bucket, query)
    end = index_after_prefix(bucket, query.prefix)
    if query.delimiter:
        return _grouped(bucket, query, start, end)
    stop = min(end, start + query.max_keys)
    keys = [bucket.key_bytes(index) for index in range(start, stop)]
    return Page(keys, [], stop if keys and stop < end else None)


def render(bucket: Bucket, query: Query, page: Page) -> bytes:
    """Return a page as the document that S3 would answer with."""
    show = _quoted if query.url else _escaped
    fields = [
        (b"Name", bucket.name),
        (b"Prefix", show(query.prefix)),
        (b"Delimiter", show(query.delimiter)),
        (b"MaxKeys", b"%d" % query.max_keys),
        (b"EncodingType", b"url" if query.url else b""),
        (b"IsTruncated", b"false" if page.next_index is None else b"true"),
        *(_fields_v1 if query.version == 1 else _fields_v2)(query, page, show),
    ]
    head = [b"<%b>%b</%b>" % (name, value, name) for name, value in fields if value]
    prefixes = [
        b"<CommonPrefixes><Prefix>%b</Prefix></CommonPrefixes>" % show(prefix)
        for prefix in page.prefixes
    ]
    return b"".join(
        (
            b'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">',
            *head,
            *_entries(bucket, query, page.keys, show),
            *prefixes,
            b"</ListBucketResult>",
        )
    )


def index_after_prefix(bucket: Bucket, prefix: bytes) -> int:
    """Return the index of the first key beyond all that begin with a prefix."""
    stem = prefix.rstrip(b"\xff")
    if not stem:
        return bucket.count()
    return bucket.at_or_after(stem[:-1] + bytes((stem[-1] + 1,)))


def _start(bucket: Bucket, query: Query) -> int:
    if query.token is not None:
        version, _, index = query.token.partition(".")
        if version != "at" or not index.isdecimal():
            raise S3Error(400, "InvalidArgument", "The continuation token provided is incorrect")
        return int(index)
    first = bucket.at_or_after(query.prefix)
    if not query.start_after:
        return first
    return max(first, _after_marker(bucket, query))


def _after_marker(bucket: Bucket, query: Query) -> int:
    marker = query.start_after
    rolled_up = query.version == 1 and query.delimiter and marker.startswith(query.prefix)
    if rolled_up and marker.endswith(query.delimiter):
        return index_after_prefix(bucket, marker)
    return bucket.after(marker)


def _grouped(bucket: Bucket, query: Query, start: int, end: int) -> Page:
    keys: list[bytes] = []
    prefixes: list[bytes] = []
    index = start
    while index < end and len(keys) + len(prefixes) < query.max_keys:
        key = bucket.key_bytes(index)
        cut = key.find(query.delimiter, len(query.prefix))
        if cut < 0:
            keys.append(key)
            index += 1
        else:
            prefixes.append(key[: cut + len(query.delimiter)])
            # However many keys the prefix holds: they are not looked at.
            index = index_after_prefix(bucket, prefixes[-1])
    return Page(keys, prefixes, index if index < end and query.max_keys else None)


def _entries(bucket: Bucket, query: Query, keys: list[bytes], show: Show) -> list[bytes]:
    owner = b"<Owner><ID>simulator</ID></Owner>" if query.owner else b""
    facts = bucket.facts
    return [
        b"<Contents><Key>%b</Key><LastModified>%b</LastModified><ETag>&quot;%b&quot;</ETag>"
        b"<Size>%d</Size>%b<StorageClass>STANDARD</StorageClass></Contents>"
        % (show(key), modified, etag, size, owner)
        for key in keys
        for etag, size, modified in (facts(key),)
    ]


def _fields_v1(query: Query, page: Page, show: Show) -> list[tuple[bytes, bytes]]:
    last = max([*page.keys[-1:], *page.prefixes[-1:]], default=b"")
    # S3 names it only with a delimiter; without, the last key serves as marker.
    next_marker = show(last) if query.delimiter and page.next_index is not None else b""
    return [(b"Marker", show(query.start_after)), (b"NextMarker", next_marker)]


def _fields_v2(query: Query, page: Page, show: Show) -> list[tuple[bytes, bytes]]:
    token = b"" if page.next_index is None else b"at.%d" % page.next_index
    return [
        (b"KeyCount", b"%d" % (len(page.keys) + len(page.prefixes))),
        (b"StartAfter", show(query.start_after)),
        (b"ContinuationToken", (query.token or "").encode()),
        (b"NextContinuationToken", token),
    ]


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _quoted(key: bytes) -> bytes:
    return quote_from_bytes(key).encode()


def _escaped(key: bytes) -> bytes:
    if b"&" in key or b"<" in key or b">" in key:
        return escape(key.decode("utf-8", "replace")).encode()
    return key
