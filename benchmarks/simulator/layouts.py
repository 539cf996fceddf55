"""How the keys of each key space look: a key from an index, and an index from a key.

A layout's keys rise strictly in UTF-8 byte order. ``guess`` only has to be right for keys that
exist, and may be one too low: whoever asks compares the keys there with the key in question.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from benchmarks.simulator.spread import Spread, mix

ROOT: Final = b"data/"
_ASCII: Final = "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
# One to four bytes of UTF-8 each, with the characters that URLs, XML and shells trip over.
_HOSTILE: Final = (
    " !$%&'()+,;=@aZ09~"
    + "¡£©ÄÅÇÉÑÖØÜßàãèêîñôþ"
    + "ЖиدअกアカΩ中文字日本語한글€ह"
    + "𐍈𝄞🌍🎉🚀😀🤖🧪"
)
_PAIR: Final = 64 * 64
_PAIRS: Final = 5


class Layout(Protocol):
    """The keys of one key space."""

    def key(self, index: int) -> bytes:
        """Return the key of an index."""

    def guess(self, key: bytes) -> int:
        """Return the index that a key has if it exists, or the one before.

        Raises:
            ValueError, IndexError, KeyError: No key of this layout looks like that.
        """


class Sequential:
    """``data/key-0000000042``."""

    def __init__(self, count: int) -> None:
        self._width = max(10, len(str(count)))

    def key(self, index: int) -> bytes:
        """Return the key of an index."""
        return b"data/key-%0*d" % (self._width, index)

    def guess(self, key: bytes) -> int:
        """Return the index that a key has if it exists, or the one before."""
        return int(key[9:])


class Hex:
    """``data/`` and 32 hexadecimal digits, as of a hash."""

    def __init__(self, count: int) -> None:
        self._spread = Spread(count, 1 << 64)

    def key(self, index: int) -> bytes:
        """Return the key of an index."""
        noise = mix(index)
        return b"data/%016x%016x" % (self._spread.place(index, noise), noise)

    def guess(self, key: bytes) -> int:
        """Return the index that a key has if it exists, or the one before."""
        return self._spread.index(int(key[5:21], 16))


class Uuid:
    """``data/`` and a UUID of version 4."""

    def __init__(self, count: int) -> None:
        self._spread = Spread(count, 1 << 48)

    def key(self, index: int) -> bytes:
        """Return the key of an index."""
        noise = mix(index)
        position = self._spread.place(index, noise)
        return b"data/%08x-%04x-4%03x-%04x-%012x" % (
            position >> 16,
            position & 0xFFFF,
            noise & 0xFFF,
            0x8000 | noise >> 12 & 0x3FFF,
            noise >> 16,
        )

    def guess(self, key: bytes) -> int:
        """Return the index that a key has if it exists, or the one before."""
        return self._spread.index(int(key[5:13] + key[14:18], 16))


class Dates:
    """``data/2024/01/02/03/0405-678901-9f3c.log``: two years, by hour."""

    _DAYS: Final = 731
    _HOUR_US: Final = 3_600_000_000

    def __init__(self, count: int) -> None:
        first = datetime(2023, 1, 1, tzinfo=UTC)
        days = [first + timedelta(days=day) for day in range(self._DAYS)]
        self._folders = [f"data/{day:%Y/%m/%d}/".encode() for day in days]
        self._day_of = {folder: day for day, folder in enumerate(self._folders)}
        self._spread = Spread(count, self._DAYS * 24 * self._HOUR_US)

    def key(self, index: int) -> bytes:
        """Return the key of an index."""
        noise = mix(index)
        hour, microsecond = divmod(self._spread.place(index, noise), self._HOUR_US)
        day, hour = divmod(hour, 24)
        second, microsecond = divmod(microsecond, 1_000_000)
        return b"%b%02d/%02d%02d-%06d-%04x.log" % (
            self._folders[day],
            hour,
            second // 60,
            second % 60,
            microsecond,
            noise >> 48,
        )

    def guess(self, key: bytes) -> int:
        """Return the index that a key has if it exists, or the one before."""
        hour = self._day_of[key[:16]] * 24 + int(key[16:18])
        second = int(key[19:21]) * 60 + int(key[21:23])
        return self._spread.index(hour * self._HOUR_US + second * 1_000_000 + int(key[24:30]))


class Digits:
    """Numbers below 2^60 as ten characters of an alphabet of 64, in the same order."""

    def __init__(self, alphabet: str) -> None:
        # Code points and UTF-8 bytes sort alike, and no character's bytes begin another's.
        characters = sorted(alphabet)
        self._pairs = [(a + b).encode() for a in characters for b in characters]
        self._values: Mapping[str, int] = {c: value for value, c in enumerate(characters)}

    def write(self, number: int) -> list[bytes]:
        """Return the ten characters, in pairs."""
        pairs = self._pairs
        return [pairs[number >> shift & _PAIR - 1] for shift in (48, 36, 24, 12, 0)]

    def read(self, characters: str) -> int:
        """Return the number of ten characters."""
        number = 0
        for character in characters:
            number = number << 6 | self._values[character]
        return number

    def pair(self, value: int) -> bytes:
        """Return the two characters of a number below 4,096."""
        return self._pairs[value]


class NonAscii:
    """One folder level and names of characters of one to four bytes, of irregular length."""

    def __init__(self, count: int) -> None:
        self._digits = Digits(_HOSTILE)
        self._spread = Spread(count, _PAIR**_PAIRS)

    def key(self, index: int) -> bytes:
        """Return the key of an index."""
        noise = mix(index)
        folder, *name = self._digits.write(self._spread.place(index, noise))
        for shift in range(16, 16 + 12 * (noise >> 62), 12):
            name.append(self._digits.pair(noise >> shift & _PAIR - 1))
        return ROOT + folder + b"/" + b"".join(name)

    def guess(self, key: bytes) -> int:
        """Return the index that a key has if it exists, or the one before."""
        text = key.decode()
        return self._spread.index(self._digits.read(text[5:7] + text[8:16]))


class Flat:
    """One huge folder of names of 10 to 58 characters."""

    def __init__(self, count: int) -> None:
        self._digits = Digits(_ASCII)
        self._spread = Spread(count, _PAIR**_PAIRS)

    def key(self, index: int) -> bytes:
        """Return the key of an index."""
        noise = mix(index)
        name = b"".join(self._digits.write(self._spread.place(index, noise)))
        return ROOT + name + (b"%016x" % noise * 3)[: noise % 49]

    def guess(self, key: bytes) -> int:
        """Return the index that a key has if it exists, or the one before."""
        return self._spread.index(self._digits.read(key[5:15].decode()))


class Skew:
    """Nine tenths of each level under one name of it, three levels deep; the rest very unevenly.

    Seven of ten keys share the fourteen bytes ``data/m/m/m/00`` and the like.
    """

    # Names in byte order, with their share of a level's keys in ten-thousandths.
    _SHARES: Final = (
        (b"0/", 400),
        (b"b-", 10),
        (b"k/k/k/", 2),
        (b"m/", 9_000),
        (b"m0", 300),
        (b"t/", 8),
        (b"z", 280),
    )
    _HOT: Final = b"m/"
    _LEVELS: Final = 3
    _SPAN: Final = 10**14

    def __init__(self, count: int) -> None:
        self._starts: list[int] = []
        self._prefixes: list[bytes] = []
        self._spreads: list[Spread] = []
        self._fill(ROOT, 0, count, self._LEVELS)

    def key(self, index: int) -> bytes:
        """Return the key of an index."""
        segment = bisect_right(self._starts, index) - 1
        local = index - self._starts[segment]
        return b"%b%014d" % (self._prefixes[segment], self._spreads[segment].position(local))

    def guess(self, key: bytes) -> int:
        """Return the index that a key has if it exists, or the one before."""
        segment = bisect_right(self._prefixes, key) - 1
        position = int(key[len(self._prefixes[segment]) :])
        return self._starts[segment] + self._spreads[segment].index(position)

    def _fill(self, prefix: bytes, start: int, count: int, levels: int) -> None:
        if levels == 0:
            # Without gaps between them: a tiny part of the key space.
            self._add(prefix, start, Spread(count, count * 20))
            return
        total = 0
        for name, share in self._SHARES:
            first = start + count * total // 10_000
            total += share
            size = start + count * total // 10_000 - first
            if size and name == self._HOT:
                self._fill(prefix + name, first, size, levels - 1)
            elif size:
                self._add(prefix + name, first, Spread(size, self._SPAN))

    def _add(self, prefix: bytes, start: int, spread: Spread) -> None:
        self._prefixes.append(prefix)
        self._starts.append(start)
        self._spreads.append(spread)
