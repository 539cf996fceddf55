"""What a response that is no success stands for: an error by S3's code. Pure."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final, NamedTuple

from async_s3copy.errors import InvalidResponseError, S3Error, Side
from async_s3copy.s3.codes import s3_error, server_time
from async_s3copy.s3.heads import digits
from async_s3copy.s3.wire.http import Response
from async_s3copy.s3.wire.xml import Element, XmlError, parse

# S3's own form, and that of AWS's other services and some gateways.
_ERROR: Final = "Error"
_ERROR_RESPONSE: Final = "ErrorResponse"
ERROR_ROOTS: Final = (_ERROR, _ERROR_RESPONSE)
# An <Error> in a 200 is what a 500 would have been, had S3 not begun to answer already.
_LATE_ERROR_STATUS: Final = 500
_NO_CODE: Final = "Unknown"
_REQUEST_ID_HEADERS: Final = ("x-amz-request-id", "x-amzn-requestid")


class Call(NamedTuple):
    """Which call a response is the answer to."""

    operation: str
    side: Side
    bucket: str
    key: str | None = None


def s3_failure(response: Response, call: Call) -> S3Error:
    """Return the error that a refusal stands for: by its body, or else by its status."""
    error = error_document(response.body)
    status = response.status
    if error is None:
        # A HEAD has no body, a proxy's is no XML; the codes know bare statuses, too.
        return _built(response, call, status, str(status), _phrase(status))
    return _built(response, call, status, *_told(error))


def unusable_success(response: Response, call: Call, problem: str) -> S3Error:
    """Return what a success stands for that is none: the ``<Error>`` in it, or a damaged answer."""
    error = error_document(response.body)
    if error is not None:
        return _built(response, call, _LATE_ERROR_STATUS, *_told(error))
    return InvalidResponseError(
        problem,
        code="InvalidResponse",
        status=response.status,
        operation=call.operation,
        side=call.side,
        bucket=call.bucket,
        key=call.key,
        request_id=_request_id(response),
    )


def error_document(body: bytes) -> Element | None:
    """Return the ``<Error>`` that a body is, or ``None``."""
    try:
        root = parse(body)
        if root.name == _ERROR_RESPONSE:
            return root.child(_ERROR)
    except XmlError:
        return None
    return root if root.name == _ERROR else None


def _told(error: Element) -> tuple[str, str]:
    return _text(error, "Code") or _NO_CODE, _text(error, "Message")


def _text(error: Element, name: str) -> str:
    try:
        return (error.text(name) or "").strip()
    except XmlError:
        return ""


def _built(response: Response, call: Call, status: int, code: str, message: str) -> S3Error:
    error = s3_error(
        code,
        status,
        message,
        operation=call.operation,
        side=call.side,
        bucket=call.bucket,
        key=call.key,
        request_id=_request_id(response),
        retry_after_s=_retry_after_s(response),
    )
    error.server_time = server_time(response.headers().get("date", ""))
    return error


def _request_id(response: Response) -> str:
    headers = response.headers()
    return next((headers[name] for name in _REQUEST_ID_HEADERS if headers.get(name)), "")


def _retry_after_s(response: Response) -> float | None:
    seconds = digits(response.headers().get("retry-after", ""))
    return None if seconds is None else float(seconds)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
