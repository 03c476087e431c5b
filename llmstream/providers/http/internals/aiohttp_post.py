"""Posts on aiohttp's connections, past its session, which costs as much as all the rest of a request.

The connections, their pool, TLS and the parser stay aiohttp's. What its session adds for others, such as redirects,
proxies and bodies in pieces, isn't needed here.
"""

from __future__ import annotations

import asyncio
import functools
import ssl
from collections.abc import Callable
from typing import Any, NamedTuple

import aiohttp
import yarl
from aiohttp import http_writer
from aiohttp.client_proto import ResponseHandler
from multidict import CIMultiDict, CIMultiDictProxy

from llmstream.providers.http.exchange import HTTPRequest
from llmstream.providers.http.internals import names
from llmstream.providers.secrets import Secret

_HEAD = "POST {} HTTP/1.1"
_DEFAULTS = {
    **{str(name): value for name, value in aiohttp.ClientRequest.DEFAULT_HEADERS.items()},
    "User-Agent": aiohttp.http.SERVER_SOFTWARE,
}
"""Headers that aiohttp adds where a caller has none of the name."""
_SWITCHED = 101
"""The one status below 200 after which no other follows."""

Serialize = Callable[[str, CIMultiDict[str]], bytes]


class HeadBounds(NamedTuple):
    """The bounds of an answer's head."""

    field_size: int
    """Bytes of one header, and of the status line."""
    fields: int


class Route(NamedTuple):
    """Where a request goes."""

    url: yarl.URL
    tls: ssl.SSLContext | bool
    server_hostname: str | None
    """The name that its certificate must have; None: the URL's."""


class PostAnswer:
    """An answer. Its connection is free again once the body was read; else whoever got it releases it."""

    def __init__(
        self,
        message: Any,
        content: aiohttp.StreamReader,
        connection: Any,
        info: Secret[aiohttp.RequestInfo],
    ) -> None:
        self.status: int = message.code
        self.headers: CIMultiDictProxy[str] = message.headers
        self.raw_headers: tuple[tuple[bytes, bytes], ...] = message.raw_headers
        self.content = content
        self.connection = connection
        self._info = info
        self.closed = False
        content.on_eof(self._end)

    @property
    def request_info(self) -> aiohttp.RequestInfo:
        """The request, as it was sent."""
        info: aiohttp.RequestInfo = self._info.reveal()
        return info

    def release(self) -> None:
        """Give the connection back, or close it if there is more to read."""
        if self.connection is None:
            return
        if not self.closed and self.content.exception() is None:
            self.content.set_exception(aiohttp.ClientConnectionError("Connection closed"))
        self._free()

    async def wait_for_close(self) -> None:
        """Nothing more is under way."""

    def _end(self) -> None:
        """The body has come whole."""
        protocol = None if self.connection is None else self.connection.protocol
        if protocol is None or not protocol.upgraded:
            self._free()

    def _free(self) -> None:
        self.closed = True
        if self.connection is not None:
            self.connection.release()
            self.connection = None


class Poster:
    """Posts over the connections of a session, with its cookies."""

    def __init__(
        self, session: aiohttp.ClientSession, bounds: HeadBounds, serialize: Serialize
    ) -> None:
        self._session = session
        self._bounds = bounds
        self._serialize = serialize
        self._place = functools.lru_cache(64)(self._find_place)

    async def post(
        self, route: Route, request: HTTPRequest, clocks: aiohttp.ClientTimeout
    ) -> PostAnswer:
        """The answer's head. Raises what aiohttp raises, and ValueError for headers that can't be sent."""
        url = route.url
        # A traceback shows the locals of its frames.
        sent = Secret(self._headers(url, request))
        head = Secret(self._serialize(_HEAD.format(url.raw_path_qs), sent.reveal()))
        connection = await self._connect(self._place(route), clocks)
        try:
            self._expect_answer(connection.protocol, clocks)
            _write(connection.protocol.transport, head, request)
            connection.protocol.start_timeout()
            message, body = await connection.protocol.read()
            while 100 <= message.code < 200 and message.code != _SWITCHED:
                message, body = await connection.protocol.read()
            cookies = message.headers.getall("Set-Cookie", None)
            if cookies is not None:
                self._session.cookie_jar.update_cookies_from_headers(cookies, url)
        except BaseException:
            connection.close()
            raise
        info = aiohttp.RequestInfo(url, "POST", CIMultiDictProxy(sent.reveal()), url)
        return PostAnswer(message, body, connection, Secret(info))

    def _headers(self, url: yarl.URL, request: HTTPRequest) -> CIMultiDict[str]:
        """All headers, in the order in which aiohttp has them."""
        headers = CIMultiDict({"Host": url.host_port_subcomponent or ""})
        for name, value in request.headers.items():
            headers[name] = value  # in place of one of the same name in another case
        for name, value in _DEFAULTS.items():
            headers.setdefault(name, value)
        jar = self._session.cookie_jar
        cookies = jar.filter_cookies(url) if len(jar) else None
        if cookies:
            pairs = (f"{each.key}={each.coded_value}" for each in cookies.values())
            headers["Cookie"] = "; ".join(pairs)
        headers.setdefault("Content-Length", str(len(request.content)))
        headers.setdefault("Content-Type", "application/octet-stream")
        return headers

    def _expect_answer(self, protocol: Any, clocks: aiohttp.ClientTimeout) -> None:
        """Make a parser for the answer. Until there is one, a connection keeps what comes to itself."""
        protocol.set_response_params(
            read_until_eof=True,
            auto_decompress=False,
            read_timeout=clocks.sock_read,
            max_line_size=self._bounds.field_size,
            max_field_size=self._bounds.field_size,
            max_headers=self._bounds.fields,
        )

    async def _connect(self, place: aiohttp.ClientRequest, clocks: aiohttp.ClientTimeout) -> Any:
        connector = self._session.connector
        if connector is None or connector.closed:
            raise RuntimeError("Session is closed")
        try:
            return await connector.connect(place, traces=[], timeout=clocks)
        except TimeoutError as problem:
            told = f"Connection timeout to host {place.url}"
            raise aiohttp.ConnectionTimeoutError(told) from problem
        except aiohttp.ClientError:
            raise
        except OSError as problem:
            raise aiohttp.ClientOSError(*problem.args) from problem

    def _find_place(self, route: Route) -> aiohttp.ClientRequest:
        """Where a connection goes, as aiohttp's connector wants to have it told."""
        return aiohttp.ClientRequest(
            "POST",
            route.url,
            loop=asyncio.get_running_loop(),
            session=self._session,
            ssl=route.tls,
            server_hostname=route.server_hostname,
        )


def _write(transport: asyncio.Transport | None, head: Secret[bytes], request: HTTPRequest) -> None:
    """Send a whole request at once."""
    if transport is None or transport.is_closing():
        raise aiohttp.ClientConnectionResetError("Cannot write to closing transport")
    transport.write(head.reveal() + request.content)


def find_poster(session: aiohttp.ClientSession, bounds: HeadBounds) -> Poster | None:
    """The way past the session; None: this aiohttp doesn't have what it needs."""
    try:
        serialize = names.look_up(http_writer, "_serialize_headers")
        names.look_up(session.connector, "connect")
        names.look_up(ResponseHandler, "set_response_params")
        names.look_up(ResponseHandler, "start_timeout")
    except names.UnknownInsideError as missing:
        names.step_aside(missing, "requests go through aiohttp's session, which costs more")
        return None
    return Poster(session, bounds, serialize)
