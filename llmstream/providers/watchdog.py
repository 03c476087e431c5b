"""The clocks of one attempt, and what they end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from llmstream.clock import Timer
from llmstream.errors import ErrorInfo
from llmstream.providers.provider import Call
from llmstream.providers.timeouts import Timeouts

T = TypeVar("T")

TURNS = 3
"""Extra loop iterations granted before a timeout fires, so bytes already received are read."""
CLOSED = "closed"
"""The error code of a stream whose client was closed."""


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
        # Seconds left to a nearer end: after the finish reason, or while draining.
        self._ending: float | None = None
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
