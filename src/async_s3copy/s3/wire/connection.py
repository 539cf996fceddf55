"""Connection: one HTTP/1.1 connection, one exchange at a time."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Final, cast

from async_s3copy.s3.wire.body import BodyStream
from async_s3copy.s3.wire.http import (
    ConnectionLostError,
    MalformedResponseError,
    RawHeaders,
    ReadTimeoutError,
    Request,
    Response,
    StreamedResponse,
    WireError,
)
from async_s3copy.s3.wire.parser import UNBOUNDED, ResponseParser
from async_s3copy.s3.wire.patience import Patience
from async_s3copy.s3.wire.turns import Turns
from async_s3copy.s3.wire.upload import Upload, read_last_words

# Copying a small body behind its head is cheaper than a second system call.
_SMALL_BODY_BYTES: Final = 64 * 1024

# Most answers fit the first buffer, which every connection has; one that fills it gets the second.
_READ_BYTES: Final = 8 * 1024
_LARGE_READ_BYTES: Final = 256 * 1024

# A stream may take as long as its reader likes, but not for dripping less than this at a time.
_STREAM_PROGRESS_BYTES: Final = 1024 * 1024


class Connection(asyncio.BufferedProtocol):
    """Exchange requests and answers over one transport, strictly one after the other.

    Every way in which an exchange ends badly closes the connection: what would arrive next could
    be taken for the answer to another request.

    Args:
        loop: The running event loop.
        peer: Host and port, for errors.
        patience: How long an answer may take.
        turns: Wakes those who wait for answers.
        lost: Called with the connection when it is gone.

    Attributes:
        reusable: Whether another exchange may begin: the last one ended well, and nothing has
            happened since.
        stale: Whether the last exchange failed as those on a dead kept-alive connection do: it
            was not the first, and the server hung up without a word of an answer.
        idle_since_s: The pool's note of when it put the connection aside.
    """

    __slots__ = (
        "_age_ticks",
        "_future",
        "_loop",
        "_lost",
        "_milestone_bytes",
        "_parser",
        "_patience",
        "_peer",
        "_reading_paused",
        "_silent_ticks",
        "_small_view",
        "_stream",
        "_transport",
        "_turns",
        "_upload",
        "_view",
        "answered",
        "exchanges",
        "idle_since_s",
        "reusable",
        "stale",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        peer: str,
        patience: Patience,
        turns: Turns,
        lost: Callable[[Connection], None],
    ) -> None:
        self._loop = loop
        self._peer = peer
        self._patience = patience
        self._turns = turns
        self._lost = lost
        self._parser = ResponseParser()
        self._transport: asyncio.Transport | None = None
        self._future: asyncio.Future[Response] | asyncio.Future[StreamedResponse] | None = None
        self._stream: BodyStream | None = None
        self._upload: Upload | None = None
        self._reading_paused = False
        self._silent_ticks = self._age_ticks = self._milestone_bytes = 0
        self._small_view = self._view = memoryview(bytearray(_READ_BYTES))
        self.reusable = self.stale = False
        self.answered = False
        self.exchanges = 0
        self.idle_since_s = 0.0

    # What the pool asks and says.

    @property
    def usable(self) -> bool:
        """Whether an exchange may begin now."""
        return self.reusable and self._transport is not None and not self._transport.is_closing()

    def exchange(self, request: Request, max_body_bytes: int) -> asyncio.Future[Response]:
        """Begin an exchange whose answer is read whole.

        Args:
            request: What to send.
            max_body_bytes: A longer answer is refused.

        Returns:
            The answer to be; abort the connection when it is not waited for to the end.
        """
        future: asyncio.Future[Response] = self._loop.create_future()
        self._begin(request, future, max_body_bytes)
        return future

    def exchange_streamed(self, request: Request) -> asyncio.Future[StreamedResponse]:
        """Begin an exchange whose answer's body is read while it arrives.

        Returns:
            The answer to be, done when its head is there.
        """
        future: asyncio.Future[StreamedResponse] = self._loop.create_future()
        self._stream = BodyStream(self._loop, self._resume_reading)
        self._milestone_bytes = _STREAM_PROGRESS_BYTES
        self._begin(request, future, UNBOUNDED)
        return future

    def abort(self, error: WireError | None = None) -> None:
        """Close the connection without another word.

        Args:
            error: What a reader of the answer is told; ``None`` says that it was left.
        """
        self.reusable = False
        if self._upload is not None:
            self._upload.stop()
        self._settle(error or ConnectionLostError(f"The exchange with {self._peer} was left."))
        if self._transport is not None:
            self._transport.abort()

    def tick(self) -> None:
        """Count time; end an exchange that takes too much of it."""
        # While its reader holds it back, a server has no say.
        if self._reading_paused or (self._future is None and self._stream is None):
            return
        self._silent_ticks += 1
        self._age_ticks += 1
        patience = self._patience
        if self._silent_ticks >= patience.silent_ticks:
            self.abort(ReadTimeoutError(self._silence()))
        elif self._age_ticks >= patience.total_ticks:
            self.abort(ReadTimeoutError(self._dripping()))

    # What the transport says.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to be usable."""
        self._transport = cast(asyncio.Transport, transport)
        self.reusable = True

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return the memory to read into."""
        return self._view

    def buffer_updated(self, nbytes: int) -> None:
        """Parse what has been read."""
        if self._future is None and self._stream is None:
            # Nothing was asked: whatever this is, the next answer would be read out of step.
            self.abort()
            return
        self._silent_ticks = 0
        self.answered = True
        parser = self._parser
        try:
            parser.feed(self._view[:nbytes])
        except MalformedResponseError as error:
            self.abort(error)
            return
        if self._stream is not None:
            self._advance_stream(self._stream)
        elif parser.complete:
            self._finish()
        if nbytes == _READ_BYTES and self._view is self._small_view and not parser.complete:
            self._view = memoryview(bytearray(_LARGE_READ_BYTES))

    def eof_received(self) -> None:
        """End an answer that has no other end; any other is lost."""
        if self._is_peers_word() and self._parser.feed_eof():
            if self._stream is not None:
                self._advance_stream(self._stream)
            elif self._future is not None:
                self._finish()
        self._hung_up()
        self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """End what was going on."""
        transport = self._transport
        while exc and transport and self._upload and (n := read_last_words(transport, self._view)):
            self.buffer_updated(n)
        self._hung_up(exc)
        self.reusable = False
        self._transport = self._upload = None
        self._parser.close()
        self._lost(self)

    def pause_writing(self) -> None:
        """Hold a large body back."""
        if self._upload is not None:
            self._upload.pause()

    def resume_writing(self) -> None:
        """Go on with a large body; what the server takes off our hands is a sign of life."""
        if self._upload is not None:
            self._silent_ticks = self._age_ticks = 0
            self._upload.resume()

    # Sending.

    def _begin(
        self,
        request: Request,
        future: asyncio.Future[Response] | asyncio.Future[StreamedResponse],
        max_body_bytes: int,
    ) -> None:
        transport = self._transport
        if transport is None or not self.reusable:
            raise AssertionError("unreachable: the pool hands out usable connections only")
        self._parser.begin(bodiless=request.method == "HEAD", max_body_bytes=max_body_bytes)
        self._future = future
        self._silent_ticks = self._age_ticks = 0
        self.reusable = self.answered = self.stale = False
        self.exchanges += 1
        body = request.body
        if len(body) <= _SMALL_BODY_BYTES:
            transport.write(request.head + body if body else request.head)
            return
        transport.write(request.head)
        self._upload = Upload(transport, body)
        self._upload.resume()

    # Receiving.

    def _advance_stream(self, stream: BodyStream) -> None:
        parser = self._parser
        if self._future is not None and parser.head_complete:
            self._answer_stream(stream)
        if parser.pieces:
            stream.push(parser.pieces)
            parser.pieces = []
        if parser.body_bytes >= self._milestone_bytes:
            self._milestone_bytes = parser.body_bytes + _STREAM_PROGRESS_BYTES
            self._age_ticks = 0
        if parser.complete:
            self._stream = None
            stream.end()
            self._end_exchange()
        elif stream.full and not self._reading_paused and self._transport is not None:
            self._reading_paused = True
            self._transport.pause_reading()

    def _answer_stream(self, stream: BodyStream) -> None:
        future = cast("asyncio.Future[StreamedResponse]", self._future)
        self._future = None
        parser = self._parser
        if not future.done():
            length = content_length(parser.headers)
            future.set_result(StreamedResponse(parser.status, parser.headers, length, stream))

    def _resume_reading(self) -> None:
        if self._reading_paused and self._transport is not None:
            self._reading_paused = False
            self._silent_ticks = self._age_ticks = 0
            self._transport.resume_reading()

    def _finish(self) -> None:
        future = cast("asyncio.Future[Response]", self._future)
        self._future = None
        self._end_exchange()
        if not future.done():
            self._turns.give(future, self._parser.response())

    def _end_exchange(self) -> None:
        self.reusable = self._parser.keep_alive
        if self._upload is not None:
            # Answered early, what is left of the body would be read as the next request.
            self.reusable = self.reusable and self._upload.sent
            self._upload.stop()
            self._upload = None
        self._view = self._small_view

    def _settle(self, error: WireError) -> None:
        future, self._future = self._future, None
        stream, self._stream = self._stream, None
        if future is not None and not future.done():
            future.set_exception(error)
        if stream is not None:
            stream.end(error)

    def _is_peers_word(self) -> bool:
        # Over TLS anyone on the way can end the bytes beneath, and asyncio does not tell that from
        # the peer's close_notify: only after the latter is there an end to read.
        tls = self._transport.get_extra_info("ssl_object") if self._transport else None
        try:
            return tls is None or tls.read(1) == b""
        except ssl.SSLError:
            return False

    # What errors say.

    def _hung_up(self, exc: Exception | None = None) -> None:
        if self._future is not None or self._stream is not None:
            self.stale = self.exchanges > 1 and not self.answered
            when = "in the middle of its answer" if self.answered else "before it answered"
            why = f" ({type(exc).__name__})" if exc is not None else ""
            self._settle(ConnectionLostError(f"{self._peer} closed the connection {when}{why}."))

    def _silence(self) -> str:
        return f"{self._peer} was silent for {self._patience.read_timeout_s:g} s (read_timeout_s)."

    def _dripping(self) -> str:
        patience = self._patience
        limit_s = patience.total_ticks * patience.tick_s
        return f"{self._peer} had not ended its answer after {limit_s:,.0f} s."


def content_length(headers: RawHeaders) -> int | None:
    """Return the Content-Length a head gives, which the parser has checked, if it gives one."""
    return next((int(value) for name, value in headers if name.lower() == b"content-length"), None)
