"""What a provider is, and the one reader that turns a response's bytes into events while its clocks run.

A provider makes exactly one attempt, and yields ERROR instead of raising. Retries, fallbacks and the `total` clock
belong to the client. Third parties implement `Provider`; they may use `AnswerReader` too.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from llmstream.clock import Clock, LoopClock, Timer
from llmstream.errors import ErrorInfo
from llmstream.events.types import EventType, StreamEvent
from llmstream.log import get_logger
from llmstream.messages import ChatRequest
from llmstream.wire.event_decoder import Decoder

logger = get_logger("llmstream.providers")

T = TypeVar("T")

FINISH_SILENCE = 5.0
"""Seconds to wait for more after a finish reason that need not be followed by anything."""
TURNS = 3
"""Turns of the event loop that bytes which may have come in time get to be read, before a clock has run out."""
CLOSED = "closed"
"""The error code of a stream whose client was closed."""
DRAIN = 0.05
"""Seconds given to the rest of a body after the provider's own end, so that the connection can be used again."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds; None means no limit. The clocks run only while we wait for the provider."""

    connect: float | None = 5.0
    first_token: float | None = 300.0
    """From the request to the first piece. Until then no other clock but `connect` and `total` runs."""
    idle: float | None = 120.0
    """Without a single byte."""
    progress: float | None = 300.0
    """With bytes (pings, comments), but nothing for the consumer."""
    total: float | None = None
    """The whole call: all attempts and the waits between them."""

    def __post_init__(self) -> None:
        for name in ("connect", "first_token", "idle", "progress", "total"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"timeouts.{name} must be positive seconds or None, not {value!r}")


