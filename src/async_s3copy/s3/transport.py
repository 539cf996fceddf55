"""How aiobotocore's requests travel: each once, and over TLS settings made in a thread."""

from __future__ import annotations

import asyncio
import inspect
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import anyio.to_thread
from aiobotocore.httpsession import AIOHTTPSession
from botocore.httpsession import get_cert_path

from async_s3copy.s3.direct import DirectSession

# aiobotocore 3 makes them in a thread itself.
_MAKES_TLS_ON_THE_LOOP: Final = not inspect.iscoroutinefunction(AIOHTTPSession._create_connector)


@dataclass(frozen=True, slots=True)
class Transport:
    """How botocore would open connections, after it has heard all settings.

    Attributes:
        verify: Whether TLS certificates are checked, or the CA bundle to check them against.
        client_cert: Certificate (and key) to show to servers.
        connector_args: Further settings for aiohttp; ``None`` for none.
    """

    verify: bool | str
    client_cert: str | tuple[str, str] | None
    connector_args: Mapping[str, Any] | None


class OneAttempt(AIOHTTPSession):  # type: ignore[misc]  # aiobotocore is untyped
    """Send each request once, and tell how.

    On a kept-alive connection that turns out to be dead, aiohttp repeats an idempotent request
    unseen. A CopyObject with If-None-Match that succeeded the first time would then look refused;
    the governor repeats it knowingly.

    Certificates are checked against the host's name, too, which aiobotocore 2 leaves out. Redirects
    are not followed, and answers are bounded: see ``direct``.

    Args:
        verify: As botocore's.
        settings: What else botocore passes.
    """

    def __init__(self, verify: bool | str = True, **settings: Any) -> None:
        super().__init__(verify=verify, **settings)
        self.transport = Transport(
            verify, settings.get("client_cert"), settings.get("connector_args")
        )
        self._opening = asyncio.Lock()
        self._tls: ssl.SSLContext | None = None

    def proxy_for(self, url: str) -> str | None:
        """Return the proxy that requests to a URL take, if any."""
        found: str | None = self._proxy_config.proxy_url_for(url)
        return found

    async def _get_session(self, proxy_url: str | None) -> Any:
        # One at a time: aiobotocore 2 does not expect another task between looking and opening.
        async with self._opening:
            if _MAKES_TLS_ON_THE_LOOP and self._tls is None and self._is_plain(proxy_url):
                # Reading a CA bundle takes 20 ms and more.
                self._tls = await anyio.to_thread.run_sync(tls_context, self.transport.verify)
            return DirectSession(await super()._get_session(proxy_url))

    def _is_plain(self, proxy_url: str | None) -> bool:
        transport = self.transport
        return bool(transport.verify) and proxy_url is None and transport.client_cert is None

    def _create_connector(self, proxy_url: str | None) -> Any:
        if self._tls is None or not self._is_plain(proxy_url):
            # In aiobotocore 3 a coroutine, for a caller who awaits it.
            return super()._create_connector(proxy_url)
        return aiohttp.TCPConnector(
            limit=self._max_pool_connections, ssl=self._tls, **self._connector_args
        )


def tls_context(verify: bool | str) -> ssl.SSLContext:
    """Return the TLS settings that botocore's ``verify`` stands for; call it in a thread."""
    if verify is False:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    return ssl.create_default_context(cafile=get_cert_path(verify))
