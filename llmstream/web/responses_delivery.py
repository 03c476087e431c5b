"""AnswerDelivery: one answer of Responses over a WebSocket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from starlette.types import Send

from llmstream.errors import ErrorInfo
from llmstream.events.flow import Upstream
from llmstream.events.grammar import TERMINAL
from llmstream.events.types import StreamEvent
from llmstream.web.delivery import Delivery
from llmstream.web.dialects.base import Answer
from llmstream.web.dialects.openai_errors import render_error
from llmstream.web.errors import RefusedError, error_headers, public_info
from llmstream.wire.outbound import json_bytes


class AnswerDelivery(Delivery):
    """Sends one answer's events as messages, the last one once the model's stream is closed.

    `answer` writes each event as a line; `keep` is called before the last one is sent.
    """

    def __init__(
        self,
        events: Upstream,
        send: Send,
        answer: Answer,
        *,
        request_id: str,
        stream_id: str | None,
        write_timeout: float | None,
        max_answer: int | None,
        keep: Callable[[], None],
    ) -> None:
        super().__init__(
            events,
            send,
            request_id=request_id,
            heartbeat=None,
            write_timeout=write_timeout,
            max_answer=max_answer,
        )
        self._answer, self._stream_id, self._keep = answer, stream_id, keep
        self._begun = False
        self._last = b""

    async def write_events(self, events: AsyncIterator[StreamEvent]) -> None:
        """Write the events up to the last one."""
        async for event in events:
            if event.type in TERMINAL:
                self.client.unwatch()  # before it is sent: a client that has it may leave
            await self.write(event)
            if self.ended:
                break

    async def send_event(self, event: StreamEvent) -> None:
        """Send an event; keep the last one until the events are closed."""
        data = self._answer.feed(event)
        self.ended = event.type in TERMINAL or self._answer.ended
        if self.ended:
            self._last = data
        else:
            await self._send(data)

    async def send_failure(self, info: ErrorInfo, public: StreamEvent) -> None:
        """Send an error with its status, or the end of an answer that has begun."""
        if self._begun:
            await self.send_event(public)
        else:
            self._fail(public_info(info, self.request_id, status=True))

    async def send_refusal(self, refusal: RefusedError) -> None:
        """The same, of a refusal of the server's own."""
        if self._begun:
            await super().send_refusal(refusal)
        else:
            self._fail(refusal.info)

    async def send_heartbeat(self, send: Send) -> None:
        """Send nothing: the server's own pings keep a silent WebSocket alive."""

    async def finish(self) -> None:
        """Send the last event. What the client sends upon it may name the answer, so it is kept before."""
        self._keep()
        await self._send(self._last)

    def _fail(self, info: ErrorInfo) -> None:
        if self.record is not None:
            self.record.status = info.status_code
        payload = error_payload(info, self.request_id, self._stream_id)
        self._last, self.ended = render_line(None, payload), True

    async def _send(self, data: bytes) -> None:
        for line in data.splitlines():
            self._begun = True
            await self.client.send({"type": "websocket.send", "text": line.decode()})
        self.count(len(data))


def render_line(stream_id: str | None, payload: Mapping[str, Any]) -> bytes:
    """One event as a line of JSON, with the lane that it belongs to."""
    named = payload if stream_id is None else {**payload, "stream_id": stream_id}
    return json_bytes(named) + b"\n"


def error_payload(info: ErrorInfo, request_id: str, stream_id: str | None) -> dict[str, Any]:
    """The event of a request that isn't answered, with the status that it would have over HTTP."""
    error = {**render_error(info), "request_id": request_id}
    headers = error_headers(info)
    if headers:
        error["headers"] = headers
    payload = {"type": "error", "status": info.status_code or 500, "error": error}
    return payload if stream_id is None else {**payload, "stream_id": stream_id}
