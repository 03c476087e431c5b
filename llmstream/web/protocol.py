"""Bounds that uvicorn's HTTP/1.1 protocols lack: on what comes before the app, and after its answer.

An ASGI app sees a request when its head is complete, so it can't refuse a head without end, or a connection that never
sends one. And it can't stop a body: uvicorn reads on after the answer, for as long as the client sends.

1. A head that is too large, has too many headers or is too slow is answered (431, 408) and the connection closed. So
   are trailers, and chunk extensions, without end.
2. A connection that there is no room for is answered with 503, unless an idle one can be closed in its place.
3. A body that goes on after its answer is read for a little longer. If it ends, the connection is kept.
4. A connection that we close while its client sends is closed in two steps: first our half, so that the client finds
   the answer and its end; then all of it. Closed at once, the kernel would discard the answer as well (RST).
5. A WebSocket's frames are counted, and aren't compressed (`websocket_frames`).

`protocol_h11` and `protocol_httptools` tie these rules to uvicorn's two parsers.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakKeyDictionary

from starlette.types import Receive
from uvicorn.config import Config
from uvicorn.server import ServerState

from llmstream.web.access import UNKNOWN
from llmstream.web.client_watch import WATCH, Stop, Watch
from llmstream.web.connections import Bounds, Connections
from llmstream.web.request_records import UNREAD
from llmstream.web.websocket_frames import GuardedWebSocket

if TYPE_CHECKING:
    from uvicorn.protocols.http.h11_impl import H11Protocol as _Base
else:
    _Base = asyncio.Protocol

_EXTENSIONS = b"sec-websocket-extensions"
_METHODS = (
    "connection_made",
    "connection_lost",
    "data_received",
    "shutdown",
    "send_400_response",
    "on_response_complete",
    "handle_websocket_upgrade",
    "timeout_keep_alive_handler",
    "_unset_keepalive_if_required",
)
_ATTRIBUTES = (
    "app_state",
    "client",
    "cycle",
    "flow",
    "headers",
    "loop",
    "timeout_keep_alive",
    "timeout_keep_alive_task",
    "transport",
)
_CYCLE = (
    "disconnected",
    "keep_alive",
    "message_event",
    "more_body",
    "response_complete",
    "response_started",
)
_ADDRESSES = ("peername", "sockname")
_TEXTS = {
    400: "The request is not valid HTTP.",
    408: "The request took too long to arrive.",
    431: "The request has too many headers, or they are too large.",
    503: "The server has too many connections. Please try again later.",
}
_connections: WeakKeyDictionary[ServerState, Connections] = WeakKeyDictionary()


def missing(protocol: type, cycle: type, *more: str) -> list[str]:
    """The names that we use of uvicorn's insides and that this uvicorn doesn't have. `more` are `protocol`'s own."""
    methods = [name for name in _METHODS if not callable(getattr(protocol, name, None))]
    return methods + unset(protocol, (*_ATTRIBUTES, *more)) + unset(cycle, _CYCLE)


def unset(owner: Any, names: tuple[str, ...]) -> list[str]:
    """Those that neither the class has nor its `__init__` names."""
    known = owner.__init__.__code__.co_names
    return [name for name in names if name not in known and not hasattr(owner, name)]


