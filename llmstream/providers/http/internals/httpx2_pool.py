# ruff: noqa: SLF001  # httpcore2, h11 and anyio have no other way in: `names` says when they change inside
"""httpx2's connections: which connection serves a request, and when an idle one may be reused.

httpcore2 looks at every connection, several times, whenever a request comes or an answer ends, and
asks the kernel about each idle one. With 500 streams that is most of what they cost. Our pools are
unbounded, so there is nothing to share out: a request gets the connection that became idle last,
or a new one.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import h11
import httpcore2
from anyio.streams.tls import TLSStream

from llmstream.providers.http.internals import names
from llmstream.providers.http.internals.chunked_reader import ChunkedReader

UPLOAD = 64 * 1024
"""Bytes of a request that are on their way at once, whether or not the server reads them."""
READ_SIZE = 16 * 1024
"""Bytes read at a time. All that has arrived, up to half a megabyte, costs more: too many events at once."""


class UnboundedPool:
    """Chooses the connections in a pool of httpcore2's, from now on.

    When a request failed, `report_unread` is called with whether bytes came that nobody has read.
    """

    def __init__(self, pool: Any, report_unread: Callable[[bool], None]) -> None:
        """Raises UnknownInsideError, and leaves the pool as it is."""
        names.look_up(pool, "_requests")
        names.look_up(pool, "_assign_requests_to_connections")
        names.look_up(pool, "_connections")
        request_class = names.look_up(_module_of_pools(), "AsyncPoolRequest")
        names.look_up(request_class, "assign_to_connection")
        names.look_up(request_class, "is_queued")
        self._pool = pool
        self._create = pool.create_connection
        self._report_unread = report_unread
        self._requests = _Requests()
        self._idle: deque[_Connection] = deque()  # in the order in which they became idle
        # httpcore2 has no public hook for this.
        pool._requests = self._requests
        pool._assign_requests_to_connections = self._assign

    def _assign(self) -> list[_Connection]:
        """A request came, or one was answered or given up. The connections to close."""
        closing: list[_Connection] = []
        waiting, released = self._requests.changes()
        for connection in released:
            if connection.is_idle() and not connection.is_closed():
                self._idle.append(connection)
            else:
                self._drop(connection, closing)
        for request in waiting:
            self._expire(closing)
            connection = self._choose(request.request.url.origin, closing)
            request.assign_to_connection(connection)
        return closing

    def _choose(self, origin: Any, closing: list[_Connection]) -> _Connection:
        """The idle one that was used last and still works; else a new one."""
        for place in reversed(range(len(self._idle))):
            connection = self._idle[place]
            if connection.can_handle_request(origin):
                del self._idle[place]
                if connection.is_available() and not connection.has_expired():
                    return connection
                self._drop(connection, closing)
        connection = _Connection(self._create(origin), self._report_unread)
        self._pool._connections.append(connection)
        return connection

    def _expire(self, closing: list[_Connection]) -> None:
        """Drop those that were idle for too long, or were closed by the server."""
        while self._idle:
            oldest = self._idle[0]
            if not oldest.is_closed() and not oldest.has_expired():
                return
            self._drop(self._idle.popleft(), closing)

    def _drop(self, connection: _Connection, closing: list[_Connection]) -> None:
        if connection in self._pool._connections:  # it isn't, once the pool was closed
            self._pool._connections.remove(connection)
        if connection.is_connected():
            closing.append(connection)


def _module_of_pools() -> Any:
    """Where a pool has the class of its requests, in its own package."""
    return sys.modules.get("httpcore2._async.connection_pool")


class _Requests:
    """The requests that a pool has in hand, in place of its own list, and what changed in it."""

    def __init__(self) -> None:
        self._all: dict[Any, None] = {}
        self._arrived: list[Any] = []
        self._released: list[Any] = []

    def __iter__(self) -> Iterator[Any]:
        return iter(self._all)

    def append(self, request: Any) -> None:
        self._all[request] = None
        self._arrived.append(request)

    def remove(self, request: Any) -> None:
        del self._all[request]
        self._released.append(request.connection)

    def changes(self) -> tuple[list[Any], list[Any]]:
        """The requests that wait for a connection, and the connections released since the last call."""
        arrived, self._arrived = self._arrived, []
        released, self._released = self._released, []
        if not arrived and not released:
            # A connection was closed before its request used it: the request waits again.
            arrived = list(self._all)
        waiting = [request for request in arrived if request.is_queued() and request in self._all]
        return waiting, [connection for connection in released if connection is not None]


class _Connection:
    """A pool's connection that is not used again while it holds bytes that nobody asked for.

    h11 keeps what follows an answer in the same read, and would take it for the next one.
    """

    def __init__(self, inner: Any, report_unread: Callable[[bool], None]) -> None:
        self._inner = inner
        self._report_unread = report_unread

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def has_expired(self) -> bool:
        if self._inner.has_expired():
            return True
        return self._inner.is_idle() and has_unread(self._inner)

    async def handle_async_request(self, request: Any) -> Any:
        if _size(request) > UPLOAD:
            listen_while_sending(self._inner, request)
        try:
            response = await self._inner.handle_async_request(request)
        except Exception:
            self._report_unread(has_unread(self._inner))
            raise
        read_ahead(self._inner)
        return response


def _size(request: Any) -> int:
    for name, value in request.headers:
        if name.lower() == b"content-length":
            return int(value)
    return 0


def listen_while_sending(connection: Any, request: Any) -> None:
    """Read the server's answer while the request is still being sent.

    A server may refuse a large request and hang up. anyio doesn't read while it sends, and what is
    in the socket is lost with the connection.
    """
    trace = request.extensions.get("trace")

    async def listening(event: str, info: Any) -> None:
        if event.startswith("http11.send_request_body."):
            try:
                _read_while(connection, event.rpartition(".")[2])
            except names.UnknownInsideError as missing:
                names.step_aside(missing, "a refusal in the middle of a large request is not read")
        if trace is not None:
            await trace(event, info)

    request.extensions = {**request.extensions, "trace": listening}


def _read_while(connection: Any, stage: str) -> None:
    """Let anyio read while a request's body is being sent: `stage` is "started", "complete" or "failed"."""
    stream, plain = _streams(connection)
    transport = names.look_up(plain, "_transport")
    if not transport.is_closing():
        if stage == "started":
            transport.resume_reading()
        else:
            transport.pause_reading()
    if stage == "failed" and stream is not plain:
        names.look_up(stream, "_broken")
        stream._broken = False  # anyio's TLS stops reading, too, once it can't write


