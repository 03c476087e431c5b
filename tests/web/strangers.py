"""Clients that say what they like over a raw socket, and servers over each of uvicorn's parsers."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from llmstream.web import protocol_h11, protocol_httptools
from llmstream.web.connections import Bounds
from llmstream.web.protocol import _connections
from tests.patience import PATIENCE

PARSERS = {"h11": protocol_h11.BoundedH11, "httptools": protocol_httptools.BoundedHttptools}
BACKLOG = 16_000_000
"""Bytes that the kernel's own buffers hold at most on the loopback interface, several times over."""

over_both = pytest.mark.parametrize("parser", PARSERS)
over_both_in_turn = pytest.mark.parametrize(
    "parser", ["httptools", pytest.param("h11", marks=pytest.mark.slow)]
)
"""For what takes seconds: the parser that the server takes by itself is tried at once, the other one in `slow`."""


def http(parser: str, **bounds: Any) -> type:
    """The protocol class over a parser, with these bounds."""
    return type("HTTP", (PARSERS[parser],), {"bounds": Bounds(**bounds)})


class Stranger:
    """One connection. What it may read is read at once, as by a client that listens while it sends."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self._reader = reader
        self.heard = bytearray()
        self._news = asyncio.Event()
        self._closed = False
        self._listening = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        with suppress(OSError):
            while data := await self._reader.read(1 << 16):
                self.heard += data
                self._news.set()
        self._closed = True
        self._news.set()

    async def closed(self, seconds: float = PATIENCE) -> bytes:
        """All that it heard, when the server has closed its half."""
        async with asyncio.timeout(seconds):
            while not self._closed:
                await self._next()
        return bytes(self.heard)

    async def hears(self, text: bytes, seconds: float = PATIENCE) -> bytes:
        """Wait for it; gives what was heard up to there, and forgets that."""
        async with asyncio.timeout(seconds):
            while text not in self.heard:
                assert not self._closed, bytes(self.heard)
                await self._next()
        end = self.heard.index(text) + len(text)
        heard = bytes(self.heard[:end])
        del self.heard[:end]
        return heard

    async def _next(self) -> None:
        self._news.clear()
        await self._news.wait()

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def flood(self, piece: bytes, most: int = 4 * BACKLOG) -> int:
        """Send this without end, until the connection breaks or so many bytes were taken; gives how many were."""
        sent = 0
        with suppress(OSError):
            while sent < most:
                self.writer.write(piece)
                await self.writer.drain()
                sent += len(piece)
        return sent

    async def leave(self) -> None:
        self.writer.transport.abort()
        await self._listening


@asynccontextmanager
async def stranger(port: int, host: str = "127.0.0.1", **options: Any) -> AsyncIterator[Stranger]:
    """`options` are those of asyncio.open_connection; `local_addr` says from where."""
    client = Stranger(*await asyncio.open_connection(host, port, **options))
    try:
        yield client
    finally:
        await client.leave()


def open_connections() -> int:
    """Those that servers of this process hold."""
    return sum(map(len, _connections.values()))


async def nothing_is_left() -> None:
    """Wait for all connections to be gone, and see that no timer outlives them."""
    async with asyncio.timeout(PATIENCE):
        while open_connections():
            await asyncio.sleep(0.01)
    timers = [timer for timer in asyncio.get_running_loop()._scheduled if not timer.cancelled()]
    owners = [getattr(timer._callback, "__self__", None) for timer in timers]
    assert not [owner for owner in owners if isinstance(owner, tuple(PARSERS.values()))]


@asynccontextmanager
async def program(
    parser: str, *, files: int | None = None, **bounds: Any
) -> AsyncIterator[tuple[int, int]]:
    """The app with a key, in a process of its own that may open so many files: its port and process id."""
    command = [sys.executable, __file__, parser, json.dumps(bounds), str(files or 0)]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    try:
        yield int(await process.stdout.readline()), process.pid
    finally:
        process.kill()
        await process.wait()


def peak_memory(pid: int) -> int:
    """Bytes, of a process on Linux."""
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def main() -> None:
    import resource

    from llmstream import LLMClient
    from llmstream.web import Access, create_app
    from llmstream.web.server import listen, make_server

    parser, bounds, files = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3])
    if files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    app = create_app(LLMClient("simulator"), access=Access(keys=["llmstream-canary-stranger"]))
    listener = listen("127.0.0.1", 0)
    print(listener.getsockname()[1], flush=True)
    make_server(app, max_message=1_000, http=http(parser, **bounds)).run(sockets=[listener])


if __name__ == "__main__":
    main()
