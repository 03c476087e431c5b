"""One process that serves, until a signal ends it."""

from __future__ import annotations

import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

from llmstream.conversations import Store
from llmstream.gateway.app import Gateway, Generation
from llmstream.web.server import make_server


def run(first: Generation, store: Store, listener: socket.socket) -> int:
    """Serve until SIGINT or SIGTERM; gives the exit code."""

    @asynccontextmanager
    async def lifespan() -> AsyncGenerator[None, None]:
        yield

    gateway = Gateway(first, store, lifespan)
    server = make_server(gateway, max_message=first.settings.limits.max_body)
    # uvicorn raises the signal that ended it once more.
    with suppress(KeyboardInterrupt, SystemExit):
        server.run(sockets=[listener])
    return 0 if server.started else 1
