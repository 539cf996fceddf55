"""One signed S3 request on the standard library alone: how a server's keeper knocks at its door.

Independent of botocore on purpose: readiness must not be judged by the code that is under test.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from async_s3copy.testing.seaweedfs import Identity

_REGION: Final = "us-east-1"
_SIGNED_HEADERS: Final = "host;x-amz-content-sha256;x-amz-date"
_TIMEOUT_S: Final = 5.0


def send(identity: Identity, port: int, method: str, path: str, body: bytes = b"") -> int:
    """Send one request to the S3 server on a loopback port.

    Args:
        identity: Who signs it.
        port: The server's port on 127.0.0.1.
        method: HTTP method.
        path: ``/bucket`` or ``/bucket/key``, not URL-encoded.
        body: What to send.

    Returns:
        The HTTP status; 0 when no answer arrived.
    """
    connection = HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)
    headers = _sign(identity, f"127.0.0.1:{port}", method, quote(path), body)
    try:
        connection.request(method, quote(path), body=body, headers=headers)
        response = connection.getresponse()
        response.read()
    except (OSError, HTTPException):
        return 0
    else:
        return response.status
    finally:
        connection.close()


def _sign(identity: Identity, host: str, method: str, path: str, body: bytes) -> dict[str, str]:
    # https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    digest = hashlib.sha256(body).hexdigest()
    headers = {"host": host, "x-amz-content-sha256": digest, "x-amz-date": moment}
    canonical = "\n".join(
        [method, path, "", *(f"{k}:{v}" for k, v in headers.items()), "", _SIGNED_HEADERS, digest]
    )
    scope = f"{moment[:8]}/{_REGION}/s3/aws4_request"
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = "\n".join(["AWS4-HMAC-SHA256", moment, scope, hashed])
    signature = _hmac(_signing_key(identity, moment[:8]), to_sign).hex()
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={identity.access_key_id}/{scope}, "
        f"SignedHeaders={_SIGNED_HEADERS}, Signature={signature}"
    )
    return headers


def _signing_key(identity: Identity, date: str) -> bytes:
    key = f"AWS4{identity.secret_access_key}".encode()
    for text in (date, _REGION, "s3", "aws4_request"):
        key = _hmac(key, text)
    return key


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()
