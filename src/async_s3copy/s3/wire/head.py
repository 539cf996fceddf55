"""HeadTemplate: the head of a request, signed, with blanks for what differs from call to call.

A copy of many objects sends one shape of request over and over. Within a second all but the path
and a few values is the same, so it is laid out once: both the text to be signed and the head.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from async_s3copy.errors import ValidationError
from async_s3copy.s3.wire.http import encoded
from async_s3copy.s3.wire.route import Route
from async_s3copy.s3.wire.sigv4 import ALGORITHM, Moment, trimmed

# https://www.rfc-editor.org/rfc/rfc9110#name-tokens
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_PRINTABLE: Final = re.compile(r"[\x21-\x7e]*")
# A line end in a value would begin a header, or a request, of its own. Of the surrogates only those
# that stand for a byte can be sent.
_FORBIDDEN: Final = re.compile("[\r\n\0\ud800-\udc7f\udd00-\udfff]")

_LF: Final = "\n"
_CRLF: Final = "\r\n"


class Shape(NamedTuple):
    """What requests of one kind have in common.

    Attributes:
        method: HTTP method.
        payload: Value of ``x-amz-content-sha256``.
        names: Headers whose values are filled in, lower case, sorted; none that are fixed.
    """

    method: str
    payload: str
    names: tuple[str, ...] = ()


class HeadTemplate:
    """Fill in and sign heads of one shape, along one route, within one second.

    Args:
        route: Where the requests go.
        moment: The second.
        shape: What they have in common.

    Raises:
        ValidationError: A header name is no token of HTTP, or a fixed value cannot be sent.
    """

    __slots__ = ("_canonical", "_head", "_moment", "_names")

    def __init__(self, route: Route, moment: Moment, shape: Shape) -> None:
        self._moment = moment
        self._names = shape.names
        fixed = _fixed_headers(route, moment, shape)
        lines = {name: _literal(trimmed(value)) for name, value in fixed.items()}
        lines.update({_checked_name(name): "%s" for name in shape.names})
        signed = sorted(lines.items())
        signed_names = _literal(";".join(name for name, _ in signed))
        self._canonical = (
            f"{shape.method}\n%s\n%s\n{_lines(signed, ':', _LF)}\n{signed_names}\n{shape.payload}"
        )
        self._head = (
            f"{shape.method} %s HTTP/1.1\r\n{_lines(lines.items(), ': ', _CRLF)}"
            f"user-agent: {_literal(_checked_value('user-agent', route.user_agent))}\r\n"
            f"authorization: {ALGORITHM} Credential={_literal(moment.credential)}, "
            f"SignedHeaders={signed_names}, Signature=%s\r\n"
        )

    def filled(
        self, path: str, query: str, values: Sequence[str], content_length: int | None
    ) -> bytes:
        """Return a complete head, the empty line included.

        Args:
            path: Path, encoded.
            query: Query, encoded and sorted; empty for none.
            values: One for each of the shape's names.
            content_length: Bytes of the body that follows; ``None`` sends no length.

        Raises:
            ValidationError: A value would break out of its header.
        """
        signed = [
            value if _PRINTABLE.fullmatch(value) else trimmed(_checked_value(name, value))
            for name, value in zip(self._names, values, strict=True)
        ]
        signature = self._moment.signature(self._canonical % (path, query, *signed))
        target = f"{path}?{query}" if query else path
        length = "" if content_length is None else f"content-length: {content_length}\r\n"
        return encoded(f"{self._head % (target, *values, signature)}{length}\r\n")


def _fixed_headers(route: Route, moment: Moment, shape: Shape) -> Mapping[str, str]:
    fixed = {
        "host": _checked_value("host", route.host_header),
        "x-amz-content-sha256": shape.payload,
        "x-amz-date": moment.timestamp,
    }
    if moment.session_token is not None:
        fixed["x-amz-security-token"] = moment.session_token
    return fixed


def _lines(headers: Iterable[tuple[str, str]], separator: str, end: str) -> str:
    return "".join([f"{_literal(name)}{separator}{value}{end}" for name, value in headers])


def _checked_name(name: str) -> str:
    if not _TOKEN.fullmatch(name):
        raise ValidationError("header name", name, "be a token of HTTP")
    return name


def _checked_value(name: str, value: str) -> str:
    if _FORBIDDEN.search(value):
        raise ValidationError(name, value, "hold no line end, NUL or lone surrogate")
    return value


def _literal(text: str) -> str:
    """Escape text for a template."""
    return text.replace("%", "%%")
