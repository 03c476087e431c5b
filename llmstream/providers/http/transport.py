"""What a request goes over: httpx2, or aiohttp beneath the SDKs' own httpx2 client. All that differs is here.

The SDKs' aiohttp class is an httpx2 client whose connections are aiohttp's, so hooks, headers, redirects and errors are
the same on both. What is not: how connections are made, how one learns that a pooled one was used, and the way to the
bytes, which over aiohttp leads past httpx2 (a fraction of the cost per chunk). What imports aiohttp: `aiohttp_session`.
"""

from __future__ import annotations

import errno
import functools
import importlib.util
import os
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any

from llmstream.errors import ConfigurationError
from llmstream.providers.config import TRANSPORTS, ProviderConfig
from llmstream.providers.http.httpx2_pool import READ_SIZE, UnboundedPool
from llmstream.providers.http.request_template import PreparedRequest

if TYPE_CHECKING:
    from llmstream.providers.http.host_check import HostGate

VARIABLE = "LLMSTREAM_TRANSPORT"
KEEP_ALIVE = 5.0
"""Seconds that an idle connection stays in the pool; httpx2's own default."""
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
    heard: bool = False
    """Whether a byte of an answer came on it, if none can be read."""
    answer: Any = None
    """aiohttp's own response."""
    prepared: PreparedRequest | None = field(default=None, repr=False)
    """The request itself, as the SDK made it."""


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
        try:
            client = sdk.DefaultAsyncHttpxClient(**options)
        except ImportError as missing:  # which is asked for by a proxy of the environment's alone
            raise ConfigurationError(f"a proxy that the environment names needs a package: {missing}") from missing
        for transport in _transports(client):
            UnboundedPool(transport._pool, _heard)  # noqa: SLF001  # no other way to its connections
        return client
    from llmstream.providers.http.aiohttp_session import cut_up, session

    options["event_hooks"]["request"].append(cut_up)
    client = sdk.DefaultAioHttpClient(trust_env=gate is None, **options)
    for transport in _transports(client):
        if not hasattr(transport, "client"):
            raise ConfigurationError(f"this version of {sdk.__name__} makes its aiohttp connections in another way")
        proxy = transport.proxy
        takes_it = proxy is None or proxy.url.scheme in ("http", "https")
        transport.client = functools.partial(session, gate) if takes_it else _no_socks
    return client


def _no_socks() -> None:
    """In place of the session for a host that is reached through a SOCKS proxy: aiohttp would speak HTTP to it."""
    raise ConfigurationError('aiohttp knows no SOCKS proxy, which the environment names: use transport="httpx2"')


def open_body(response: Any, exchange: Exchange) -> tuple[AsyncIterator[bytes], Abort | None]:
    """The bytes as they arrive (decompressed), and what ends a pending read of them at once, if anything does."""
    if response.is_stream_consumed:  # by a hook of the user's; the connection may be somebody else's by now
        return response.aiter_bytes(), None
    abort = abort_of(response, exchange)
    if response.headers.get("content-encoding"):
        return response.aiter_bytes(), abort
    if exchange.answer is not None:
        return _AiohttpBody(exchange.answer.content), abort
    return _Httpx2Body(response), abort


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


def is_connect_timeout(found: list[BaseException]) -> bool:
    """Whether the clock ran out. Over aiohttp the openai SDK calls every failed connection a ConnectTimeout."""
    return "ConnectTimeout" in _names(found) and any(isinstance(cause, TimeoutError) for cause in found)


def is_disconnect(found: list[BaseException]) -> bool:
    """Whether the other side left before it answered."""
    left = {"RemoteProtocolError", "ReadError", "WriteError"}
    left |= {"ServerDisconnectedError", "ClientOSError", "ClientConnectionResetError"}  # aiohttp's
    return bool(left & _names(found)) and not is_garbled(found)


