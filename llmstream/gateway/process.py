"""One process that serves, until a signal ends it."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

from llmstream.conversations import Store
from llmstream.errors import ConfigurationError
from llmstream.gateway.app import Gateway
from llmstream.gateway.settings import ServerSettings, SettingsSource
from llmstream.log import get_logger
from llmstream.web.server import make_server

logger = get_logger("llmstream.gateway")


class ServerProcess:
    """A gateway and its server. What is wrong with the settings is raised when it is made: ConfigurationError."""

    def __init__(self, source: SettingsSource, text: str, store: Store) -> None:
        self._source = source
        settings = self._settings(text)
        self.gateway = Gateway(settings, store, self._lifespan)
        self._server = make_server(self.gateway, max_message=settings.limits.max_body)
        self._reloading = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    def run(self, listener: socket.socket) -> int:
        """Serve until SIGINT or SIGTERM; gives the exit code."""
        # uvicorn raises the signal that ended it once more.
        with suppress(KeyboardInterrupt, SystemExit):
            self._server.run(sockets=[listener])
        return 0 if self._server.started else 1

    def begin_reload(self) -> None:
        """Read the file again, and go on with what it says."""
        task = asyncio.create_task(self._reload())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _reload(self) -> None:
        path = self._source.path
        async with self._reloading:
            problem = await self._replace_settings()
        if problem is None:
            logger.info("%s is read: %r", path, self.gateway)
            return
        for line in problem.splitlines():
            logger.error("%s", line)
        logger.error("%s is not used: the settings of before stay", path)

    async def _replace_settings(self) -> str | None:
        """Go on with what the file says now. What is wrong with it, if anything is."""
        try:
            text = self._source.read()
            # Off the loop, since making many providers takes a while.
            settings = await asyncio.to_thread(self._settings, text)
            await self.gateway.replace(settings)
        except (ConfigurationError, TypeError, ValueError) as problem:
            return str(problem)
        self._server.config.ws_max_size = settings.limits.max_body
        return None

    def _settings(self, text: str) -> ServerSettings:
        return self._source.settings(text)

    @asynccontextmanager
    async def _lifespan(self) -> AsyncGenerator[None, None]:
        if self._source.path is not None and hasattr(signal, "SIGHUP"):
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGHUP, self.begin_reload)
        yield
