"""Grants of an object's ACL, as headers name them; shared by both clients. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

# By the ending of the header that gives them. WRITE is missing: it means nothing to an object.
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html#permissions
_PERMISSIONS: Final = {
    "FULL_CONTROL": "full-control",
    "READ": "read",
    "READ_ACP": "read-acp",
    "WRITE_ACP": "write-acp",
}
PERMISSIONS: Final = tuple(_PERMISSIONS.values())
"""Endings of the ``x-amz-grant-*`` headers of an object."""
GRANTEES: Final = {"ID": "id", "URI": "uri", "EmailAddress": "emailAddress"}
"""How a header names a grantee, by the element that an ACL names it with."""


def grants(told: Iterable[tuple[str, str, str]]) -> dict[str, str]:
    """Return the grantees by permission, as ``ObjectProperties.grants`` has them.

    Args:
        told: Permission, kind of grantee (a key of ``GRANTEES``) and grantee.
    """
    found: dict[str, list[str]] = {}
    for permission, kind, grantee in told:
        if permission in _PERMISSIONS:
            named = f'{GRANTEES[kind]}="{grantee}"'
            found.setdefault(_PERMISSIONS[permission], []).append(named)
    return {permission: ", ".join(grantees) for permission, grantees in found.items()}
