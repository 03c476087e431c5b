# ruff: noqa: SLF001  # httpcore2 and h11 have no other way in; tests say when they change inside
"""httpx2's connections: which of them a request gets, and what must be true of one that is used again.

httpcore2 looks at every connection, several times, whenever a request comes or an answer ends; an idle one it asks the
kernel about. With 500 streams that is most of what they cost. Our pools are unbounded, so there is nothing to share
out: a request gets the connection that became idle last, or a new one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

UPLOAD = 64 * 1024
"""Bytes of a request that are on their way at once, whether or not the server reads them."""
READ_SIZE = 16 * 1024
"""Bytes read at a time. All that has arrived, up to half a megabyte, costs more: too many events at once."""


class UnboundedPool:
    """The choice of connections in a pool of httpcore2's, from now on. `heard` is called when a request failed.

    It is told whether bytes came that belong to no answer.
    """

    def __init__(self, pool: Any, heard: Callable[[bool], None]) -> None:
        self._pool = pool
        self._create = pool.create_connection
        self._heard = heard
        self._requests = _Requests()
        self._idle: deque[_Connection] = deque()  # the last is the one that became idle last
        # No other way to have a say in it.
        pool._requests = self._requests
        pool._assign_requests_to_connections = self._assign

    def _assign(self) -> list[_Connection]:
        """A request came, or one was answered or given up. The connections to close."""
        closing: list[_Connection] = []
        arrived, released = self._requests.news()
        for connection in released:
            if connection.is_idle() and not connection.is_closed():
                self._idle.append(connection)
            else:
                self._drop(connection, closing)
        for request in arrived:
            self._expire(closing)
            request.assign_to_connection(self._choose(request.request.url.origin, closing))
        return closing

    def _choose(self, origin: Any, closing: list[_Connection]) -> _Connection:
        for place in reversed(range(len(self._idle))):
            connection = self._idle[place]
            if connection.can_handle_request(origin):
                del self._idle[place]
                if connection.is_available() and not connection.has_expired():
                    return connection
                self._drop(connection, closing)
        connection = _Connection(self._create(origin), self._heard)
        self._pool._connections.append(connection)
        return connection

    def _expire(self, closing: list[_Connection]) -> None:
        """Let go of those that were idle for too long, or were closed by the server."""
        while self._idle and (self._idle[0].is_closed() or self._idle[0].has_expired()):
            self._drop(self._idle.popleft(), closing)

    def _drop(self, connection: _Connection, closing: list[_Connection]) -> None:
        if connection in self._pool._connections:  # no more, once the pool was closed
            self._pool._connections.remove(connection)
        if connection.is_connected():
            closing.append(connection)


class _Requests:
    """The requests that a pool has in hand, as it uses its own list of them; and what changed in it."""

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

    def news(self) -> tuple[list[Any], list[Any]]:
        """The requests that want a connection, and the connections that were let go."""
        arrived, self._arrived = self._arrived, []
        released, self._released = self._released, []
        if not arrived and not released:
            arrived = list(self._all)  # the connection of one was closed before it was used
        wanting = [request for request in arrived if request.is_queued() and request in self._all]
        return wanting, [connection for connection in released if connection is not None]


class _Connection:
    """A pool's connection that is not used again while it holds bytes that nobody asked for.

    h11 keeps what follows an answer in the same read, and would take it for the next one.
    """

    def __init__(self, inner: Any, heard: Callable[[bool], None]) -> None:
        self._inner = inner
        self._heard = heard

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def has_expired(self) -> bool:
        return self._inner.has_expired() or (self._inner.is_idle() and _unread(self._inner))

    async def handle_async_request(self, request: Any) -> Any:
        if _size(request) > UPLOAD:
            listen_while_sending(self._inner, request)
        try:
            response = await self._inner.handle_async_request(request)
        except Exception:
            self._heard(_unread(self._inner))
            raise
        read_ahead(self._inner)
        return response


def _size(request: Any) -> int:
    return next(
        (int(value) for name, value in request.headers if name.lower() == b"content-length"), 0
    )


def listen_while_sending(connection: Any, request: Any) -> None:
    """Take in what the server says before it has the whole request: why it refuses it, before it hangs up.

    anyio doesn't read meanwhile, and what is in the socket is lost with the connection.
    """
    trace = request.extensions.get("trace")

    async def listening(event: str, info: Any) -> None:
        if event.startswith("http11.send_request_body."):
            stream: Any = getattr(
                getattr(innermost(connection), "_network_stream", None), "_stream", None
            )
            transport = getattr(getattr(stream, "transport_stream", stream), "_transport", None)
            if transport is not None and not transport.is_closing():
                (
                    transport.resume_reading
                    if event.endswith(".started")
                    else transport.pause_reading
                )()
            if event.endswith(".failed") and getattr(stream, "_broken", False):
                stream._broken = (
                    False  # anyio's TLS would not read any more either, because it can't write
                )
        if trace is not None:
            await trace(event, info)

    request.extensions = {**request.extensions, "trace": listening}


def innermost(connection: Any) -> Any:
    """The one that speaks HTTP."""
    while (inner := getattr(connection, "_connection", None)) is not None:
        connection = inner
    return connection


def read_ahead(connection: Any) -> None:
    """Let all chunks of a read leave at once. What h11 does otherwise is right too, only dearer."""
    from h11 import _readers

    from llmstream.providers.http.internals.chunked_reader import ChunkedReader

    state: Any = getattr(innermost(connection), "_h11_state", None)
    if isinstance(reader := getattr(state, "_reader", None), _readers.ChunkedReader):
        state._reader = ChunkedReader(reader, READ_SIZE)


def _unread(connection: Any) -> bool:
    """Whether bytes came that belong to no answer, or to one whose head is not whole.

    httpcore2 itself sees only what is still in the socket; some is in h11, in anyio's queue, or in TLS.
    """
    connection = innermost(connection)
    state = getattr(connection, "_h11_state", None)
    if state is None:  # before it is connected, and for HTTP/2
        return False
    stream = getattr(connection._network_stream, "_stream", None)
    encrypted = getattr(stream, "_read_bio", None)
    protocol = getattr(getattr(stream, "transport_stream", stream), "_protocol", None)
    return (
        bool(state.trailing_data[0])
        or bool(getattr(protocol, "read_queue", None))
        or (encrypted is not None and encrypted.pending > 0)
    )
