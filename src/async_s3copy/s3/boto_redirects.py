"""Keep botocore's search for a bucket's Region within bounds.

botocore follows S3 to another Region once per call: to the one that the answer names, or else the
answer to a HeadBucket. Two things it does not watch: a HeadBucket that is itself redirected without
a Region's name is followed by another one, until the stack is full; and a name may be anything.
"""

from __future__ import annotations

import re
from contextvars import ContextVar
from typing import Any, Final

from aiobotocore.awsrequest import AioAWSResponse

REGION: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
"""What a Region may be called: it becomes a part of a host's name and of a signature."""

_LONGEST_LABEL: Final = 63  # https://www.rfc-editor.org/rfc/rfc1035
_HEADER: Final = "x-amz-bucket-region"
_ASKING: ContextVar[bool] = ContextVar("async_s3copy_asking_for_region", default=False)


def bound_redirects(events: Any) -> None:
    """Have a client believe no name that is no Region's, and ask for a Region once per call.

    Args:
        events: The client's event hooks.
    """
    events.register_first("before-call.s3", _ask_once, unique_id="async-s3copy-ask-once")
    events.register_first("needs-retry.s3", _keep_names, unique_id="async-s3copy-region-names")


def is_region(name: object) -> bool:
    """Tell whether a text can be the name of a Region."""
    return (
        isinstance(name, str) and len(name) <= _LONGEST_LABEL and REGION.fullmatch(name) is not None
    )


def _ask_once(model: Any, params: Any, **_: Any) -> tuple[Any, dict[str, Any]] | None:
    """Answer a HeadBucket within another one; it is never called but to ask for a Region."""
    is_asking = bool(model.name == "HeadBucket")
    if is_asking and _ASKING.get():
        _ASKING.set(False)
        return _not_found(params.get("url", ""))
    _ASKING.set(is_asking)
    return None


def _not_found(url: str) -> tuple[Any, dict[str, Any]]:
    metadata = {"HTTPStatusCode": 404, "HTTPHeaders": {}, "RequestId": ""}
    error = {"Code": "404", "Message": "Not Found"}
    return AioAWSResponse(url, 404, {}, None), {"Error": error, "ResponseMetadata": metadata}


def _keep_names(response: Any, **_: Any) -> None:
    """Take out of an answer what is no Region's name, before botocore looks."""
    if response is None:
        return
    error = response[1].get("Error") or {}
    headers = (response[1].get("ResponseMetadata") or {}).get("HTTPHeaders") or {}
    for place, name in ((error, "Region"), (headers, _HEADER)):
        if name in place and not is_region(place[name]):
            del place[name]
    # botocore looks for a wrong signature's Region in the body only.
    if error and _HEADER in headers:
        error.setdefault("Region", headers[_HEADER])
