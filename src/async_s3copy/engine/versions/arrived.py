"""Pure: which versions of a key an earlier run has copied, told by what the destination has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from async_s3copy.engine.verify import md5_etag
from async_s3copy.model import S3Object


def _never(version: S3Object) -> bool:
    return False


def arrived_versions(
    source: Sequence[S3Object],
    there: Sequence[S3Object],
    *,
    may_be_missing: Callable[[S3Object], bool] = _never,
) -> Mapping[int, S3Object] | None:
    """Match a destination's versions with the first of the source's, one by one.

    Args:
        source: All versions of a key, the oldest first.
        there: What the destination has of it that earlier runs can have written, likewise.
        may_be_missing: Which source versions an earlier run may have left out.

    Returns:
        By its place in ``source``, what each version has become, without those that were left out;
        ``None`` where the two histories do not match.
    """
    found: dict[int, S3Object] = {}
    place = 0
    for each in there:
        while place < len(source) and not is_copy(source[place], each):
            if not may_be_missing(source[place]):
                return None
            place += 1
        if place == len(source):
            return None
        found[place] = each
        place += 1
    return found


def is_copy(source: S3Object, there: S3Object) -> bool:
    """Tell whether one version can be a copy of another, by what listings tell.

    Sizes are equal, and so are ETags where both are the MD5 of the bytes. An ETag of an upload in
    parts depends on its parts, which a copy need not repeat.
    """
    if source.delete_marker or there.delete_marker:
        return source.delete_marker and there.delete_marker
    if source.size != there.size:
        return False
    before, after = md5_etag(source.etag), md5_etag(there.etag)
    return not (before and after) or before == after
