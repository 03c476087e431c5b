"""The same events over a WebSocket: a JSON text message for each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

from starlette.types import Send
from starlette.websockets import WebSocket

from llmstream.events.flow import Upstream
from llmstream.events.grammar import TERMINAL
from llmstream.events.types import StreamEvent
from llmstream.web.client_watch import by_listening
from llmstream.web.client_writer import SlowClientError
from llmstream.web.delivery import Delivery, cut_off
from llmstream.web.errors import new_request_id, render_error
from llmstream.web.loose_items import Items, LooseItems
from llmstream.web.native_encoders import render_json

Render = Callable[[StreamEvent, str], Any]
"""From an event that is fit for strangers, and the request's id, to what is sent; None: nothing."""


def render_event(event: StreamEvent, request_id: str) -> Any:
    """An event's own JSON; an ERROR's has `request_id` beside `error`."""
    if event.error_info is not None:
        return render_error(event.error_info, request_id)
    return None if event.is_internal else event.to_dict()


async def send_events(
    websocket: WebSocket,
    events: Items,
    *,
    render: Render = render_event,
    request_id: str | None = None,
    write_timeout: float | None = 30.0,
    max_answer: int | None = None,
) -> bool:
    """Send the events over an accepted WebSocket, and close them; True if all of them went out.

    `events` and `max_answer` are as EventStreamResponse's. A client that leaves ends it at once, as does one that
    doesn't read for `write_timeout` seconds; messages that it sends meanwhile are dropped. What goes wrong is a last
    message with `error` and `request_id`. The last one is sent when the events are closed, so what the client sends
    upon it is the caller's to receive. A client that leaves then doesn't disturb the closing. The WebSocket stays open:
    `if await send_events(…): await websocket.close()`. The server's own pings keep a silent one alive.
    """
    delivery = WebSocketDelivery(
        websocket,
        Upstream(LooseItems(events)),
        render,
        request_id=request_id or new_request_id(websocket.headers.get("x-request-id")),
        write_timeout=write_timeout,
        max_answer=max_answer,
    )
    try:
        return (
            await delivery.run(by_listening(partial(_left, websocket)))
            and await delivery.send_last()
        )
    except SlowClientError as problem:
        cut_off(websocket.scope, delivery.request_id, problem)
        return False
    finally:
        await delivery.events.aclose()  # if it never began


class WebSocketDelivery(Delivery):
    """Sends events as `render` makes them. Keeps the last one, which `send_last` sends."""

    def __init__(
        self,
        websocket: WebSocket,
        events: Upstream,
        render: Render,
        *,
        request_id: str,
        write_timeout: float | None,
        max_answer: int | None,
    ) -> None:
        super().__init__(
            events,
            websocket.send,
            request_id=request_id,
            heartbeat=None,
            write_timeout=write_timeout,
            max_answer=max_answer,
        )
        self._render = render
        self._last: StreamEvent | None = None

    async def write_events(self, events: AsyncIterator[StreamEvent]) -> None:
        """Write the events up to the last one."""
        async for event in events:
            await self.write(event)
            if self.ended:
                break

    async def send_event(self, event: StreamEvent) -> None:
        """Send an event; keep the last one until the events are closed."""
        if event.type in TERMINAL:
            self._last, self.ended = event, True
        else:
            await self._send(event)

    async def send_heartbeat(self, send: Send) -> None:
        """Send nothing: the server's own pings keep a silent WebSocket alive."""

    async def finish(self) -> None:
        """Send nothing: the last event waits for `send_last`."""

    async def send_last(self) -> bool:
        """Send the last event. True if the client took it."""
        # Nobody watches: while it goes out, only sending it can show that the client has left.
        return await self.client.run(self._send_last(), None, self.send_heartbeat)

    async def _send_last(self) -> None:
        if self._last is not None:
            await self._send(self._last)

    async def _send(self, event: StreamEvent) -> None:
        content = self._render(event, self.request_id)
        if content is not None:
            text = render_json(content).decode()
            await self.client.send({"type": "websocket.send", "text": text})
            self.count(len(text))


async def _left(websocket: WebSocket) -> None:
    """Return when the client disconnects."""
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass
