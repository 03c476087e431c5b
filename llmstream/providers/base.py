"""What a provider is, and the one reader that turns a response's bytes into events while its clocks run.

A provider makes exactly one attempt, and yields ERROR instead of raising. Retries, fallbacks and the `total` clock
belong to the client. Third parties implement `Provider`; they may use `AnswerReader` too.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from llmstream.errors import ErrorInfo
from llmstream.events.types import EventType, StreamEvent
from llmstream.messages import ChatRequest
from llmstream.wire.decoding import Decoder

logger = logging.getLogger("llmstream")

FINISH_SILENCE = 5.0
"""Seconds to wait for more after a finish reason that need not be followed by anything."""
DRAIN = 0.05
"""Seconds given to the rest of a body after the provider's own end, so that the connection can be used again."""


class Timer(Protocol):
    """What `Clock.call_later` returns."""

    def cancel(self) -> None:
        """Don't call."""


class Clock(Protocol):
    """Time, as `LLMClient` and its providers see it; tests give a virtual one."""

    def time(self) -> float:
        """Seconds from some fixed point; never goes back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Call back once, unless cancelled."""
        ...


class LoopClock:
    """The running event loop's own time."""

    def time(self) -> float:
        """Seconds of the loop's clock."""
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        """Wait; cancellable at once."""
        await asyncio.sleep(seconds)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Call back once, unless cancelled."""
        return asyncio.get_running_loop().call_later(seconds, callback)


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
    headers: Mapping[str, str] = field(default_factory=dict)
    include_raw: bool = False
    strict: bool = False
    clock: Clock = field(default_factory=LoopClock)

    def hold(self, seconds: float) -> None:
        """The consumer held an event for so long: that time does not count."""
        if self.deadline is not None:
            self.deadline += seconds


class Provider(Protocol):
    """Where to send a request, and as whom.

    Contract: `stream` makes one attempt. It yields events and ends with MESSAGE_COMPLETE or ERROR; it raises only for
    wrong arguments, before any network. Closing the generator closes the connection. Streams may run side by side, so
    nothing about one is kept on `self`.
    """

    name: str

    def stream(self, request: ChatRequest, call: Call) -> AsyncGenerator[StreamEvent, None]:
        """One attempt."""
        ...

    async def aclose(self) -> None:
        """Release connections. Streams still open end in an ERROR."""


class Watchdog:
    """All clocks of one attempt in one timer, which is re-armed only when it fires or a limit becomes shorter.

    `expired` names the clock that ran out; `abort` is then called once, and must make the pending read return.
    """

    def __init__(self, call: Call, abort: Callable[[], object]) -> None:
        self._call = call
        self._clock = call.clock
        self._abort = abort
        self._timer: Timer | None = None
        self._since: float | None = None  # when we began to wait for the provider
        self._quiet = 0.0  # time waited since the consumer last got something
        self._pieces = False
        self._silence: tuple[float, str] | None = None  # a shorter limit: after the finish reason, or draining
        self.expired: str | None = None

    def waiting(self) -> None:
        """We wait for the provider from now on."""
        self._since = self._clock.time()
        if self._timer is None:
            self._arm(self._since)

    def arrived(self) -> None:
        """Bytes came: we no longer wait."""
        if self._since is not None:
            self._quiet += self._clock.time() - self._since
            self._since = None

    def piece(self) -> None:
        """The consumer gets something."""
        self._quiet = 0.0
        if not self._pieces:
            self._pieces = True
            self._disarm()

    def limit_silence(self, seconds: float, code: str) -> None:
        """From now on, no bytes for so long is the end of it."""
        self._silence = (seconds, code)
        self._disarm()

    def redirect(self, abort: Callable[[], object]) -> None:
        """Something else is pending now."""
        self._abort = abort

    def stop(self) -> None:
        """The attempt is over."""
        self._since = None
        self._disarm()

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
        if self._silence is not None:
            limits.append((since + self._silence[0], self._silence[1]))
        if self._call.deadline is not None:
            limits.append((self._call.deadline, "total"))
        return limits

    def _arm(self, since: float) -> None:
        limits = self._limits(since)
        if limits:
            self._timer = self._clock.call_later(max(0.0, min(limits)[0] - self._clock.time()), self._fire)

    def _fire(self) -> None:
        self._timer = None
        if self._since is None:
            return
        first, code = min(self._limits(self._since))
        # Loop timers may fire a hair early; a microsecond is below any limit that makes sense.
        if first > self._clock.time() + 1e-6:
            self._arm(self._since)
            return
        self.expired = code
        self._abort()


def _minus(limit: float | None, spent: float) -> float | None:
    return None if limit is None else limit - spent


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


class AnswerReader:
    """Reads a body to the provider's own end and decodes it, one read at a time, while the clocks run.

        while not reader.done:
            for event in await reader.read():
                yield event

    `watchdog.redirect` must already point at something that makes a pending read of `body` return. Whoever opened the
    response closes it, and the body. After the provider's own end what is left of the body is drained for at most
    `DRAIN` seconds. No generator: the events of one read leave together, which costs less than a layer per event.
    """

    def __init__(self, body: AsyncIterator[bytes], decoder: Decoder, call: Call, watchdog: Watchdog) -> None:
        self._body = body
        self._decoder = decoder
        self._call = call
        self._watchdog = watchdog
        self._given: float | None = None  # when the consumer got the last events
        self.done = False

    async def read(self) -> list[StreamEvent]:
        """The events of the next bytes; at the end the terminal event. Never raises but CancelledError."""
        decoder, watchdog = self._decoder, self._watchdog
        if self._given is not None:
            self._call.hold(self._call.clock.time() - self._given)
        watchdog.waiting()
        data: bytes | None = None
        try:
            data = await self._body.__anext__()
        except StopAsyncIteration:
            pass
        except Exception as problem:  # noqa: BLE001  # whatever the transport raises, the answer ends here
            logger.debug("the body broke off: %s", type(problem).__name__)
        watchdog.arrived()
        if data is not None:
            events = decoder.feed(data)
        elif watchdog.expired and not decoder.finishing:
            events = decoder.abort(timed_out(watchdog.expired, self._call.timeouts))
        else:
            events = decoder.finish()
        if decoder.ended:
            self.done = True
            if data is not None and events[-1].type is EventType.MESSAGE_COMPLETE:
                await self._drain()
            watchdog.stop()
        elif events and events[-1].type is not EventType.STATUS:
            watchdog.piece()
        if decoder.finishing and not decoder.ended:
            watchdog.limit_silence(FINISH_SILENCE, "finish")
        if self._call.deadline is not None:
            self._given = self._call.clock.time()
        return events

    async def _drain(self) -> None:
        self._watchdog.limit_silence(DRAIN, "drain")
        self._watchdog.waiting()
        try:
            async for _ in self._body:
                if self._watchdog.expired:
                    break
        except Exception as problem:  # noqa: BLE001  # the answer is whole already
            logger.debug("the tail of the body broke off: %s", type(problem).__name__)


def socket_abort(response: Any) -> Callable[[], None]:
    """A function that makes a pending read of an httpx2 response return at once, from a plain callback."""

    def abort() -> None:
        stream = response.extensions.get("network_stream")
        connection = stream.get_extra_info("socket") if stream is not None else None
        if connection is not None:
            with suppress(OSError):  # already closed, which is what we want
                connection.shutdown(socket.SHUT_RDWR)

    return abort


__all__ = [
    "AnswerReader",
    "Call",
    "Clock",
    "LoopClock",
    "Provider",
    "Timeouts",
    "Watchdog",
    "socket_abort",
    "timed_out",
]
