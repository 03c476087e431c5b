"""Requests over httpx2: its client, and a transport that stands on httpcore2's public connection pools."""

from __future__ import annotations

import functools
import importlib.util
import os
import socket
import sys
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Iterator,
    Mapping,
)
from contextlib import contextmanager, suppress
from typing import Any

import httpcore2
import httpx2

from llmstream.checks import require
from llmstream.errors import ConfigurationError
from llmstream.providers.http.checked_backend import CheckedBackend
from llmstream.providers.http.content_encoding import decoded
from llmstream.providers.http.exchange import (
    KEEP_ALIVE,
    Abort,
    HTTPRequest,
    Trace,
    traced,
    traces,
)
from llmstream.providers.http.host_check import HostCheck
from llmstream.providers.http.internals import names
from llmstream.providers.http.internals.httpx2_pool import UnboundedPool
from llmstream.providers.http.proxies import PORTS, NoProxies, Proxies, Proxy
from llmstream.providers.http.tls import tls_context, tls_name

KEEPALIVE_SECONDS = 60
KEEPALIVE_PROBES = 5
CONTENT = "llmstream_content"
"""The extension of a response that holds httpcore2's own stream."""


class Httpx2Client:
    """One loop's connections. `http` is the httpx2 client, for a vendor's SDK to use too."""

    def __init__(self, check: HostCheck | None) -> None:
        self._transport = _Transport(check)
        self.http = httpx2.AsyncClient(transport=self._transport, follow_redirects=False)

    def prepare(self, url: str) -> None:
        """Make the pool for requests to `url`. Raises ConfigurationError."""
        self._transport.pool(url)

    async def send(
        self, request: HTTPRequest, trace: Trace, connect: float | None
    ) -> Httpx2Response:
        """The answer's head."""
        url = _parse_url(request.url)
        # Reading has no limit here: the watchdog sees bytes and pieces, the transport only bytes.
        extensions: dict[str, Any] = {
            "timeout": {"connect": connect, "read": None, "write": None, "pool": connect}
        }
        if (name := tls_name(url.host)) is not None:
            extensions["sni_hostname"] = name
        follow(trace, extensions)
        cookies = None if not self.http.cookies.jar or request.has_cookie else self.http.cookies
        whole = httpx2.Request(
            request.method,
            url,
            headers=request.headers,
            cookies=cookies,
            content=request.content,
            extensions=extensions,
        )
        with traced(trace):
            return Httpx2Response(await self.http.send(whole, stream=True))

    async def close(self) -> None:
        """Close the connections."""
        await self.http.aclose()


def follow(trace: Trace, extensions: dict[str, Any]) -> None:
    """Let httpcore2 report to `trace` whether the request gets a new connection."""
    trace.reused = True

    async def report(event: str, _: Mapping[str, Any]) -> None:
        if event.partition(".")[2].startswith("connect_"):  # "connection." or, by a proxy, "socks."
            trace.reused = False

    extensions["trace"] = report


@functools.lru_cache(256)
def _parse_url(url: str) -> httpx2.URL:
    return httpx2.URL(url)


# --- responses --------------------------------------------------------------------------------------------------


class Httpx2Response:
    """An answer over httpx2: over connections of ours, or those of an SDK's client."""

    def __init__(self, response: httpx2.Response) -> None:
        self._response = response
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers
        self.sent_headers: Mapping[str, str] = response.request.headers
        self.abort = _abort_of(response)

    @property
    def is_closed(self) -> bool:
        """Whether the answer was read to its end, or given up."""
        return self._response.is_closed

    def body(self) -> AsyncIterator[bytes]:
        """The content as it arrives, decompressed."""
        # A user's hook has read it, and the connection may be somebody else's by now.
        if self._response.is_stream_consumed:
            return self._response.aiter_bytes()
        return decoded(_ContentChunks(self._response), self.headers.get("content-encoding"))

    async def aclose(self) -> None:
        """Give the connection back, or close it."""
        await self._response.aclose()


class _ContentChunks:
    """httpcore2's own stream, or the response's. `aiter_raw` would count and cut the bytes again, a fifth of all."""

    def __init__(self, response: Any) -> None:
        self._response = response
        content = response.extensions.get(CONTENT) or response.stream
        self._chunks: AsyncGenerator[bytes, None] = content.__aiter__()

    def __aiter__(self) -> _ContentChunks:
        return self

    def __anext__(self) -> Awaitable[bytes]:
        return self._chunks.__anext__()

    async def aclose(self) -> None:
        """Give the connection back, or close it."""
        await self._chunks.aclose()
        await self._response.aclose()


def _abort_of(response: httpx2.Response) -> Abort | None:
    """None where there is no connection of its own to end: over other transports, and HTTP/2 shares one."""
    if response.is_stream_consumed:
        return None
    stream = response.extensions.get("network_stream")
    connection = stream.get_extra_info("socket") if stream is not None else None
    if connection is None or response.http_version == "HTTP/2":
        return None
    return functools.partial(_shut_down, connection)


def _shut_down(connection: socket.socket) -> None:
    # A duplicate, because uvloop's sockets refuse to be shut down; the connection is the same.
    with suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as duplicate:
        duplicate.shutdown(socket.SHUT_RDWR)  # OSError: already closed, which is what we want


# --- connections ------------------------------------------------------------------------------------------------


