"""Is a botocore client's configuration one the wire can take over? If not, why."""

from __future__ import annotations

from typing import Any, Final

# Every step of a call that a hook could change or answer; see botocore's "Event handlers" guide.
_EVENTS: Final = (
    "provide-client-params",
    "before-parameter-build",
    "before-endpoint-resolution",
    "before-call",
    "request-created",
    "choose-signer",
    "before-sign",
    "before-send",
    "response-received",
    "before-parse",
    "after-call",
    "after-call-error",
    "needs-retry",
)
# About aiohttp's own connections, and without a counterpart here.
_HARMLESS_CONNECTOR_ARGS: Final = frozenset(("keepalive_timeout", "ttl_dns_cache", "use_dns_cache"))
_OPERATIONS: Final = ("CopyObject", "ListObjectsV2", "GetObject", "PutObject")
_OWN_PACKAGES: Final = frozenset(("aioboto3", "aiobotocore", "async_s3copy", "boto3", "botocore"))


def obstacle(client: Any) -> str:
    """Say what keeps a client's requests off the wire.

    Args:
        client: An entered aiobotocore S3 client.

    Returns:
        The reason, to be read after "because"; empty where there is none.
    """
    return _unusual_transport(client) or _foreign_hook(client.meta.events)


def verify_setting(client: Any) -> bool | str:
    """Return whether a client checks TLS certificates, or the CA bundle it checks them against."""
    verify: bool | str = client._endpoint.http_session.transport.verify
    return verify


def timeouts(client: Any) -> tuple[float, float]:
    """Return a client's seconds for opening a connection, and of silence while it waits."""
    config = client.meta.config
    return float(config.connect_timeout), float(config.read_timeout)


def signs_payload(client: Any) -> bool:
    """Tell whether a client is set to hash bodies even where TLS vouches for them."""
    return bool((client.meta.config.s3 or {}).get("payload_signing_enabled"))


def _unusual_transport(client: Any) -> str:
    # Its HTTP session is the one place where botocore's answers to all settings come together.
    session = getattr(getattr(client, "_endpoint", None), "http_session", None)
    described = getattr(session, "transport", None)
    if session is None or described is None:
        return f"its HTTP session is {type(session).__qualname__}"
    if described.client_cert is not None:
        return "a client certificate is configured"
    unusual = sorted(set(described.connector_args or ()) - _HARMLESS_CONNECTOR_ARGS)
    if unusual:
        return f"connector_args {', '.join(unusual)} are configured"
    if session.proxy_for(client.meta.endpoint_url):
        return "a proxy is configured"
    return ""


def _foreign_hook(events: Any) -> str:
    try:
        handlers = events._emitter._handlers  # there is no public way to ask who listens
        hooks = [
            (event, hook)
            for event in _EVENTS
            for operation in _OPERATIONS
            for hook in handlers.prefix_search(f"{event}.s3.{operation}")
        ]
    except AttributeError:
        return "its event hooks cannot be inspected"
    for event, hook in hooks:
        module = str(getattr(hook, "__module__", "") or "")
        if module.partition(".")[0] not in _OWN_PACKAGES:
            return f"a hook on {event!r} from {module or 'elsewhere'} is registered"
    return ""
