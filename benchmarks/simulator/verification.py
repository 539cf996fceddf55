"""Whether a destination holds what a copy should have put there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from benchmarks.simulator.buckets import DELETED, DestinationBucket, SourceBucket, Stored
from benchmarks.simulator.config import Verification
from benchmarks.simulator.listing import index_after_prefix
from benchmarks.simulator.messages import unquoted
from benchmarks.simulator.uploads import layout_of
from benchmarks.simulator.worn import worn_by

_EXAMPLES: Final = 5
_MISSING: Final = 0
_FOUND: Final = 1
_WRONG: Final = 2


def verify(
    source: SourceBucket, source_prefix: bytes, destination: DestinationBucket, prefix: bytes
) -> Verification:
    """Compare all that was written to a destination with a copy of a source prefix.

    What came through the client must have the ETag that the source's bytes have in the same parts.
    """
    check = _Check(source, source_prefix, destination.name, prefix)
    for write in destination.writes():
        check.take(write.key, write.stored)
    return check.result()


def what_is_wrong(source: SourceBucket, source_key: bytes, stored: Stored) -> str:
    """Return why an object is no copy of a source's; empty if it is one."""
    content = source.content_of(source_key)
    if stored.size_bytes != content.size_bytes:
        return f"it has {stored.size_bytes:,} bytes, not {content.size_bytes:,}"
    layout = layout_of(stored.origin)
    if layout is None:
        right = unquoted(stored.origin) == source.name + b"/" + source_key
        return "" if right else f"it was made from {stored.origin.decode('latin-1')}"
    if layout:
        etag = content.parts_etag(source_key, layout)
    else:
        etag = content.md5(source_key, 0, content.size_bytes)
    return "" if etag == stored.etag else f"its ETag is {stored.etag.decode()}, not {etag.decode()}"


@dataclass(slots=True)
class _Check:
    source: SourceBucket
    source_prefix: bytes
    destination_name: bytes
    prefix: bytes
    first: int = field(init=False)
    states: bytearray = field(init=False)
    strays: set[bytes] = field(default_factory=set)
    duplicates: int = 0

    def __post_init__(self) -> None:
        self.first = self.source.at_or_after(self.source_prefix)
        end = index_after_prefix(self.source, self.source_prefix)
        self.states = bytearray(end - self.first)

    def take(self, key: bytes, stored: Stored) -> None:
        source_key = self.source_prefix + key.removeprefix(self.prefix)
        index = self.source.space.find(source_key) if key.startswith(self.prefix) else None
        if index is None:
            self._take_stray(key, stored)
        elif stored.origin == DELETED:
            self.states[index - self.first] = _MISSING
        else:
            self.duplicates += self.states[index - self.first] != _MISSING
            right = self._is_right(source_key, stored)
            self.states[index - self.first] = _FOUND if right else _WRONG

    def result(self) -> Verification:
        counts = [self.states.count(state) for state in (_MISSING, _FOUND, _WRONG)]
        return Verification(
            expected=len(self.states),
            found=counts[_FOUND],
            missing=counts[_MISSING],
            wrong=counts[_WRONG] + len(self.strays),
            duplicates=self.duplicates,
            examples=self._examples(),
        )

    def _take_stray(self, key: bytes, stored: Stored) -> None:
        if stored.origin == DELETED:
            self.strays.discard(key)
        else:
            self.duplicates += key in self.strays
            self.strays.add(key)

    def _is_right(self, source_key: bytes, stored: Stored) -> bool:
        return not what_is_wrong(self.source, source_key, stored)

    def _examples(self) -> tuple[str, ...]:
        keys = sorted(self.strays)[:_EXAMPLES]
        for state in (_WRONG, _MISSING):
            position = self.states.find(state)
            while position >= 0 and len(keys) < _EXAMPLES:
                source_key = self.source.key_bytes(self.first + position)
                keys.append(self.prefix + source_key[len(self.source_prefix) :])
                position = self.states.find(state, position + 1)
        return tuple(key.decode("utf-8", "replace") for key in keys)


def audit(
    source: SourceBucket, source_prefix: bytes, destination: DestinationBucket, prefix: bytes
) -> dict[str, Any]:
    """Judge each object that a destination holds, bytes, properties and place.

    Returns:
        ``right``: keys of the objects that belong there; ``wrong``: by key, why another does not;
        ``expected``: how many there should be; ``writes``: how often any key was written.
    """
    right, wrong = [], {}
    for index in range(destination.count()):
        key = destination.key_bytes(index)
        why = _judged(source, source_prefix, destination, prefix, key)
        if why:
            wrong[key.decode()] = why
        else:
            right.append(key.decode())
    expected = index_after_prefix(source, source_prefix) - source.at_or_after(source_prefix)
    writes = sum(write.stored.origin != DELETED for write in destination.writes())
    return {"right": right, "wrong": wrong, "expected": expected, "writes": writes}


def _judged(
    source: SourceBucket,
    source_prefix: bytes,
    destination: DestinationBucket,
    prefix: bytes,
    key: bytes,
) -> str:
    source_key = source_prefix + key.removeprefix(prefix)
    stored = destination.find(key)
    if stored is None or not key.startswith(prefix) or source.find(source_key) is None:
        return "it belongs nowhere"
    why = what_is_wrong(source, source_key, stored)
    worn, wanted = worn_by(destination, key), worn_by(source, source_key)
    if why or destination.worn is None or worn == wanted:
        return why
    return f"it has {worn}, not {wanted}"
