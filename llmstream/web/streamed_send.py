"""StreamedSend: sends a streamed answer in fewer steps than uvicorn's httptools protocol does.

uvicorn looks at each header of each answer anew, which takes it as long as ten pieces. Whatever isn't a usual streamed
answer, and its end, it sends itself.
"""

from __future__ import annotations

from collections.abc import Awaitable
from functools import lru_cache
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HEADER_RE, HEADER_VALUE_RE, STATUS_LINE

CYCLE = (
    "access_log",
    "chunked_encoding",
    "default_headers",
    "disconnected",
    "flow",
    "keep_alive",
    "response_complete",
    "response_started",
    "scope",
    "transport",
    "waiting_for_100_continue",
)
"""The names that are used here of uvicorn's cycle."""
_END = b"transfer-encoding: chunked\r\n\r\n"
_CLOSE = b"connection: close\r\n"
_FRAMING = frozenset({b"connection", b"content-length", b"transfer-encoding"})
"""Headers that say how an answer is sent."""
_BODILESS = frozenset({204, 304})


def ask(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
    """Let an app answer by a StreamedSend. `send` is that of a cycle of uvicorn's."""
    return app(scope, receive, StreamedSend(send.__self__).send)  # type: ignore[attr-defined]  # it is a method


class StreamedSend:
    """The sending half of one request."""

    __slots__ = ("_cycle", "_is_streamed")

    def __init__(self, cycle: Any) -> None:
        self._cycle = cycle
        self._is_streamed = False
        """Whether the head of a usual streamed answer was sent."""

    async def send(self, message: Message) -> None:
        """Send a message of the app's, once there is room for it."""
        body: Any = message.get("body")
        is_piece = self._is_streamed and type(body) is bytes and message.get("more_body")
        if is_piece and message["type"] == "http.response.body":
            if self.write_piece(body):
                return
        elif not self._cycle.response_started and self._write_head(message):
            return
        await self._cycle.send(message)

    def write_piece(self, data: bytes) -> bool:
        """Send a piece of the body, if there is room for it. False: nothing was sent."""
        cycle = self._cycle
        is_closed = cycle.disconnected or cycle.response_complete
        if is_closed or cycle.flow.write_paused or not self._is_streamed or not data:
            return False
        cycle.transport.write(b"%x\r\n%b\r\n" % (len(data), data))
        return True

    def _write_head(self, message: Message) -> bool:
        """Send the head of a usual streamed answer. False: it is another, or there is no room."""
        cycle = self._cycle
        is_open = not (cycle.flow.write_paused or cycle.disconnected)
        head = self._head(message) if is_open else None
        if head is None:
            return False
        cycle.response_started = cycle.chunked_encoding = self._is_streamed = True
        cycle.waiting_for_100_continue = False
        cycle.transport.write(head)
        return True

    def _head(self, message: Message) -> bytes | None:
        """The head as it is sent; None: it isn't one of a usual streamed answer."""
        cycle = self._cycle
        is_head = message["type"] == "http.response.start"
        if not is_head or cycle.access_log or cycle.scope["method"] == "HEAD":
            return None
        status, given = message["status"], message.get("headers", [])
        if type(given) is not list:  # it may be readable once
            return None
        try:
            lines = [_line(*header) for header in (*cycle.default_headers, *given)]
        except TypeError:  # bytes that may change have no line that could be kept
            return None
        if None in lines or status in _BODILESS:
            return None
        closing = b"" if cycle.keep_alive else _CLOSE
        return b"".join((STATUS_LINE[status], *lines, closing, _END))  # type: ignore[arg-type]  # none is None


@lru_cache(maxsize=256)
def _line(name: bytes, value: bytes) -> bytes | None:
    """A header as it is sent; None if uvicorn has to look at it. Nearly all are the same in each answer."""
    is_legal = not (HEADER_RE.search(name) or HEADER_VALUE_RE.search(value))
    name = name.lower()
    return b"%b: %b\r\n" % (name, value) if is_legal and name not in _FRAMING else None
