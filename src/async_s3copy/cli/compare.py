"""Compare two prefixes object by object: keys, sizes, ETags or content, and what objects carry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from async_s3copy.testing.seed import Described, Listed, describe, for_each, list_all, sha256


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison: a client that may read it, its bucket and prefix."""

    client: Any
    bucket: str
    prefix: str


@dataclass(slots=True, kw_only=True)
class Comparison:
    """What a comparison found, by key relative to the prefix.

    Attributes:
        objects: Objects at the source.
        missing: Keys that did not arrive.
        extra: Keys that nobody sent.
        wrong: Keys whose size, content or properties differ.
        by_content: Objects compared by content, because their ETags differ.
        described: Objects whose headers, metadata and tags were compared.
    """

    objects: int = 0
    missing: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    by_content: int = 0
    described: int = 0

    @property
    def is_identical(self) -> bool:
        """Whether everything arrived as it was, and nothing else."""
        return self.objects > 0 and not (self.missing or self.extra or self.wrong)


def compare_listings(
    source: Mapping[str, Listed], destination: Mapping[str, Listed]
) -> tuple[Comparison, list[str]]:
    """Compare two listings whose keys are relative to their prefixes.

    Returns:
        The comparison, and the keys whose content must be read because only the ETags differ: an
        ETag is no checksum of the content where parts or encryption come in.
    """
    result = Comparison(
        objects=len(source),
        missing=sorted(source.keys() - destination.keys()),
        extra=sorted(destination.keys() - source.keys()),
    )
    unclear = []
    for key in source.keys() & destination.keys():
        if source[key].size != destination[key].size:
            result.wrong.append(key)
        elif source[key].etag != destination[key].etag:
            unclear.append(key)
    return result, unclear


async def compare(source: Side, destination: Side, described: Iterable[str]) -> Comparison:
    """Compare two prefixes.

    Args:
        source: What was copied.
        destination: Where it should be.
        described: Keys, relative to the prefix, whose headers, metadata and tags are compared too.
    """
    result, unclear = compare_listings(await _listing(source), await _listing(destination))

    async def compare_content(key: str) -> None:
        result.by_content += 1
        if await _sha256(source, key) != await _sha256(destination, key):
            result.wrong.append(key)

    async def compare_properties(key: str) -> None:
        result.described += 1
        if await _describe(source, key) != await _describe(destination, key):
            result.wrong.append(key)

    await for_each(unclear, compare_content)
    await for_each((key for key in described if key not in result.missing), compare_properties)
    return result


async def _listing(side: Side) -> dict[str, Listed]:
    found = await list_all(side.client, side.bucket, side.prefix)
    return {key.removeprefix(side.prefix): listed for key, listed in found.items()}


async def _sha256(side: Side, key: str) -> str:
    return await sha256(side.client, side.bucket, side.prefix + key)


async def _describe(side: Side, key: str) -> Described:
    return await describe(side.client, side.bucket, side.prefix + key)
