"""Keep credentials out of botocore's debug log.

At DEBUG, botocore logs every request it signs (the access key id in the Authorization header, the
whole session token of temporary credentials, the customer key of SSE-C) and every answer, those of
AWS STS included.
Nothing this library does may put a credential into a log, whoever writes the record.
"""

from __future__ import annotations

import logging
import re
from typing import Final

_LOGGERS: Final = (
    "aiobotocore.endpoint",
    "botocore.auth",
    "botocore.endpoint",
    "botocore.parsers",
)
_NAMES: Final = (
    "AccessKeyId|SecretAccessKey|SessionToken|ExternalId|WebIdentityToken|"
    "accessToken|refreshToken|clientSecret"
)
_CREDENTIALS: Final = re.compile(
    # In headers, canonical requests and the Authorization header ...
    r"((?:x-amz-(?:security-token|[a-z-]*-customer-key(?:-md5)?)"
    r"['\"]?\s*[:=]\s*(?:b?['\"])?|Credential=)"
    # ... in the XML of STS, and in JSON, parameters and form bodies.
    rf"|<(?:{_NAMES})>|\b(?:{_NAMES})['\"]?\s*[:=]\s*(?:b?['\"])?)"
    r"[^<'\",\s&]+",
    re.IGNORECASE,
)


class _Redact(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        redacted = _CREDENTIALS.sub(r"\1<redacted>", message)
        if redacted != message:
            record.msg, record.args = redacted, ()
        return True


_FILTER: Final = _Redact()


def redact_debug_logs() -> None:
    """Install the filter on botocore's loggers; again, it does nothing."""
    for name in _LOGGERS:
        # A logger keeps a filter once, however often it is added.
        logging.getLogger(name).addFilter(_FILTER)
