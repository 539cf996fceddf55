"""How the fault server reads objects: their bytes, heads, tags and access."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape

from aiohttp import web

from async_s3copy.s3.wire.xml import parse
from tests.fault_listings import error_response, xml_response
from tests.fault_store import Stored, damage
from tests.fault_versions import acl

if TYPE_CHECKING:
    from tests.fault_server import Call, FaultServer

_HTTP_DATE: Final = "Tue, 02 Jan 2024 03:04:05 GMT"


def found(server: FaultServer, call: Call) -> Stored | web.Response:
    """Return the object or version that a call is about, or the refusal."""
    version_id = call.query.get("versionId")
    stored = server.versions.find(call.bucket, call.key, version_id)
    if stored is None:
        return error_response(404, "NoSuchKey" if version_id is None else "NoSuchVersion")
    if stored.delete_marker:
        return error_response(405, "MethodNotAllowed", headers={"x-amz-delete-marker": "true"})
    return stored


async def get_object(server: FaultServer, call: Call) -> web.StreamResponse:
    """Answer GetObject and HeadObject."""
    stored = found(server, call)
    if isinstance(stored, web.Response):
        return stored
    if differs(call.headers.get("if-match"), stored):
        return error_response(412, "PreconditionFailed")
    headers = {"ETag": server.shown(stored.etag), "Last-Modified": _HTTP_DATE, **stored.headers}
    headers |= version_header(stored)
    if stored.tags and server.manners.counts_tags:
        headers["x-amz-tagging-count"] = str(len(stored.tags))
    wanted = call.headers.get("range", "").removeprefix("bytes=")
    if not wanted:
        return web.Response(body=stored.body, headers=headers)
    first, last = (int(number) for number in wanted.split("-"))
    headers["Content-Range"] = f"bytes {wanted}/{len(stored.body)}"
    return web.Response(status=206, body=stored.body[first : last + 1], headers=headers)


def version_header(stored: Stored) -> dict[str, str]:
    """Return the header that tells of a version, where there is one."""
    return {} if stored.version_id is None else {"x-amz-version-id": stored.version_id}


async def get_tags(server: FaultServer, call: Call) -> web.StreamResponse:
    """Answer GetObjectTagging."""
    stored = found(server, call)
    if isinstance(stored, web.Response):
        return stored
    tags = "".join(
        f"<Tag><Key>{escape(name)}</Key><Value>{escape(value)}</Value></Tag>"
        for name, value in stored.tags.items()
    )
    return xml_response(f"<Tagging><TagSet>{tags}</TagSet></Tagging>")


async def put_tags(server: FaultServer, call: Call) -> web.StreamResponse:
    """Answer PutObjectTagging."""
    stored = found(server, call)
    if isinstance(stored, web.Response):
        return stored
    if server.manners.checks_bodies and damage(call.headers, call.body):
        return error_response(400, "BadDigest")
    tag_set = parse(call.body).child("TagSet")
    told = [] if tag_set is None else tag_set.children
    stored.tags = {tag.text("Key") or "": tag.text("Value") or "" for tag in told}
    return web.Response(headers=version_header(stored))


async def get_acl(server: FaultServer, call: Call) -> web.StreamResponse:
    """Answer GetObjectAcl."""
    stored = found(server, call)
    return stored if isinstance(stored, web.Response) else acl(stored)


def differs(condition: str | None, stored: Stored) -> bool:
    """Tell whether an object is another than a condition says."""
    return condition is not None and condition.strip('"') != stored.etag
