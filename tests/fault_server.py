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
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs, unquote
from xml.sax.saxutils import escape

from aiohttp import web

from tests.fault_listings import (
    LONG_AGO,
    error_response,
    list_objects,
    list_uploads,
    xml_response,
)
from tests.fault_objects import (
    differs,
    get_acl,
    get_object,
    get_tags,
    put_tags,
    version_header,
)
from tests.fault_store import Stored, Versions, damage
from tests.fault_versions import get_versioning, list_versions

__all__ = [
    "Answer",
    "Call",
    "FaultServer",
    "Handler",
    "Stored",
    "error_response",
    "run_fault_server",
]


@dataclass(frozen=True, slots=True)
class Call:
    """One request as it arrived."""

    operation: str
    bucket: str
    key: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


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
    checks_bodies: bool = True
    counts_tags: bool = True


Handler = Callable[["FaultServer", Call], Awaitable[web.StreamResponse]]
Answer = Callable[["FaultServer", web.Request, Call, Handler], Awaitable[web.StreamResponse]]


class FaultServer:
    """The server; ``run_fault_server`` starts and stops it.

    Attributes:
        url: Where it listens.
        objects: Objects by bucket and key.
        uploads: Open multipart uploads: parts by number.
        upload_places: Bucket and key of each upload there ever was.
        upload_headers: What each of them was created with.
        versions: The versions of objects, where versioning is switched on.
        calls: Every request, in order of arrival.
        manners: How it differs from AWS.
        connections: Counts the connections that are open.
    """

    def __init__(self) -> None:
        self.url = ""
        self.objects: defaultdict[str, dict[str, Stored]] = defaultdict(dict)
        self.uploads: dict[str, dict[int, bytes]] = {}
        self.upload_places: dict[str, tuple[str, str]] = {}
        self.upload_headers: dict[str, Mapping[str, str]] = {}
        self.versions = Versions(self.objects)
        self.calls: list[Call] = []
        self.manners = Manners()
        self.connections: Callable[[], int] = lambda: 0
        self._next: defaultdict[str, list[Answer]] = defaultdict(list)
        self._always: dict[str, Answer] = {}

    def put(self, bucket: str, key: str, body: bytes) -> None:
        """Store an object."""
        self.versions.keep(bucket, key, Stored(body, self.manners.etag_of(body)))

    def next(self, operation: str, *answers: Answer) -> None:
        """Let the next calls of an operation get these answers, one each."""
        self._next[operation].extend(answers)

    def always(self, operation: str, answer: Answer) -> None:
        """Let every further call of an operation get this answer."""
        self._always[operation] = answer

    def obey(self, operation: str) -> None:
        """Let further calls of an operation get the right answer again."""
        self._always.pop(operation, None)

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
        server.connections = lambda: len(runner.server.connections) if runner.server else 0
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
        "GET": "GetObject",
        "HEAD": "HeadObject",
        "PUT": "CopyObject" if copies else "PutObject",
        "POST": "CompleteMultipartUpload" if upload else "CreateMultipartUpload",
        "DELETE": "AbortMultipartUpload" if upload else "DeleteObject",
    }
    if method == "GET" and upload:
        return "ListParts"
    if "tagging" in query:
        return "GetObjectTagging" if method == "GET" else "PutObjectTagging"
    if "acl" in query:
        return "GetObjectAcl"
    if method == "PUT" and upload:
        return "UploadPartCopy" if copies else "UploadPart"
    if not key:
        named = {
            "uploads": "ListMultipartUploads",
            "versions": "ListObjectVersions",
            "versioning": "GetBucketVersioning",
        }
        return next((named[name] for name in named if name in query), "ListObjectsV2")
    return table[method]


async def _delete(server: FaultServer, call: Call) -> web.StreamResponse:
    marker = Stored(b"", "", delete_marker=True)
    kept = server.versions.keep(call.bucket, call.key, marker)
    marked = {"x-amz-delete-marker": "true"} if kept.version_id else {}
    return web.Response(status=204, headers=version_header(kept) | marked)


