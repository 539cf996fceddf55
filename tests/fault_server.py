"""An S3-shaped server in this process that fails as it is told to.

It keeps objects in memory, answers the dozen calls a copy makes, and takes a script: what the next
calls of an operation get instead of, or around, the right answer.
"""

from __future__ import annotations

import hashlib
import uuid
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qs, unquote
from xml.sax.saxutils import escape

from aiohttp import web

from tests.fault_listings import LONG_AGO, list_objects, list_uploads, xml_response

_HTTP_DATE: Final = "Tue, 02 Jan 2024 03:04:05 GMT"
_KEPT_HEADERS: Final = ("content-type", "cache-control", "x-amz-storage-class")


@dataclass(frozen=True, slots=True)
class Call:
    """One request as it arrived."""

    operation: str
    bucket: str
    key: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class Stored:
    """One object."""

    body: bytes
    etag: str
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Manners:
    """How the server differs from AWS, all the time."""

    quotes_etags: bool = True
    etag_of: Callable[[bytes], str] = lambda body: hashlib.md5(body).hexdigest()
    names_storage_class: bool = True
    encodes_listing: bool = True
    page_keys: int = 1_000
    page_uploads: int = 1_000
    gives_tokens: bool = True
    repeats_pages: bool = False


Handler = Callable[["FaultServer", Call], Awaitable[web.StreamResponse]]
Answer = Callable[["FaultServer", web.Request, Call, Handler], Awaitable[web.StreamResponse]]


class FaultServer:
    """The server; ``run_fault_server`` starts and stops it.

    Attributes:
        url: Where it listens.
        objects: Objects by bucket and key.
        uploads: Open multipart uploads: parts by number.
        upload_places: Bucket and key of each upload there ever was.
        calls: Every request, in order of arrival.
        manners: How it differs from AWS.
    """

    def __init__(self) -> None:
        self.url = ""
        self.objects: defaultdict[str, dict[str, Stored]] = defaultdict(dict)
        self.uploads: dict[str, dict[int, bytes]] = {}
        self.upload_places: dict[str, tuple[str, str]] = {}
        self.calls: list[Call] = []
        self.manners = Manners()
        self._next: defaultdict[str, list[Answer]] = defaultdict(list)
        self._always: dict[str, Answer] = {}

    def put(self, bucket: str, key: str, body: bytes) -> None:
        """Store an object."""
        self.objects[bucket][key] = Stored(body, self.manners.etag_of(body))

    def next(self, operation: str, *answers: Answer) -> None:
        """Let the next calls of an operation get these answers, one each."""
        self._next[operation].extend(answers)

    def always(self, operation: str, answer: Answer) -> None:
        """Let every further call of an operation get this answer."""
        self._always[operation] = answer

    def count(self, operation: str) -> int:
        """Count the calls of an operation."""
        return Counter(call.operation for call in self.calls)[operation]

    def shown(self, etag: str) -> str:
        """Return an ETag the way this server writes it."""
        return f'"{etag}"' if self.manners.quotes_etags else etag

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request, by the script or by S3's rules."""
        call = await _call(request)
        self.calls.append(call)
        handler = _HANDLERS[call.operation]
        waiting = self._next[call.operation]
        answer = waiting.pop(0) if waiting else self._always.get(call.operation)
        if answer is not None:
            return await answer(self, request, call, handler)
        return await handler(self, call)


@asynccontextmanager
async def run_fault_server() -> AsyncIterator[FaultServer]:
    """Run a server on a free loopback port for a block."""
    server = FaultServer()
    application = web.Application(client_max_size=64 * 1024 * 1024)
    application.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        server.url = f"http://{host}:{port}"
        yield server
    finally:
        await runner.cleanup()


# S3's rules ------------------------------------------------------------------------------------


async def _call(request: web.Request) -> Call:
    path, _, query_text = request.raw_path.partition("?")
    bucket, _, key = unquote(path.lstrip("/")).partition("/")
    query = {k: v[0] for k, v in parse_qs(query_text, keep_blank_values=True).items()}
    headers = {name.lower(): value for name, value in request.headers.items()}
    operation = _operation(request.method, key, query, headers)
    return Call(operation, bucket, key, query, headers, await request.read())


def _operation(method: str, key: str, query: Mapping[str, str], headers: Mapping[str, str]) -> str:
    copies = "x-amz-copy-source" in headers
    upload = "uploadId" in query
    table = {
        "GET": "GetObjectTagging" if "tagging" in query else "GetObject",
        "HEAD": "HeadObject",
        "PUT": "CopyObject" if copies else "PutObject",
        "POST": "CompleteMultipartUpload" if upload else "CreateMultipartUpload",
        "DELETE": "AbortMultipartUpload" if upload else "DeleteObject",
    }
    if method == "GET" and upload:
        return "ListParts"
    if method == "PUT" and upload:
        return "UploadPartCopy" if copies else "UploadPart"
    if not key:
        return "ListMultipartUploads" if "uploads" in query else "ListObjectsV2"
    return table[method]


def error_response(
    status: int, code: str, *, lead: str = "", headers: Mapping[str, str] | None = None
) -> web.Response:
    """Build S3's ``<Error>``."""
    text = f"<Error><Code>{code}</Code><Message>as scripted</Message></Error>"
    return xml_response(f'<?xml version="1.0" encoding="UTF-8"?>{lead}\n{text}', status, headers)


