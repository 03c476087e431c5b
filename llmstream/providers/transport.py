"""What a request goes over: httpx2, or aiohttp beneath the SDKs' own httpx2 client. All that differs is here.

The SDKs' aiohttp class is an httpx2 client whose connections are aiohttp's, so hooks, headers, redirects and errors are
the same on both. What is not: how connections are made, how one learns that a pooled one was used, and the way to the
bytes, which over aiohttp leads past httpx2 (a fraction of the cost per chunk).
"""

from __future__ import annotations

import functools
import importlib.util
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

from llmstream.errors import ConfigurationError
from llmstream.providers.config import TRANSPORTS, ProviderConfig

if TYPE_CHECKING:
    from llmstream.providers.gate import HostGate

VARIABLE = "LLMSTREAM_TRANSPORT"
KEEP_ALIVE = 5.0
"""Seconds that an idle connection stays in the pool; httpx2's own default."""
HEADER_SIZE = 100 * 1024
"""Bytes of one response header over aiohttp, whose own 8 KB are too few for some hosts; httpx2 takes as many in all."""
HEADERS = 256
"""Response headers, over aiohttp."""
READ_SIZE = 16 * 1024
"""Bytes of one read over aiohttp. All that has arrived, up to half a megabyte, costs more: too many events at once."""

Abort = Callable[[], None]


class HostRefusedError(OSError):
    """`allow_host` didn't allow an address: any that is allowed is tried instead."""


@dataclass(slots=True)
class Exchange:
    """One request, and what the transport tells about it on the way."""

    headers: Mapping[str, str]
    """The call's own; they stay out of the SDK's options, which it logs."""
    reused: bool | None = None
    """Whether its connection came from the pool; None: nobody told."""
    answer: Any = None
    """aiohttp's own response."""


exchanges: ContextVar[Exchange | None] = ContextVar("llmstream_exchange", default=None)
"""The request that the running task makes."""


def transport_name(config: ProviderConfig) -> str:
    """The one that is wanted. Raises ConfigurationError for an unknown name, or a package that is missing."""
    name, origin = config.transport, "transport"
    if name is None:
        name, origin = os.environ.get(VARIABLE) or TRANSPORTS[0], VARIABLE
    if name not in TRANSPORTS:
        raise ConfigurationError(f"{origin} must be one of {', '.join(TRANSPORTS)}, not {name!r}")
    if importlib.util.find_spec(name) is None:
        raise ConfigurationError(f"{origin}={name!r} needs a package: pip install 'llmstream-core[{name}]'")
    return name


def http_client(name: str, sdk: ModuleType, gate: HostGate | None, hooks: Mapping[str, list[Any]]) -> Any:
    """The SDK's own HTTP client class over the transport. With a gate, no proxy of the environment's is used."""
    import httpx2

    options: dict[str, Any] = {
        "verify": tls_context(),
        # The SDKs stop at 1,000 connections; a service decides itself how many streams it runs.
        "limits": httpx2.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=KEEP_ALIVE),
        "follow_redirects": False,
        "event_hooks": {**hooks, "request": [_begin, *hooks.get("request", ())]},
    }
    if name == "httpx2":
        if gate is not None:
            options["transport"] = gate.transport(options["verify"], options["limits"])
        return sdk.DefaultAsyncHttpxClient(**options)
    client = sdk.DefaultAioHttpClient(trust_env=gate is None, **options)
    for transport in (client._transport, *client._mounts.values()):  # noqa: SLF001  # no other way to its sessions
        if transport is not None:
            if not hasattr(transport, "client"):
                raise ConfigurationError(f"this version of {sdk.__name__} makes its aiohttp connections in another way")
            transport.client = functools.partial(_session, gate)
    return client


def open_body(response: Any, exchange: Exchange) -> tuple[AsyncIterator[bytes], Abort | None]:
    """The bytes as they arrive (decompressed), and what ends a pending read of them at once, if anything does."""
    abort = abort_of(response, exchange)
    if response.headers.get("content-encoding"):
        return response.aiter_bytes(), abort
    if exchange.answer is not None:
        return _AiohttpBody(exchange.answer.content), abort
    return response.aiter_raw(), abort


def abort_of(response: Any, exchange: Exchange) -> Abort | None:
    """A function that ends a pending read of the response at once, from a plain callback.

    None where there is no connection of its own to end: over other transports, and HTTP/2 shares one.
    """
    if exchange.answer is not None:
        return functools.partial(_abort_aiohttp, exchange.answer)
    stream = response.extensions.get("network_stream")
    connection = stream.get_extra_info("socket") if stream is not None else None
    if connection is None or response.http_version == "HTTP/2":
        return None
    return functools.partial(_shut_down, connection)