class _Transport(httpx2.AsyncBaseTransport):
    """A pool for each proxy and for direct connections, with TLS and without, made when it is needed.

    With a host check there is no proxy.
    """

    def __init__(self, check: HostCheck | None) -> None:
        self._check = check
        self._proxies: Proxies | NoProxies = Proxies() if check is None else NoProxies()
        self._pools: dict[tuple[Proxy | None, bool], httpcore2.AsyncConnectionPool] = {}

    def pool(self, url: str) -> httpcore2.AsyncConnectionPool:
        """The one for requests to `url`. Raises ConfigurationError."""
        proxy = self._proxies.find(url)
        return self._pool(proxy, tls=url.startswith("https:"))

    def _pool(self, proxy: Proxy | None, *, tls: bool) -> httpcore2.AsyncConnectionPool:
        found = self._pools.get((proxy, tls))
        if found is not None:
            return found
        options = _options(tls=tls)
        pool = _direct_pool(self._check, options) if proxy is None else _proxy_pool(proxy, options)
        try:
            UnboundedPool(pool, _report_unread)
        except names.UnknownInsideError as missing:
            names.step_aside(
                missing, "httpcore2 chooses among connections itself, which costs more"
            )
        self._pools[proxy, tls] = pool
        return pool

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request on a connection of the right pool."""
        url = request.url
        proxy = self._proxies.find(str(url))
        pool = self._pool(proxy, tls=url.scheme == "https")
        trace = traces.get()
        if trace is not None:
            trace.proxy = None if proxy is None else str(proxy)
        with _as_httpx2_raises():
            response = await pool.handle_async_request(
                httpcore2.Request(
                    method=request.method,
                    url=httpcore2.URL(
                        scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
                    ),
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
        return httpx2.Response(
            response.status,
            headers=response.headers,
            stream=_ResponseStream(response),
            extensions={**response.extensions, CONTENT: response.stream},
        )

    async def aclose(self) -> None:
        """Close all connections."""
        for pool in self._pools.values():
            await pool.aclose()


class _ResponseStream(httpx2.AsyncByteStream):
    def __init__(self, response: httpcore2.Response) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _as_httpx2_raises():
            async for data in _content(self._response):
                yield data

    async def aclose(self) -> None:
        with _as_httpx2_raises():
            await self._response.aclose()


def _content(response: httpcore2.Response) -> AsyncIterable[bytes]:
    content = response.stream
    assert isinstance(content, AsyncIterable)  # noqa: S101  # an async pool has no other
    return content


@contextmanager
def _as_httpx2_raises() -> Iterator[None]:
    """httpcore2's exceptions as httpx2's of the same name, which the SDKs know."""
    try:
        yield
    except (
        httpcore2.TimeoutException,
        httpcore2.NetworkError,
        httpcore2.ProtocolError,
        httpcore2.ProxyError,
        httpcore2.UnsupportedProtocol,
    ) as problem:
        raise getattr(httpx2, type(problem).__name__)(str(problem)) from problem


def _options(*, tls: bool) -> dict[str, Any]:
    return {
        # Only where there is TLS: loading the certificates takes its time, and may fail.
        "ssl_context": tls_context() if tls else None,
        # The SDKs stop at 1,000 connections; a service decides itself how many streams it runs.
        "max_connections": None,
        "max_keepalive_connections": None,
        "keepalive_expiry": KEEP_ALIVE,
    }


def _direct_pool(check: HostCheck | None, options: dict[str, Any]) -> httpcore2.AsyncConnectionPool:
    backend = None if check is None else CheckedBackend(check)
    return httpcore2.AsyncConnectionPool(
        socket_options=socket_options(), network_backend=backend, **options
    )


def _proxy_pool(proxy: Proxy, options: dict[str, Any]) -> httpcore2.AsyncConnectionPool:
    """Raises ConfigurationError."""
    try:
        parsed = httpx2.Proxy(proxy.url)
    except (httpx2.InvalidURL, ValueError):  # repeats what may hold a password
        raise ConfigurationError(
            f"{proxy.variable} isn't an address of a proxy: write it as http://host:port, or unset it"
        ) from None
    if proxy.scheme in PORTS:
        return httpcore2.AsyncHTTPProxy(
            proxy_url=_core_url(parsed.url),
            proxy_auth=parsed.raw_auth,
            proxy_ssl_context=tls_context() if proxy.scheme == "https" else None,
            socket_options=socket_options(),
            **options,
        )
    problem = (
        "the SOCKS proxy set in the environment needs a package, since "
        f"{proxy.variable} names it: pip install socksio"
    )
    require(importlib.util.find_spec("socksio"), problem, ConfigurationError)
    return httpcore2.AsyncSOCKSProxy(
        proxy_url=_core_url(parsed.url), proxy_auth=parsed.raw_auth, **options
    )


def _core_url(url: httpx2.URL) -> httpcore2.URL:
    return httpcore2.URL(
        scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
    )


def socket_options() -> list[tuple[int, int, int]]:
    """TCP keep-alive, as the anthropic SDK sets it: a connection whose other end vanished ends in about six minutes."""
    options = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    idle = "TCP_KEEPALIVE" if sys.platform == "darwin" else "TCP_KEEPIDLE"
    named = {
        idle: KEEPALIVE_SECONDS,
        "TCP_KEEPINTVL": KEEPALIVE_SECONDS,
        "TCP_KEEPCNT": KEEPALIVE_PROBES,
    }
    for name, value in named.items():
        if (option := getattr(socket, name, None)) is not None:
            options.append((socket.IPPROTO_TCP, option, value))
    return options


def _report_unread(unread: bool) -> None:  # noqa: FBT001  # its name says it
    if (trace := traces.get()) is not None:
        trace.answered = unread
