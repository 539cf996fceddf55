"""RouteLearner: endpoint, Region, addressing style and signer of each bucket, as botocore has them.

Nothing of that is worked out here. botocore resolves it for its own requests, follows S3's redirect
where the bucket lives elsewhere, and sends: the last request of a call that succeeded shows what
holds for the bucket. As proof that nothing was overlooked the request is signed once more, and the
signature must come out the same; otherwise the bucket stays with botocore.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlsplit

from async_s3copy.s3.wire.route import Origin, Route
from async_s3copy.s3.wire.sigv4 import Keys, is_signed_with

_PORTS: Final = {"http": 80, "https": 443}
_ALGORITHM: Final = "AWS4-HMAC-SHA256"


@dataclass(slots=True)
class Seen:
    """The last request that botocore has sent for one call; ``None`` before the first."""

    request: Any = None


_SEEN: ContextVar[Seen | None] = ContextVar("async_s3copy_seen", default=None)


@contextmanager
def watching() -> Iterator[Seen]:
    """Note the requests that botocore sends for the calls of a block."""
    seen = Seen()
    token = _SEEN.set(seen)
    try:
        yield seen
    finally:
        _SEEN.reset(token)


def watch(events: Any) -> None:
    """Have botocore show each request just before it is sent."""

    def note(request: Any, **_: Any) -> None:
        seen = _SEEN.get()
        if seen is not None:
            seen.request = request

    events.register("before-send.s3", note, unique_id="async-s3copy-learn-route")


def learned(request: Any, key: str | None, keys: Keys, *, signs_payload: bool) -> Route | str:
    """Read a bucket's route off a request that has succeeded.

    Args:
        request: botocore's prepared request.
        key: The key it was about; ``None`` for the bucket itself.
        keys: What it should be signed with.
        signs_payload: Whether bodies are hashed even where TLS vouches for them.

    Returns:
        The route, or the reason why the wire cannot take it.
    """
    headers = {name.lower(): _text(value) for name, value in request.headers.items()}
    authorization = headers.get("authorization", "")
    if not authorization:
        return "its requests are not signed"
    scope = _scope(authorization)
    if scope is None:
        return f"its signer is {authorization.partition(' ')[0]}, not {_ALGORITHM}"
    url = urlsplit(request.url)
    prefix = _path_prefix(url.path, key)
    if prefix is None:
        return "its paths have an unusual shape"
    region, service = scope
    if not is_signed_with(keys, request.method, request.url, headers, region, service):
        return "its signatures are not plain SigV4 with the account's own credentials"
    return Route(
        origin=Origin(url.scheme, url.hostname or "", url.port or _PORTS[url.scheme]),
        host_header=headers.get("host") or url.netloc,
        path_prefix=prefix,
        region=region,
        service=service,
        user_agent=headers.get("user-agent", ""),
        signs_payload=signs_payload or url.scheme == "http",
    )


def _scope(authorization: str) -> tuple[str, str] | None:
    """Return Region and service of the credential scope."""
    algorithm, _, rest = authorization.partition(" ")
    scope = rest.partition("Credential=")[2].partition(",")[0].split("/")
    if algorithm != _ALGORITHM or len(scope) != 5:
        return None
    return scope[2], scope[3]


def _path_prefix(path: str, key: str | None) -> str | None:
    """Return what precedes the key, without its last slash."""
    if key is None:
        return path.removesuffix("/")
    encoded = "/" + quote(key, safe="/~")
    return path.removesuffix(encoded) if path.endswith(encoded) else None


def _text(value: object) -> str:
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)
