"""VirtualClock: time that passes as fast as the loop can turn."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable
from typing import NamedTuple


class _Entry(NamedTuple):
    when: float
    order: int
    timer: VirtualTimer


class VirtualTimer:
    """A pending call."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Don't call."""
        self.callback = None


class VirtualClock:
    """Give it to `LLMClient(clock=…)`: waits end at once, in order, and `now` says how long they would have been.

    Time moves only when somebody sleeps; timers that fall due on the way are called first. For scripted providers and
    the simulator: bytes from a real socket don't wait for it.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.sleeps: list[float] = []
        """Every wait asked for, in seconds."""
        self._due: list[_Entry] = []
        self._order = itertools.count()

    def time(self) -> float:
        """Virtual seconds since the clock was made."""
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Wait, virtually. Other tasks get their turn."""
        self.sleeps.append(seconds)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def wake() -> None:
            if not done.done():
                done.set_result(None)

        timer = self.call_later(seconds, wake)
        try:
            while not done.done():
                await asyncio.sleep(0)
                self._advance()
        finally:
            timer.cancel()

    def call_later(self, seconds: float, callback: Callable[[], None]) -> VirtualTimer:
        """Call back once time has come that far."""
        timer = VirtualTimer(callback)
        heapq.heappush(self._due, _Entry(self.now + seconds, next(self._order), timer))
        return timer

    def _advance(self) -> None:
        """Go to the next timer that is still wanted, and call it."""
        while self._due:
            entry = heapq.heappop(self._due)
            if entry.timer.callback is not None:
                self.now = max(self.now, entry.when)
                entry.timer.callback()
                return