@dataclass(slots=True)
class Call:
    """How one attempt is to be made."""

    timeouts: Timeouts = field(default_factory=Timeouts)
    deadline: float | None = None
    """When `timeouts.total` ends, on `clock`; moves on while the consumer holds an event."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    include_raw: bool = False
    strict: bool = False
    clock: Clock = field(default_factory=LoopClock)

    def hold(self, seconds: float) -> None:
        """The consumer held an event for so long: that time does not count."""
        if self.deadline is not None:
            self.deadline += seconds


@dataclass(frozen=True, slots=True)
class SchemaSupport:
    """How a model can be held to a JSON schema. `llmstream.structured` asks in the strictest of these ways.

    None of them: in words alone, which any model reads.
    """

    native: bool = False
    """`response_format` takes a schema."""
    closed_only: bool = False
    """… but no other than one whose objects are all closed, and that does not contain itself."""
    forced_call: bool = False
    """A tool call can be required."""
    forced_reasoning: bool = True
    """… also of a model that reasons first."""
    json_object: bool = False
    """`response_format` can ask for JSON of any shape."""


class Provider(Protocol):
    """Where to send a request, and as whom.

    Contract: `stream` makes one attempt. It yields events and ends with MESSAGE_COMPLETE or ERROR; it raises only for
    wrong arguments, before any network. Closing the generator closes the connection. Streams may run side by side, so
    nothing about one is kept on `self`. When a refusal taught it to ask otherwise, it yields ERROR with the code
    `llmstream.errors.ADAPTED`, and is asked again at once.

    It may also have: `default_model`, a name; `budget_key`, any hashable value that providers of the same endpoint and
    key share, else each has a retry budget of its own; `takes_prefill(request) -> bool`, whether the model goes on from
    an assistant message at the end; `schema_support(model) -> SchemaSupport`, how a model can be held to a JSON schema,
    else in words alone; `keeps_deadline = True`, when it ends by itself at `call.deadline`.
    """

    name: str

    def stream(self, request: ChatRequest, call: Call) -> AsyncGenerator[StreamEvent, None]:
        """One attempt."""
        ...

    async def aclose(self) -> None:
        """Release connections. Streams still open end in an ERROR."""


class Watchdog:
    """All clocks of one attempt in one timer, which is re-armed only when it fires or a limit becomes shorter.

    `expired` names the clock that ran out, or is "closed". `abort` is then called, and must make the pending read
    return. Until `stop` it is one of `open`, for a provider to `close` those that run when it is closed itself.
    """

    def __init__(self, call: Call, open: set[Watchdog] | None = None) -> None:
        self._open = open
        if open is not None:
            open.add(self)
        self._call = call
        self._clock = call.clock
        self._now = call.clock.time
        self.abort: Callable[[], object] = _nothing
        self._timer: Timer | None = None
        self._since: float | None = None  # when we began to wait for the provider
        self._quiet = 0.0  # time waited since the consumer last got something
        self._pieces = False
        self._ending: float | None = (
            None  # seconds left to a nearer end: after the finish reason, or draining
        )
        self._turns = 0  # of the loop, since a limit was first seen to be over
        self.expired: str | None = None

    def waiting(self) -> None:
        """We wait for the provider from now on."""
        self._since = now = self._now()
        if self._timer is None:
            self._arm(now)

    def arrived(self) -> None:
        """Bytes came: we no longer wait."""
        since = self._since
        if since is None:
            return
        self._since = None
        waited = self._now() - since
        self._quiet += waited
        if self._ending is not None:
            self._ending -= waited

    def piece(self) -> None:
        """The consumer gets something."""
        self._quiet = 0.0
        if not self._pieces:
            self._pieces = True
            self._disarm()

    def end_within(self, seconds: float) -> None:
        """What matters has come: from now on, so long without more of it is the end."""
        self._ending = seconds
        self._disarm()

    def stop(self) -> None:
        """The attempt is over."""
        self._since = None
        self._disarm()
        if self._open is not None:
            self._open.discard(self)

    def close(self) -> None:
        """The provider is closed: whatever is pending ends now, and nothing more begins."""
        self.expired = self.expired or CLOSED
        self.abort()

    def error(self) -> ErrorInfo:
        """Why the attempt ends, once `expired` says that it does."""
        return (
            closed()
            if self.expired == CLOSED
            else timed_out(self.expired or "total", self._call.timeouts)
        )

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _limits(self, since: float) -> list[tuple[float, str]]:
        timeouts = self._call.timeouts
        named: list[tuple[float | None, str]]
        if self._pieces:
            named = [(timeouts.idle, "idle"), (_minus(timeouts.progress, self._quiet), "progress")]
        else:
            named = [(_minus(timeouts.first_token, self._quiet), "first_token")]
        limits = [(since + limit, code) for limit, code in named if limit is not None]
        if self._ending is not None:
            limits.append((since + self._ending, "end"))
        if self._call.deadline is not None:
            limits.append((self._call.deadline, "total"))
        return limits

    def _arm(self, since: float) -> None:
        limits = self._limits(since)
        if limits:
            left = min(limits)[0] - self._now()
            # uvloop's timers know only whole milliseconds: 0 would come again and again until the rest is over.
            self._timer = self._clock.call_later(max(left, 0.001) if left > 0 else 0.0, self._fire)

    def _fire(self) -> None:
        self._timer = None
        if self._since is None:
            return
        first, code = min(self._limits(self._since))
        # Loop timers may fire a hair early; a microsecond is below any limit that makes sense.
        if first > self._now() + 1e-6:
            self._turns = 0
            self._arm(self._since)
            return
        if self._turns < TURNS:
            # A loop that was busy past the limit has not read yet what came in time.
            self._turns += 1
            self._timer = self._clock.call_later(0.0, self._fire)
            return
        self.expired = code
        self.abort()


def _nothing() -> None:
    """Nothing is pending."""


def _minus(limit: float | None, spent: float) -> float | None:
    return None if limit is None else limit - spent


def closed() -> ErrorInfo:
    """The error of a stream whose client was closed under it."""
    return ErrorInfo(
        "connection", "the client was closed before the answer's end", retryable=False, code=CLOSED
    )


def timed_out(code: str, timeouts: Timeouts) -> ErrorInfo:
    """The error of a clock that ran out."""
    limit = getattr(timeouts, code)
    what = {
        "connect": "no connection",
        "first_token": "no first token",
        "idle": "not a byte",
        "progress": "nothing but keep-alives",
        "total": "no end",
    }[code]
    return ErrorInfo("timeout", f"{what} within {limit:g} s", code=code)


async def abortable(pending: asyncio.Future[T], watchdog: Watchdog) -> T:
    """Wait for a task that the watchdog may cancel; TimeoutError if it did.

    Cancelling the one who waits is told apart from that without looking at the task's history: only then does the wait
    itself raise. It cancels `pending` and waits for it, so that whatever it holds is let go.
    """
    watchdog.abort = pending.cancel
    if watchdog.expired:
        pending.cancel()
    try:
        await asyncio.wait({pending})
    except asyncio.CancelledError:
        pending.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.wait({pending})
        raise
    finally:
        watchdog.abort = _nothing
    if pending.cancelled():
        raise TimeoutError
    return pending.result()


class AnswerReader:
    """Reads a body to the provider's own end and decodes it, one read at a time, while the clocks run.

        while not reader.done:
            for event in await reader.read():
                yield event

    `abort` makes a pending read of `body` return at once, from a plain callback; without one each read runs in a task
    that can be cancelled, which costs more. Whoever opened the response closes it, and the body. After the provider's
    own end what is left of the body is drained for at most `DRAIN` seconds; one that was read to its end is closed at
    once, if it has an `aclose`, so that its connection is free before the last event leaves. No generator: the events
    of one read leave together, which costs less than a layer per event.
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
        self._given: float | None = None  # when the consumer got the last events
        self.done = False

    async def read(self) -> list[StreamEvent]:
        """The events of the next bytes; at the end the terminal event. Never raises but CancelledError."""
        decoder, watchdog = self._decoder, self._watchdog
        if self._given is not None:
            self._call.hold(self._call.clock.time() - self._given)
        frames = decoder.frames
        watchdog.waiting()
        data: bytes | None
        try:  # as in `_next`: a coroutine more for each read would be felt
            if watchdog.expired:  # closed, while the consumer held an event
                data = None
            else:
                data = await (self._body.__anext__() if self._direct else self._abortable())
        except Exception as problem:  # noqa: BLE001  # whatever the transport raises, the answer ends here
            data = None
            await self._ended(problem)
        watchdog.arrived()
        if data is not None:
            events = decoder.feed(data)
        elif watchdog.expired and not decoder.finishing:
            events = decoder.abort(watchdog.error())
        else:
            events = decoder.finish()
        if decoder.ended:
            self.done = True
            if data is not None and events[-1].type is EventType.MESSAGE_COMPLETE:
                await self._drain()
            watchdog.stop()
        elif decoder.begun and events:
            watchdog.piece()
        if decoder.finishing and decoder.frames > frames and not decoder.ended:
            watchdog.end_within(FINISH_SILENCE)
        if self._call.deadline is not None:
            self._given = self._call.clock.time()
        return events

    def _abortable(self) -> Awaitable[bytes]:
        return abortable(asyncio.ensure_future(self._body.__anext__()), self._watchdog)

    async def _next(self) -> bytes | None:
        """The next bytes; None at the end of the body, however it came."""
        try:
            return await (self._body.__anext__() if self._direct else self._abortable())
        except Exception as problem:  # noqa: BLE001  # whatever the transport raises, the answer ends here
            await self._ended(problem)
            return None

    async def _ended(self, problem: Exception) -> None:
        problem.__traceback__ = (
            None  # aiohttp keeps the exception, and with it every frame that it came through
        )
        if not isinstance(problem, StopAsyncIteration):
            logger.debug("the body broke off: %s", type(problem).__name__)
        elif (close := getattr(self._body, "aclose", None)) is not None:
            await close()

    async def _drain(self) -> None:
        self._watchdog.end_within(DRAIN)
        self._watchdog.waiting()
        while await self._next() is not None and not self._watchdog.expired:
            pass


__all__ = [
    "AnswerReader",
    "Call",
    "Clock",
    "LoopClock",
    "Provider",
    "Timeouts",
    "Watchdog",
    "abortable",
    "closed",
    "timed_out",
]
