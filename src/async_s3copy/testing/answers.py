"""Answers as the proxy reads them from the server, and as it makes them up."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final, NamedTuple
from xml.sax.saxutils import escape

from aiohttp import hdrs
from multidict import CIMultiDict

REQUEST_ID: Final = "INJECTED00000000"
"""Request id of every answer that the proxy makes up."""


class Whole(NamedTuple):
    """A whole answer of the server."""

    status: int
    headers: CIMultiDict[str]
    body: bytes

    def raw(self) -> bytes:
        """Return it as it goes over a connection that ends after it."""
        fields = CIMultiDict(self.headers)
        fields[hdrs.CONNECTION] = "close"
        fields[hdrs.CONTENT_LENGTH] = str(len(self.body))
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        head = f"HTTP/1.1 {self.status} {_phrase(self.status)}\r\n{lines}\r\n"
        return head.encode("utf-8", "surrogateescape") + self.body


def error_document(code: str, message: str = "", details: Mapping[str, str] | None = None) -> bytes:
    """Build S3's ``<Error>``.

    Args:
        code: S3's code.
        message: S3's message; empty says that a script asked for it.
        details: Further elements by name.
    """
    fields = {"Code": code, "Message": message or "as scripted", **(details or {})}
    inside = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in fields.items())
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{inside}'
        f"<RequestId>{REQUEST_ID}</RequestId></Error>"
    ).encode()


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
