"""uvicorn, set up for streams that last: what `llmstream serve` runs."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, nullcontext, suppress
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from llmstream.web.access import REFUSED
from llmstream.web.encode import AbortedError

GRACE = 10.0
"""Seconds that open streams have to end when the server is told to stop; then their clients are told."""
_HTTP: Any = AutoHTTPProtocol


class _CuttingProtocol(_HTTP):  # type: ignore[misc]  # which of two it is depends on what is installed
    """Lets `llmstream.web.responses.cut` drop a connection, since uvicorn's own close waits for the client to read."""

    app_state: dict[str, Any]

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Pass the connection's abort on to the app."""
        self.app_state = {**self.app_state, "llmstream.abort": transport.abort}
        super().connection_made(transport)


class _Expected(logging.Filter):
    """Drops what is no mistake, and of which `llmstream.web` says a line where there is anything to say.

    The tracebacks of what was cut on purpose or stopped with the server, and the error that uvicorn's WebSockets
    (0.54) make of every refusal that is an HTTP answer.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to log it."""
        if record.exc_info is None:
            return not (REFUSED.get() and "without completing handshake" in record.getMessage())
        return not isinstance(record.exc_info[1], AbortedError | asyncio.CancelledError)


def make_server(app: ASGIApp, *, max_message: int, grace: float = GRACE) -> uvicorn.Server:
    """A server for `app`, to be run with the sockets to listen on. `max_message` is in bytes, for WebSockets."""
    config = uvicorn.Config(
        app,
        http=_CuttingProtocol,
        log_config=None,
        access_log=False,  # it would show the tokens in URLs
        server_header=False,
        ws_max_size=max_message,
        timeout_graceful_shutdown=grace,  # type: ignore[arg-type]  # it goes to asyncio.wait_for
        lifespan="on",
    )
    expected = _Expected()
    logger = logging.getLogger("uvicorn.error")
    if not any(isinstance(each, _Expected) for each in logger.filters):
        logger.addFilter(expected)
    return uvicorn.Server(config)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=2048)


@asynccontextmanager
async def running(app: ASGIApp, *, host: str = "127.0.0.1", port: int = 0) -> AsyncGenerator[str, None]:
    """Serve `app` while the block runs, beside the program's own work; gives its URL. `port` 0: any that is free.

    Streams that are open at the end have a second to finish. Raises RuntimeError where the app can't start.
    """
    with listen(host, port) as listener:
        server = make_server(app, max_message=2**20, grace=1.0)
        server.capture_signals = nullcontext  # type: ignore[method-assign,assignment]  # they are the program's own
        task = asyncio.create_task(_serve(server, listener))
        while not server.started and not task.done():  # noqa: ASYNC110  # uvicorn has no event for it
            await asyncio.sleep(0.005)
        if not server.started:
            raise RuntimeError("the app could not start; the log of uvicorn.error says why")
        try:
            yield f"http://{host}:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task


async def _serve(server: uvicorn.Server, listener: socket.socket) -> None:
    with suppress(SystemExit):  # uvicorn's word for an app that can't start, which would end the program
        await server.serve(sockets=[listener])
