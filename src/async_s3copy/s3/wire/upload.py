"""Upload: a large request body on its way into a transport, never copied as a whole."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

# What a transport cannot send at once it copies, or holds: it gets slices of this size.
_SLICE_BYTES: Final = 256 * 1024


class Upload:
    """Hand a body to a transport slice by slice, as fast as the transport takes it.

    Args:
        transport: Where it goes.
        body: The body.
    """

    __slots__ = ("_paused", "_pumping", "_transport", "_unsent")

    def __init__(self, transport: asyncio.WriteTransport, body: bytes) -> None:
        self._transport = transport
        self._unsent = memoryview(body)
        self._paused = self._pumping = False

    @property
    def sent(self) -> bool:
        """Whether the operating system has all of it."""
        return not self._unsent and not self._transport.get_write_buffer_size()

    def pause(self) -> None:
        """Hold the body back: the transport has enough to do."""
        self._paused = True

    def resume(self) -> None:
        """Go on until the transport has enough to do."""
        self._paused = False
        # A transport may resume from within a write: the loop below goes on then.
        if not self._pumping:
            self._pumping = True
            self._pump()
            self._pumping = False

    def stop(self) -> None:
        """Forget what has not been handed over."""
        self._unsent = memoryview(b"")

    def _pump(self) -> None:
        while self._unsent and not self._paused and not self._transport.is_closing():
            piece, self._unsent = self._unsent[:_SLICE_BYTES], self._unsent[_SLICE_BYTES:]
            self._transport.write(piece)


def read_last_words(transport: asyncio.BaseTransport, view: memoryview) -> int:
    """Read what a server said before it hung up on a body, from a transport that is being lost.

    A server that refuses a body answers and closes. The write that fails of it makes asyncio drop
    the connection with the answer unread. Over TLS it stays lost: only the transport could read it.

    Args:
        transport: The transport, in ``connection_lost``.
        view: The memory to read into.

    Returns:
        How many bytes there were; 0 where there are no more.
    """
    sock = transport.get_extra_info("socket")
    if sock is None or transport.get_extra_info("sslcontext") is not None:
        return 0
    with suppress(OSError), sock.dup() as twin:
        twin.setblocking(False)
        return int(twin.recv_into(view))
    return 0
