"""The Protocol's values, turned into botocore's parameters. Pure, but for the header hooks."""

from __future__ import annotations

import base64
import io
from typing import Any, Final

from async_s3copy.s3.values import CompletedPart, CopySource

RAW_HEADERS: Final = "AsyncS3CopyRawHeaders"
"""A parameter no operation has: ``send_raw_headers`` takes it out again."""


def given(**parameters: Any) -> dict[str, Any]:
    """Leave out the parameters that are ``None``."""
    return {name: value for name, value in parameters.items() if value is not None}


def if_none_match_header(wanted: bool) -> dict[str, str]:
    """Return the condition that the key is free, or nothing."""
    return {"If-None-Match": "*"} if wanted else {}


def copy_source(source: CopySource) -> dict[str, Any]:
    """Return the source of a copy and its pin; botocore encodes the key."""
    where = given(Bucket=source.bucket, Key=source.key, VersionId=source.version_id)
    return given(CopySource=where, CopySourceIfMatch=source.if_match or None)


def body_parameters(body: bytes, md5: bytes) -> dict[str, Any]:
    """Return a body and its Content-MD5."""
    return {"Body": _Body(body), "ContentMD5": base64.b64encode(md5).decode()}


def completed_part(part: CompletedPart) -> dict[str, Any]:
    """Return a part as CompleteMultipartUpload names it."""
    checksums = {f"Checksum{name.upper()}": value for name, value in part.checksums.items()}
    return {"PartNumber": part.number, "ETag": f'"{part.etag}"', **checksums}


def send_raw_headers(events: Any) -> None:
    """Let a call carry headers as they are, past botocore's typed parameters."""

    def take(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        context[RAW_HEADERS] = params.pop(RAW_HEADERS, {})

    def add(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        params["headers"].update(context.get(RAW_HEADERS, {}))

    events.register_first("before-parameter-build.s3", take, unique_id="async-s3copy-take-headers")
    events.register("before-call.s3", add, unique_id="async-s3copy-add-headers")


class _Body(io.BytesIO):
    """Bytes as a file, shared with their owner.

    aiohttp asks a ``BytesIO`` for its buffer to learn its size, which would make a copy of it.
    """

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._data = data

    def getbuffer(self) -> memoryview:
        return memoryview(self._data)