def _streams(connection: Any) -> tuple[Any, Any]:
    """Anyio's stream of a connection, and the one below its TLS; the same where there is none."""
    network = names.look_up(speaker(connection), "_network_stream")
    stream = names.look_up(network, "_stream")
    if isinstance(stream, TLSStream):
        return stream, stream.transport_stream
    return stream, stream


def speaker(connection: Any) -> Any:
    """The connection that speaks HTTP, inside one that connects or tunnels. None before it is connected."""
    while connection is not None and not isinstance(connection, httpcore2.AsyncHTTP11Connection):
        connection = names.look_up(connection, "_connection")
    return connection


def read_ahead(connection: Any) -> None:
    """Let all chunks of a read leave at once."""
    try:
        state = names.look_up(speaker(connection), "_h11_state")
        reader = names.look_up(state, "_reader")
        known = names.look_up(names.look_up(h11, "_readers"), "ChunkedReader")
    except names.UnknownInsideError as missing:
        names.step_aside(missing, "h11 hands out one HTTP chunk at a time, which costs more")
        return
    if isinstance(reader, known):
        state._reader = ChunkedReader(reader, READ_SIZE)


def has_unread(connection: Any) -> bool:
    """Whether bytes came that belong to no answer, or to one whose head is not whole.

    httpcore2 itself sees only what is still in the socket; some is in h11, in anyio's queue, or in TLS.
    """
    try:
        return _has_unread(connection)
    except names.UnknownInsideError as missing:
        names.step_aside(missing, "each connection is used for one answer alone")
        return True


def _has_unread(connection: Any) -> bool:
    http = speaker(connection)
    if http is None:
        return False
    stream, plain = _streams(connection)
    if names.look_up(http, "_h11_state").trailing_data[0]:
        return True
    if names.look_up(plain, "_protocol").read_queue:
        return True
    return stream is not plain and names.look_up(stream, "_read_bio").pending > 0
