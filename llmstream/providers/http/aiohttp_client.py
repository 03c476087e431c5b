"""Requests over aiohttp, without httpx2 and without an SDK's transport. Imported only where aiohttp is wanted."""

from __future__ import annotations

import functools
import ssl
from collections.abc import AsyncIterator, Awaitable, Mapping

import aiohttp
import yarl

from llmstream.errors import ConfigurationError
from llmstream.providers.http.aiohttp_session import READ_SIZE, find_own_poster, make_session
from llmstream.providers.http.content_encoding import decoded
from llmstream.providers.http.exchange import Abort, HTTPRequest, Trace, traced
from llmstream.providers.http.host_check import HostCheck
from llmstream.providers.http.internals.aiohttp_post import PostAnswer, Route
from llmstream.providers.http.internals.aiohttp_protocol import Read, find_read
from llmstream.providers.http.proxies import PORTS, NoProxies, Proxies, Proxy
from llmstream.providers.http.tls import tls_context, tls_name

SLICE = 64 * 1024
"""Bytes of a large body that are handed over at a time."""
LARGE = 1024 * 1024
"""Bytes of a body; aiohttp warns of larger ones in one piece, because it sends them without a break."""


class AiohttpClient:
    """One loop's connections. The session is made at the first request, because it belongs to the running loop."""

    def __init__(self, check: HostCheck | None) -> None:
        self._check = check
        self._proxies: Proxies | NoProxies = Proxies() if check is None else NoProxies()
        self._session: aiohttp.ClientSession | None = None

    def prepare(self, url: str) -> None:
        """Find out whether requests to `url` can be made. Raises ConfigurationError."""
        self._proxies.find(url)
        _tls_for(url)

    async def send(
        self, request: HTTPRequest, trace: Trace, connect: float | None, read: float | None = None
    ) -> AiohttpResponse:
        """The answer's head. `read`: seconds without a byte; None: no limit, because the watchdog sees more."""
        trace.reused, trace.request = False, request
        if self._session is None:
            self._session = make_session(self._check)
            self._read = find_read(READ_SIZE)
            self._poster = find_own_poster(self._session)
        large = len(request.content) > LARGE
        if large:
            request.headers["Content-Length"] = str(len(request.content))
        proxy = self._proxy(request.url)
        trace.proxy = None if proxy is None else str(proxy)
        url = _parse_url(request.url)
        if self._check is not None:
            self._check.host.set(url.host or "")
        timeout, name = _timeout(connect, read), tls_name(url.raw_host or "")
        is_plain = request.method == "POST" and not large and proxy is None
        answer: aiohttp.ClientResponse | PostAnswer
        with traced(trace):
            if is_plain and self._poster is not None:
                route = Route(url, _tls_for(request.url), name)
                answer = await self._poster.post(route, request, timeout)
            else:
                answer = await self._session.request(
                    request.method,
                    url,
                    headers=request.headers,
                    data=_slices(request.content) if large else request.content or None,
                    allow_redirects=False,
                    auto_decompress=False,
                    timeout=timeout,
                    server_hostname=name,
                    ssl=_tls_for(request.url if proxy is None else f"{proxy.scheme}:", request.url),
                    proxy=None if proxy is None else proxy.url,
                )
        return AiohttpResponse(answer, self._read)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _proxy(self, url: str) -> Proxy | None:
        proxy = self._proxies.find(url)
        if proxy is not None and proxy.scheme not in PORTS:
            raise ConfigurationError(
                f'aiohttp doesn\'t support the SOCKS proxy of {proxy.variable}: use transport="httpx2"'
            )
        return proxy


@functools.lru_cache(256)
def _parse_url(url: str) -> yarl.URL:
    # As it is, if it is written as it goes out: yarl would take `%3A` for `:`, which a signature doesn't.
    is_written = url.isascii() and " " not in url
    return yarl.URL(url, encoded=is_written)


@functools.lru_cache(16)
def _timeout(connect: float | None, read: float | None) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(connect=connect, sock_connect=connect, sock_read=read)


def _tls_for(url: str, behind: str = "") -> ssl.SSLContext | bool:
    """The TLS context, if one of these addresses needs it: loading it may fail."""
    needs_tls = url.startswith("https:") or behind.startswith("https:")
    return tls_context() if needs_tls else True


async def _slices(content: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(content), SLICE):
        yield content[at : at + SLICE]


class AiohttpResponse:
    """An answer over aiohttp."""

    def __init__(self, answer: aiohttp.ClientResponse | PostAnswer, read: Read) -> None:
        self.answer = answer
        self._read = read
        self.status = answer.status
        self.headers: Mapping[str, str] = answer.headers
        self.abort: Abort = functools.partial(_abort, answer)

    @property
    def sent_headers(self) -> Mapping[str, str]:
        """The headers that were really sent."""
        headers: Mapping[str, str] = self.answer.request_info.headers
        return headers

    @property
    def is_closed(self) -> bool:
        """Whether the answer was read to its end, or given up."""
        return self.answer.closed

    def body(self) -> AsyncIterator[bytes]:
        """The content as it arrives, decompressed."""
        return decoded(self.raw(), self.headers.get("content-encoding"))

    def raw(self) -> AsyncIterator[bytes]:
        """The content as it was sent."""
        return _AiohttpContent(self.answer.content, self._read)

    async def aclose(self) -> None:
        """Give the connection back, or close it."""
        self.answer.release()
        await self.answer.wait_for_close()


class _AiohttpContent:
    """aiohttp's own stream."""

    def __init__(self, content: aiohttp.StreamReader, read: Read) -> None:
        self._content = content
        self._read = read

    @property
    def at_end(self) -> bool:
        """Whether all of it was read. The connection is free by then."""
        return self._content.at_eof()

    def __aiter__(self) -> _AiohttpContent:
        return self

    def __anext__(self) -> Awaitable[bytes]:
        return self._read(self._content)

    async def aclose(self) -> None:
        """Do nothing: the caller that opened the response closes it."""


def _abort(answer: aiohttp.ClientResponse | PostAnswer) -> None:
    connection, content = answer.connection, answer.content
    # After the answer's end the connection belongs to the next request.
    if connection is None:
        return
    if connection.transport is not None:
        connection.transport.abort()
    # Of a connection that is given up already, or is so before the loop's next turn, nobody else tells the reader.
    if not content.is_eof() and content.exception() is None:
        content.set_exception(ConnectionResetError())
