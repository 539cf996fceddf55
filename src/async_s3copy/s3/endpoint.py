"""Endpoints as values: which server a client talks to, and whether two are the same."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
# The DNS suffixes of AWS's partitions (botocore's partitions.json).
_AWS_SUFFIXES: Final = (".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu", ".api.aws")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a client's requests go.

    Attributes:
        url: Scheme, host and port, without user info, path or query.
        region: The client's Region; empty when it has none.
        partition: AWS partition (``"aws"``, ``"aws-cn"``, ...), as botocore resolves it.
    """

    url: str
    region: str = ""
    partition: str = "aws"

    @classmethod
    def from_url(cls, url: str, region: str | None, partition: str | None) -> Endpoint:
        """Read an endpoint URL; what is not scheme, host or port is left out."""
        parts = urlsplit(url)
        address = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        return cls(url=address, region=region or "", partition=partition or "")

    @property
    def is_aws(self) -> bool:
        """Whether this is S3 itself, the reference, rather than a compatible server."""
        return _is_aws(self.url)

    @property
    def is_private(self) -> bool:
        """Whether nobody on the way can read along: over TLS, or within this host."""
        parts = urlsplit(self.url)
        return parts.scheme == "https" or _is_loopback((parts.hostname or "").rstrip("."))

    def same_service(self, other: Endpoint) -> bool:
        """Tell whether a server-side copy between the two is possible at all.

        All of one AWS partition is one S3, whatever the Regions; other servers are the same when
        host and port are.
        """
        if self.is_aws and other.is_aws:
            return self.partition == other.partition
        return self._address == other._address

    @property
    def _address(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        host = (parts.hostname or "").rstrip(".")
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)
        return ("loopback" if host in _LOOPBACK else host, port)


def _is_loopback(host: str) -> bool:
    try:
        return host in _LOOPBACK or ip_address(host).is_loopback
    except ValueError:
        return False


@lru_cache(maxsize=64)
def _is_aws(url: str) -> bool:
    """Answer once per endpoint: every copied object may ask."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    return host.endswith(_AWS_SUFFIXES)
