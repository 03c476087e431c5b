"""uvicorn, set up for streams that last and for strangers: what `llmstream serve` runs.

`HTTP` is uvicorn's HTTP/1.1 protocol with `llmstream.web.connections.Bounds`, over httptools where it is installed and
over h11 else: `uvicorn --http llmstream.web.server:HTTP app:app`. HTTP/2 has no such bounds, and uvicorn refuses
`--http2` together with it.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import warnings
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, nullcontext, suppress
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from llmstream.checks import require
from llmstream.web.connections import Bounds

__all__ = ["GRACE", "HTTP", "Bounds", "listen", "make_server", "running", "with_bounds"]

GRACE = 10.0
"""Seconds that open streams have to end when the server is told to stop; then their clients are told."""

_PROTOCOLS = {"h11": "BoundedH11", "httptools": "BoundedHttptools"}


def _bounded_protocol() -> Any:
    """The class `HTTP`, or uvicorn's own where the insides that it stands on have changed."""
    parser = "httptools" if find_spec("httptools") else "h11"
    try:
        module = import_module(f"llmstream.web.protocol_{parser}")
        absent = module.MISSING
        if not absent:
            return getattr(module, _PROTOCOLS[parser])
    except (ImportError, AttributeError) as problem:
        absent = [str(problem)]
    text = (
        f"uvicorn {uvicorn.__version__} has changed inside ({', '.join(absent)}), so requests' heads, connections and "
        "refused bodies have no bounds. Update llmstream-core, or serve behind a proxy that has them."
    )
    warnings.warn(text, RuntimeWarning, stacklevel=2)
    return AutoHTTPProtocol


HTTP = _bounded_protocol()
"""A protocol class for uvicorn's `http`, with the default bounds. Subclass it and set `bounds` for others."""


def with_bounds(bounds: Bounds) -> type[asyncio.Protocol]:
    """HTTP with these bounds."""
    return type("HTTP", (HTTP,), {"bounds": bounds})


def _is_no_cancellation(record: logging.LogRecord) -> bool:
    """A filter: what is stopped with the server is no mistake, and its client is told."""
    return record.exc_info is None or not isinstance(record.exc_info[1], asyncio.CancelledError)


def make_server(
    app: ASGIApp, *, max_message: int, grace: float = GRACE, http: type[asyncio.Protocol] = HTTP
) -> uvicorn.Server:
    """A server for `app`, to be run with the sockets to listen on. `max_message` is in bytes, for WebSockets.

    `http` is `HTTP`, or a class of it with other `bounds`.
    """
    bounds: Bounds = getattr(http, "bounds", Bounds())
    config = uvicorn.Config(
        app,
        http=http,
        # asyncio accepts as many at once before it lets us close any: more would run out of files.
        backlog=max(16, min(2_048, bounds.most_connections // 4)),
        log_config=None,
        access_log=False,  # it would show the tokens in URLs
        server_header=False,
        ws_max_size=max_message,
        timeout_graceful_shutdown=grace,  # type: ignore[arg-type]  # it goes to asyncio.wait_for
        lifespan="on",
    )
    logging.getLogger("uvicorn.error").addFilter(_is_no_cancellation)
    return uvicorn.Server(config)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there, whose connections send each piece at once. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.create_server((host, port), family=family, backlog=2048)
    # asyncio sets TCP_NODELAY only where the protocol is named. Without it a piece waits up to 40 ms
    # for the client to acknowledge the one before.
    return socket.socket(family, made.type, socket.IPPROTO_TCP, fileno=made.detach())


@asynccontextmanager
async def running(
    app: ASGIApp, *, host: str = "127.0.0.1", port: int = 0
) -> AsyncGenerator[str, None]:
    """Serve `app` while the block runs, beside the program's own work; gives its URL. `port` 0: any that is free.

    Streams that are open at the end have a second to finish. Raises RuntimeError where the app can't start.
    """
    with listen(host, port) as listener:
        server = make_server(app, max_message=2**20, grace=1.0)
        server.capture_signals = nullcontext  # type: ignore[method-assign,assignment]  # they are the program's own
        task = asyncio.create_task(_serve(server, listener))
        while not server.started and not task.done():  # noqa: ASYNC110  # uvicorn has no event for it
            await asyncio.sleep(0.005)
        problem = "the app could not start; the log of uvicorn.error says why"
        require(server.started, problem, RuntimeError)
        try:
            yield f"http://{host}:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task


async def _serve(server: uvicorn.Server, listener: socket.socket) -> None:
    # uvicorn exits when an app can't start; that must not end the program.
    with suppress(SystemExit):
        await server.serve(sockets=[listener])