def is_connect_timeout(causes: list[BaseException]) -> bool:
    """Whether the clock ran out. Over aiohttp the openai SDK calls every failed connection a ConnectTimeout."""
    return "ConnectTimeout" in _names(causes) and any(isinstance(cause, TimeoutError) for cause in causes)


def is_disconnect(problem: BaseException) -> bool:
    """Whether the other side left before it answered."""
    left = {"RemoteProtocolError", "ReadError", "WriteError"}
    left |= {"ServerDisconnectedError", "ClientOSError", "ClientConnectionResetError"}  # aiohttp's
    return bool(left & _names(causes(problem)))


def causes(problem: BaseException) -> Iterator[BaseException]:
    """The exception, and what it comes from."""
    cause: BaseException | None = problem
    while cause is not None:
        yield cause
        cause = cause.__cause__


def reason(found: list[BaseException]) -> str:
    """What went wrong, in a line."""
    last = found[-1]
    text = " ".join(str(getattr(last, "message", None) or last).split())
    return text[:200] or type(last).__name__


@functools.cache
def tls_context() -> ssl.SSLContext:
    """The one TLS context: loading the CAs takes 10-30 ms."""
    import httpx2

    return httpx2.create_ssl_context()


def _names(found: Any) -> set[str]:
    return {type(cause).__name__ for cause in found}


async def _begin(request: Any) -> None:
    """What httpx2 does before it sends: learn of the connection, add the call's headers."""
    exchange = exchanges.get()
    if exchange is None:
        return
    exchange.reused = True
    request.headers.update(exchange.headers)

    async def trace(event: str, _: Mapping[str, Any]) -> None:
        if event.startswith("connection.connect"):
            exchange.reused = False

    request.extensions = {**request.extensions, "trace": trace}


def _shut_down(connection: socket.socket) -> None:
    # A duplicate, because uvloop's sockets refuse to be shut down; the connection is the same.
    with suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as duplicate:
        duplicate.shutdown(socket.SHUT_RDWR)  # OSError: already closed, which is what we want


# --- aiohttp --------------------------------------------------------------------------------------------------


def _session(gate: HostGate | None) -> Any:
    """A session for the running loop, made at its first request."""
    import aiohttp

    async def connecting(_session: Any, _context: Any, _params: Any) -> None:
        if (exchange := exchanges.get()) is not None:
            exchange.reused = False

    async def answered(_session: Any, _context: Any, params: Any) -> None:
        if (exchange := exchanges.get()) is not None:
            exchange.answer = params.response

    async def named(_session: Any, _context: Any, params: Any) -> None:
        if gate is not None:
            gate.host.set(params.url.host or "")

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(named)
    trace.on_connection_create_start.append(connecting)
    trace.on_request_end.append(answered)
    connector = aiohttp.TCPConnector(
        limit=0,  # none
        ssl=tls_context(),
        keepalive_timeout=KEEP_ALIVE,
        use_dns_cache=False,  # httpx2 has none either
        socket_factory=None if gate is None else gate.socket,
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),  # httpx2 keeps the cookies
        max_line_size=HEADER_SIZE,
        max_field_size=HEADER_SIZE,
        max_headers=HEADERS,
        trace_configs=[trace],
    )


class _AiohttpBody:
    """aiohttp's own stream, past three layers of httpx2."""

    def __init__(self, content: Any) -> None:
        self._content = content

    def __aiter__(self) -> _AiohttpBody:
        return self

    async def __anext__(self) -> bytes:
        try:
            data: bytes = await self._content.read(READ_SIZE)
        except Exception:
            # A cut overtakes what arrived before it, when the reader was slower than both.
            data = _arrived(self._content)
            if not data:
                raise
            return data
        if not data:
            raise StopAsyncIteration
        return data

    async def aclose(self) -> None:
        """Whoever opened the response closes it."""


def _arrived(content: Any) -> bytes:
    """What is left in aiohttp's buffer after an error; `read_nowait` gives the error again."""
    read = getattr(content, "_read_nowait", None)
    data: bytes = read(-1) if read is not None else b""
    return data


def _abort_aiohttp(answer: Any) -> None:
    connection = answer.connection  # None once the answer was read to its end: then it belongs to the next request
    if connection is not None and connection.transport is not None:
        connection.transport.abort()
