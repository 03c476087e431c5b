"""uvicorn's protocol over h11, with bounds."""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle
from uvicorn.server import ServerState

from llmstream.web.protocol import Bounded, missing

MISSING = missing(H11Protocol, RequestResponseCycle, "conn")


class BoundedH11(Bounded, H11Protocol):
    """`uvicorn --http llmstream.web.protocol_h11:BoundedH11 app:app`."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.conn: _BoundedConnection = _BoundedConnection(
            self, config.h11_max_incomplete_event_size or self.bounds.head_size
        )

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing of it stays behind."""
        super().connection_lost(exc)
        del self.conn  # it knows this object

    def _parse(self, data: bytes) -> None:
        H11Protocol.data_received(self, data)

    def _head_has_begun(self) -> bool:
        return self.conn.their_state is h11.IDLE and bool(self.conn.trailing_data[0])

    def send_400_response(self, msg: str) -> None:
        """Answer a request that the parser refused, or that this server did."""
        self._refuse(431 if self.conn.is_too_large else 400)


class _BoundedConnection(h11.Connection):
    """Refuses what h11 lets pass because it came in one piece, and reports the parts of a request."""

    def __init__(self, protocol: BoundedH11, head_size: int) -> None:
        super().__init__(h11.SERVER, head_size)
        self._protocol = protocol
        self._head_size = head_size
        self._headers = 0
        self.is_too_large = False

    def next_event(self) -> Any:
        """As h11's."""
        try:
            event = super().next_event()
            if isinstance(event, h11.Request):
                self._headers = 0
                self._check(event.headers, len(event.target))
                self._protocol._head_ended()  # noqa: SLF001  # this class is a part of it
            elif isinstance(event, h11.EndOfMessage):
                self._check(event.headers)
                self._protocol._message_ended()  # noqa: SLF001  # likewise
        except h11.RemoteProtocolError as problem:
            self.is_too_large = problem.error_status_hint == 431
            raise
        return event

    def _check(self, headers: Any, size: int = 0) -> None:
        self._headers += len(headers)
        size += sum(len(name) + len(value) + 4 for name, value in headers)
        if self._headers > self._protocol.bounds.headers or size > self._head_size:
            raise h11.RemoteProtocolError(
                "too many headers, or too large ones", error_status_hint=431
            )
