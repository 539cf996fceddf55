"""The calls on one object: copy, read, write, delete."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from benchmarks.simulator.bodies import Sink
from benchmarks.simulator.buckets import (
    UPLOADED,
    Bucket,
    Buckets,
    DestinationBucket,
    SourceBucket,
    Stored,
)
from benchmarks.simulator.content import Content
from benchmarks.simulator.messages import Replies, Reply, Request, S3Error, Stream, unquoted
from benchmarks.simulator.worn import carried, given, head_lines, read_tags, tagging, worn_by

_COPY_BYTES: Final = 5 << 30
_RANGE: Final = re.compile(rb"bytes=(\d*)-(\d*)")
_NOW: Final = b"2024-06-30T12:00:00.000Z"


class Origin(NamedTuple):
    """What a copy is made from."""

    name: bytes
    stored: Stored


class ObjectCalls:
    """Answers them.

    Args:
        buckets: Where objects are.
        replies: Writes the answers.
    """

    def __init__(self, buckets: Buckets, replies: Replies) -> None:
        self._buckets = buckets
        self._replies = replies

    def copy(self, request: Request, sink: Sink) -> Reply:
        """Answer CopyObject."""
        destination = self.destination(request)
        origin = self.origin(request)
        stored = origin.stored
        if stored.size_bytes > _COPY_BYTES:
            message = "The specified copy source is larger than the maximum allowable size: 5 GiB"
            raise S3Error(400, "InvalidRequest", message)
        self.check_absent(request, destination)
        # A copy is one part, whatever its source was.
        etag = stored.etag if b"-" not in stored.etag else self._copied_etag(origin)
        destination.record(request.raw_key, Stored(etag, stored.size_bytes, origin.name))
        if destination.worn is not None:
            destination.worn[request.key] = carried(request, self._buckets, origin.name)
        return self._replies.copied(b"CopyObjectResult", etag, _NOW)

    def put(self, request: Request, sink: Sink) -> Reply:
        """Answer PutObject; the bytes are hashed and dropped."""
        destination = self.destination(request)
        check_md5(request, sink)
        self.check_absent(request, destination)
        etag = sink.md5.hexdigest().encode()
        destination.record(request.raw_key, Stored(etag, sink.size_bytes, UPLOADED))
        if destination.worn is not None:
            destination.worn[request.key] = given(request)
        return self._replies.empty(200, b'ETag: "%b"\r\n' % etag)

    def head(self, request: Request, sink: Sink) -> Reply:
        """Answer HeadObject, also of one part."""
        bucket, stored = self._existing(request)
        _check_match(request, stored)
        headers = _headers(bucket, request.key, stored)
        start, end = 0, stored.size_bytes
        if (number := request.query.get("partNumber")) is not None:
            start, end, count = _part(bucket, request.key, stored, number)
            headers += count
        partial = end - start < stored.size_bytes
        if partial:
            headers += b"Content-Range: bytes %d-%d/%d\r\n" % (start, end - 1, stored.size_bytes)
        return self._replies.head(206 if partial else 200, headers, end - start)

    def get(self, request: Request, sink: Sink) -> Reply:
        """Answer GetObject, whole or a range."""
        bucket, stored = self._existing(request)
        _check_match(request, stored)
        headers = _headers(bucket, request.key, stored)
        start, end = 0, stored.size_bytes
        wanted = _RANGE.fullmatch(request.header(b"range") or b"")
        if wanted is not None:
            start, end = _range(wanted, stored.size_bytes)
            headers += b"Content-Range: bytes %d-%d/%d\r\n" % (start, end - 1, stored.size_bytes)
        blocks = self._read(bucket, request.key, stored, start, end)
        return Stream(self._replies.head(206 if wanted else 200, headers, end - start), blocks)

    def delete(self, request: Request, sink: Sink) -> Reply:
        """Answer DeleteObject."""
        self.destination(request).delete(request.raw_key)
        return self._replies.empty(204)

    def get_tags(self, request: Request, sink: Sink) -> Reply:
        """Answer GetObjectTagging."""
        bucket, _ = self._existing(request)
        return self._replies.document(tagging(worn_by(bucket, request.key).tags))

    def put_tags(self, request: Request, sink: Sink) -> Reply:
        """Answer PutObjectTagging."""
        destination = self.destination(request)
        if destination.worn is not None:
            now = worn_by(destination, request.key)
            destination.worn[request.key] = now._replace(tags=read_tags(bytes(sink.kept)))
        return self._replies.empty(200)

    def destination(self, request: Request) -> DestinationBucket:
        """Return the bucket that a request writes to.

        Raises:
            S3Error: There is none of that name, or nobody may write there.
        """
        bucket = self._buckets.destination(request.bucket)
        if bucket is None:
            if self._buckets.source(request.bucket) is not None:
                raise S3Error(403, "AccessDenied", "Source buckets cannot be written to.")
            raise no_such_bucket()
        return bucket

    def origin(self, request: Request) -> Origin:
        """Return the object that a request copies.

        Raises:
            S3Error: It does not exist, or does not meet ``x-amz-copy-source-if-match``.
        """
        raw = request.header(b"x-amz-copy-source") or b""
        name, _, version = raw.removeprefix(b"/").partition(b"?")
        if b"+" in name or b" " in name:
            # In this header S3 takes a plus sign for a space, unlike in a path.
            name = name.replace(b"+", b"%20").replace(b" ", b"%20")
        # Most clients leave the slash between bucket and key alone; it may be encoded as well.
        bucket_name, _, key = unquoted(name).partition(b"/")
        stored = self.bucket(bucket_name).find(key)
        if stored is None:
            raise _no_such_key()
        if version not in {b"", b"versionId=null"}:
            raise S3Error(404, "NoSuchVersion", "The specified version does not exist.")
        wanted = request.header(b"x-amz-copy-source-if-match")
        if wanted is not None and wanted.strip(b'"') != stored.etag:
            raise _precondition("x-amz-copy-source-If-Match")
        return Origin(name, stored)

    def part_etag(self, origin: Origin, start: int, end: int) -> bytes:
        """Return the ETag of a part that is copied."""
        content, key = self._content(origin)
        if content is not None:
            return content.part_etag(key, start, end)
        return hashlib.md5(b"%b %d %d" % (origin.stored.etag, start, end)).hexdigest().encode()

    def bucket(self, name: bytes) -> SourceBucket | DestinationBucket:
        """Return a bucket to read.

        Raises:
            S3Error: There is none of that name.
        """
        bucket = self._buckets.get(name)
        if bucket is None:
            raise no_such_bucket()
        return bucket

    def check_absent(self, request: Request, destination: DestinationBucket) -> None:
        """Refuse to overwrite where ``If-None-Match: *`` forbids it."""
        if request.header(b"if-none-match") != b"*":
            return
        if destination.find(request.key) is not None:
            raise _precondition("If-None-Match")

    def _existing(self, request: Request) -> tuple[SourceBucket | DestinationBucket, Stored]:
        bucket = self.bucket(request.bucket)
        stored = bucket.find(request.key)
        if stored is None:
            raise _no_such_key()
        return bucket, stored

    def _read(
        self, bucket: Bucket, key: bytes, stored: Stored, start: int, end: int
    ) -> Iterator[bytes]:
        if isinstance(bucket, SourceBucket):
            return bucket.content_of(key).read(key, start, end)
        origin_bucket, _, origin_key = unquoted(stored.origin).partition(b"/")
        source = self._buckets.source(origin_bucket)
        if source is None:
            raise S3Error(405, "MethodNotAllowed", "Bytes that were uploaded are not kept.")
        return source.content_of(origin_key).read(origin_key, start, end)

    def _copied_etag(self, origin: Origin) -> bytes:
        content, key = self._content(origin)
        return origin.stored.etag[:32] if content is None else content.copied_etag(key)

    def _content(self, origin: Origin) -> tuple[Content | None, bytes]:
        name, _, key = unquoted(origin.name).partition(b"/")
        source = self._buckets.source(name)
        return None if source is None else source.content_of(key), key


def no_such_bucket() -> S3Error:
    """Return the refusal of an unknown bucket."""
    return S3Error(404, "NoSuchBucket", "Buckets are src-<keyspace>-<count>[-<size>] and dst-*.")


def check_md5(request: Request, sink: Sink) -> None:
    """Refuse a body that is not what its ``Content-MD5`` says."""
    wanted = request.header(b"content-md5")
    if wanted is not None and wanted != base64.b64encode(sink.md5.digest()):
        raise S3Error(400, "BadDigest", "The Content-MD5 you specified did not match.")


def byte_range(text: bytes, size_bytes: int) -> tuple[int, int]:
    """Return start and end (excluded) of a range header's value.

    Raises:
        S3Error: It is no range of that many bytes.
    """
    match = _RANGE.fullmatch(text)
    if match is None:
        raise S3Error(400, "InvalidArgument", "The range must be bytes=first-last.")
    return _range(match, size_bytes)


def _no_such_key() -> S3Error:
    return S3Error(404, "NoSuchKey", "The specified key does not exist.")


def _precondition(condition: str) -> S3Error:
    return S3Error(412, "PreconditionFailed", f"{condition} does not hold.")


def _check_match(request: Request, stored: Stored) -> None:
    wanted = request.header(b"if-match")
    if wanted is not None and wanted.strip(b'"') != stored.etag:
        raise _precondition("If-Match")


def _headers(bucket: SourceBucket | DestinationBucket, key: bytes, stored: Stored) -> bytes:
    worn = head_lines(worn_by(bucket, key)) or b"Content-Type: application/octet-stream\r\n"
    return b'Last-Modified: %b\r\nETag: "%b"\r\n%b' % (
        bucket.modified_http(key),
        stored.etag,
        worn,
    )


def _range(match: re.Match[bytes], size_bytes: int) -> tuple[int, int]:
    first, last = match.groups()
    if first:
        start, end = int(first), min(int(last) + 1 if last else size_bytes, size_bytes)
    else:
        start, end = max(0, size_bytes - int(last or 0)), size_bytes
    if start >= end:
        raise S3Error(416, "InvalidRange", "The requested range is not satisfiable")
    return start, end


def _part(bucket: Bucket, key: bytes, stored: Stored, number: str) -> tuple[int, int, bytes]:
    content = bucket.content_of(key) if isinstance(bucket, SourceBucket) else None
    parts = content.parts if content is not None else 0
    if not number.isdecimal() or not 1 <= int(number) <= max(1, parts):
        raise S3Error(416, "InvalidPartNumber", "The requested partnumber is not satisfiable")
    if not parts or content is None:
        return 0, stored.size_bytes, b""
    start = (int(number) - 1) * content.part_bytes
    end = min(start + content.part_bytes, stored.size_bytes)
    return start, end, b"x-amz-mp-parts-count: %d\r\n" % parts
