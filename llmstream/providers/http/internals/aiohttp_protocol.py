"""aiohttp's protocol with three things put right, and what its buffer holds after an error."""

# ruff: noqa: SLF001  # there is no public way to what it puts right

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler

from llmstream.providers.http.exchange import Trace, is_readable, traces
from llmstream.providers.http.internals import names

_HEAD_END = b"\r\n\r\n"
_MANY = 1024
"""HTTP chunks. With fewer, of fewer bytes than are read at a time, aiohttp hasn't paused the connection."""


Read = Callable[[aiohttp.StreamReader], Coroutine[Any, Any, bytes]]
"""The next bytes of a body. Raises StopAsyncIteration at its end."""


def find_read(size: int) -> Read:
    """How bodies are read: at most about so many bytes at a time, past aiohttp's own account of HTTP chunks.

    That account costs more than all the rest of a read, and nobody asks for it.
    """
    probe = aiohttp.StreamReader(ResponseHandler(asyncio.get_running_loop()), size)
    try:
        names.look_up(probe, "_buffer")
        names.look_up(probe, "_buffer_offset")
        names.look_up(probe, "_cursor")
        names.look_up(probe, "_eof")
        names.look_up(probe, "_exception")
        names.look_up(probe, "_http_chunk_splits")
        names.look_up(probe, "_loop")
        names.look_up(probe, "_protocol")
        names.look_up(probe, "_size")
        names.look_up(probe, "_waiter")
    except names.UnknownInsideError as missing:
        names.step_aside(missing, "bodies are read by aiohttp itself, which costs more")
        return functools.partial(_read, size=size)
    return functools.partial(_read_all, size=size)


async def _read(content: aiohttp.StreamReader, *, size: int) -> bytes:
    try:
        data = await content.read(size)
    except Exception:
        # A cut overtakes what arrived before it, when the reader was slower than both.
        data = arrived(content)
        if not data:
            raise
    if not data:
        raise StopAsyncIteration
    return data


async def _read_all(content: Any, *, size: int) -> bytes:
    """As `_read`, where all that has arrived isn't too much."""
    if type(content) is not aiohttp.StreamReader:
        return await _read(content, size=size)
    buffer = content._buffer
    if not buffer and not content._eof and content._exception is None:
        if not content._protocol.connected:
            raise RuntimeError("Connection closed.")
        # As aiohttp's own wait, without a further coroutine for each read, which would be felt.
        waiter = content._waiter = content._loop.create_future()
        try:
            await waiter
        except Exception:
            data = arrived(content)
            if not data:
                raise
            return data
        finally:
            content._waiter = None
    chunks = content._http_chunk_splits
    is_small = content._size <= size and (chunks is None or len(chunks) < _MANY)
    if not buffer or not is_small or content._exception is not None:
        return await _read(content, size=size)
    data = buffer[0] if len(buffer) == 1 else b"".join(buffer)
    if content._buffer_offset:
        data = data[content._buffer_offset :]
        content._buffer_offset = 0
    buffer.clear()
    content._size = 0
    content._cursor = content.total_bytes
    if chunks:
        chunks.clear()
    return data


def arrived(content: Any) -> bytes:
    """The bytes left in aiohttp's buffer after an error; `read_nowait` raises the error again."""
    try:
        read = names.look_up(content, "_read_nowait")
    except names.UnknownInsideError as missing:
        names.step_aside(missing, "what came just before a cut may be lost on a slow reader")
        return b""
    data: bytes = read(-1)
    return data


def install(connector: aiohttp.TCPConnector) -> bool:
    """Let a connector make connections with `AnswerProtocol`. False: it is left as it is."""
    loop = asyncio.get_running_loop()
    try:
        names.look_up(connector, "_factory")
        probe = ResponseHandler(loop)
        names.look_up(probe, "_payload")
        names.look_up(probe, "_reading_paused")
        names.look_up(probe, "_buffer_paused")
    except names.UnknownInsideError as missing:
        names.step_aside(missing, "aiohttp's own protocol is used, which costs more")
        return False
    factory: Any = functools.partial(AnswerProtocol, loop=loop)
    connector._factory = factory
    return True


class AnswerProtocol(ResponseHandler):
    """aiohttp's protocol, with three things put right.

    - What was parsed before the framing broke in the same read is delivered: a head is fed apart from its body.
    - An answer whose framing breaks fails then, instead of never.
    - Bytes that nobody asked for end the connection, instead of being the answer to its next request.
    """

    _is_head_due = False
    """Whether a request was sent, and the head of its answer hasn't come."""
    _is_used = False
    """Whether a request was sent before."""
    _trace: Trace | None = None

    def set_response_params(self, **params: Any) -> None:
        """A request is about to be sent, by the running task."""
        self._is_head_due = True
        self._trace = traces.get()
        if self._trace is not None:
            self._trace.reused = self._is_used
        self._is_used = True
        super().set_response_params(**params)

    def data_received(self, data: bytes) -> None:
        """Bytes from the server; none when a reader has made room for what is held back."""
        body = self._payload
        if data and (body is None or body.is_eof()):
            data = self._take_head(data)
        ResponseHandler.data_received(self, data)

    def resume_reading(self, resume_parser: bool = True) -> None:  # noqa: FBT001, FBT002  # aiohttp's own
        """A reader took something. It calls this for each HTTP chunk, which would double its cost."""
        if self._reading_paused or self._buffer_paused:
            super().resume_reading(resume_parser)

    def is_connected(self) -> bool:
        """Whether it can be used again; only asked while it is in the pool."""
        if self.transport is None or self.should_close or not super().is_connected():
            return False
        return not is_readable(self.transport.get_extra_info("socket"))

    def feed_data(self, data: Any, size: int = 0) -> None:
        """A head was parsed."""
        if data[0].code >= 200:
            self._is_head_due = False
        super().feed_data(data, size)

    def set_exception(self, exc: BaseException, exc_cause: BaseException | None = None) -> None:
        """The connection is of no use any more."""
        super().set_exception(exc, exc if exc_cause is None else exc_cause)
        body = self._payload
        if body is not None and not body.is_eof() and body.exception() is None:
            body.set_exception(aiohttp.ClientPayloadError("the answer can't be read on"))

    def _take_head(self, data: bytes) -> bytes:
        """Feed the head of an answer, if one is due. What follows it is returned."""
        if not self._is_head_due:
            self.force_close()
            if self.transport is not None:
                self.transport.abort()
            return b""
        if self._trace is not None:
            self._trace.answered = True
            self._trace = None
        while self._is_head_due:  # still, after a head of 1xx
            end = data.find(_HEAD_END)
            if end < 0:
                break
            end += len(_HEAD_END)
            ResponseHandler.data_received(self, data[:end])
            data = data[end:]
        return data
