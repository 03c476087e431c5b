"""uvicorn's protocol over httptools, with bounds. httptools itself has none."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from llmstream.web.protocol import Bounded, missing, unset
from llmstream.web.streamed_send import CYCLE, ask

_CALLBACKS = (
    "on_message_begin",
    "on_header",
    "on_headers_complete",
    "on_body",
    "on_message_complete",
)
MISSING = missing(
    HttpToolsProtocol,
    RequestResponseCycle,
    "app",
    "expect_100_continue",
    "parser",
    "pipeline",
    "_should_upgrade",
    *_CALLBACKS,
)
_IS_KNOWN_CYCLE = not unset(RequestResponseCycle, CYCLE)


class _OverBoundError(Exception):
    """Ends the parser from within one of its callbacks."""


class BoundedHttptools(Bounded, HttpToolsProtocol):  # type: ignore[misc]  # Bounded is typed as if it stood on h11's
    """`uvicorn --http llmstream.web.protocol_httptools:BoundedHttptools app:app`."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        if _IS_KNOWN_CYCLE:
            self.app = partial(ask, self.app)
        # Bytes since the parser last reported a head, a piece of a body or a message's end.
        self._silent = 0
        self._headers = 0
        self._flaw = 400

    def _parse(self, data: bytes) -> None:
        """In pieces that the bounds have room for, since the parser keeps what it doesn't report."""
        while data and not self._is_over():
            room = self.bounds.head_size - self._silent
            if room <= 0:
                self._refuse(431)
                return
            piece, data = data[:room], data[room:]
            self._silent += len(piece)
            HttpToolsProtocol.data_received(self, piece)

    def _head_has_begun(self) -> bool:
        return self._silent > 0 and not self._reading_body

    def _has_queue(self) -> bool:
        return bool(self.pipeline)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing of it stays behind."""
        super().connection_lost(exc)
        self.pipeline.clear()  # those who wait in it know this object

    def send_400_response(self, msg: str) -> None:
        """Answer a request that the parser refused, or that this server did."""
        self._refuse(self._flaw)

    # The parser's callbacks

    def on_message_begin(self) -> None:
        """Bound what waits behind an answer."""
        if len(self.pipeline) >= self.bounds.pipelined:
            raise _OverBoundError
        self._headers = 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count them. Trailers are no headers: h11 drops them too."""
        self._headers += 1
        if self._headers > self.bounds.headers:
            self._flaw = 431
            raise _OverBoundError
        if self._reading_body:
            return
        # As uvicorn does it, without a further call for each header.
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """The app's turn, but for a WebSocket's, which begins when its request has ended."""
        self._silent = 0
        super().on_headers_complete()
        parser: Any = self.parser  # there is one as long as there is a connection
        if not (parser.should_upgrade() and self._should_upgrade()):
            self._head_ended()

    def on_body(self, body: bytes) -> None:
        """A piece of it is what the parser was fed for."""
        self._silent = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Expect another head next."""
        self._silent = 0
        super().on_message_complete()
        self._message_ended()
