"""The clocks of one attempt, and what they end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator, Iterator
from typing import Any, Generic, TypeVar

from llmstream.clock import Timer
from llmstream.errors import ErrorInfo
from llmstream.providers.provider import Call
from llmstream.providers.timeouts import Timeouts

T = TypeVar("T")

TURNS = 3
"""Extra loop iterations granted before a timeout fires, so bytes already received are read."""
EARLY = 1e-6
"""Seconds by which a loop's timer may fire too soon."""
CLOSED = "closed"
"""The error code of a stream whose client was closed."""


class Watchdog:
    """All clocks of one attempt, in one timer: several for each read would be felt.

    The clocks run from `waiting()` to `arrived()`. When one runs out, `expired` is its name, and
    `abort` is called: it must make the pending read return. `close()` ends the attempt in the same
    way, with `expired` "closed". Until `stop()` it is one of `open`, so that a provider finds those
    that run when it is closed itself.
    """

    def __init__(self, call: Call, open: set[Watchdog] | None = None) -> None:
        self._open = open
        if open is not None:
            open.add(self)
        self._call = call
        self._clock = call.clock
        self._now = call.clock.time
        self.abort: Callable[[], object] = _nothing
        self.expired: str | None = None
        self._timer: Timer | None = None
        self._since: float | None = None  # when the wait that goes on began
        self._waited = 0.0  # in earlier waits, since the consumer last got something
        self._has_pieces = False
        self._left_to_end: float | None = None  # seconds; None: the end isn't near
        self._turns = 0  # of the loop, since a clock was first seen to be over

    def waiting(self) -> None:
        """We wait for the provider from now on."""
        self._since = now = self._now()
        if self._timer is None:
            self._arm(now)

    def arrived(self) -> None:
        """Bytes came: we no longer wait. The timer stays, for the next wait."""
        since = self._since
        if since is None:
            return
        self._since = None
        waited = self._now() - since
        self._waited += waited
        if self._left_to_end is not None:
            self._left_to_end -= waited

    def piece(self) -> None:
        """The consumer gets something."""
        self._waited = 0.0
        if not self._has_pieces:
            self._has_pieces = True
            self._disarm()

    def end_within(self, seconds: float) -> None:
        """End the wait for more after `seconds`: all that matters has come."""
        self._left_to_end = seconds
        self._disarm()

    def stop(self) -> None:
        """The attempt is over."""
        self._since = None
        self._disarm()
        if self._open is not None:
            self._open.discard(self)

    def close(self) -> None:
        """The provider is closed: end what is pending, and let nothing more begin."""
        self.expired = self.expired or CLOSED
        self.abort()

    def error(self) -> ErrorInfo:
        """Why the attempt ends, once `expired` says that it does."""
        if self.expired == CLOSED:
            return closed()
        return timed_out(self.expired or "total", self._call.timeouts)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ends(self, since: float) -> Iterator[tuple[float, str]]:
        """When each clock runs out, if nothing arrives."""
        timeouts = self._call.timeouts
        if not self._has_pieces:
            if timeouts.first_token is not None:
                yield since + timeouts.first_token - self._waited, "first_token"
        else:
            if timeouts.idle is not None:
                yield since + timeouts.idle, "idle"
            if timeouts.progress is not None:
                yield since + timeouts.progress - self._waited, "progress"
        if self._left_to_end is not None:
            yield since + self._left_to_end, "end"
        if self._call.deadline is not None:
            yield self._call.deadline, "total"

    def _arm(self, since: float) -> None:
        first = min(self._ends(since), default=None)
        if first is None:
            return
        left = first[0] - self._now()
        # uvloop's timers count whole milliseconds: 0 would fire again and again until it's time.
        delay = max(left, 0.001) if left > 0 else 0.0
        self._timer = self._clock.call_later(delay, self._fire)

    def _fire(self) -> None:
        self._timer = None
        if self._since is None:
            return  # the next wait arms it again
        first, name = min(self._ends(self._since))
        if first > self._now() + EARLY:  # something arrived meanwhile
            self._turns = 0
            self._arm(self._since)
        elif self._turns < TURNS:
            self._turns += 1
            self._timer = self._clock.call_later(0.0, self._fire)
        else:
            self.expired = name
            self.abort()


def _nothing() -> None:
    """Nothing is pending."""


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


async def abortable(work: Coroutine[Any, Any, T], watchdog: Watchdog) -> T:
    """The result of a coroutine that the watchdog may cancel; TimeoutError if anybody but the caller did.

    It runs in the caller's own task: one task more for each request would be felt.
    """
    asked_before = _cancellations()
    running = _Cancellable(work)
    watchdog.abort = running.cancel
    if watchdog.expired:
        running.cancel()
    try:
        return await running
    except asyncio.CancelledError:
        if _cancellations() > asked_before:
            raise
        raise TimeoutError from None
    finally:
        watchdog.abort = _nothing


class _Cancellable(Generic[T]):
    """Awaits a coroutine, and cancels what it waits for when it is told to, as a task of its own would."""

    __slots__ = ("_is_asked", "_is_due", "_waits_for", "_work")

    def __init__(self, work: Coroutine[Any, Any, T]) -> None:
        self._work = work
        self._waits_for: Any = None
        self._is_asked = False  # to end
        self._is_due = False  # CancelledError is to be raised at the next step

    def cancel(self) -> None:
        """Raise CancelledError where the coroutine waits. Again: does nothing, for it cleans up."""
        if not self._is_asked:
            self._is_asked = True
            self._interrupt()

    def _interrupt(self) -> None:
        waits_for = self._waits_for
        self._is_due = waits_for is None or not waits_for.cancel()

    def __await__(self) -> Generator[Any, Any, T]:
        proceed: Callable[[Any], Any] = self._work.send
        given: Any = None
        while True:
            if self._is_due:
                self._is_due = False
                given, proceed = asyncio.CancelledError(), self._work.throw
            try:
                waits_for = proceed(given)
            except StopIteration as done:
                result: T = done.value
                return result
            finally:
                given = None  # an exception's traceback leads back to this frame
            self._waits_for = waits_for
            if self._is_due:
                self._interrupt()
            try:
                given = yield waits_for
                proceed = self._work.send
            except BaseException as problem:  # noqa: BLE001  # it is the coroutine's
                given, proceed = problem, self._work.throw
            self._waits_for = None


def _cancellations() -> int:
    """How often the running task was asked to end."""
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()
