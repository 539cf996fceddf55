"""Whether a destination holds what a copy should have put there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from benchmarks.simulator.buckets import DELETED, UPLOADED, DestinationBucket, SourceBucket, Stored
from benchmarks.simulator.config import Verification
from benchmarks.simulator.listing import index_after_prefix
from benchmarks.simulator.messages import unquoted

_EXAMPLES: Final = 5
_MISSING: Final = 0
_FOUND: Final = 1
_WRONG: Final = 2


def verify(
    source: SourceBucket, source_prefix: bytes, destination: DestinationBucket, prefix: bytes
) -> Verification:
    """Compare all that was written to a destination with a copy of a source prefix.

    An object that came as one upload must have the MD5 of the source's bytes; of one that was
    uploaded in parts only the size is known.
    """
    check = _Check(source, source_prefix, destination.name, prefix)
    for write in destination.writes():
        check.take(write.key, write.stored)
    return check.result()


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
        if stored.size_bytes != self.source.space.size_bytes:
            return False
        if stored.origin != UPLOADED:
            return unquoted(stored.origin) == self.source.name + b"/" + source_key
        return b"-" in stored.etag or stored.etag == self.source.content.etag(source_key)

    def _examples(self) -> tuple[str, ...]:
        keys = sorted(self.strays)[:_EXAMPLES]
        for state in (_WRONG, _MISSING):
            position = self.states.find(state)
            while position >= 0 and len(keys) < _EXAMPLES:
                source_key = self.source.key_bytes(self.first + position)
                keys.append(self.prefix + source_key[len(self.source_prefix) :])
                position = self.states.find(state, position + 1)
        return tuple(key.decode("utf-8", "replace") for key in keys)
