"""Bounds on a WebSocket's frames, which the implementations that uvicorn knows don't have.

They bound a message's bytes, but a frame without any costs the loop some ten microseconds, and one read brings ten
thousand of them: empty fragments, pings, messages of a letter. So the frames of a read are counted before anybody
parses them. One per kilobyte is free, so that clients may send a large message in pieces of four.

A client over the bound hears 1008 (too often) or 1009 (too many for one message), and its connection is closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from llmstream.web.connections import Bounds

PERIOD: Final = 10.0
"""Seconds in which a client may send `Bounds.frames`. Pings come every 20 s, and people type slower than 20 keys a
second."""
FREE_SIZE: Final = 1024
"""Bytes of payload per frame that cost nothing. Go's and Java's clients cut messages into pieces of 4 and 8 kB."""
TOO_OFTEN: Final = 1008
TOO_MANY: Final = 1009
_REASONS: Final = {
    TOO_OFTEN: b"too many frames in a short time; send fewer and larger ones",
    TOO_MANY: b"too many fragments in a message; send fewer and larger ones",
}
_LENGTH_SIZES: Final = {126: 2, 127: 8}
"""Bytes of the length that follow a head whose own seven bits say so."""
_CONTINUATION, _CONTROL = 0x0, 0x8


class FrameCount:
    """Counts the frames in what a client sends. It reads their heads alone, in whichever pieces they come."""

    def __init__(self, most: int, now: float) -> None:
        self._most = most
        self._left = float(most)
        """Frames that the client may send at once."""
        self._counted = now
        self._fragments = 0
        self._message_size = 0
        self._head = b""  # the part of one that has come
        self._skipped = 0  # bytes of a payload that are still to come

    def feed(self, data: bytes, now: float) -> int | None:
        """Count what came at this time, in seconds. The code to close with, if it is too much."""
        self._earn((now - self._counted) * self._most / PERIOD)
        self._counted = now
        data = self._head + data
        start = self._skipped
        while (end := _head_end(data, start)) is not None:
            length = _payload_length(data, start)
            flaw = self._count(data[start], length)
            if flaw is not None:
                return flaw
            start = end + length
        self._head = data[start:]
        self._skipped = max(0, start - len(data))
        return None

    def _count(self, first: int, length: int) -> int | None:
        """Count a frame by its first byte and the bytes of its payload."""
        self._earn(length / FREE_SIZE)
        self._left -= 1
        if self._left < 0:
            return TOO_OFTEN
        opcode = first & 0x0F
        if opcode >= _CONTROL:
            return None
        if opcode != _CONTINUATION:
            self._fragments, self._message_size = 0, 0
        self._fragments += 1
        self._message_size += length
        is_too_many = self._fragments > self._most + self._message_size / FREE_SIZE
        return TOO_MANY if is_too_many else None

    def _earn(self, frames: float) -> None:
        self._left = min(float(self._most), self._left + frames)


def _head_end(data: bytes, start: int) -> int | None:
    """Where the head that begins there ends; None if it hasn't come whole."""
    if start + 2 > len(data):
        return None
    second = data[start + 1]
    mask = 4 if second & 0x80 else 0
    end = start + 2 + _LENGTH_SIZES.get(second & 0x7F, 0) + mask
    return end if end <= len(data) else None


def _payload_length(data: bytes, start: int) -> int:
    """The length that a whole head says."""
    said = data[start + 1] & 0x7F
    size = _LENGTH_SIZES.get(said)
    return said if size is None else int.from_bytes(data[start + 2 : start + 2 + size])


class GuardedWebSocket(asyncio.Protocol):
    """Stands between a connection and uvicorn's WebSocket on it. `leave` is called when the connection is lost."""

    def __init__(
        self,
        websocket: Any,
        transport: asyncio.Transport,
        bounds: Bounds,
        leave: Callable[[], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._websocket, self._transport, self._bounds = websocket, transport, bounds
        self._leave = leave
        self._frames = FrameCount(bounds.frames, self._loop.time())
        self._drained = 0
        self._drain_timer: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        """Hand it on, unless its frames are too many."""
        if self._drain_timer is not None:
            self._drain(len(data))
            return
        code = self._frames.feed(data, self._loop.time())
        if code is None:
            self._websocket.data_received(data)
        else:
            self._close(code)

    def eof_received(self) -> bool | None:
        """Hand it on."""
        kept: bool | None = self._websocket.eof_received()
        return kept

    def pause_writing(self) -> None:
        """Hand it on."""
        self._websocket.pause_writing()

    def resume_writing(self) -> None:
        """Hand it on."""
        self._websocket.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing of it stays behind."""
        self._leave()
        if self._drain_timer is None:
            self._websocket.connection_lost(exc)
        else:
            self._drain_timer.cancel()

    def _close(self, code: int) -> None:
        """Say why, and let a client that still sends read it."""
        # For the app the client has left, so nothing is written after this.
        self._websocket.connection_lost(ConnectionAbortedError(_REASONS[code].decode()))
        payload = code.to_bytes(2) + _REASONS[code]
        self._transport.write(bytes([0x88, len(payload)]) + payload)
        if self._transport.can_write_eof():  # TLS can't
            self._transport.write_eof()
        wait, abort = self._bounds.drain_time, self._transport.abort
        self._drain_timer = self._loop.call_later(wait, abort)

    def _drain(self, size: int) -> None:
        self._drained += size
        if self._drained > self._bounds.drain_size:
            self._transport.pause_reading()
