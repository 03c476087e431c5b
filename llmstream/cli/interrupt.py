"""Ctrl-C as the end of one answer, however often it is pressed: cursor and connection are put in order all the same."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType

PATIENCE = 1.0
"""Seconds after which another Ctrl-C breaks off the tidying up, too."""


class Stop:
    """Cancels what `over` runs. Further Ctrl-C presses within PATIENCE change nothing."""

    def __init__(self) -> None:
        self._task: asyncio.Task[object] | None = None
        self._pressed: float | None = None

    @property
    def was_pressed(self) -> bool:
        """Whether Ctrl-C was pressed."""
        return self._pressed is not None

    async def over(self, answer: Coroutine[object, object, None]) -> None:
        """Run `answer` until it ends or is stopped. Raises what it raises; being stopped is no error."""
        self._task = asyncio.create_task(answer)
        if self._pressed is not None:
            self._task.cancel()
        try:
            await self._task
        except asyncio.CancelledError:
            if self._pressed is None:
                raise
        finally:
            self._task = None

    def pressed(self, number: int, _: FrameType | None) -> None:
        """The signal's handler."""
        now = time.monotonic()
        if self._pressed is None or now - self._pressed > PATIENCE:
            self._pressed = now
            if self._task is not None:
                # This wakes the loop up, too.
                self._task.get_loop().call_soon_threadsafe(self._task.cancel)


@contextmanager
def stoppable(*, ends_program: bool = False) -> Iterator[Stop]:
    """Within the block, Ctrl-C stops an answer and raises no KeyboardInterrupt.

    If somebody else handles Ctrl-C, or this isn't the main thread, nothing changes. `ends_program`: after a stopped
    answer the program ends, so Ctrl-C is ignored from then on. One pressed at that moment would kill the program.
    """
    stop = Stop()
    before = signal.getsignal(signal.SIGINT)
    try:
        if before is signal.default_int_handler:
            signal.signal(signal.SIGINT, stop.pressed)
    except ValueError:  # not the main thread
        before = None
    try:
        yield stop
    finally:
        if before is signal.default_int_handler:
            over = ends_program and stop.was_pressed
            signal.signal(signal.SIGINT, signal.SIG_IGN if over else before)
