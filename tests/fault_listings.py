"""How the fault server lists objects and open uploads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final
from urllib.parse import quote
from xml.sax.saxutils import escape

from aiohttp import web

if TYPE_CHECKING:
    from tests.fault_server import Call, FaultServer

LONG_AGO: Final = "2024-01-02T03:04:05.000Z"


def xml_response(
    text: str, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """Build an answer with a document."""
    return web.Response(status=status, text=text, content_type="application/xml", headers=headers)


def error_response(
    status: int, code: str, *, lead: str = "", headers: Mapping[str, str] | None = None
) -> web.Response:
    """Build S3's ``<Error>``."""
    text = f"<Error><Code>{code}</Code><Message>as scripted</Message></Error>"
    return xml_response(f'<?xml version="1.0" encoding="UTF-8"?>{lead}\n{text}', status, headers)


async def list_objects(server: FaultServer, call: Call) -> web.StreamResponse:
    """Answer ListObjectsV2."""
    manners = server.manners
    after = call.query.get("continuation-token") or call.query.get("start-after", "")
    if manners.repeats_pages:
        after = ""
    prefix = call.query.get("prefix", "")
    keys = sorted(k for k in server.objects[call.bucket] if k.startswith(prefix) and k > after)
    size = min(manners.page_keys, int(call.query.get("max-keys", "1000")))
    page, more = keys[:size], len(keys) > size
    encoded = manners.encodes_listing and call.query.get("encoding-type") == "url"
    entries = "".join(_entry(server, call.bucket, key, encoded) for key in page)
    token = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if more else ""
    parts = (
        "<ListBucketResult>",
        "<EncodingType>url</EncodingType>" if encoded else "",
        f"<IsTruncated>{str(more).lower()}</IsTruncated>",
        token if manners.gives_tokens else "",
        entries,
        "</ListBucketResult>",
    )
    return xml_response("".join(parts))


def _entry(server: FaultServer, bucket: str, key: str, encoded: bool) -> str:
    stored = server.objects[bucket][key]
    named = "<StorageClass>STANDARD</StorageClass>" if server.manners.names_storage_class else ""
    return (
        f"<Contents><Key>{quote(key) if encoded else escape(key)}</Key>"
        f"<LastModified>{LONG_AGO}</LastModified><Size>{len(stored.body)}</Size>"
        f"<ETag>{escape(server.shown(stored.etag))}</ETag>{named}</Contents>"
    )


async def list_uploads(server: FaultServer, call: Call) -> web.StreamResponse:
    """Answer ListMultipartUploads: by key, then by age, as AWS does."""
    prefix = call.query.get("prefix", "")
    # Ids come in order of age: a dictionary keeps it, and sorting by key is stable.
    places = [(server.upload_places[name][1], name) for name in server.uploads]
    found = sorted((place for place in places if place[0].startswith(prefix)), key=lambda p: p[0])
    after = (call.query.get("key-marker", ""), call.query.get("upload-id-marker", ""))
    begin = found.index(after) + 1 if after in found else 0
    size = min(server.manners.page_uploads, int(call.query.get("max-uploads", "1000")))
    page, more = found[begin : begin + size], len(found) > begin + size
    return xml_response(_uploads(prefix, page, more))


def _uploads(prefix: str, page: list[tuple[str, str]], more: bool) -> str:
    next_key, next_id = page[-1] if more else ("", "")
    entries = "".join(
        f"<Upload><Key>{quote(key)}</Key><UploadId>{name}</UploadId>"
        f"<Initiated>{LONG_AGO}</Initiated></Upload>"
        for key, name in page
    )
    return (
        "<ListMultipartUploadsResult><EncodingType>url</EncodingType>"
        f"<Prefix>{quote(prefix)}</Prefix><NextKeyMarker>{quote(next_key)}</NextKeyMarker>"
        f"<NextUploadIdMarker>{next_id}</NextUploadIdMarker>"
        f"<IsTruncated>{str(more).lower()}</IsTruncated>{entries}</ListMultipartUploadsResult>"
    )
