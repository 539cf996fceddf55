"""What will be done, decided before anything is: key mapping, part layout, overlap. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from async_s3copy.errors import ObjectRejectedError, ValidationError
from async_s3copy.model import CopyMethod, S3Location, S3Object
from async_s3copy.options import (
    MAX_OBJECT_BYTES,
    MAX_PART_BYTES,
    MAX_PARTS,
    MIB,
    MIN_PART_BYTES,
    CopyOptions,
)
from async_s3copy.rules import MAX_KEY_BYTES
from async_s3copy.s3.values import ByteRange


@dataclass(frozen=True, slots=True)
class KeyMapping:
    """Say where each source key goes.

    Attributes:
        source: Source bucket and key or prefix.
        destination: Destination bucket and key or prefix.
        recursive: Whether the keys are prefixes.
    """

    source: S3Location
    destination: S3Location
    recursive: bool

    def target(self, key: str) -> S3Location | None:
        """Return where a key goes; ``None`` for the one key that maps to nothing.

        Recursive: the source prefix is replaced by the destination prefix, byte for byte. Not
        recursive: the destination key as it is, or, where that is a "folder" (ends in ``/`` or is
        the bucket's root), the destination key plus the last part of the source key's name.

        Raises:
            ObjectRejectedError: The new key would exceed S3's 1,024 bytes.
        """
        prefix = self.destination.key or ""
        if self.recursive:
            key = prefix + key[len(self.source.key or "") :]
        elif not prefix or prefix.endswith("/"):
            key = prefix + _last_part(key)
        else:
            key = prefix
        # A character has four bytes at most: most keys are short enough at first sight.
        if len(key) * 4 > MAX_KEY_BYTES and len(key.encode()) > MAX_KEY_BYTES:
            raise ObjectRejectedError(
                "KeyTooLongError",
                f"the destination key would have {len(key.encode()):,} bytes, "
                f"more than S3's {MAX_KEY_BYTES:,}",
            )
        return S3Location(self.destination.bucket, key) if key else None


def check_overlap(mapping: KeyMapping) -> None:
    """Refuse a copy whose source and destination overlap in one bucket.

    Call it only where both sides are the same service: equal names on two servers do not overlap.

    Raises:
        ValidationError: An object would be copied onto itself, or the destination prefix lies in
            the source prefix (an endless copy), or the other way round (sources overwritten while
            they are read).
    """
    source, destination = mapping.source, mapping.destination
    if source.bucket != destination.bucket:
        return
    if not mapping.recursive:
        target = mapping.target(source.key or "")
        if target is not None and target.key == source.key:
            raise ValidationError("destination", str(destination), f"differ from {source}")
        return
    old, new = source.key or "", destination.key or ""
    if old == new:
        raise ValidationError("destination", str(destination), f"differ from {source}")
    if new.startswith(old):
        rule = f"not lie inside the source {source}: the copy would never end"
        raise ValidationError("destination", str(destination), rule)
    if old.startswith(new):
        rule = (
            f"not contain the source {source}: the copy could overwrite what it still has to read"
        )
        raise ValidationError("destination", str(destination), rule)


@dataclass(frozen=True, slots=True)
class PartPlan:
    """Divide an object into parts that S3 accepts.

    Attributes:
        size_bytes: Size of the object.
        part_bytes: Size of every part but the last, which holds the rest; of the largest part where
            ``sizes`` are given.
        sizes: Sizes of the parts in order, where they are not equal; they add up to the object's.
    """

    size_bytes: int
    part_bytes: int
    sizes: tuple[int, ...] = ()

    @property
    def count(self) -> int:
        """Number of parts, at least 1."""
        return len(self.sizes) or max(1, -(-self.size_bytes // self.part_bytes))

    def part_sizes(self) -> Iterator[int]:
        """Yield the parts' sizes in order."""
        if self.sizes:
            yield from self.sizes
            return
        for first in range(0, self.size_bytes, self.part_bytes):
            yield min(self.part_bytes, self.size_bytes - first)

    def ranges(self) -> Iterator[ByteRange]:
        """Yield the parts' byte ranges in order; they cover the object without gap or overlap."""
        first = 0
        for size in self.part_sizes():
            yield ByteRange(first, first + size - 1)
            first += size


def plan_parts(size_bytes: int, smallest_part_bytes: int) -> PartPlan:
    """Plan parts of the wanted size, or as much larger as 10,000 parts require.

    Raises:
        ObjectRejectedError: The object is larger than 10,000 parts of 5 GiB.
    """
    check_object_size(size_bytes)
    needed = -(-size_bytes // MAX_PARTS)
    if needed > smallest_part_bytes:
        # Whole MiB: a part size people recognise; 5 GiB is a multiple, so the limit still holds.
        needed = -(-needed // MIB) * MIB
    return PartPlan(size_bytes, min(MAX_PART_BYTES, max(smallest_part_bytes, needed)))


def replayed_parts(size_bytes: int, part_bytes: int, part_count: int) -> PartPlan | None:
    """Return the plan that repeats a source's own part layout, or ``None`` where it cannot be.

    The first part's size must explain the count, and an upload must allow it.
    """
    if part_bytes <= 0 or -(-size_bytes // part_bytes) != part_count:
        return None
    if part_count > MAX_PARTS or part_bytes > MAX_PART_BYTES:
        return None
    if part_count > 1 and part_bytes < MIN_PART_BYTES:
        return None
    return PartPlan(size_bytes, part_bytes)


def explicit_parts(size_bytes: int, sizes: Sequence[int]) -> PartPlan | None:
    """Return the plan with exactly these parts, or ``None`` where they cannot be uploaded.

    They must add up to the object, and an upload must allow them: 1 to 10,000 parts of 5 MiB to
    5 GiB each, the last any size but empty.
    """
    if not 1 <= len(sizes) <= MAX_PARTS or sum(sizes) != size_bytes:
        return None
    if sizes[-1] < 1 or max(sizes) > MAX_PART_BYTES:
        return None
    if any(size < MIN_PART_BYTES for size in sizes[:-1]):
        return None
    uniform = replayed_parts(size_bytes, sizes[0], len(sizes))
    if uniform is not None and tuple(uniform.part_sizes()) == tuple(sizes):
        return uniform
    return PartPlan(size_bytes, max(sizes), tuple(sizes))


def check_object_size(size_bytes: int) -> None:
    """Refuse a size beyond S3's largest object.

    Raises:
        ObjectRejectedError: More than 48.8 TiB.
    """
    if size_bytes > MAX_OBJECT_BYTES:
        raise ObjectRejectedError(
            "EntityTooLarge",
            f"{size_bytes:,} bytes exceed S3's largest object, {MAX_OBJECT_BYTES:,} bytes",
        )


@dataclass(frozen=True, slots=True)
class SingleCopy:
    """Copy with one CopyObject."""


@dataclass(frozen=True, slots=True)
class MultipartCopy:
    """Copy with UploadPartCopy, part by part."""

    parts: PartPlan


@dataclass(frozen=True, slots=True)
class RelayPut:
    """Read the object once, write it with one PutObject."""


@dataclass(frozen=True, slots=True)
class RelayMultipart:
    """Read the object by ranges, write it part by part."""

    parts: PartPlan


CopyPlan = SingleCopy | MultipartCopy | RelayPut | RelayMultipart


def plan_copy(item: S3Object, method: CopyMethod, options: CopyOptions) -> CopyPlan:
    """Decide how one object travels.

    Raises:
        ObjectRejectedError: S3 cannot hold the object, or its parts exceed the relay's memory.
    """
    if method is CopyMethod.SERVER_SIDE:
        if item.size < options.multipart_threshold_bytes:
            return SingleCopy()
        return MultipartCopy(plan_parts(item.size, options.part_size_bytes))
    if item.size < options.relay_multipart_threshold_bytes:
        return RelayPut()
    parts = plan_parts(item.size, options.relay_part_size_bytes)
    if parts.part_bytes > options.relay_memory_bytes:
        raise ObjectRejectedError(
            "EntityTooLarge",
            f"a relay of {item.size:,} bytes needs parts of {parts.part_bytes:,} bytes, "
            f"more than relay_memory_bytes={options.relay_memory_bytes:,}",
        )
    return RelayMultipart(parts)


def _last_part(key: str) -> str:
    head, slash, tail = key.rpartition("/")
    return tail if tail or not slash else head.rpartition("/")[2] + slash
