"""FaultServer: an LLM's API on the loopback interface that fails as told."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import time
from collections.abc import Sequence
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from types import TracebackType
from typing import Self

from llmstream.checks import require
from llmstream.testing.certificates import ca_file, certificates, server_context
from llmstream.testing.faults import FAULTS, Fault
from llmstream.testing.faults.catalogue import Play
from llmstream.testing.reply import CutError, Received, Reply
from llmstream.wire.formats import FORMATS, format_at, format_of

GOODBYE = 0.2
"""Seconds that a client is given to take what was written last, and to answer TLS's goodbye."""


class FaultServer:
    """Speaks every wire format, and goes wrong in the ways you name.

        async with FaultServer("status-529", "stall") as server:
            client = LLMClient("anthropic:any", api_key="any", base_url=server.url("anthropic"))

    Each argument is played for one request: the name of a fault (`FAULTS` has them all, `describe(name)` says what one
    does), `"ok"` for a proper answer, or a coroutine function of your own that takes a `Reply`. The last is played ever
    after. The API is recognised by the request's path, so one server serves all. The answer is `ANSWER`.

    `tls=True` serves https, and so do faults that need it; `ca_file` is then the certificate to trust, for instance
    through the environment's SSL_CERT_FILE. It is made by the `openssl` program; RuntimeError if there is none.
    Raises ValueError for a fault that does not exist, before anything is opened.
    """

    def __init__(self, *faults: str | Play, tls: bool = False) -> None:
        self._plays = _named(faults or ("ok",))
        self._turn = 0
        self._tls = tls or any(fault.certificate is not None for fault in self._plays)
        self._listener: socket.socket | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self.requests: list[Received] = []
        """The requests, in order."""
        self.connections = 0
        """How many were accepted."""
        self.open = 0
        """How many of them are."""
        self.playing = 0
        """How many answers are under way; one that hangs ends when its client leaves."""
        self.played = 0
        """How many faults were begun."""

    async def __aenter__(self) -> Self:
        if self._tls:
            await asyncio.to_thread(certificates)
        # Where the protocol is named, asyncio sets TCP_NODELAY: each piece is sent at once.
        listener = self._listener = socket.socket(proto=socket.IPPROTO_TCP)
        listener.setblocking(False)
        listener.bind(("127.0.0.1", 0))
        self.port: int = listener.getsockname()[1]
        if self._plays[0].stage != "listen":
            listener.listen(1024)
            self._start(self._accept(listener))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        try:
            await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            if self._listener is not None:
                self._listener.close()

    def url(self, api: str) -> str:
        """The base URL for the provider `api`, such as "openai" or "anthropic"; other names: ValueError."""
        providers = [row.provider for row in FORMATS.values()]
        require(api in providers, f"api must be one of {', '.join(providers)}, not {api!r}")
        scheme = "https" if self._tls else "http"
        return f"{scheme}://127.0.0.1:{self.port}{format_of(api).base_path}"

    def play(self, *faults: str | Play) -> None:
        """From the next request on play these, as if they had been given at first; what is under way goes on.

        ValueError for a fault that is not in the catalogue, needs TLS that this server lacks, or means not to listen.
        """
        plays = _named(faults)
        may_come_later = (
            fault.stage != "listen" and (fault.certificate is None or self._tls) for fault in plays
        )
        require(all(may_come_later), "that fault must be named when the server is made")
        self._plays, self._turn = plays, 0

    @property
    def ca_file(self) -> Path:
        """The certificates to trust, as a PEM file; the same for all servers of a process."""
        return ca_file(certificates())

    async def left(self, limit: float = 5.0) -> float:
        """Seconds until the client has closed its last connection. TimeoutError if it keeps one that long."""
        began = time.monotonic()
        async with asyncio.timeout(limit):
            while self.open:
                self._changed.clear()
                await self._changed.wait()
        return time.monotonic() - began

    async def idle(self, limit: float = 5.0) -> float:
        """Seconds until no answer is under way: each came to its end, or its client left. TimeoutError."""
        began = time.monotonic()
        async with asyncio.timeout(limit):
            while self.playing:
                self._changed.clear()
                await self._changed.wait()
        return time.monotonic() - began

    async def busy(self, limit: float = 5.0) -> float:
        """Seconds until an answer is under way, so that its client can be cancelled. TimeoutError if none is."""
        began = time.monotonic()
        async with asyncio.timeout(limit):
            while not self.playing:
                self._changed.clear()
                await self._changed.wait()
        return time.monotonic() - began

    # --- inside --------------------------------------------------------------------------------------------

    def _start(self, work: object) -> None:
        task: asyncio.Task[None] = asyncio.ensure_future(work)  # type: ignore[call-overload]  # coroutines only
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _next(self) -> Fault:
        return self._plays[min(self._turn, len(self._plays) - 1)]

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            connection, _ = await loop.sock_accept(listener)
            self.connections += 1
            self.open += 1
            self._start(self._serve(connection, self.connections))

    async def _serve(self, connection: socket.socket, number: int) -> None:
        writer: asyncio.StreamWriter | None = None
        try:
            early = self._next().stage == "connect"
            reader, writer = await self._streams(connection, None if early else self._context())
            if early:
                await self._play(Reply(reader, writer, None))
                return
            while True:
                request = await _read(reader, number)
                self.requests.append(request)
                await self._play(Reply(reader, writer, request))
        except (
            asyncio.IncompleteReadError,
            asyncio.LimitOverrunError,
            OSError,
            TimeoutError,
            CutError,
        ):
            pass  # the client left, or the fault is over
        except RuntimeError as problem:
            if "handler is closed" not in str(problem):  # uvloop's word for the same
                raise
        finally:
            if writer is None:
                connection.close()
            else:
                await _close(writer)
            self.open -= 1
            self._changed.set()

    async def _streams(
        self, connection: socket.socket, context: ssl.SSLContext | None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=2**20)
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await loop.connect_accepted_socket(lambda: protocol, connection, ssl=context)
        return reader, asyncio.StreamWriter(transport, protocol, reader, loop)

    def _context(self) -> ssl.SSLContext | None:
        return server_context(self._next().certificate or "trusted") if self._tls else None

    async def _play(self, reply: Reply) -> None:
        fault = self._next()
        self._turn += 1
        self.played += 1
        self.playing += 1
        self._changed.set()
        try:
            await fault.play(reply)
        finally:
            self.playing -= 1
            self._changed.set()


