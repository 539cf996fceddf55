"""Open multipart uploads and what becomes of them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain, groupby, repeat
from typing import Final

from benchmarks.simulator.buckets import UPLOADED, Stored, Worn
from benchmarks.simulator.content import parts_etag
from benchmarks.simulator.messages import S3Error

# An object of parts from several places: nothing that a copy should have made.
_MIXED: Final = b"?"
_PART: Final = re.compile(rb"<Part>(.*?)</Part>", re.DOTALL)
_NUMBER: Final = re.compile(rb"<PartNumber>\s*(\d+)\s*</PartNumber>")
_QUOTE: Final = rb"(?:&quot;|&#34;|\x22)?"
_ETAG: Final = re.compile(rb"<ETag>\s*" + _QUOTE + rb"([0-9a-f]+)" + _QUOTE + rb"\s*</ETag>")


@dataclass(frozen=True, slots=True)
class Part:
    """One part.

    Attributes:
        etag: Without quotes.
        size_bytes: Its size.
        origin: Bucket and key it was copied from, percent-encoded; or ``UPLOADED``.
        start: Where its bytes began in the origin.
        origin_bytes: The origin's size.
    """

    etag: bytes
    size_bytes: int
    origin: bytes = UPLOADED
    start: int = 0
    origin_bytes: int = 0


@dataclass(slots=True)
class Upload:
    """One open upload."""

    bucket: bytes
    raw_key: bytes
    worn: Worn
    initiated: datetime = field(default_factory=lambda: datetime.now(UTC))
    parts: dict[int, Part] = field(default_factory=dict)

    def complete(self, document: bytes) -> Stored:
        """Return the object that the chosen parts make.

        Raises:
            S3Error: A part is unknown, in the wrong order, or none is chosen.
        """
        chosen = _chosen(document)
        numbers = [number for number, _ in chosen]
        if not numbers or numbers != sorted(set(numbers)):
            raise S3Error(400, "InvalidPartOrder", "The list of parts was not in ascending order.")
        for number, etag in chosen:
            if number not in self.parts or self.parts[number].etag != etag:
                raise S3Error(400, "InvalidPart", f"Part {number} could not be found.")
        return _joined([self.parts[number] for number in numbers])


class Uploads:
    """All open uploads, by id."""

    def __init__(self) -> None:
        self._open: dict[str, Upload] = {}
        self._created = 0

    def create(self, bucket: bytes, raw_key: bytes, worn: Worn) -> str:
        """Open an upload; return its id."""
        self._created += 1
        upload_id = hashlib.md5(b"%d" % self._created).hexdigest()
        self._open[upload_id] = Upload(bucket, raw_key, worn)
        return upload_id

    def get(self, upload_id: str) -> Upload:
        """Return an open upload.

        Raises:
            S3Error: There is none of that id.
        """
        upload = self._open.get(upload_id)
        if upload is None:
            raise S3Error(404, "NoSuchUpload", "The specified upload does not exist.")
        return upload

    def close(self, upload_id: str) -> None:
        """Forget an upload: completed or aborted."""
        self._open.pop(upload_id, None)

    def of(self, bucket: bytes) -> Mapping[str, Upload]:
        """Return a bucket's open uploads."""
        return {name: upload for name, upload in self._open.items() if upload.bucket == bucket}

    def empty(self) -> None:
        """Forget all."""
        self._open.clear()

    def __len__(self) -> int:
        return len(self._open)


def layout_of(origin: bytes) -> list[int] | None:
    """Return the sizes of an uploaded object's parts, none for one of a single request.

    Returns:
        None where the bytes did not come through the client.
    """
    if not origin.startswith(UPLOADED):
        return None
    runs = [run.split(b"x") for run in origin[1:].split(b"+") if run]
    return list(chain.from_iterable(repeat(int(size), int(count)) for size, count in runs))


def _chosen(document: bytes) -> Sequence[tuple[int, bytes]]:
    found = [(_NUMBER.search(part), _ETAG.search(part)) for part in _PART.findall(document)]
    pairs = [(int(number[1]), etag[1]) for number, etag in found if number and etag]
    if len(pairs) < len(found):
        raise S3Error(400, "MalformedXML", "The XML you provided was not well-formed.")
    return pairs


def _joined(parts: Sequence[Part]) -> Stored:
    etag = parts_etag([part.etag for part in parts])
    return Stored(etag, sum(part.size_bytes for part in parts), _origin(parts))


def _origin(parts: Sequence[Part]) -> bytes:
    first = parts[0].origin
    if any(part.origin != first for part in parts):
        return _MIXED
    if first == UPLOADED:
        return UPLOADED + _layout(part.size_bytes for part in parts)
    return first if _covers(parts) else _MIXED


def _layout(sizes_bytes: Iterable[int]) -> bytes:
    runs = ((size_bytes, len(list(run))) for size_bytes, run in groupby(sizes_bytes))
    return b"+".join(b"%dx%d" % run for run in runs)


def _covers(parts: Iterable[Part]) -> bool:
    position = whole = 0
    for part in parts:
        if part.start != position:
            return False
        position += part.size_bytes
        whole = part.origin_bytes
    return position == whole
