"""Delivery: the events of one answer on their way to one client, over HTTP or a WebSocket.

1. Only what is fit for strangers leaves (`llmstream.web.errors`); a failure is logged once.
2. What the events raise is their end (`llmstream.web.exceptions`), and so is a stream that stops without one.
3. However it ends, the events are closed.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Coroutine
from math import inf
from typing import Any

from starlette.types import Scope, Send

from llmstream.errors import ErrorInfo
from llmstream.events.flow import Upstream
from llmstream.events.grammar import TERMINAL
from llmstream.events.types import EventType, StreamEvent, error, failure_of
from llmstream.log import get_logger
from llmstream.providers.provider import MAX_ANSWER
from llmstream.tasks import is_cancelled
from llmstream.web.client_watch import Watch
from llmstream.web.client_writer import ClientWriter, SlowClientError, UnsentError
from llmstream.web.errors import RefusedError, log_failure, log_refusal, public_event
from llmstream.web.exceptions import failure_in, refusal_event, refusal_in
from llmstream.web.native_encoders import AbortedError
from llmstream.web.served_request import current_request

logger = get_logger("llmstream.web")


class Delivery(ABC):
    """Writes the events of one answer to one client. A subclass says how its transport does that."""

    def __init__(
        self,
        events: Upstream,
        send: Send,
        *,
        request_id: str,
        heartbeat: float | None,
        write_timeout: float | None,
        max_answer: int | None,
        verbatim: str | None = None,
    ) -> None:
        self.events, self.request_id = events, request_id
        self._max_answer = max_answer
        self._room: float = max_answer or inf  # bytes that may still be sent
        self.verbatim = verbatim
        """The provider that may tell in its own words why it refused a request."""
        self.record = current_request()
        self.ended = False
        """Whether the last event was sent, or is kept to be."""
        self.client = ClientWriter(
            send,
            request_id=request_id,
            heartbeat=heartbeat,
            write_timeout=write_timeout,
        )

    def run(self, watch: Watch) -> Coroutine[Any, Any, bool]:
        """Write and close the events; True if all were written, False if the client left, as `watch` tells.

        Raises SlowClientError, and AbortedError where the connection is to be cut.
        """
        if self.record is not None:
            self.record.begin_answer()
        return self.client.run(self._write_all(), watch, self.send_heartbeat)

    async def write(self, event: StreamEvent, problem: BaseException | None = None) -> None:
        """Write one event. `problem` is what the events raised, if it stands for that."""
        if self.record is not None and (event.start is not None or event.type in TERMINAL):
            self.record.note_event(event)
        public = public_event(event, self.request_id, verbatim=self.verbatim)
        if event.type is not EventType.ERROR:
            await self.send_event(public)
            return
        info = failure_of(event)
        log_failure(info, self.request_id, problem)
        await self.send_failure(info, public)

    async def refuse(self, refusal: RefusedError) -> None:
        """End with a refusal of the server's own."""
        log_refusal(refusal, self.request_id)
        await self.send_refusal(refusal)

    def count(self, size: int) -> None:
        """Count the bytes of a piece that was sent. Raises RefusedError, in which it ends, once it is too long."""
        self._room -= size
        if self._room < 0 and not self.ended:
            self._room = inf  # for the error itself
            raise RefusedError(502, "frame_too_large", "The answer is longer than is allowed here.")

    # --- what a transport does ------------------------------------------------------------------------------

    @abstractmethod
    async def write_events(self, events: AsyncIterator[StreamEvent]) -> None:
        """Write the events up to the last one, each as `write` does. They are closed when this returns."""

    @abstractmethod
    async def send_event(self, event: StreamEvent) -> None:
        """Send an event that is fit for strangers, and set `ended` if it is the last."""

    async def send_failure(self, info: ErrorInfo, public: StreamEvent) -> None:
        """Send an ERROR; `info` is the failure as it was, `public` the event that strangers may see."""
        await self.send_event(public)

    async def send_refusal(self, refusal: RefusedError) -> None:
        """Send a refusal as the last event."""
        await self.send_event(refusal_event(refusal, self.request_id))

    @abstractmethod
    async def send_heartbeat(self, send: Send) -> None:
        """Send bytes that mean nothing by `send`; `client` waits for it."""

    @abstractmethod
    async def finish(self) -> None:
        """Send what comes after the last event, once the events are closed."""

    # --- inside ---------------------------------------------------------------------------------------------

    async def _write_all(self) -> None:
        bound = MAX_ANSWER.set(self._max_answer)
        try:
            async with self.events as events:
                try:
                    await self.write_events(events)
                finally:
                    self.client.unwatch()
                    MAX_ANSWER.reset(bound)
        except (AbortedError, UnsentError):
            raise
        except (Exception, asyncio.CancelledError) as problem:
            if is_cancelled():
                raise
            await self._write_problem(problem)
        if not self.ended:
            await self.write(error(ErrorInfo("truncated", "the stream stopped without its end")))
        await self.finish()

    async def _write_problem(self, problem: BaseException) -> None:
        """End with what the events raised."""
        if self.ended:
            logger.error(
                "request %s: the events could not be closed", self.request_id, exc_info=problem
            )
            return
        refusal = refusal_in(problem)
        if refusal is None:
            await self.write(error(failure_in(problem)), problem)
        else:
            await self.refuse(refusal)


def cut_off(scope: Scope, request_id: str, problem: SlowClientError) -> None:
    """Drop the connection of a client that doesn't read, with all that waits to be sent.

    `llmstream serve` lets us. Other servers close it once the client has read what is in the socket's buffer.
    """
    logger.warning("request %s: %s", request_id, problem)
    abort = (scope.get("state") or {}).get("llmstream.abort")
    if abort is not None:
        abort()
