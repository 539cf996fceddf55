"""Sign a request anew after it was altered: Signature Version 4, on the standard library alone.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Self

_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_AUTHORIZATION: Final = re.compile(
    rf"{_ALGORITHM} Credential=([^,]+)/(\d{{8}})/([^/,]+)/([^/,]+)/aws4_request, ?"
    r"SignedHeaders=([^,]+), ?Signature=([0-9a-f]+)"
)


class Scope(NamedTuple):
    """What a signing key is made for.

    Attributes:
        date: Day, as ``20240131``.
        region: Region.
        service: Service, ``"s3"``.
    """

    date: str
    region: str
    service: str

    def __str__(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/aws4_request"


@dataclass(frozen=True, slots=True)
class Signed:
    """What an ``Authorization`` header says.

    Attributes:
        access_key_id: Who signed.
        scope: What the key was made for.
        names: The signed headers, in lower case and sorted.
    """

    access_key_id: str = field(repr=False)
    scope: Scope
    names: tuple[str, ...]

    @classmethod
    def read(cls, headers: Mapping[str, str]) -> Self | None:
        """Read it from headers by lowercase name; ``None`` where they hold no such signature."""
        match = _AUTHORIZATION.fullmatch(headers.get("authorization", ""))
        if match is None:
            return None
        return cls(match[1], Scope(match[2], match[3], match[4]), tuple(match[5].split(";")))


def signature(
    secret: str, signed: Signed, method: str, raw_path: str, headers: Mapping[str, str]
) -> str:
    """Return the ``Authorization`` header of a request as it is now, by the one it came with.

    Args:
        secret: Secret access key of who signed it.
        signed: What the request's own header says; a signed header that is gone is left out.
        method: HTTP method.
        raw_path: Path and query, as they are sent.
        headers: All headers by lowercase name.
    """
    names = [name for name in signed.names if name in headers]
    path, _, query = raw_path.partition("?")
    canonical = "\n".join(
        (
            method,
            path,
            _sorted_query(query),
            *(f"{name}:{' '.join(headers[name].split())}" for name in names),
            "",
            ";".join(names),
            headers.get("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
        )
    )
    moment = headers.get("x-amz-date", "")
    scope = signed.scope._replace(date=moment[:8])
    digest = hashlib.sha256(_bytes(canonical)).hexdigest()
    to_sign = "\n".join((_ALGORITHM, moment, str(scope), digest))
    made = hmac.digest(_key(secret, scope), to_sign.encode(), "sha256").hex()
    return (
        f"{_ALGORITHM} Credential={signed.access_key_id}/{scope}, "
        f"SignedHeaders={';'.join(names)}, Signature={made}"
    )


def _key(secret: str, scope: Scope) -> bytes:
    key = _bytes(f"AWS4{secret}")
    for text in (*scope, "aws4_request"):
        key = hmac.digest(key, text.encode(), "sha256")
    return key


def _sorted_query(query: str) -> str:
    pairs = sorted(pair.partition("=")[::2] for pair in query.split("&") if pair)
    return "&".join([f"{name}={value}" for name, value in pairs])


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
