"""What objects have besides their bytes: read off requests, and written into answers."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qsl

from benchmarks.simulator.buckets import Buckets, DestinationBucket, SourceBucket, Worn
from benchmarks.simulator.messages import Request, unquoted

_NAMES: Final = (b"content-type", b"cache-control", b"x-amz-meta-name")
_TAG: Final = re.compile(rb"<Key>(.*?)</Key>\s*<Value>(.*?)</Value>", re.DOTALL)


def given(request: Request) -> Worn:
    """Return what a request says that its object shall have."""
    values = ((name, request.header(name)) for name in _NAMES)
    lines = [b"%b: %b\r\n" % (name, value) for name, value in values if value is not None]
    return Worn(b"".join(lines), request.header(b"x-amz-tagging") or b"")


def carried(request: Request, buckets: Buckets, origin: bytes) -> Worn:
    """Return what a copy has: what its source has, unless the request replaces it."""
    name, _, key = unquoted(origin).partition(b"/")
    source = worn_by(buckets.get(name), key)
    mine = given(request)
    replaces = (request.header(b"x-amz-metadata-directive") or b"").upper() == b"REPLACE"
    replaces_tags = (request.header(b"x-amz-tagging-directive") or b"").upper() == b"REPLACE"
    return Worn(
        mine.properties if replaces else source.properties,
        mine.tags if replaces_tags else source.tags,
    )


def worn_by(bucket: SourceBucket | DestinationBucket | None, key: bytes) -> Worn:
    """Return what an object has, as far as its bucket keeps it."""
    if isinstance(bucket, SourceBucket):
        return Worn(bucket.properties(key), bucket.tags(key))
    if bucket is None or bucket.worn is None:
        return Worn()
    return bucket.worn.get(key, Worn())


def read_tags(document: bytes) -> bytes:
    """Return the tags that PutObjectTagging names, as a query."""
    return b"&".join(b"%b=%b" % pair for pair in _TAG.findall(document))


def tagging(tags: bytes) -> bytes:
    """Return what GetObjectTagging answers."""
    entries = b"".join(
        b"<Tag><Key>%b</Key><Value>%b</Value></Tag>" % (name.encode(), value.encode())
        for name, value in parse_qsl(tags.decode())
    )
    return b"<Tagging><TagSet>%b</TagSet></Tagging>" % entries


def head_lines(worn: Worn) -> bytes:
    """Return the headers that tell of it."""
    if not worn.tags:
        return worn.properties
    return b"%bx-amz-tagging-count: %d\r\n" % (worn.properties, worn.tags.count(b"="))
