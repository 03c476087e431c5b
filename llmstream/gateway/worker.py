"""One of several processes that accept connections from the same socket."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import Final

from llmstream.gateway.process import ServerProcess, relieve_collector, report_unused
from llmstream.gateway.readiness import BEAT, Readiness
from llmstream.gateway.server_store import ServerStore
from llmstream.gateway.settings import ServerSettings, SettingsSource
from llmstream.web.acceptor import Acceptor

STARTED: Final = b"s"
"""A worker's message once it answers."""
LOADED: Final = b"l"
"""A worker's message once it uses a new text of the file, or couldn't."""


@dataclass(frozen=True, slots=True)
class WorkerPlace:
    """Which worker this is, of how many, and what ties it to the supervisor."""

    index: int
    count: int
    control: socket.socket
    """Texts of the configuration file come from it, each behind its length. Its end is the end of the supervisor."""
    readiness: Readiness


class WorkerProcess(ServerProcess):
    """Has its share of the limits. Ends in order on SIGTERM, and when its supervisor is gone."""

    def __init__(
        self, source: SettingsSource, text: str, store: ServerStore, place: WorkerPlace
    ) -> None:
        self._place = place
        super().__init__(source, text, store, place.readiness.missing)

    def run(self, listener: socket.socket, announce: Callable[[], None]) -> int:
        """Serve until SIGTERM. Ctrl-C and a hang-up go to all processes of a terminal; the supervisor hears them."""
        for name in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
            signal.signal(name, signal.SIG_IGN)
        self.server.capture_signals = nullcontext  # type: ignore[method-assign,assignment]  # ours are set below
        announce()
        self._acceptor = Acceptor(self.server, listener)
        relieve_collector()
        with suppress(SystemExit):  # uvicorn exits when an app can't start
            self.server.run(sockets=[])
        return 0 if self.server.started else 1

    def stop(self) -> None:
        """Take no more connections, and end once the streams have."""
        self._place.readiness.clear(self._place.index)
        self._acceptor.stop()
        self.server.should_exit = True

    def _settings(self, text: str) -> ServerSettings:
        return super()._settings(text).share(self._place.index, self._place.count)

    @asynccontextmanager
    async def _lifespan(self) -> AsyncGenerator[None, None]:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.stop)
        reader, writer = await asyncio.open_connection(sock=self._place.control)
        tasks = [asyncio.create_task(self._obey(reader, writer)), asyncio.create_task(self._live())]
        self._acceptor.start()
        writer.write(STARTED)
        try:
            yield
        finally:
            self._acceptor.stop()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            writer.close()
            self.close_audit()

    async def _obey(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take up each text that the supervisor sends, until it is gone."""
        try:
            while True:
                size = int.from_bytes(await reader.readexactly(4), "big")
                text = (await reader.readexactly(size)).decode()
                problem = await self.reload(text)
                if problem is not None:
                    report_unused(self._source.file, problem)
                writer.write(LOADED)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the supervisor is gone
        finally:
            self.stop()

    async def _live(self) -> None:
        while not self.server.should_exit:
            self._place.readiness.beat(self._place.index)
            await asyncio.sleep(BEAT)


def pack_text(text: str) -> bytes:
    """A text as it is sent to a worker."""
    data = text.encode()
    return len(data).to_bytes(4, "big") + data
