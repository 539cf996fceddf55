"""Signature Version 4 for S3, in headers: what is signed, and the signature.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html

S3's variant encodes the path once and normalises nothing in it: ``..`` and ``//`` are parts of
keys. Text that is not UTF-8 came off the wire as surrogate escapes, and is signed as the bytes that
it was.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from async_s3copy.errors import ValidationError
from async_s3copy.s3.wire.http import encoded

if TYPE_CHECKING:
    from hashlib import _Hash as Hash

ALGORITHM: Final = "AWS4-HMAC-SHA256"
EMPTY_PAYLOAD: Final = hashlib.sha256(b"").hexdigest()
UNSIGNED_PAYLOAD: Final = "UNSIGNED-PAYLOAD"

# https://www.rfc-editor.org/rfc/rfc2104
_BLOCK_BYTES: Final = 64
_INNER_PAD: Final = bytes(byte ^ 0x36 for byte in range(256))
_OUTER_PAD: Final = bytes(byte ^ 0x5C for byte in range(256))
_TERMINATOR: Final = "aws4_request"
_PRINTABLE: Final = re.compile(r"[\x21-\x7e]*")
# Twice as fast as finding nothing to replace.
_PLAIN_PATH: Final = re.compile(r"[A-Za-z0-9\-._~/]*")
_ODD_IN_PATH: Final = re.compile(r"[^A-Za-z0-9\-._~/]+")
_ODD_IN_QUERY: Final = re.compile(r"[^A-Za-z0-9\-._~]+")


@dataclass(frozen=True, slots=True)
class Keys:
    """What signs a request.

    Attributes:
        access_key_id: Names the key; it is part of the signature's scope.
        secret_access_key: Signs; never sent.
        session_token: Sent and signed with temporary credentials; ``None`` with others.

    Raises:
        ValidationError: A value holds what no header can carry.
    """

    access_key_id: str = field(repr=False)
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for name in ("access_key_id", "session_token"):
            if not _PRINTABLE.fullmatch(getattr(self, name) or ""):
                raise ValidationError(name, "<hidden>", "be printable ASCII without spaces")


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """One second of signing: all that is the same for every request signed in it.

    Attributes:
        timestamp: Value of ``x-amz-date``.
        credential: Access key id and scope, as the ``Authorization`` header begins.
        session_token: Value of ``x-amz-security-token``; ``None`` to send none.
    """

    timestamp: str
    credential: str = field(repr=False)
    session_token: str | None = field(repr=False)
    _inner: Hash = field(repr=False)
    _outer: Hash = field(repr=False)

    def signature(self, canonical_request: str) -> str:
        """Sign a canonical request; returns the signature in hexadecimal."""
        digest = hashlib.sha256(encoded(canonical_request)).hexdigest()
        # HMAC, with its two hashes begun once: half the time of hmac.digest.
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(digest.encode())
        outer.update(inner.digest())
        return outer.hexdigest()


class Signer:
    """Derive signing keys once per day, and timestamps once per second.

    Args:
        region: Region in the credential scope.
        service: Service in the credential scope.
        clock: Seconds since the epoch; a test's clock.
    """

    def __init__(
        self, region: str, service: str = "s3", *, clock: Callable[[], float] = time.time
    ) -> None:
        self._region = region
        self._service = service
        self._clock = clock
        self._second = -1
        self._keys: Keys | None = None
        self._moment: Moment | None = None
        self._derived: tuple[str, str, bytes] | None = None

    def moment(self, keys: Keys) -> Moment:
        """Return the present second for these keys; the same object for as long as it lasts."""
        second = int(self._clock())
        if second == self._second and keys is self._keys and self._moment is not None:
            return self._moment
        timestamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second))
        self._moment = self._begin(keys, timestamp)
        self._second, self._keys = second, keys
        return self._moment

    def _begin(self, keys: Keys, timestamp: str) -> Moment:
        day = timestamp[:8]
        scope = f"{day}/{self._region}/{self._service}/{_TERMINATOR}"
        block = self._signing_key(keys.secret_access_key, day).ljust(_BLOCK_BYTES, b"\0")
        inner = hashlib.sha256(block.translate(_INNER_PAD))
        inner.update(encoded(f"{ALGORITHM}\n{timestamp}\n{scope}\n"))
        return Moment(
            timestamp=timestamp,
            credential=f"{keys.access_key_id}/{scope}",
            session_token=keys.session_token or None,
            _inner=inner,
            _outer=hashlib.sha256(block.translate(_OUTER_PAD)),
        )

    def _signing_key(self, secret: str, day: str) -> bytes:
        if self._derived is None or self._derived[:2] != (secret, day):
            key = encoded("AWS4" + secret)
            for step in (day, self._region, self._service, _TERMINATOR):
                key = hmac.digest(key, encoded(step), "sha256")
            self._derived = (secret, day, key)
        return self._derived[2]


def is_signed_with(  # noqa: PLR0917 - one request, taken apart: every piece of it is signed
    keys: Keys, method: str, url: str, headers: Mapping[str, str], region: str, service: str
) -> bool:
    """Tell whether a request's signature is what these keys and this scope make of it.

    Args:
        keys: The keys.
        method: HTTP method.
        url: The URL, path and query encoded.
        headers: All headers by lowercase name; ``host`` may be missing.
        region: Region in the credential scope.
        service: Service in the credential scope.
    """
    parts = urlsplit(url)
    authorization = dict(_authorization_fields(headers.get("authorization", "")))
    names = authorization.get("SignedHeaders", "").split(";")
    values = [headers.get(name, parts.netloc if name == "host" else "") for name in names]
    canonical = canonical_request(
        method,
        parts.path or "/",
        _sorted_query(parts.query),
        list(zip(names, values, strict=True)),
        headers.get("x-amz-content-sha256", ""),
    )
    moment = Signer(region, service)._begin(keys, headers.get("x-amz-date", ""))
    return authorization == {
        "Credential": moment.credential,
        "SignedHeaders": ";".join(names),
        "Signature": moment.signature(canonical),
    }


def canonical_request(
    method: str, path: str, query: str, headers: Iterable[tuple[str, str]], payload: str
) -> str:
    """Return the text that is signed.

    Args:
        method: HTTP method.
        path: Path, encoded.
        query: Query, encoded and sorted.
        headers: Name in lower case and value of each signed header, sorted by name.
        payload: Hash of the body in hexadecimal, or what is sent in its place.
    """
    pairs = list(headers)
    lines = "".join(f"{name}:{trimmed(value)}\n" for name, value in pairs)
    names = ";".join(name for name, _ in pairs)
    return f"{method}\n{path}\n{query}\n{lines}\n{names}\n{payload}"


def canonical_query(parameters: Mapping[str, str]) -> str:
    """Return a query string, encoded and sorted: it is sent as it is signed."""
    pairs = sorted((quoted_query(name), quoted_query(value)) for name, value in parameters.items())
    return "&".join([f"{name}={value}" for name, value in pairs])


def trimmed(value: str) -> str:
    """Return a header value as it is signed: blanks around it gone, others single."""
    return value if _PRINTABLE.fullmatch(value) else " ".join(value.split())


def quoted_path(key: str) -> str:
    """Encode a key for a path or a copy source; slashes stay.

    Raises:
        ValidationError: The key cannot be encoded as UTF-8.
    """
    if _PLAIN_PATH.fullmatch(key):
        return key
    return _ODD_IN_PATH.sub(_percent_encoded, key)


def quoted_query(value: str) -> str:
    """Encode a name or value of a query.

    Raises:
        ValidationError: The value cannot be encoded as UTF-8.
    """
    return _ODD_IN_QUERY.sub(_percent_encoded, value)


def _percent_encoded(odd: re.Match[str]) -> str:
    try:
        return "%" + odd[0].encode().hex("%").upper()
    except UnicodeEncodeError:
        raise ValidationError("text", odd.string, "be encodable as UTF-8") from None


def _sorted_query(query: str) -> str:
    pairs = sorted(pair.partition("=")[::2] for pair in query.split("&") if pair)
    return "&".join([f"{name}={value}" for name, value in pairs])


def _authorization_fields(authorization: str) -> Iterable[tuple[str, str]]:
    algorithm, _, fields = authorization.partition(" ")
    if algorithm != ALGORITHM:
        return
    for text in fields.split(","):
        name, _, value = text.strip().partition("=")
        yield name, value
