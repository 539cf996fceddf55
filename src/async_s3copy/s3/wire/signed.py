"""SignedRequests: requests about one bucket, signed along its route, ready to be written. Pure."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from typing import Final

from async_s3copy.s3.wire.head import HeadTemplate, Shape
from async_s3copy.s3.wire.http import Request
from async_s3copy.s3.wire.route import Route
from async_s3copy.s3.wire.sigv4 import (
    EMPTY_PAYLOAD,
    UNSIGNED_PAYLOAD,
    Keys,
    Moment,
    Signer,
    canonical_query,
    quoted_path,
)

TermsOf = Callable[[str, str], Mapping[str, str]]
"""Gives the headers that a bucket's terms add to a call, by operation and source bucket."""

# A run sends a handful of shapes; those with user metadata or a hashed body do not come again.
_TEMPLATES_KEPT: Final = 64
_WITHOUT_BODY: Final = ("GET", "HEAD")
_NONE: Final[Mapping[str, str]] = {}


class SignedRequests:
    """Sign requests about one bucket.

    Args:
        route: How the bucket is addressed and signed.
        keys: What to sign with; replace ``keys`` when they have been refreshed.
        terms: Gives the headers of the bucket's terms; ``None`` where it has none.
        clock: Seconds since the epoch; a test's clock.
    """

    def __init__(
        self,
        route: Route,
        keys: Keys,
        *,
        terms: TermsOf | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.keys = keys
        self._terms = terms
        self._route = route
        self._signer = Signer(route.region, route.service, clock=clock)
        self._moment: Moment | None = None
        self._templates: dict[Shape, HeadTemplate] = {}

    def _request(
        self,
        operation: str,
        method: str,
        key: str | None,
        query: Mapping[str, str] = _NONE,
        headers: Mapping[str, str] = _NONE,
        *,
        body: bytes = b"",
        payload: str = EMPTY_PAYLOAD,
        source: str = "",
        replayable: bool = True,
    ) -> Request:
        if self._terms is not None:
            headers = {**headers, **self._terms(operation, source)}
        names = tuple(sorted(headers))
        template = self._template(Shape(method, payload, names))
        prefix = self._route.path_prefix
        head = template.filled(
            f"{prefix}/{quoted_path(key)}" if key is not None else prefix or "/",
            canonical_query(query) if query else "",
            [headers[name] for name in names],
            None if method in _WITHOUT_BODY else len(body),
        )
        return Request(method, head, body, replayable)

    def _payload(self, body: bytes, sha256: str | None) -> str:
        """Return what stands for an object's bytes in the signature."""
        if not self._route.signs_payload:
            return UNSIGNED_PAYLOAD
        return sha256 or hashlib.sha256(body).hexdigest()

    def _template(self, shape: Shape) -> HeadTemplate:
        moment = self._signer.moment(self.keys)
        if moment is not self._moment:
            self._moment = moment
            self._templates.clear()
        template = self._templates.get(shape)
        if template is None:
            template = HeadTemplate(self._route, moment, shape)
            if len(self._templates) >= _TEMPLATES_KEPT:
                self._templates.clear()
            self._templates[shape] = template
        return template
