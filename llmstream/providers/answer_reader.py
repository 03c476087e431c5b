"""The one reader that turns a response's bytes into events while its clocks run. Third parties may use it too."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from math import inf

from llmstream.errors import ErrorInfo
from llmstream.events.types import EventType, StreamEvent
from llmstream.log import get_logger
from llmstream.providers.http.failures import causes
from llmstream.providers.provider import MAX_ANSWER, Call
from llmstream.providers.watchdog import Watchdog, abortable
from llmstream.wire.event_decoder import Decoder

logger = get_logger("llmstream.providers")

FINISH_SILENCE = 5.0
"""Seconds to wait for more after a finish reason that need not be followed by anything."""
TOO_LONG = "answer_too_long"
"""The code of an answer that became longer than MAX_ANSWER."""
DRAIN = 0.05
"""Seconds given to the rest of a body after the provider's own end, so that the connection can be used again."""


class AnswerReader:
    """Reads a body to the provider's own end and decodes it, one read at a time, while the clocks run.

        while not reader.done:
            for event in await reader.read():
                yield event

    `abort` makes a pending read of `body` return at once, from a plain callback; without one each
    read runs in a task that can be cancelled, which costs more. Whoever opened the response closes
    it, and the body. After the provider's own end the rest of the body is drained for at most
    `DRAIN` seconds. One that was read to its end is closed at once, if it has an `aclose`, so that
    its connection is free before the last event leaves. No generator: the events of one read leave
    together, which costs less than a layer per event. A body may have `at_end`: whether nothing more can
    come of it, so that nobody needs to look.
    """

    def __init__(
        self,
        body: AsyncIterator[bytes],
        decoder: Decoder,
        call: Call,
        watchdog: Watchdog,
        abort: Callable[[], object] | None = None,
    ) -> None:
        self._body = body
        self._decoder = decoder
        self._call = call
        self._watchdog = watchdog
        self._direct = abort is not None
        if abort is not None:
            watchdog.abort = abort
        self._room: float = MAX_ANSWER.get() or inf  # bytes that may still come
        self._given: float | None = None  # when the consumer got the last events
        self.done = False

    async def read(self) -> list[StreamEvent]:
        """The events of the next bytes; at the end the terminal event. Raises only CancelledError."""
        decoder, watchdog = self._decoder, self._watchdog
        if self._given is not None:
            self._call.exclude(self._call.clock.time() - self._given)
        frames = decoder.frames
        watchdog.waiting()
        data: bytes | None = None
        if not watchdog.expired:  # it is, if the client was closed while the consumer held an event
            # As in `_next`, without a further coroutine for each read, which would be felt.
            try:
                data = await (self._body.__anext__() if self._direct else self._abortable())
            except Exception as problem:  # noqa: BLE001  # whatever it is, the answer ends here
                await self._ended(problem)
        watchdog.arrived()
        if data is None:
            events = self._finish()
        else:
            events = decoder.feed(data)
            self._room -= len(data)
            if self._room < 0:
                events = self._cut(events)
        if decoder.ended:
            await self._end(events, is_open=data is not None)
        elif decoder.begun and events:
            watchdog.piece()
        if decoder.finishing and decoder.frames > frames and not decoder.ended:
            watchdog.end_within(FINISH_SILENCE)
        if self._call.deadline is not None:
            self._given = self._call.clock.time()
        return events

    def _finish(self) -> list[StreamEvent]:
        """The last events, when no more bytes come."""
        if self._watchdog.expired and not self._decoder.finishing:
            return self._decoder.abort(self._watchdog.error())
        return self._decoder.finish()

    def _cut(self, events: list[StreamEvent]) -> list[StreamEvent]:
        """End the answer with an ERROR behind what has come: it is longer than it may be."""
        if self._decoder.ended:
            return events
        told = f"the answer is longer than {MAX_ANSWER.get()} bytes, and may have no end"
        return [*events, *self._decoder.abort(ErrorInfo("frame_too_large", told, code=TOO_LONG))]

    async def _end(self, events: list[StreamEvent], *, is_open: bool) -> None:
        """The provider's own end came, or there is nothing more to read."""
        self.done = True
        if is_open and events[-1].type is EventType.MESSAGE_COMPLETE:
            await self._drain()
        self._watchdog.stop()

    def _abortable(self) -> Awaitable[bytes]:
        return abortable(_first_of(self._body), self._watchdog)

    async def _next(self) -> bytes | None:
        """The next bytes; None at the end of the body, however it came."""
        try:
            return await (self._body.__anext__() if self._direct else self._abortable())
        except Exception as problem:  # noqa: BLE001  # whatever it is, the answer ends here
            await self._ended(problem)
            return None

    async def _ended(self, problem: Exception) -> None:
        # aiohttp keeps the exception, and with it every frame that it came through. From Python 3.12 on
        # those of httpcore2's own cause hold each other, too.
        for cause in causes(problem):
            cause.__traceback__ = None
        if not isinstance(problem, StopAsyncIteration):
            logger.debug("the body broke off: %s", type(problem).__name__)
            return
        close = getattr(self._body, "aclose", None)
        if close is not None:
            await close()

    async def _drain(self) -> None:
        if getattr(self._body, "at_end", False):
            return
        self._watchdog.end_within(DRAIN)
        self._watchdog.waiting()
        while not self._watchdog.expired:
            if await self._next() is None:
                return


async def _first_of(body: AsyncIterator[bytes]) -> bytes:
    return await body.__anext__()
