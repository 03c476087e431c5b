"""HttpDelivery: an answer over HTTP, whose status waits for the first bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress

from starlette.types import Message, Send

from llmstream.errors import ErrorInfo
from llmstream.events.flow import Batched, Upstream
from llmstream.events.grammar import TERMINAL
from llmstream.events.types import EventType, Start, StreamEvent
from llmstream.web.answer_head import AnswerHead
from llmstream.web.delivery import Delivery
from llmstream.web.errors import RefusedError, public_info
from llmstream.web.native_encoders import AbortedError, Outgoing
from llmstream.web.refusals import Refusal, RenderError, whole_messages

_TEXT = EventType.TEXT_DELTA
_LAST_BODY: Message = {"type": "http.response.body", "body": b"", "more_body": False}
_GOODBYE = 0.5
"""Seconds for a last word to a client when the server stops."""


class HttpDelivery(Delivery):
    """Sends `head` with the first bytes that `encoder` makes; a failure before them is an HTTP error."""

    def __init__(
        self,
        events: Upstream,
        send: Send,
        *,
        encoder: Outgoing,
        head: Message,
        render_error: RenderError,
        request_id: str,
        heartbeat: float | None,
        write_timeout: float | None,
        max_answer: int | None,
        told: AnswerHead,
        verbatim: str | None,
    ) -> None:
        super().__init__(
            events,
            send,
            request_id=request_id,
            heartbeat=heartbeat,
            write_timeout=write_timeout,
            max_answer=max_answer,
            verbatim=verbatim,
        )
        self._encoder, self._head, self._render_error = encoder, head, render_error
        self._opened = False
        self._ready: list[bytes] = []  # to be sent in one piece
        self._told = told
        self._start = Start()

    async def write(self, event: StreamEvent, problem: BaseException | None = None) -> None:
        """Write one event. The head says what the answer's beginning tells of it."""
        if event.start is not None:
            self._start = event.start
        await super().write(event, problem)

    async def write_events(self, events: AsyncIterator[StreamEvent]) -> None:
        """Write the events up to the last one; those that come together, in one piece."""
        if isinstance(events, Batched):
            async for batch in events.batches:
                if len(batch) == 1 and self._opened and _is_text(batch[0]):
                    # Nearly every batch. `_write_batch` would do the same, through four more calls.
                    data = self._encoder.feed(batch[0])
                    if self.client.write(data):
                        self.count(len(data))
                    elif data:
                        await self._send_piece(data)
                    continue
                await self._write_batch(batch)
                if self.ended:
                    return
        else:
            async for event in events:
                await self._write_batch((event,))
                if self.ended:
                    return

    async def send_event(self, event: StreamEvent) -> None:
        """Have an event sent with the next piece, if the form has a place for it."""
        self._ready.append(self._encoder.feed(event))
        self.ended = event.type in TERMINAL or self._encoder.ended

    async def send_failure(self, info: ErrorInfo, public: StreamEvent) -> None:
        """Send an HTTP error, or the last event where bytes were sent."""
        if self._opened or any(self._ready):
            await self.send_event(public)
        else:
            public_error = public_info(info, self.request_id, status=True, verbatim=self.verbatim)
            await self._send_error(public_error, self._told.of_failure(info.rate_limits))

    async def send_refusal(self, refusal: RefusedError) -> None:
        """Send an HTTP error, or the last event where bytes were sent."""
        if self._opened or any(self._ready):
            await super().send_refusal(refusal)
        else:
            await self._send_error(refusal.info, refusal.headers)

    async def send_heartbeat(self, send: Send) -> None:
        """Send bytes that mean nothing; the head, if they are the first."""
        if not self._opened:
            self._opened = True
            await send(self._full_head())
        await send(
            {"type": "http.response.body", "body": self._encoder.keep_alive, "more_body": True}
        )

    async def finish(self) -> None:
        """End the body, also of an answer without a word."""
        await self._flush()
        if not self._opened:
            await self._open()
        await self.client.send(_LAST_BODY)

    async def say_goodbye(self) -> None:
        """Tell the client that the server stops, as far as that can be said."""
        with suppress(Exception):
            async with asyncio.timeout(_GOODBYE):
                if not self.ended:
                    text = "The server is stopping. Please try again."
                    await self.refuse(RefusedError(503, "overloaded", text, retry_after=1.0))
                    await self._flush()
                await self.client.send(_LAST_BODY)

    # --- inside ---------------------------------------------------------------------------------------------

    async def _write_batch(self, batch: Sequence[StreamEvent]) -> None:
        feed, ready = self._encoder.feed, self._ready
        try:
            for event in batch:
                if _is_text(event):
                    # Nearly every event. `write` would do the same, through four more calls.
                    ready.append(feed(event))
                    continue
                if event.type in TERMINAL:
                    self.client.unwatch()  # before it is sent: a client that has it may leave
                await self.write(event)
                if self.ended:
                    break
        except AbortedError:
            await self._flush()  # what came before the cut
            raise
        await self._flush()

    async def _flush(self) -> None:
        """Send what is ready."""
        data = b"".join(self._ready)
        self._ready.clear()
        if data:
            await self._send_piece(data)

    async def _send_piece(self, data: bytes) -> None:
        if not self._opened:
            await self._open()
        if not self.client.write(data):
            await self.client.send({"type": "http.response.body", "body": data, "more_body": True})
        self.count(len(data))

    async def _open(self) -> None:
        self._opened = True
        await self.client.send(self._full_head())

    def _full_head(self) -> Message:
        told = self._told.of_start(self._start).items()
        added = [(name.encode(), value.encode()) for name, value in told]
        return {**self._head, "headers": [*self._head["headers"], *added]}

    async def _send_error(
        self, public: ErrorInfo, headers: Mapping[str, str] | None = None
    ) -> None:
        """An HTTP error in place of the answer. Its body ends when the events are closed, as all answers do."""
        self._opened = self.ended = True
        response = Refusal(
            public, self.request_id, render_error=self._render_error, headers=headers
        )
        head, body = whole_messages(response)
        await self.client.send(head)
        await self.client.send({**body, "more_body": True})


def _is_text(event: StreamEvent) -> bool:
    """Whether it is a text alone, which needs none of what `write` does."""
    return event.type is _TEXT and event.raw is None