def _named(faults: Sequence[str | Play]) -> list[Fault]:
    plays = []
    for fault in faults:
        if callable(fault):
            plays.append(Fault(getattr(fault, "__name__", "own"), "own", "", fault, ()))
            continue
        require(fault in FAULTS, _unknown(fault))
        require(
            FAULTS[fault].stage != "listen" or len(faults) == 1,
            f"{fault!r} can't stand beside another fault: a server listens or it does not",
        )
        plays.append(FAULTS[fault])
    return plays


def _unknown(name: str) -> str:
    """What is wrong with a fault's name, and what may be meant: those that begin with it, or look like it."""
    first = name.partition("-")[0]
    near = get_close_matches(name, FAULTS) + [each for each in FAULTS if each.startswith(first)]
    meant = f": do you mean {' or '.join(near[:3])}?" if near else ""
    return f"there is no fault {name!r}{meant}; llmstream.testing.FAULTS lists them"


async def _close(writer: asyncio.StreamWriter) -> None:
    """Close properly if the client takes part in it, and anyway."""
    writer.close()
    try:
        async with asyncio.timeout(GOODBYE):
            await writer.wait_closed()
    except (OSError, TimeoutError):
        pass  # it does not read any more, or is gone
    finally:
        writer.transport.abort()


async def _read(reader: asyncio.StreamReader, connection: int) -> Received:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.split("\r\n")
    headers = {
        name.lower(): value.strip()
        for name, _, value in (line.partition(":") for line in lines if line)
    }
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    path = first.split()[1]
    with suppress(KeyError):
        format_at(path)
        return Received(path, headers, json.loads(body) if body else None, connection)
    raise CutError
