"""Route: how requests about one bucket are addressed and signed, as learned from botocore."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Origin:
    """Where connections go.

    Attributes:
        scheme: ``"http"`` or ``"https"``.
        host: Host name or address, as it is resolved and as a certificate must name it.
        port: TCP port.
    """

    scheme: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Route:
    """How requests about one bucket are addressed and signed.

    Attributes:
        origin: Where connections go.
        host_header: Value of the ``Host`` header, which is signed.
        path_prefix: What precedes the key in the path, encoded, without a slash at its end:
            ``"/bucket"`` in path style, ``""`` where the host names the bucket.
        region: Region in the credential scope.
        service: Service in the credential scope: ``"s3"``, or another such as ``"s3-outposts"``.
        user_agent: Value of the ``User-Agent`` header.
        signs_payload: Whether bodies are hashed into the signature (plain HTTP), or sent as
            ``UNSIGNED-PAYLOAD`` (TLS vouches for them already), as botocore does.
    """

    origin: Origin
    host_header: str
    path_prefix: str
    region: str
    service: str
    user_agent: str
    signs_payload: bool
