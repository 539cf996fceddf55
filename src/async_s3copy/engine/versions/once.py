"""Each version is written once, although a request whose answer was lost is sent again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

from async_s3copy.engine.governor import outcome_unknown
from async_s3copy.engine.unfinished import CLOCKS_APART
from async_s3copy.engine.verify import md5_etag
from async_s3copy.errors import S3Error
from async_s3copy.model import S3Object, unquoted
from async_s3copy.s3.client import S3Client
from async_s3copy.s3.values import AS_IT_IS, NO_CHECKSUMS, CopySource, ObjectProperties, Written

T = TypeVar("T")


@dataclass(slots=True)
class _Key:
    """What is known of a key that is being written.

    Attributes:
        known: Its versions that have been accounted for.
        since: When it was first written, clocks allowed for.
        unanswered: Whether the last write may have been carried out although it looks failed.
    """

    known: set[str | None]
    since: datetime
    unanswered: bool = False


class OnceWriter:
    """An S3 client that looks before it repeats a write whose answer it did not get.

    Without versions a repeated write replaces its own result. With them it makes another version.
    The key's newest version is looked up, by one request more: if it is none of those accounted
    for and holds what was to be written, the write has been carried out. Objects are told by the
    MD5 in their ETags, so in a bucket encrypted with SSE-KMS, which has none, a version can still
    come twice; as when the lost write is carried out after the look.

    Completing a multipart upload looks by itself: see ``Upload.complete``.

    Args:
        client: The destination's client; every other call goes to it as it is.
        count: Counts a request that passes no governor.
    """

    def __init__(self, client: S3Client, count: Callable[[bool], object]) -> None:
        self._client = client
        self._count = count
        self._keys: dict[str, _Key] = {}

    def as_client(self) -> S3Client:
        """Return this as what it is: the calls it does not change are the client's own."""
        return cast("S3Client", self)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    @contextmanager
    def writing(
        self, key: str, known: Iterable[S3Object]
    ) -> Iterator[Callable[[str | None], None]]:
        """Watch a destination key for a block; nobody else is to write it meanwhile.

        Args:
            key: The key.
            known: Versions that it has from earlier runs.

        Yields:
            What takes the version id of each version that has been written.
        """
        ids = {each.version_id for each in known}
        state = self._keys[key] = _Key(ids, datetime.now(UTC) - CLOCKS_APART)
        try:
            yield state.known.add
        finally:
            del self._keys[key]

    async def copy_object(
        self,
        bucket: str,
        key: str,
        source: CopySource,
        properties: ObjectProperties = AS_IT_IS,
        **how: bool,
    ) -> Written:
        """CopyObject, once."""
        return await self._once(
            bucket,
            key,
            lambda: self._client.copy_object(bucket, key, source, properties, **how),
            lambda found: _written_if(found, source.if_match),
        )

    async def put_object(
        self,
        bucket: str,
        key: str,
        body: bytes,
        properties: ObjectProperties,
        *,
        md5: bytes,
        checksums: Mapping[str, str] = NO_CHECKSUMS,
        if_none_match: bool = False,
    ) -> Written:
        """PutObject, once."""
        return await self._once(
            bucket,
            key,
            lambda: self._client.put_object(
                bucket,
                key,
                body,
                properties,
                md5=md5,
                checksums=checksums,
                if_none_match=if_none_match,
            ),
            lambda found: _written_if(found, md5.hex()),
        )

    async def delete_object(self, bucket: str, key: str) -> str | None:
        """DeleteObject, once."""
        return await self._once(
            bucket,
            key,
            lambda: self._client.delete_object(bucket, key),
            lambda found: found.version_id if found.delete_marker else None,
        )

    async def _once(
        self,
        bucket: str,
        key: str,
        write: Callable[[], Awaitable[T]],
        recognise: Callable[[S3Object], T | None],
    ) -> T:
        state = self._keys.get(key)
        if state is None:
            return await write()
        if state.unanswered:
            newest = await self._newest(bucket, key, state)
            result = None if newest is None else recognise(newest)
            if result is not None:
                state.unanswered = False
                return result
            # The attempt is counted as one request, and is two.
            self._count(False)
        try:
            result = await write()
        except S3Error as error:
            state.unanswered = state.unanswered or outcome_unknown(error)
            raise
        state.unanswered = False
        return result

    async def _newest(self, bucket: str, key: str, state: _Key) -> S3Object | None:
        """Return a key's newest version, unless it has been accounted for, or is old."""
        try:
            page = await self._client.list_versions(bucket, key, max_keys=1)
        except S3Error:
            return None  # what cannot be seen is written again
        newest = next(iter(page.versions), None)
        if newest is None or newest.key != key or newest.version_id in state.known:
            return None
        return newest if newest.last_modified >= state.since else None


def _written_if(found: S3Object, etag: str) -> Written | None:
    """Return a version as what was written, where it holds bytes of a certain MD5."""
    wanted = md5_etag(etag)
    if found.delete_marker or wanted is None or md5_etag(found.etag) != wanted:
        return None
    return Written(unquoted(found.etag), found.version_id)