def is_garbled(found: list[BaseException]) -> bool:
    """Whether an answer came that is no HTTP."""
    return any(
        (_package(cause) == "h11" and type(cause).__name__ == "RemoteProtocolError")
        or type(cause).__module__ == "aiohttp.http_exceptions"
        for cause in found
    )


def causes(problem: BaseException) -> list[BaseException]:
    """The exception, and what it comes from. httpcore2 raises "from None", and leaves the cause in the context."""
    found: list[BaseException] = []
    cause: BaseException | None = problem
    while cause is not None and cause not in found:
        found.append(cause)
        hidden = cause.__context__ if _package(cause) == "httpcore2" else None
        cause = cause.__cause__ or hidden
    return found


def reason(found: list[BaseException]) -> str:
    """What went wrong, in a line."""
    last = found[-1]
    silent = isinstance(last, ConnectionError) or _package(last) == "anyio"
    if is_disconnect(found) or (silent and not str(last)):
        reset = any(getattr(cause, "errno", None) == errno.ECONNRESET for cause in found)
        return "the server reset the connection" if reset else "the server closed the connection"
    texts = (" ".join(str(getattr(cause, "message", None) or cause).split()) for cause in reversed(found))
    return next((text.removesuffix(" ^")[:200] for text in texts if text), type(last).__name__)


def tls_context() -> ssl.SSLContext:
    """The one TLS context, as long as the environment names the same CAs: loading them takes 10-30 ms."""
    return _tls_context(*(os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE")))


@functools.cache
def _tls_context(*_environment: str | None) -> ssl.SSLContext:
    import httpx2

    return httpx2.create_ssl_context()


def _names(found: Any) -> set[str]:
    return {type(cause).__name__ for cause in found}


def _package(cause: BaseException) -> str:
    return type(cause).__module__.partition(".")[0]


async def _begin(request: Any) -> None:
    """What httpx2 does before it sends: learn of the connection, add the call's headers."""
    exchange = exchanges.get()
    if exchange is None:
        return
    exchange.reused = True
    exchange.prepared = exchange.prepared or PreparedRequest(request)
    request.headers.update(exchange.headers)

    async def trace(event: str, _: Mapping[str, Any]) -> None:
        if event.partition(".")[2].startswith("connect_"):  # "connection." or, by a proxy, "socks."
            exchange.reused = False

    request.extensions = {**request.extensions, "trace": trace}


def _shut_down(connection: socket.socket) -> None:
    # A duplicate, because uvloop's sockets refuse to be shut down; the connection is the same.
    with suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as duplicate:
        duplicate.shutdown(socket.SHUT_RDWR)  # OSError: already closed, which is what we want


def _transports(client: Any) -> Iterator[Any]:
    """The client's own transport, and those of the environment's proxies."""
    for transport in (client._transport, *client._mounts.values()):  # noqa: SLF001  # httpx2 has no other way to them
        if transport is not None:
            yield transport


def _heard(unread: bool) -> None:  # noqa: FBT001  # its name says it
    if (exchange := exchanges.get()) is not None:
        exchange.heard = unread


# --- bodies ---------------------------------------------------------------------------------------------------


class _Httpx2Body:
    """The response's own stream: `aiter_raw` would count the bytes and cut them anew, for a tenth of the whole cost."""

    def __init__(self, response: Any) -> None:
        self._response = response
        self._chunks: AsyncGenerator[bytes, None] = response.stream.__aiter__()

    def __aiter__(self) -> _Httpx2Body:
        return self

    def __anext__(self) -> Awaitable[bytes]:
        return self._chunks.__anext__()

    async def aclose(self) -> None:
        """Give the connection back, or close it."""
        await self._chunks.aclose()
        await self._response.aclose()


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
    connection, content = answer.connection, answer.content
    if connection is None:  # the answer was read to its end: then the connection belongs to the next request
        return
    if connection.transport is not None:
        connection.transport.abort()
    # Of a connection that is given up already, or is so before the loop's next turn, nobody else tells the reader.
    if not content.is_eof() and content.exception() is None:
        content.set_exception(ConnectionResetError())