class _WatchedTransport:
    """The transport as uvicorn's protocol sees it, whose `close` is ours."""

    def __init__(self, transport: asyncio.Transport, protocol: Bounded) -> None:
        self._transport = transport
        self.write = transport.write  # each piece of an answer goes through it
        self.close = protocol.close
        self.is_closing = protocol.is_closing

    def release(self) -> None:
        """Behave as the transport does, without the protocol."""
        self.close = self._transport.close
        self.is_closing = self._transport.is_closing

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """As the transport's, but for its socket: the addresses that it knows itself are cheaper to ask for."""
        if name == "socket":
            return None
        info = self._transport.get_extra_info(name, default)
        # Host and port of IPv6 are followed by two numbers, with which uvicorn would take it for no address.
        return info[:2] if name in _ADDRESSES and isinstance(info, tuple) else info

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Bounded(_Base):
    """Stands before one of uvicorn's protocols, which a subclass names. All of it runs in the server's event loop."""

    bounds: ClassVar[Bounds] = Bounds()

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._wire: asyncio.Transport = None  # type: ignore[assignment]  # until there is a connection
        self._reading_body = False
        self._ignoring = False  # nothing that still comes is ours
        self._closing = False  # our half is closed
        self._drained = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._drain_timer: asyncio.TimerHandle | None = None
        known = _connections.get(server_state)
        if known is None:
            known = Connections(self.bounds, config.forwarded_allow_ips)
            _connections[server_state] = known
        self._connections = known
        known.bound(self.bounds)
        self._leave: Callable[[], None] | None = None  # what to do when the client leaves
        self._accepting = _accepting() if config.ssl is not None else None
        if self._accepting is not None:
            self._await_tls(self._accepting)

    # What a subclass knows of its parser

    def _parse(self, data: bytes) -> None:
        """Give it to uvicorn's protocol."""
        raise NotImplementedError

    def _head_has_begun(self) -> bool:
        """Whether a part of a head has come."""
        raise NotImplementedError

    def _has_queue(self) -> bool:
        """Whether requests wait behind the one that is being answered."""
        return False

    # The connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Start the head's clock, if there is room."""
        self._wire = transport
        # `llmstream.web.delivery.cut_off` reads it.
        self.app_state = {
            **self.app_state,
            "llmstream.abort": transport.abort,
            WATCH: self._find_watch,
        }
        _bound_unread(transport, self.bounds.unread_size)
        self._watched = _WatchedTransport(transport, self)
        super().connection_made(self._watched)  # type: ignore[arg-type]  # it behaves like one
        self._connections.leave(self._accepting)
        if self._connections.enter(self, self.client[0] if self.client else None, transport.abort):
            self._start_head_timer()
        else:
            self._refuse(503)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing of it stays behind."""
        self._connections.leave(self)
        self._stop_timers()
        super().connection_lost(exc)
        self._unset_keepalive_if_required()  # uvicorn forgets it where the connection was reset
        self._tell_left()
        # All of these lead back to this object, which then only the garbage collector could free.
        self._watched.release()
        self._leave = None
        self.app_state = {}
        self.scope = self.cycle = None  # type: ignore[assignment]  # nothing of them is asked any more

    def data_received(self, data: bytes) -> None:
        """Read a request, or throw away what nobody wants."""
        if self._ignoring:
            self.flow.pause_reading()
        elif self._closing:
            self._drain(len(data))
        else:
            self._parse(data)
            if self._drain_timer is not None:
                self._drain(len(data))
            if self._head_timer is None and not self._is_over() and self._head_has_begun():
                self._start_head_timer()

    def is_closing(self) -> bool:
        """Whether nothing more can be written."""
        return self._closing or self._wire.is_closing()

    def close(self) -> None:
        """Close as uvicorn's transport does. A client that may still be sending gets to read the answer first."""
        if self.is_closing():
            return
        if self._reading_body or self._ignoring:
            self._close_our_half()
        else:
            self._wire.close()

    def shutdown(self) -> None:
        """The server stops."""
        if self._drain_timer is not None:
            self._wire.close()
        else:
            super().shutdown()

    # A request's parts, which a subclass reports

    def _head_ended(self) -> None:
        self._reading_body = True
        self._stop_head_timer()
        self._connections.occupy(self)

    def _message_ended(self) -> None:
        self._reading_body = False
        if self._drain_timer is not None and not self._closing:
            self._stop_timers()
            self._unset_keepalive_if_required()
            wait, handler = self.timeout_keep_alive, self.timeout_keep_alive_handler
            # uvicorn doesn't start this clock here.
            self.timeout_keep_alive_task = self.loop.call_later(wait, handler)

    def on_response_complete(self) -> None:
        """The connection is idle, but for a body that goes on."""
        super().on_response_complete()
        # The second is true when the next request's answer has begun.
        if self.is_closing() or not self.cycle.response_complete:
            return
        self._connections.rest(self)
        if not self._reading_body:
            return
        if any(name == b"expect" for name, _ in self.headers):
            self._close_our_half()  # it may not send its body at all, and its next request would be taken for it
        else:
            self._start_drain_timer()

    # The client of a request that has come whole

    def _find_watch(self, receive: Receive) -> Watch | None:
        """How to hear that the client leaves; None where `receive` isn't this connection's, or has more to give."""
        cycle = self.cycle
        if cycle is None or getattr(receive, "__self__", None) is not cycle:
            return None
        return None if cycle.more_body or cycle.disconnected else self._watch

    def _watch(self, leave: Callable[[], None]) -> Stop:
        self._leave = leave
        return partial(self._unwatch, leave)

    def _unwatch(self, leave: Callable[[], None]) -> None:
        if self._leave == leave:  # else the next request's answer has begun
            self._leave = None

    def _tell_left(self) -> None:
        if self._leave is not None:
            self._leave()

    # Ends

    def send_400_response(self, msg: str) -> None:
        """Answer a request that the parser refused. uvicorn calls it."""
        self._refuse(400)

    def _refuse(self, status: int) -> None:
        """Answer and close, as far as there is no other answer under way."""
        answering = self.cycle is not None and not self.cycle.response_complete
        if answering and not self._reading_body:  # it is a later request that is wrong
            self.cycle.keep_alive = False
            self._ignoring = True
            self._stop_head_timer()
            self.flow.pause_reading()
            return
        if self._has_queue():  # this answer would be taken for an earlier request's
            self._wire.abort()
            return
        if not answering or not self.cycle.response_started:
            self._wire.write(_answer(status))
        if not self._reading_body:  # else the app has a record of it
            self._tell_unread(status)
        self._close_our_half()

    def _tell_unread(self, status: int) -> None:
        """Let the app keep a record of what was answered without it."""
        tell: Callable[[int, str], None] | None = self.app_state.get(UNREAD)
        if tell is not None:
            tell(status, self.client[0] if self.client else UNKNOWN)

    def _close_our_half(self) -> None:
        self._closing = True
        self._stop_head_timer()
        self._unset_keepalive_if_required()
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            self._tell_left()
        if self._wire.can_write_eof():  # TLS can't
            self._wire.write_eof()
        self.flow.resume_reading()
        self._connections.rest(self)
        self._start_drain_timer()

    def _drain(self, size: int) -> None:
        self._drained += size
        if self._drained <= self.bounds.drain_size:
            return
        if not self._closing:
            self._close_our_half()
        self._wire.pause_reading()

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self._head_has_begun() or self._reading_body:
            self._refuse(408)
        else:
            self._wire.close()  # browsers open connections ahead, and would take a 408 for their next answer

    # Timers

    def _start_head_timer(self) -> None:
        self._head_timer = self.loop.call_later(self.bounds.head_time, self._head_is_late)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _start_drain_timer(self) -> None:
        if self._drain_timer is None:
            self._drained = 0
            self._drain_timer = self.loop.call_later(self.bounds.drain_time, self._wire.close)

    def _stop_timers(self) -> None:
        self._stop_head_timer()
        if self._drain_timer is not None:
            self._drain_timer.cancel()
            self._drain_timer = None

    def _is_over(self) -> bool:
        return self._ignoring or self.is_closing()

    # Other protocols on the same connection

    def _await_tls(self, accepting: asyncio.Task[Any]) -> None:
        """Bound the handshake, for which asyncio gives a minute, and during which there is no transport to close."""
        timer = self.loop.call_later(self.bounds.head_time, accepting.cancel)

        def accepted(_: asyncio.Task[Any]) -> None:
            timer.cancel()
            self._connections.leave(accepting)

        accepting.add_done_callback(accepted)
        if not self._connections.enter(accepting, None, accepting.cancel):
            accepting.cancel()

    def handle_websocket_upgrade(self, *request: Any, **named: Any) -> None:
        """Let uvicorn's WebSockets have the connection, behind a count of frames."""
        self._stop_timers()
        self._connections.occupy(self)
        self._ignoring = True
        self.transport = self._wire
        # Uncompressed, a read of 256 kB can become a gigabyte before a message's bound is looked at.
        self.headers[:] = [each for each in self.headers if each[0] != _EXTENSIONS]
        super().handle_websocket_upgrade(*request, **named)
        websocket = self._wire.get_protocol()
        leave = partial(self._connections.leave, self)
        self._wire.set_protocol(GuardedWebSocket(websocket, self._wire, self.bounds, leave))
        refused = not getattr(websocket, "handshake_initiated", True)
        # uvicorn would send nothing, and read on without end.
        if refused and not self._wire.is_closing():
            self._wire.write(_answer(400))
            self._tell_unread(400)
            self._wire.close()


def _bound_unread(transport: asyncio.Transport, size: int) -> None:
    """Bound what the system holds of an answer that isn't read."""
    connection = transport.get_extra_info("socket")
    with suppress(OSError, AttributeError, TypeError):  # it has none, or is closed
        # uvloop's stand-in for a socket has no options. This type is `socket.socket` without what Python adds to it;
        # the family isn't asked for, since setting an option is the same for each.
        same = socket.SocketType(socket.AF_INET, socket.SOCK_STREAM, 0, connection.fileno())
        try:
            same.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)
        finally:
            same.detach()  # the transport closes it


def _answer(status: int) -> bytes:
    text = _TEXTS[status]
    again = "retry-after: 1\r\n" if status == 503 else ""
    head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: text/plain; charset=utf-8\r\n{again}"
    return f"{head}content-length: {len(text)}\r\nconnection: close\r\n\r\n{text}".encode("ascii")


def _accepting() -> asyncio.Task[Any] | None:
    """The task in which asyncio opens this connection; uvloop has none, and its own minute for TLS stands."""
    task = asyncio.current_task()
    name = getattr(task.get_coro(), "__name__", "") if task is not None else ""
    return task if name == "_accept_connection2" else None
