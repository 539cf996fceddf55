"""What the fault server keeps of objects: bytes, headers, tags, versions."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import parse_qsl

from tests.fake_store import checksum

NULL: Final = "null"
_CARRIED: Final = (
    "content-type",
    "content-encoding",
    "content-language",
    "content-disposition",
    "cache-control",
    "expires",
)
# What no copy carries by itself.
_WRITTEN: Final = (
    "x-amz-storage-class",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-bucket-key-enabled",
    "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-server-side-encryption-customer-key-md5",
    "x-amz-website-redirect-location",
    "x-amz-object-lock-mode",
    "x-amz-object-lock-retain-until-date",
    "x-amz-object-lock-legal-hold",
)
_METADATA: Final = "x-amz-meta-"
_CHECKSUM: Final = "x-amz-checksum-"


@dataclass(slots=True)
class Stored:
    """One object, or one version of it.

    Attributes:
        body: Its bytes.
        etag: Its ETag, unquoted.
        headers: What a HEAD gives back of it.
        tags: Its tags.
        acl: The ``x-amz-acl`` and ``x-amz-grant-*`` headers it was written with.
        version_id: Its version; ``None`` in a bucket without versioning.
        delete_marker: Whether it is a delete marker.
    """

    body: bytes
    etag: str
    headers: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    acl: dict[str, str] = field(default_factory=dict)
    version_id: str | None = None
    delete_marker: bool = False

    def describe(self, sent: Mapping[str, str], source: Stored | None = None) -> None:
        """Take over what a write says of the object, and what a copy carries of its source."""
        replaces = sent.get("x-amz-metadata-directive") == "REPLACE"
        if source is None or replaces:
            self.headers = {name: sent[name] for name in sent if _is_carried(name)}
        else:
            self.headers = {n: text for n, text in source.headers.items() if _is_carried(n)}
        self.headers |= {name: sent[name] for name in _WRITTEN if name in sent}
        if source is None or sent.get("x-amz-tagging-directive") == "REPLACE":
            self.tags = dict(parse_qsl(sent.get("x-amz-tagging", ""), keep_blank_values=True))
        else:
            self.tags = dict(source.tags)
        self.acl = {
            name: text
            for name, text in sent.items()
            if name == "x-amz-acl" or name.startswith("x-amz-grant-")
        }


def _is_carried(name: str) -> bool:
    return name in _CARRIED or name.startswith(_METADATA)


def damage(sent: Mapping[str, str], body: bytes) -> bool:
    """Tell whether a body is another than its Content-MD5 or its checksums say."""
    md5 = b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
    sums = {
        name.removeprefix(_CHECKSUM): text
        for name, text in sent.items()
        if name.startswith(_CHECKSUM) and name not in (f"{_CHECKSUM}algorithm", f"{_CHECKSUM}type")
    }
    wrong = [name for name, text in sums.items() if checksum(name, body) != text]
    return sent.get("content-md5", md5) != md5 or bool(wrong)


class Versions:
    """The versions of a server's objects, newest first.

    Args:
        objects: The current objects by bucket and key; kept up to date.
    """

    def __init__(self, objects: defaultdict[str, dict[str, Stored]]) -> None:
        self._objects = objects
        self.status: dict[str, str] = {}
        self.kept: defaultdict[str, dict[str, list[Stored]]] = defaultdict(dict)
        self._writes = 0

    def switch(self, bucket: str, status: str) -> None:
        """Switch versioning on or off; what is there already becomes the version "null"."""
        self.status[bucket] = status
        for key, stored in self._objects[bucket].items():
            if stored.version_id is None:
                stored.version_id = NULL
                self.kept[bucket].setdefault(key, []).insert(0, stored)

    def keep(self, bucket: str, key: str, stored: Stored) -> Stored:
        """Make an object, or a delete marker, its key's current one."""
        self._writes += 1
        status = self.status.get(bucket, "")
        if status:
            version_id = f"version-{self._writes}" if status == "Enabled" else NULL
            stored = replace(stored, version_id=version_id)
            versions = self.kept[bucket].setdefault(key, [])
            versions[:] = [each for each in versions if each.version_id != version_id]
            versions.insert(0, stored)
        if stored.delete_marker:
            self._objects[bucket].pop(key, None)
        else:
            self._objects[bucket][key] = stored
        return stored

    def find(self, bucket: str, key: str, version_id: str | None) -> Stored | None:
        """Return a key's current object, or one of its versions."""
        if version_id is None:
            return self._objects[bucket].get(key)
        current = self._objects[bucket].get(key)
        versions = self.kept[bucket].get(key) or ([] if current is None else [current])
        return next((each for each in versions if _id(each) == version_id), None)

    def listed(self, bucket: str) -> list[tuple[str, Stored, bool]]:
        """Return key, version and whether it is the current one, in S3's order."""
        versions = {key: [stored] for key, stored in self._objects[bucket].items()}
        versions |= self.kept[bucket]
        return [
            (key, stored, place == 0)
            for key in sorted(versions, key=str.encode)
            for place, stored in enumerate(versions[key])
        ]


def _id(stored: Stored) -> str:
    return stored.version_id or NULL
