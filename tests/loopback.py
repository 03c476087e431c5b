"""A loopback HTTP server that answers exactly as told, and remembers what it saw.

One handler per request: `async def handler(request, reply)`. `reply` writes raw bytes, so any fault can be played.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Self

from llmstream.errors import ErrorInfo
from llmstream.events.types import error
from llmstream.messages import Usage
from llmstream.providers.simulator_script import ScriptItem, script_events
from llmstream.wire import encoder
from llmstream.wire.formats import FORMATS
from tests.patience import PATIENCE

APIS = {row.provider: row.name for row in FORMATS.values()}
"""Provider names and the wire formats they speak."""
BY_SDK = [name for name in APIS if name.startswith(("openai", "anthropic"))]
"""The providers that a client of the vendor's SDK can serve, too."""


@dataclass
class Request:
    """What the client sent."""

    path: str
    headers: dict[str, str]
    body: Any
    connection: int


@dataclass
class Reply:
    """How to answer."""

    writer: asyncio.StreamWriter
    reader: asyncio.StreamReader
    chunked: bool = False
    left_after: float | None = None

    async def head(self, status: int = 200, *, chunked: bool = True, **headers: str) -> None:
        fields = {
            "content-type": "text/event-stream",
            **{k.replace("_", "-"): v for k, v in headers.items()},
        }
        if chunked:
            fields["transfer-encoding"] = "chunked"
        self.chunked = chunked
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        await self.raw(f"HTTP/1.1 {status} X\r\n{lines}\r\n".encode())

    async def raw(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def send(self, data: bytes) -> None:
        await self.raw(b"%x\r\n%s\r\n" % (len(data), data) if self.chunked else data)

    async def end(self) -> None:
        await self.raw(b"0\r\n\r\n")

    async def whole(self, status: int, body: Any, **headers: str) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"content_type": "application/json", **headers}
        await self.head(status, chunked=False, content_length=str(len(data)), **headers)
        await self.raw(data)

    async def client_left(self, limit: float = PATIENCE) -> float:
        """Seconds until the client closes the connection."""
        began = time.monotonic()
        while await asyncio.wait_for(self.reader.read(1024), limit):
            pass
        return time.monotonic() - began


Handler = Callable[[Request, Reply], Awaitable[None]]


@dataclass
class Loopback:
    """`async with Loopback(handler) as server`; several handlers answer the requests in turn, the last ever after."""

    handlers: tuple[Handler, ...]
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    open: int = 0

    def __init__(self, *handlers: Handler) -> None:
        self.handlers = handlers
        self.requests = []
        self.connections = self.open = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def url(self, provider: str) -> str:
        """The base URL as this provider wants it; a compatible vendor's as OpenAI does."""
        row = FORMATS[APIS.get(provider, "openai-chat")]
        return f"http://127.0.0.1:{self.port}{row.base_path}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        self.open += 1
        connection = self.connections
        try:
            while True:
                request = await _read(reader, connection)
                self.requests.append(request)
                handler = self.handlers[min(len(self.requests), len(self.handlers)) - 1]
                await handler(request, Reply(writer, reader))
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError, CutError):
            pass
        finally:
            self.open -= 1
            self._tasks.discard(task)
            writer.close()


class CutError(Exception):
    """Raised by a handler: close the connection here."""


async def _read(reader: asyncio.StreamReader, connection: int) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *lines = head.split("\r\n")
    headers = {
        name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)
    }
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Request(first.split()[1], headers, _parsed(body), connection)


def _parsed(body: bytes) -> Any:
    """A body as JSON; a form as its text."""
    try:
        return json.loads(body) if body else None
    except ValueError:
        return body.decode()


def pieces(format: str, *items: ScriptItem) -> list[bytes]:
    """The wire bytes of an answer, one piece per event."""
    feed = encoder(format).feed
    return [
        data
        for event in script_events(items, id="msg-1", model="m-1", format=format)
        if (data := feed(event))
    ]


def answer(format: str, *items: ScriptItem) -> Handler:
    """A proper answer, each event in its own chunk."""
    items = items or ("Hello, world!", Usage(input_tokens=7, output_tokens=3))

    async def handler(request: Request, reply: Reply) -> None:
        await reply.head()
        for data in pieces(format, *items):
            await reply.send(data)
        await reply.end()

    return handler


def refuse(status: int, body: Any, **headers: str) -> Handler:
    """An HTTP error."""

    async def handler(request: Request, reply: Reply) -> None:
        await reply.whole(status, body, **headers)

    return handler


def cut(format: str, after: int, *items: ScriptItem) -> Handler:
    """The first `after` pieces of an answer, then the connection is cut inside the chunked body."""
    items = items or ("one two three four five",)

    async def handler(request: Request, reply: Reply) -> None:
        await reply.head()
        for data in pieces(format, *items)[:after]:
            await reply.send(data)
        raise CutError

    return handler


def error_frame(format: str, info: ErrorInfo) -> Handler:
    """HTTP 200, then an error inside the stream before any piece."""

    async def handler(request: Request, reply: Reply) -> None:
        await reply.head()
        await reply.send(encoder(format).feed(error(info)))
        await reply.end()

    return handler
