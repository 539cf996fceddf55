"""botocore as the judge of the wire: what it would send, and what it makes of an answer.

A reference client whose requests end just before they are sent. It runs on an event loop of its
own, so that Hypothesis can call it thousands of times from plain functions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from unittest import mock
from urllib.parse import urlsplit

from aiobotocore.awsrequest import AioAWSResponse
from aiobotocore.config import AioConfig
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest, HeadersDict
from botocore.credentials import Credentials

from async_s3copy import Account, CopyOptions
from async_s3copy.errors import S3Error
from async_s3copy.s3.boto import BotoClient
from async_s3copy.s3.session import s3_client_context, s3_session
from async_s3copy.s3.terms import NO_TERMS, Terms
from async_s3copy.s3.wire.http import Request
from async_s3copy.s3.wire.requests import RequestBuilder
from async_s3copy.s3.wire.route import Origin, Route
from async_s3copy.s3.wire.signed import TermsOf
from async_s3copy.s3.wire.sigv4 import Keys

NOW: Final = datetime(2024, 2, 29, 23, 59, 58, tzinfo=UTC)
REGION: Final = "eu-west-1"
BUCKET: Final = "bucket"
ACCESS_KEY_ID: Final = "AKEXAMPLE"
SECRET: Final = "wJalrXUtnFEMI/K7MDENG"
TOKEN: Final = "FwoGZXIvYXdzEBYaD+/="

Call = Callable[[BotoClient], Awaitable[Any]]


def clock() -> float:
    """Return the moment in which everything is signed."""
    return NOW.timestamp()


@dataclass(frozen=True, slots=True)
class Sent:
    """One request, taken apart.

    Attributes:
        method: HTTP method.
        path: Path, encoded.
        query: Names and values, encoded.
        headers: Headers by lowercase name.
        body: Body.
    """

    method: str
    path: str
    query: frozenset[tuple[str, str]]
    headers: Mapping[str, str]
    body: bytes

    def without(self, *names: str) -> dict[str, str]:
        """Return the headers but these."""
        return {name: value for name, value in self.headers.items() if name not in names}


@dataclass(frozen=True, slots=True)
class Style:
    """One way to address a bucket."""

    name: str
    endpoint_url: str
    addressing: str
    host: str
    path_prefix: str
    token: str | None = None

    @property
    def scheme(self) -> str:
        """``"http"`` or ``"https"``."""
        return urlsplit(self.endpoint_url).scheme

    def route(self, **changes: Any) -> Route:
        """Return the route that leads to the bucket."""
        url = urlsplit(self.endpoint_url)
        given = {
            "origin": Origin(url.scheme, url.hostname or "", url.port or 443),
            "host_header": self.host,
            "path_prefix": self.path_prefix,
            "region": REGION,
            "service": "s3",
            "user_agent": "agent/1.0 100% ready",
            "signs_payload": url.scheme == "http",
        }
        return Route(**{**given, **changes})

    def builder(self, terms: TermsOf | None = None) -> RequestBuilder:
        """Return a builder of requests at the fixed moment."""
        keys = Keys(ACCESS_KEY_ID, SECRET, self.token)
        return RequestBuilder(self.route(), keys, terms=terms, clock=clock)


STYLES: Final = (
    Style("path, http", "http://127.0.0.1:9000", "path", "127.0.0.1:9000", f"/{BUCKET}"),
    Style(
        "virtual host, https, token",
        f"https://s3.{REGION}.amazonaws.com",
        "virtual",
        f"{BUCKET}.s3.{REGION}.amazonaws.com",
        "",
        TOKEN,
    ),
)


def taken_apart(request: Request) -> Sent:
    """Read a request's head as a server does."""
    head, end, rest = request.head.partition(b"\r\n\r\n")
    assert end
    assert not rest
    line, *fields = head.decode("utf-8", "surrogateescape").split("\r\n")
    method, target, version = line.split(" ")
    assert version == "HTTP/1.1"
    assert method == request.method
    pairs = [field.split(": ", 1) for field in fields]
    headers = dict(pairs)
    assert len(headers) == len(pairs)
    path, _, query = target.partition("?")
    return Sent(method, path, _pairs(query), headers, request.body)


