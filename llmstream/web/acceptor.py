"""Acceptor: takes connections for a uvicorn server in turn with other processes that accept from the same socket.

uvicorn has its event loop take all connections that wait. Of a burst, the worker that wakes up first would take nearly
all: 56 of 64, measured with two workers. Taking one in each turn of the loop leaves the others to those that are free.

Where no worker is free, a turn is long, since it also passes on what has come for the streams that run. What waits then
would wait for as many turns as it has connections before it: of 512 streams begun at once, the last first piece took
twice the CPU time. So a worker takes more of them after a long turn. Those that are free have taken theirs by then.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import time
from collections.abc import Callable
from typing import Any, Final

import uvicorn

from llmstream.log import get_logger

logger = get_logger("llmstream.web")

_NO_ROOM: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_PAUSE: Final = 1.0
"""Seconds until it looks again for room, as asyncio waits."""
_FAIR_TURN: Final = 0.002
"""Seconds of a turn for which one connection is taken: about what it costs to begin a stream."""


class Acceptor:
    """Accepts from `listener`, which it closes in the end, for `server`. It is run with no sockets of its own.

    `now` is a clock in seconds, by which it measures its turns.
    """

    def __init__(
        self,
        server: uvicorn.Server,
        listener: socket.socket,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._server = server
        self._now = now
        self._share = 1
        """Connections to take next."""
        self._listener = listener
        self._opening: set[asyncio.Task[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin, in the running loop. The server's lifespan must have begun."""
        self._loop = asyncio.get_running_loop()
        self._listener.setblocking(False)
        self._watch()

    def stop(self) -> None:
        """Take no more. May be called again."""
        if self._timer is not None:
            self._timer.cancel()
        if self._listener.fileno() >= 0:
            self._loop.remove_reader(self._listener.fileno())
            self._listener.close()

    def _take_share(self) -> None:
        share, self._share = self._share, 1
        while share > 0 and self._accept():
            share -= 1
        self._loop.call_soon(self._turn_ended, self._now())

    def _turn_ended(self, began: float) -> None:
        """Take as many as the turn was long. It had work to do all the time, since this call was due."""
        self._share = 1 + int((self._now() - began) / _FAIR_TURN)

    def _accept(self) -> bool:
        """Take one connection. False where there is none, or no room for it."""
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return False  # another process was faster, or the client has gone
        except OSError as problem:
            if problem.errno not in _NO_ROOM:
                raise
            logger.error("no connection can be accepted: %s", problem.strerror)  # noqa: TRY400
            self._loop.remove_reader(self._listener.fileno())
            self._timer = self._loop.call_later(_PAUSE, self._watch)
            return False
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opening = self._loop.create_task(
            self._loop.connect_accepted_socket(self._new_protocol, connection)
        )
        self._opening.add(opening)
        opening.add_done_callback(self._opening.discard)
        return True

    def _watch(self) -> None:
        self._loop.add_reader(self._listener.fileno(), self._take_share)

    def _new_protocol(self) -> asyncio.Protocol:
        """As uvicorn makes one for each connection."""
        make: Any = self._server.config.http_protocol_class
        protocol: asyncio.Protocol = make(
            config=self._server.config,
            server_state=self._server.server_state,
            app_state=self._server.lifespan.state,
            _loop=self._loop,
        )
        return protocol
