"""One client per running event loop, because connections belong to the loop that made them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable
from typing import Any

from llmstream.checks import require
from llmstream.errors import ConfigurationError
from llmstream.providers.watchdog import Watchdog

_left: list[LoopClient] = []
"""Clients of a parent process. Closing one would end connections that the parent still uses."""
_FORKED = (
    "this event loop was begun before the process was forked, and shares its sockets with the parent: "
    "use a loop of its own in each process, such as asyncio.run(…)"
)


class LoopClients:
    """The clients of one channel, each with connections of its own and a `close()`. `owned`: ours to close.

    The first is made before any loop runs and taken over by the first that does; the others when they are wanted.
    """

    def __init__(self, first: Any, *, owned: bool) -> None:
        self._first = first
        self._owned = owned
        self._clients: dict[asyncio.AbstractEventLoop, LoopClient] = {}
        self._process = os.getpid()
        self._parents: set[asyncio.AbstractEventLoop] = set()  # loops that this process can't use

    def here(self, make: Callable[[], Any]) -> LoopClient:
        """The running loop's. RuntimeError if none runs, ConfigurationError for a loop of a parent process."""
        loop = asyncio.get_running_loop()
        self._leave_parent()
        require(loop not in self._parents, _FORKED, ConfigurationError)
        if loop not in self._clients:
            for old in [known for known in self._clients if known.is_closed()]:
                del self._clients[old]
            client, self._first = self._first or make(), None
            self._clients[loop] = LoopClient(client, owned=self._owned)
        return self._clients[loop]

    def current(self, make: Callable[[], Any]) -> Any:
        """The running loop's client, or the one that waits for a loop."""
        try:
            return self.here(make).client
        except RuntimeError:
            self._first = self._first or make()
            return self._first

    async def aclose(self) -> None:
        """Close those of the running loop."""
        self._leave_parent()
        if self._first is not None and self._owned:
            await self._first.close()
        self._first = None
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose()

    def _leave_parent(self) -> None:
        """In a forked child: two processes on one connection would read each other's answers."""
        if self._process == os.getpid():
            return
        self._process = os.getpid()
        self._parents.update(self._clients)
        _left.extend(self._clients.values())
        self._clients.clear()


class LoopClient:
    """A client that ends with its loop.

    `asyncio.run` closes suspended async generators before it closes the loop, so a module-level `LLMClient` leaves no
    socket behind although nobody closes it. Nor does one that is dropped: the loop closes a dropped generator.
    """

    def __init__(self, client: Any, *, owned: bool) -> None:
        self.client = client
        self.open: set[Watchdog] = set()
        """Of the streams that run."""
        self._guardian = _guard(client) if owned else None
        self._started = False

    async def start(self) -> None:
        """Let the running loop know that there is something to close."""
        if not self._started:
            self._started = True
            if self._guardian is not None:
                await anext(self._guardian)

    async def aclose(self) -> None:
        """End the streams that run; close the connections, if they are ours."""
        for watchdog in [*self.open]:
            watchdog.close()
        if self._guardian is not None:
            await self.start()
            await self._guardian.aclose()


async def _guard(client: Any) -> AsyncGenerator[None, None]:
    """Not a method: it must not keep alive what drops it."""
    try:
        yield
    finally:
        await client.close()
