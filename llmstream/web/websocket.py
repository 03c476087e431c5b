"""The same events over a WebSocket: a JSON text message for each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Callable
from typing import Any

from starlette.websockets import WebSocket

from llmstream.errors import ErrorInfo
from llmstream.events.grammar import TERMINAL
from llmstream.events.types import EventType, StreamEvent, error
from llmstream.log import get_logger
from llmstream.streams.flow import Source
from llmstream.tasks import is_cancelled
from llmstream.web.client_writer import Outlet, SlowClientError, UnsentError
from llmstream.web.errors import (
    log_failure,
    log_refusal,
    new_request_id,
    public_event,
    render_error,
)
from llmstream.web.exceptions import failure_in, refusal_event, refusal_in
from llmstream.web.native_encoders import render_json
from llmstream.web.responses import cut

logger = get_logger("llmstream.web")

Render = Callable[[StreamEvent, str], Any]
"""From an event that is fit for strangers, and the request's id, to what is sent; None: nothing."""


def render_event(event: StreamEvent, request_id: str) -> Any:
    """An event's own JSON; an ERROR's has `request_id` beside `error`."""
    if event.error_info is not None:
        return render_error(event.error_info, request_id)
    return None if event.is_internal else event.to_dict()


async def send_events(
    websocket: WebSocket,
    events: AsyncIterable[StreamEvent],
    *,
    render: Render = render_event,
    request_id: str | None = None,
    write_timeout: float | None = 30.0,
) -> bool:
    """Send the events over an accepted WebSocket, and close them; True if all of them went out.

    A client that leaves ends it at once, as does one that doesn't read for `write_timeout` seconds; messages that it
    sends meanwhile are dropped. What goes wrong is a last message with `error` and `request_id`. The last one is sent
    when the events are closed, so what the client sends upon it is the caller's to receive. A client that leaves then
    doesn't disturb the closing. The WebSocket stays open: `if await send_events(…): await websocket.close()`. The
    server's own pings keep a silent one alive.
    """
    sending = _Sending(
        events, render, request_id or new_request_id(websocket.headers.get("x-request-id"))
    )
    outlet = Outlet(
        websocket.send,
        request_id=sending.request_id,
        heartbeat=None,
        write_timeout=write_timeout,
        beat=_nothing,
    )
    try:
        return await outlet.run(sending.write(outlet), _left(websocket)) and await outlet.run(
            sending.end(outlet), _unheard()
        )
    except SlowClientError as problem:
        logger.warning("request %s: %s", sending.request_id, problem)
        cut(websocket.scope)
        return False
    finally:
        await sending.source.aclose()  # if it never began


class _Sending:
    def __init__(self, events: AsyncIterable[StreamEvent], render: Render, request_id: str) -> None:
        self.source, self._render, self.request_id = Source(events), render, request_id
        self._last: StreamEvent | None = None

    async def write(self, outlet: Outlet) -> None:
        """Send all but the last, and close the events."""
        try:
            async with self.source as events:
                try:
                    async for event in events:
                        shown = self._shown(event)
                        if event.type in TERMINAL:
                            self._last = shown
                            break
                        await self._send(outlet, shown)
                finally:
                    outlet.unwatch()
        except UnsentError:
            raise
        except (Exception, asyncio.CancelledError) as problem:
            if is_cancelled():
                raise
            self._fall(problem)

    async def end(self, outlet: Outlet) -> None:
        """Send the last one."""
        truncated = ErrorInfo("truncated", "the stream stopped without its end")
        await self._send(outlet, self._last or self._shown(error(truncated)))

    def _fall(self, problem: BaseException) -> None:
        """Keep what the events raised for the end."""
        if self._last is not None:  # only closing went wrong
            logger.error(
                "request %s: the events could not be closed", self.request_id, exc_info=problem
            )
        elif (refusal := refusal_in(problem)) is not None:
            log_refusal(refusal, self.request_id)
            self._last = refusal_event(refusal, self.request_id)
        else:
            self._last = self._shown(error(failure_in(problem)), problem)

    def _shown(self, event: StreamEvent, problem: BaseException | None = None) -> StreamEvent:
        if event.type is EventType.ERROR:
            info = event.error_info or ErrorInfo("internal", event.error or "")
            log_failure(info, self.request_id, problem)
        return public_event(event, self.request_id)

    async def _send(self, outlet: Outlet, event: StreamEvent) -> None:
        said = self._render(event, self.request_id)
        if said is not None:
            await outlet.send({"type": "websocket.send", "text": render_json(said).decode()})


async def _left(websocket: WebSocket) -> None:
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass


async def _unheard() -> None:
    """Nobody listens for the client's leaving while the last message goes out: sending it says so."""
    await asyncio.Event().wait()


async def _nothing() -> None:
    """No heartbeat: WebSockets have their own."""
