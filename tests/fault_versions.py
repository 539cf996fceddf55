"""How the fault server tells of versions and access."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote
from xml.sax.saxutils import escape

from aiohttp import web

from tests.fault_listings import LONG_AGO, xml_response
from tests.fault_store import NULL, Stored

if TYPE_CHECKING:
    from tests.fault_server import Call, FaultServer

_XSI: Final = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
_KINDS: Final = {
    "id": ("ID", "CanonicalUser"),
    "uri": ("URI", "Group"),
    "emailAddress": ("EmailAddress", "AmazonCustomerByEmail"),
}


async def list_versions(server: FaultServer, call: Call) -> web.StreamResponse:
    """Answer ListObjectVersions: by key, then newest first, as AWS does."""
    prefix, manners = call.query.get("prefix", ""), server.manners
    listed = server.versions.listed(call.bucket)
    found = [each for each in listed if each[0].startswith(prefix)]
    marker = call.query.get("key-marker", "")
    version = call.query.get("version-id-marker", "")
    begin = sum(key.encode() <= marker.encode() for key, *_ in found) if marker else 0
    for place, (key, stored, _) in enumerate(found):
        if (key, stored.version_id or NULL) == (marker, version):
            begin = place + 1
    size = min(manners.page_keys, int(call.query.get("max-keys", "1000")))
    page, more = found[begin : begin + size], len(found) > begin + size
    encoded = manners.encodes_listing and call.query.get("encoding-type") == "url"
    return xml_response(_page(server, page, more, encoded))


def _page(
    server: FaultServer, page: list[tuple[str, Stored, bool]], more: bool, encoded: bool
) -> str:
    def spelled(key: str) -> str:
        return quote(key) if encoded else escape(key)

    entries = []
    for key, stored, is_latest in page:
        name = "DeleteMarker" if stored.delete_marker else "Version"
        content = (
            ""
            if stored.delete_marker
            else f"<ETag>{escape(server.shown(stored.etag))}</ETag><Size>{len(stored.body)}</Size>"
        )
        entries.append(
            f"<{name}><Key>{spelled(key)}</Key><VersionId>{stored.version_id or NULL}</VersionId>"
            f"<IsLatest>{str(is_latest).lower()}</IsLatest><LastModified>{LONG_AGO}</LastModified>"
            f"{content}<Owner><ID>owner</ID></Owner></{name}>"
        )
    last = page[-1] if more else None
    markers = (
        f"<NextKeyMarker>{spelled(last[0])}</NextKeyMarker>"
        f"<NextVersionIdMarker>{last[1].version_id or NULL}</NextVersionIdMarker>"
        if last
        else ""
    )
    return (
        f"<ListVersionsResult>{'<EncodingType>url</EncodingType>' if encoded else ''}"
        f"<IsTruncated>{str(more).lower()}</IsTruncated>{markers}{''.join(entries)}"
        "</ListVersionsResult>"
    )


async def get_versioning(server: FaultServer, call: Call) -> web.StreamResponse:
    """Answer GetBucketVersioning."""
    status = server.versions.status.get(call.bucket, "")
    told = f"<Status>{status}</Status>" if status else ""
    return xml_response(f"<VersioningConfiguration>{told}</VersioningConfiguration>")


def acl(stored: Stored) -> web.Response:
    """Answer GetObjectAcl: the grants it was written with, or the owner's."""
    given = {
        name.removeprefix("x-amz-grant-"): text
        for name, text in stored.acl.items()
        if name.startswith("x-amz-grant-")
    } or {"full-control": 'id="owner"'}
    grants = [
        _grant(permission, *grantee.strip().split("=", 1))
        for permission, grantees in given.items()
        for grantee in grantees.split(",")
    ]
    return xml_response(
        "<AccessControlPolicy><Owner><ID>owner</ID></Owner><AccessControlList>"
        f"{''.join(grants)}</AccessControlList></AccessControlPolicy>"
    )


def _grant(permission: str, kind: str, grantee: str) -> str:
    element, xsi_type = _KINDS[kind]
    name = permission.upper().replace("-", "_")
    return (
        f'<Grant><Grantee {_XSI} xsi:type="{xsi_type}">'
        f"<{element}>{escape(grantee.strip(chr(34)))}</{element}></Grantee>"
        f"<Permission>{name}</Permission></Grant>"
    )
