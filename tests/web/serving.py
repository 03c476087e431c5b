"""A real server on the loopback interface, and clients that read raw bytes."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import ClassVar

import pytest_asyncio
import uvicorn
import uvicorn.server
from starlette.applications import Starlette
from starlette.routing import Route

from llmstream.events.types import StreamEvent
from llmstream.wire.framing.sse import SSEFramer

TICK = 0.005
"""Seconds after which a server of this process looks whether it is to stop. uvicorn's own 0.1 add up to minutes."""


async def _sleep(seconds: float) -> None:
    await asyncio.sleep(min(seconds, TICK))


# It sleeps between its ticks and nowhere else.
uvicorn.server.asyncio = SimpleNamespace(**{**vars(asyncio), "sleep": _sleep})


@asynccontextmanager
async def serving(app, **options) -> AsyncIterator[int]:
    """The port of a server for `app`, which is over with the block."""
    listener = socket.socket(proto=socket.IPPROTO_TCP)  # so asyncio sets TCP_NODELAY
    listener.bind(("127.0.0.1", 0))
    settings = {
        "log_level": "critical",
        "lifespan": "off",
        "timeout_graceful_shutdown": 1,
        "access_log": False,
    }
    server = uvicorn.Server(uvicorn.Config(app, **{**settings, **options}))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started and not task.done():
        await asyncio.sleep(0.001)
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await task


def app_of(endpoint, *methods: str) -> Starlette:
    """An application with this one endpoint."""
    return Starlette(routes=[Route("/", endpoint, methods=list(methods) or ["GET", "POST"])])


class Client:
    """One HTTP/1.1 request over a raw socket."""

    opened: ClassVar[list[Client]] = []

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.status = 0
        self.headers: dict[str, str] = {}
        self.opened.append(self)

    @classmethod
    async def ask(
        cls, port: int, path: str = "/", method: str = "GET", body: bytes = b"", **headers: str
    ) -> Client:
        client = cls(*await asyncio.open_connection("127.0.0.1", port))
        named = {"host": f"127.0.0.1:{port}", "connection": "close", **headers}
        if body:
            named["content-length"] = str(len(body))
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in named.items())
        client.writer.write(f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body)
        return client

    async def head(self) -> int:
        raw = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = raw.strip().split("\r\n")
        self.status = int(first.split()[1])
        self.headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in lines)
        }
        return self.status

    async def chunk(self) -> bytes:
        """The next HTTP chunk; empty at the end. Raises IncompleteReadError where the connection was cut."""
        size = int((await self.reader.readuntil(b"\r\n")).strip(), 16)
        return (await self.reader.readexactly(size + 2))[:-2]

    async def body(self) -> bytes:
        if self.status == 204:
            return await self.reader.read()
        if "content-length" in self.headers:
            return await self.reader.readexactly(int(self.headers["content-length"]))
        chunks = []
        while data := await self.chunk():
            chunks.append(data)
        return b"".join(chunks)

    def leave(self) -> None:
        self.writer.transport.abort()


@pytest_asyncio.fixture(autouse=True)
async def clients_leave() -> AsyncIterator[None]:
    """After each test of a package whose conftest imports it, no client's socket is open."""
    yield
    while Client.opened:
        Client.opened.pop().leave()


async def fetch(port: int, path: str = "/", method: str = "GET", body: bytes = b"", **headers: str):
    """Status, headers and body."""
    client = await Client.ask(port, path, method, body, **headers)
    try:
        await client.head()
        return client.status, client.headers, await client.body()
    finally:
        client.leave()


def frames(data: bytes):
    """What a spec-following parser makes of server-sent events."""
    parser = SSEFramer()
    return [*parser.feed(data), *parser.finish()]


def events_of(data: bytes) -> list[StreamEvent]:
    """The events in server-sent events."""
    return [StreamEvent.from_dict(json.loads(frame.data)) for frame in frames(data)]