async def _put(server: FaultServer, call: Call) -> web.StreamResponse:
    if "if-none-match" in call.headers and call.key in server.objects[call.bucket]:
        return error_response(412, "PreconditionFailed")
    if server.manners.checks_bodies and damage(call.headers, call.body):
        return error_response(400, "BadDigest")
    stored = _written(server, call, call.body)
    return web.Response(headers={"ETag": server.shown(stored.etag), **_said(stored)})


def _written(server: FaultServer, call: Call, body: bytes, source: Stored | None = None) -> Stored:
    stored = Stored(body, server.manners.etag_of(body))
    stored.describe(call.headers, source)
    return server.versions.keep(call.bucket, call.key, stored)


def _said(stored: Stored) -> dict[str, str]:
    """The headers of an answer to a write."""
    encryption = "x-amz-server-side-encryption"
    told = {name: text for name, text in stored.headers.items() if name.startswith(encryption)}
    return version_header(stored) | told


def _source(server: FaultServer, call: Call) -> Stored | web.Response:
    path, _, version = call.headers["x-amz-copy-source"].partition("?versionId=")
    bucket, _, key = unquote(path).lstrip("/").partition("/")
    stored = server.versions.find(bucket, key, unquote(version) or None)
    if stored is None:
        return error_response(404, "NoSuchVersion" if version else "NoSuchKey")
    if stored.delete_marker:
        return error_response(400, "InvalidRequest")
    if differs(call.headers.get("x-amz-copy-source-if-match"), stored):
        return error_response(412, "PreconditionFailed")
    return stored


async def _copy(server: FaultServer, call: Call) -> web.StreamResponse:
    source = _source(server, call)
    if isinstance(source, web.Response):
        return source
    if "if-none-match" in call.headers and call.key in server.objects[call.bucket]:
        return error_response(412, "PreconditionFailed")
    stored = _written(server, call, source.body, source)
    return _result("CopyObjectResult", server.shown(stored.etag), _said(stored))


def _result(name: str, etag: str, headers: Mapping[str, str] | None = None) -> web.Response:
    date = f"<LastModified>{LONG_AGO}</LastModified>"
    return xml_response(f"<{name}>{date}<ETag>{escape(etag)}</ETag></{name}>", headers=headers)


async def _create(server: FaultServer, call: Call) -> web.StreamResponse:
    upload_id = uuid.uuid4().hex
    server.uploads[upload_id] = {}
    server.upload_places[upload_id] = (call.bucket, call.key)
    server.upload_headers[upload_id] = call.headers
    return xml_response(
        "<InitiateMultipartUploadResult>"
        f"<UploadId>{upload_id}</UploadId></InitiateMultipartUploadResult>"
    )


async def _part(server: FaultServer, call: Call) -> web.StreamResponse:
    upload = server.uploads.get(call.query["uploadId"])
    if upload is None:
        return error_response(404, "NoSuchUpload")
    body = call.body
    if call.operation == "UploadPartCopy":
        source = _source(server, call)
        if isinstance(source, web.Response):
            return source
        body = source.body
    elif server.manners.checks_bodies and damage(call.headers, body):
        return error_response(400, "BadDigest")
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
    stored = Stored(b"".join(parts), etag)
    stored.describe(server.upload_headers.get(call.query["uploadId"], {}))
    stored = server.versions.keep(call.bucket, call.key, stored)
    return _result("CompleteMultipartUploadResult", server.shown(etag), _said(stored))


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
    "HeadObject": get_object,
    "GetObject": get_object,
    "GetObjectTagging": get_tags,
    "PutObjectTagging": put_tags,
    "GetObjectAcl": get_acl,
    "GetBucketVersioning": get_versioning,
    "ListObjectVersions": list_versions,
    "DeleteObject": _delete,
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