async def _get(server: FaultServer, call: Call) -> web.StreamResponse:
    stored = server.objects[call.bucket].get(call.key)
    if stored is None:
        return error_response(404, "NoSuchKey")
    if _differs(call.headers.get("if-match"), stored):
        return error_response(412, "PreconditionFailed")
    headers = {"ETag": server.shown(stored.etag), "Last-Modified": _HTTP_DATE, **stored.headers}
    wanted = call.headers.get("range", "").removeprefix("bytes=")
    if not wanted:
        return web.Response(body=stored.body, headers=headers)
    first, last = (int(number) for number in wanted.split("-"))
    headers["Content-Range"] = f"bytes {wanted}/{len(stored.body)}"
    return web.Response(status=206, body=stored.body[first : last + 1], headers=headers)


async def _get_tags(server: FaultServer, call: Call) -> web.StreamResponse:
    return xml_response("<Tagging><TagSet></TagSet></Tagging>")


async def _put(server: FaultServer, call: Call) -> web.StreamResponse:
    if "if-none-match" in call.headers and call.key in server.objects[call.bucket]:
        return error_response(412, "PreconditionFailed")
    return _written(server, call, call.body)


def _written(server: FaultServer, call: Call, body: bytes) -> web.Response:
    server.put(call.bucket, call.key, body)
    stored = server.objects[call.bucket][call.key]
    stored.headers = {name: call.headers[name] for name in _KEPT_HEADERS if name in call.headers}
    return web.Response(headers={"ETag": server.shown(stored.etag)})


def _source(server: FaultServer, call: Call) -> bytes | web.Response:
    path = unquote(call.headers["x-amz-copy-source"].partition("?")[0]).lstrip("/")
    bucket, _, key = path.partition("/")
    stored = server.objects[bucket].get(key)
    if stored is None:
        return error_response(404, "NoSuchKey")
    if _differs(call.headers.get("x-amz-copy-source-if-match"), stored):
        return error_response(412, "PreconditionFailed")
    return stored.body


def _differs(condition: str | None, stored: Stored) -> bool:
    return condition is not None and condition.strip('"') != stored.etag


async def _copy(server: FaultServer, call: Call) -> web.StreamResponse:
    body = _source(server, call)
    if isinstance(body, web.Response):
        return body
    answer = await _put(server, Call(*(*_fields(call)[:-1], body)))
    etag = answer.headers.get("ETag")
    return _result("CopyObjectResult", etag) if etag else answer


def _fields(call: Call) -> tuple[str, str, str, Mapping[str, str], Mapping[str, str], bytes]:
    return call.operation, call.bucket, call.key, call.query, call.headers, call.body


def _result(name: str, etag: str) -> web.Response:
    date = f"<LastModified>{LONG_AGO}</LastModified>"
    return xml_response(f"<{name}>{date}<ETag>{escape(etag)}</ETag></{name}>")


async def _create(server: FaultServer, call: Call) -> web.StreamResponse:
    upload_id = uuid.uuid4().hex
    server.uploads[upload_id] = {}
    server.upload_places[upload_id] = (call.bucket, call.key)
    return xml_response(
        "<InitiateMultipartUploadResult>"
        f"<UploadId>{upload_id}</UploadId></InitiateMultipartUploadResult>"
    )


async def _part(server: FaultServer, call: Call) -> web.StreamResponse:
    upload = server.uploads.get(call.query["uploadId"])
    if upload is None:
        return error_response(404, "NoSuchUpload")
    body: bytes | web.Response = call.body
    if call.operation == "UploadPartCopy":
        body = _source(server, call)
    if isinstance(body, web.Response):
        return body
    wanted = call.headers.get("x-amz-copy-source-range", "").removeprefix("bytes=")
    if wanted:
        first, last = (int(number) for number in wanted.split("-"))
        body = body[first : last + 1]
    upload[int(call.query["partNumber"])] = body
    etag = server.shown(server.manners.etag_of(body))
    if call.operation == "UploadPartCopy":
        return _result("CopyPartResult", etag)
    return web.Response(headers={"ETag": etag})


async def _complete(server: FaultServer, call: Call) -> web.StreamResponse:
    upload = server.uploads.get(call.query["uploadId"])
    if upload is None:
        return error_response(404, "NoSuchUpload")
    if "if-none-match" in call.headers and call.key in server.objects[call.bucket]:
        return error_response(412, "PreconditionFailed")
    parts = [upload[number] for number in sorted(upload)]
    del server.uploads[call.query["uploadId"]]
    digests = b"".join(hashlib.md5(part).digest() for part in parts)
    etag = f"{hashlib.md5(digests).hexdigest()}-{len(parts)}"
    server.objects[call.bucket][call.key] = Stored(b"".join(parts), etag)
    return _result("CompleteMultipartUploadResult", server.shown(etag))


async def _abort(server: FaultServer, call: Call) -> web.StreamResponse:
    if server.uploads.pop(call.query["uploadId"], None) is None:
        return error_response(404, "NoSuchUpload")
    return web.Response(status=204)


async def _list_parts(server: FaultServer, call: Call) -> web.StreamResponse:
    if call.query["uploadId"] not in server.uploads:
        return error_response(404, "NoSuchUpload")
    return xml_response("<ListPartsResult></ListPartsResult>")


_HANDLERS: Final[Mapping[str, Handler]] = {
    "ListObjectsV2": list_objects,
    "HeadObject": _get,
    "GetObject": _get,
    "GetObjectTagging": _get_tags,
    "PutObject": _put,
    "CopyObject": _copy,
    "CreateMultipartUpload": _create,
    "UploadPart": _part,
    "UploadPartCopy": _part,
    "CompleteMultipartUpload": _complete,
    "AbortMultipartUpload": _abort,
    "ListParts": _list_parts,
    "ListMultipartUploads": list_uploads,
}