class Oracle:
    """The reference client, ending before the network.

    Args:
        style: How it addresses its bucket.
        terms: On what terms it speaks to it.
    """

    def __init__(self, style: Style, terms: Terms = NO_TERMS) -> None:
        self.style = style
        self._loop = asyncio.new_event_loop()
        self._answer: AioAWSResponse | None = None
        self._seen: Any = None
        account = Account(
            access_key_id=ACCESS_KEY_ID,
            secret_access_key=SECRET,
            session_token=style.token,
            region=REGION,
            endpoint_url=style.endpoint_url,
            config=AioConfig(s3={"addressing_style": style.addressing}),
        )
        session = self._run(s3_session(account, CopyOptions(), "source"))
        self._context = s3_client_context(session, account, CopyOptions())
        client = self._run(self._context.__aenter__())
        client.meta.events.register("before-send.s3", self._before_send)
        self._client = BotoClient(client, "source", session, terms)

    def close(self) -> None:
        """Close the client and the loop."""
        self._run(self._context.__aexit__(None, None, None))
        self._loop.close()

    def prepared(self, call: Call) -> Any:
        """Return the request that botocore has prepared for a call, as it is."""
        self._seen = None
        with frozen():
            refused = self.answer(call, 500, {}, b"")
        assert self._seen is not None, f"botocore did not send it: {refused}"
        return self._seen

    def request(self, call: Call) -> Sent:
        """Return what botocore sends for a call."""
        seen = self.prepared(call)
        parts = urlsplit(seen.url)
        headers = {
            name.lower(): value.decode() if isinstance(value, bytes) else value
            for name, value in seen.headers.items()
        }
        body = seen.body.read() if hasattr(seen.body, "read") else seen.body or b""
        return Sent(seen.method, parts.path or "/", _pairs(parts.query), headers, body)

    def answer(self, call: Call, status: int, headers: Mapping[str, str], body: bytes) -> Any:
        """Return what the reference client makes of an answer: a value, or the ``S3Error``."""
        raw = HeadersDict(dict(headers))
        self._answer = AioAWSResponse(self.style.endpoint_url, status, raw, _Raw(body))
        try:
            return self._run(call(self._client))
        except S3Error as error:
            return error

    def _before_send(self, request: Any, event_name: str, **_: Any) -> AioAWSResponse | None:
        if event_name.endswith(".HeadBucket"):
            # botocore asks where a bucket is that a redirect is about; nobody knows.
            return AioAWSResponse(self.style.endpoint_url, 200, HeadersDict(), _Raw(b""))
        self._seen = request
        return self._answer

    def _run(self, awaitable: Awaitable[Any]) -> Any:
        return self._loop.run_until_complete(awaitable)


class _Raw:
    """A response body as aiohttp gives it."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def read(self) -> bytes:
        return self._body


@contextmanager
def frozen() -> Iterator[None]:
    """Let botocore sign at the fixed moment."""
    now = NOW.replace(tzinfo=None)
    with mock.patch("botocore.auth.get_current_datetime", return_value=now):
        yield


@dataclass(frozen=True, slots=True)
class Signed:
    """What botocore's signer makes of a request."""

    canonical: str
    authorization: str


def signed_by_botocore(
    request: Request, style: Style, secret: str = SECRET, region: str = REGION
) -> Signed:
    """Sign a request once more, as it is, with botocore's S3SigV4Auth."""
    sent = taken_apart(request)
    target = request.head.split(b" ", 2)[1].decode()
    again = AWSRequest(
        method=sent.method,
        url=f"{style.scheme}://{sent.headers['host']}{target}",
        headers=sent.without("authorization", "content-length"),
        data=sent.body,
    )
    again.context["has_streaming_input"] = "content-md5" in sent.headers
    auth = S3SigV4Auth(Credentials(ACCESS_KEY_ID, secret, style.token), "s3", region)
    with frozen():
        auth.add_auth(again)
    authorization = again.headers["Authorization"]
    del again.headers["Authorization"]
    return Signed(auth.canonical_request(again), authorization)


def _pairs(query: str) -> frozenset[tuple[str, str]]:
    split = [pair.partition("=") for pair in query.split("&") if pair]
    return frozenset((name, value) for name, _, value in split)
