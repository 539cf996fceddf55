"""The checksums S3 keeps with objects, computed here where Python or ``awscrt`` can. Pure.

CRC32, SHA1 and SHA256 come with Python. CRC32C and CRC64NVME take the package ``awscrt``, the AWS
Common Runtime: in Python itself they would hash a few MiB a second.
"""

from __future__ import annotations

import base64
import hashlib
import importlib
import zlib
from collections.abc import Callable
from typing import Any, Final, Protocol


class Running(Protocol):
    """A checksum of bytes that are fed in order."""

    def update(self, data: bytes) -> None:
        """Take the next bytes."""
        ...

    def value(self) -> str:
        """Return the checksum of all bytes so far, in base64, as S3 writes it."""
        ...


def running(algorithm: str) -> Running | None:
    """Begin a checksum.

    Args:
        algorithm: As S3 names it, in capitals or not: ``"CRC32C"``, ``"sha256"``.

    Returns:
        The checksum of no bytes; ``None`` where the algorithm cannot be computed here.
    """
    maker = _MAKERS.get(algorithm.upper())
    return maker() if maker is not None else None


def checksum(algorithm: str, data: bytes) -> str | None:
    """Return the checksum of bytes in base64; ``None`` where it cannot be computed here."""
    begun = running(algorithm)
    if begun is None:
        return None
    begun.update(data)
    return begun.value()


def computable(algorithm: str) -> bool:
    """Tell whether an algorithm can be computed here."""
    return algorithm.upper() in _MAKERS


class _Crc:
    """A cyclic redundancy check: one number, carried from bytes to bytes."""

    def __init__(self, function: Callable[[bytes, int], int], width_bytes: int) -> None:
        self._function = function
        self._width_bytes = width_bytes
        self._crc = 0

    def update(self, data: bytes) -> None:
        self._crc = self._function(data, self._crc)

    def value(self) -> str:
        return base64.b64encode(self._crc.to_bytes(self._width_bytes, "big")).decode()


class _Hash:
    """A hash of Python's own."""

    def __init__(self, name: str) -> None:
        self._hash = hashlib.new(name, usedforsecurity=False)

    def update(self, data: bytes) -> None:
        self._hash.update(data)

    def value(self) -> str:
        return base64.b64encode(self._hash.digest()).decode()


def _of_the_common_runtime() -> dict[str, Callable[[], Running]]:
    try:
        crt: Any = importlib.import_module("awscrt.checksums")
    except ImportError:
        return {}
    # Older versions lack the youngest of them.
    wanted = (("CRC32C", "crc32c", 4), ("CRC64NVME", "crc64nvme", 8))
    return {
        name: _crc_maker(getattr(crt, function), width_bytes)
        for name, function, width_bytes in wanted
        if hasattr(crt, function)
    }


def _crc_maker(function: Callable[[bytes, int], int], width_bytes: int) -> Callable[[], Running]:
    return lambda: _Crc(function, width_bytes)


_MAKERS: Final[dict[str, Callable[[], Running]]] = {
    "CRC32": _crc_maker(zlib.crc32, 4),
    "SHA1": lambda: _Hash("sha1"),
    "SHA256": lambda: _Hash("sha256"),
    **_of_the_common_runtime(),
}
