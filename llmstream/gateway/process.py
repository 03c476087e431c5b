"""One process that serves, until a signal ends it."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from types import FrameType

from llmstream.errors import ConfigurationError
from llmstream.gateway.app import Gateway, Ready
from llmstream.gateway.server_store import ServerStore
from llmstream.gateway.settings import ServerSettings, SettingsSource
from llmstream.log import describe, get_logger
from llmstream.web.server import make_server, with_bounds

logger = get_logger("llmstream.gateway")
_THRESHOLDS = (5_000, 3, 30)
"""When the collector runs: after so many new objects, of which one stream has some hundreds (Python's number is 700).

Those that stayed are looked at again after three such runs: for 12 ms of CPU time at most while 512 streams begin.
After Python's ten it would take 20 to 25 ms, in which no stream goes on. All objects are looked at no more often.
"""


class ServerProcess:
    """A gateway and its server. Raises ConfigurationError or ValueError for settings that can't be."""

    def __init__(
        self, source: SettingsSource, text: str, store: ServerStore, ready: Ready | None = None
    ) -> None:
        self._source = source
        settings = self._settings(text)
        self._audit = source.open_audit()
        observers = () if self._audit is None else (self._audit,)
        self.gateway = Gateway(settings, store, self._lifespan, ready, observers)
        http, most = with_bounds(settings.bounds), settings.limits.max_body
        self.server = make_server(self.gateway, max_message=most, http=http)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._hangups = 0
        self._reloading = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    def run(self, listener: socket.socket, announce: Callable[[], None]) -> int:
        """Serve until SIGINT or SIGTERM; gives the exit code. `announce` is called once signals are heard."""
        if hasattr(signal, "SIGHUP"):  # Windows has none
            if self._source.file is not None:
                signal.signal(signal.SIGHUP, self._hang_up)
            elif not is_ignored_hangup(signal.SIGHUP):
                signal.signal(signal.SIGHUP, self.server.handle_exit)
        announce()
        relieve_collector()
        # uvicorn raises the signal that ended it once more.
        with suppress(KeyboardInterrupt, SystemExit):
            self.server.run(sockets=[listener])
        return 0 if self.server.started else 1

    async def reload(self, text: str) -> str | None:
        """Go on with what this text of the file says. What is wrong with it, if anything is."""
        try:
            # Off the loop, since making many providers takes a while.
            settings = await asyncio.to_thread(self._settings, text)
            await self.gateway.replace(settings)
        except Exception as problem:  # noqa: BLE001  # nothing in a file ends a server
            return flaw_of(problem)
        self.server.config.ws_max_size = settings.limits.max_body
        self.server.config.http_protocol_class = with_bounds(settings.bounds)
        return None

    def _settings(self, text: str) -> ServerSettings:
        return self._source.settings(text)

    def _hang_up(self, number: int, _: FrameType | None) -> None:
        """The handler of SIGHUP, which may come before the loop runs."""
        self._hangups += 1
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._begin_reload)

    def _begin_reload(self) -> None:
        task = asyncio.create_task(self._reload_file())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _reload_file(self) -> None:
        path = self._source.file
        async with self._reloading:
            try:
                problem = await self.reload(self._source.read())
            except ConfigurationError as unreadable:
                problem = str(unreadable)
        if problem is None:
            logger.info("%s is in use: %s", path, self.gateway)
        else:
            report_unused(path, problem)

    @asynccontextmanager
    async def _lifespan(self) -> AsyncGenerator[None, None]:
        self._loop = asyncio.get_running_loop()
        if self._hangups:
            self._begin_reload()
        try:
            yield
        finally:
            self._loop = None
            self.close_audit()

    def close_audit(self) -> None:
        """The server is about to end."""
        if self._audit is not None:
            self._audit.close()


def is_ignored_hangup(number: int) -> bool:
    """Whether this signal is a hang-up, which the program was told to ignore, as `nohup` does."""
    return number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN


def relieve_collector() -> None:
    """Have the garbage collector look at what requests make, and at nothing that was there before.

    Modules and settings stay until the end; looking at them again and again holds up every stream.
    """
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)


def flaw_of(problem: Exception) -> str:
    """The flaw of settings, in words for people."""
    is_told = isinstance(problem, ConfigurationError | TypeError | ValueError)
    return str(problem) if is_told else describe(problem)


def report_unused(path: str | None, problem: str) -> None:
    """Log what is wrong with a file, in a line each."""
    for line in problem.splitlines():
        logger.error("%s", line)
    logger.error("%s is not used: the settings of before stay", path)
