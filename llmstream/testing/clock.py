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


TURNS = 10
"""Turns of the event loop that tasks get to do what is due before time moves on."""


class VirtualClock:
    """Give it to `LLMClient(clock=…)`: waits end at once, in order, and `now` says how long they would have been.

    Time moves only when somebody sleeps, and only once nobody has anything left to do at the present moment; timers
    that fall due on the way are called first. For scripted providers and the simulator: bytes from a real socket don't
    wait for it.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.sleeps: list[float] = []
        """Every wait asked for, in seconds."""
        self._due: list[_Entry] = []
        self._order = itertools.count()
        self._sleepers = 0
        self._driven: asyncio.AbstractEventLoop | None = None

    def time(self) -> float:
        """Virtual seconds since the clock was made."""
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Wait, virtually. Other tasks get their turn."""
        self.sleeps.append(seconds)
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()

        def wake() -> None:
            if not done.done():
                done.set_result(None)

        timer = self.call_later(seconds, wake)
        self._sleepers += 1
        if self._driven is not loop:
            self._driven = loop
            loop.call_soon(self._turn, loop, TURNS)
        try:
            await done
        finally:
            self._sleepers -= 1
            timer.cancel()

    def call_later(self, seconds: float, callback: Callable[[], None]) -> VirtualTimer:
        """Call back once time has come that far."""
        timer = VirtualTimer(callback)
        heapq.heappush(self._due, _Entry(self.now + seconds, next(self._order), timer))
        return timer

    def _turn(self, loop: asyncio.AbstractEventLoop, left: int) -> None:
        if not self._sleepers:
            self._driven = None
        elif left:
            loop.call_soon(self._turn, loop, left - 1)
        else:
            self._advance()
            loop.call_soon(self._turn, loop, TURNS)

    def _advance(self) -> None:
        """Go to the next timer that is still wanted, and call it."""
        while self._due:
            entry = heapq.heappop(self._due)
            if entry.timer.callback is not None:
                self.now = max(self.now, entry.when)
                entry.timer.callback()
                return
