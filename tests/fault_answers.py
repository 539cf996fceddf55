"""What a fault server can be told to answer instead of, or around, the right answer."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from tests.fault_server import Answer, Call, FaultServer, Handler, error_response


def error(
    status: int, code: str, *, lead: str = "", headers: Mapping[str, str] | None = None
) -> Answer:
    """Answer with an ``<Error>``; ``lead`` is sent before it, as S3 does to keep a line alive."""

    async def answer(*_: object) -> web.StreamResponse:
        return error_response(status, code, lead=lead, headers=headers)

    return answer


def raw(status: int, body: str = "", headers: Mapping[str, str] | None = None) -> Answer:
    """Answer with this body, whatever it is."""

    async def answer(*_: object) -> web.StreamResponse:
        return web.Response(status=status, text=body, headers=headers)

    return answer


def reset_before() -> Answer:
    """Cut the connection without having done anything."""

    async def answer(_: object, request: web.Request, *__: object) -> web.StreamResponse:
        return _cut(request)

    return answer


def reset_after() -> Answer:
    """Do what was asked for, then cut the connection instead of answering."""

    async def answer(
        server: FaultServer, request: web.Request, call: Call, handler: Handler
    ) -> web.StreamResponse:
        await handler(server, call)
        return _cut(request)

    return answer


def truncated_body(sent: int) -> Answer:
    """Send only the first bytes of the body that the header promises, then cut the connection."""

    async def answer(
        server: FaultServer, request: web.Request, call: Call, handler: Handler
    ) -> web.StreamResponse:
        whole = await handler(server, call)
        assert isinstance(whole, web.Response)
        assert isinstance(whole.body, bytes)
        response = web.StreamResponse(status=whole.status, headers=whole.headers)
        response.content_length = len(whole.body)
        await response.prepare(request)
        await response.write(whole.body[:sent])
        return _cut(request, response)

    return answer


def _cut(request: web.Request, response: web.StreamResponse | None = None) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return response or web.Response()
