"""Reply: the bytes that a FaultServer answers with, at whatever level a fault needs to be played.

What a proper answer looks like on the wire comes from our own encoders, so that a fault is a few lines for all APIs.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from llmstream.errors import ErrorInfo
from llmstream.events.types import error
from llmstream.messages import Usage
from llmstream.providers.simulator_script import ScriptItem, script_events
from llmstream.testing.frame_editor import edit_frame
from llmstream.wire.formats import find_format, format_at

ANSWER = "one two three vier fünf 六 seven 🙂"
"""The answer of a FaultServer: eight words, not all of them ASCII."""

PATIENCE = 30.0
"""Seconds that a fault waits for the client to leave, before it gives up on it."""


@dataclass(slots=True)
class Received:
    """One request as a FaultServer saw it."""

    path: str
    headers: dict[str, str]
    """Names in lower case."""
    body: Any
    """The parsed JSON; None for an empty body."""
    connection: int
    """The number of its connection, from 1: equal numbers mean that it was used again."""

    @property
    def model(self) -> str:
        """The model that is asked for, in the path or in the body."""
        named = format_at(self.path).model_in(self.path)
        return str(self.body["model"]) if named is None else named


class CutError(Exception):
    """Raised by `Reply.fin` and `Reply.reset`: the connection is closed, and nothing of the fault is left to play."""


class Reply:
    """How to answer one request: raw bytes, HTTP chunks, whole bodies, and the ways a connection can end.

    `opening`, `words()` and `ending` are the frames of a proper answer in the API that was asked.
    """

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Received | None
    ) -> None:
        self.request = request
        """None for faults that are played before anything was asked."""
        self.format = format_at(request.path) if request is not None else find_format("openai-chat")
        """The wire format that was asked for."""
        self.framing = self.format.framing
        self._reader = reader
        self._writer = writer
        self._chunked = False
        pieces = self._encode(ANSWER, Usage(input_tokens=7, output_tokens=8))
        self.opening = pieces[0]
        self._words = pieces[1:-1]
        self.ending = self.framing.split(pieces[-1])
        """The frames after the last word; the last of them is the provider's own end."""

    # --- what a proper answer is made of -------------------------------------------------------------------

    def words(self, first: int = 0, last: int | None = None) -> bytes:
        """The frames of these words of ANSWER; with what opens the answer, if the first is among them."""
        return (b"" if first else self.opening) + b"".join(self._words[first:last])

    @property
    def reason(self) -> list[bytes]:
        """The frames of the ending without the provider's own end, where it has one."""
        return self.ending[:-1] if self.format.samples.own_end else self.ending

    @property
    def frames(self) -> list[bytes]:
        """Every frame of the whole answer."""
        return self.framing.split(self.words() + b"".join(self.ending))

    def script(self, *items: ScriptItem) -> list[bytes]:
        """The frames of another answer; items as in a SimulatorProvider's script."""
        return self.framing.split(b"".join(self._encode(*items)))

    def error_frame(self, kind: Any = "overloaded", message: str = "no capacity") -> bytes:
        """The frame by which a provider reports a failure inside a stream."""
        return self.format.make_encoder().feed(error(ErrorInfo(kind, message)))

    def edited(self, frame: bytes, change: Callable[[bytes], bytes]) -> bytes:
        """The frame with its data changed. Its lengths and checksums, if it has some, are right."""
        return edit_frame(self.framing, frame, change)

    def data_frame(self, data: str | bytes) -> bytes:
        """A frame that holds `data`, whatever it is."""
        return self.framing.frame(data.encode() if isinstance(data, str) else data)

    @property
    def content_type(self) -> dict[str, str]:
        """The header of a stream."""
        return {"content-type": self.framing.content_type}

    def error_body(self, type: str, message: str, **more: Any) -> dict[str, Any]:
        """The JSON body of an HTTP error."""
        return self.format.samples.refusal({"type": type, "message": message, **more})

    def document(self) -> dict[str, Any]:
        """The whole answer as the one JSON document that the API gives to those who don't stream."""
        return self.format.samples.document(ANSWER)

    def _encode(self, *items: ScriptItem) -> list[bytes]:
        feed = self.format.make_encoder().feed
        events = script_events(items, id="msg-1", model="m-1", format=self.format.name)
        return [data for event in events if (data := feed(event))]

    # --- HTTP ----------------------------------------------------------------------------------------------

    async def head(
        self,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        *,
        chunked: bool = True,
        version: str = "1.1",
    ) -> None:
        """The status line and headers. `content-type` is that of the format's stream unless `headers` say otherwise."""
        fields = {**self.content_type, **(headers or {})}
        if chunked:
            fields["transfer-encoding"] = "chunked"
        self._chunked = chunked
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        await self.raw(f"HTTP/{version} {status} X\r\n{lines}\r\n".encode())

    async def raw(self, data: bytes) -> None:
        """These bytes, as they are."""
        self._writer.write(data)
        await self._writer.drain()

    async def send(self, data: bytes) -> None:
        """A piece of the body: as an HTTP chunk of its own, if the head announced chunks."""
        if data:
            await self.raw(b"%x\r\n%s\r\n" % (len(data), data) if self._chunked else data)

    async def end(self) -> None:
        """The end of a body in chunks."""
        await self.raw(b"0\r\n\r\n")

    async def whole(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        """An answer of known length. `body` is bytes or JSON."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        fields = {
            "content-type": "application/json",
            "content-length": str(len(data)),
            **(headers or {}),
        }
        await self.head(status, fields, chunked=False)
        await self.raw(data)

    async def stream(self, *pieces: bytes, headers: Mapping[str, str] | None = None) -> None:
        """A proper 200, each piece in a chunk of its own, properly ended. By default all frames of the answer."""
        await self.head(headers=headers)
        for piece in pieces or self.frames:
            await self.send(piece)
        await self.end()

    # --- time, and the connection's end --------------------------------------------------------------------

    async def pause(self, seconds: float = 0.05) -> None:
        """Send nothing for a while: by default long enough for the client to have read what was sent."""
        await asyncio.sleep(seconds)

    async def hang(self) -> None:
        """Send nothing more, and wait until the client leaves."""
        async with asyncio.timeout(PATIENCE):
            while await self._reader.read(65536):
                pass
        raise CutError

    async def received(self) -> None:
        """Wait for the next bytes from the client."""
        if not await self._reader.read(65536):
            raise CutError

    def half_close(self) -> None:
        """Say that nothing more will come (FIN), but go on listening."""
        self._writer.write_eof()

    async def fin(self) -> None:
        """Close the connection properly (TLS with its close_notify)."""
        raise CutError

    async def cut(self) -> None:
        """End the TCP connection properly (FIN), but without TLS's close_notify."""
        with suppress(OSError), self._socket() as connection:
            connection.shutdown(socket.SHUT_RDWR)
        raise CutError

    async def reset(self) -> None:
        """End the TCP connection with RST. Waits first, because RST overtakes what the client has not read yet."""
        await self.pause()
        with suppress(OSError), self._socket() as connection:
            linger = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._writer.transport.abort()
        raise CutError

    def _socket(self) -> socket.socket:
        """A duplicate: the loop's own socket object refuses to be shut down on some loops."""
        return socket.socket(fileno=os.dup(self._writer.get_extra_info("socket").fileno()))
