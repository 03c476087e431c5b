"""Time, as everything in this library sees it. Tests give a virtual one: `llmstream.testing.VirtualClock`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

__all__ = ["Clock", "LoopClock", "Timer"]


class Timer(Protocol):
    """A timer that `Clock.call_later` has set."""

    def cancel(self) -> None:
        """Don't call."""


class Clock(Protocol):
    """Seconds, waits and timers."""

    def time(self) -> float:
        """Seconds from some fixed point; never goes back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Call back once, unless cancelled."""
        ...


class LoopClock:
    """Real time; the running event loop's timers."""

    # Not the loop's own: it costs six times as much, uvloop's stands still in between, and timers are relative anyway.
    time = staticmethod(time.monotonic)

    async def sleep(self, seconds: float) -> None:
        """Wait; cancellable at once."""
        await asyncio.sleep(seconds)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Call back once, unless cancelled."""
        return asyncio.get_running_loop().call_later(seconds, callback)
