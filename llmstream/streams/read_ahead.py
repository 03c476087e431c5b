"""Reading ahead: a Pump reads a source in a task of its own, up to a limit; a Branch is one consumer's end of it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Callable
from typing import Self

from llmstream.events.any_event import AnyEvent, narrow
from llmstream.events.grammar import TERMINAL
from llmstream.events.types import StreamEvent
from llmstream.streams.flow import Flow, Upstream


class Queue:
    """What one consumer has not taken yet."""

    __slots__ = ("items", "waiting")

    def __init__(self) -> None:
        self.items: deque[StreamEvent] = deque()
        self.waiting: asyncio.Future[None] | None = None

    def wake(self) -> None:
        """End the consumer's wait."""
        if self.waiting is not None and not self.waiting.done():
            self.waiting.set_result(None)


class Pump:
    """Hands every event to each of its branches. Stops reading while one of them holds `high`, until all have `low`.

    The task starts with the first wait, and ends with the source or with the last branch; it closes the source itself.
    After the terminal event it goes on when a branch asks for more, so that who leaves there interrupts no source that
    is storing what it gave: it is closed there, as it would be without a task between.
    """

    def __init__(
        self,
        events: AsyncIterable[StreamEvent],
        *,
        high: int,
        low: int,
        on_pause: Callable[[], None] | None = None,
        on_resume: Callable[[], None] | None = None,
    ) -> None:
        self._source = Upstream(events)
        self._high, self._low = high, low
        self._on_pause, self._on_resume = on_pause, on_resume
        self._queues: list[Queue] = []
        self._task: asyncio.Task[None] | None = None
        self._room: asyncio.Future[None] | None = None
        # After the terminal event: resolved when somebody wants more.
        self._more: asyncio.Future[None] | None = None
        self._failure: BaseException | None = None
        self.ended = False

    def join(self) -> Queue:
        """One more consumer, which gets all that is read from now on."""
        queue = Queue()
        self._queues.append(queue)
        return queue

    def go_on(self) -> None:
        """A consumer has nothing left: begin to read, or look at what follows the terminal event."""
        if self._task is None and not self.ended:
            self._task = asyncio.create_task(self._read(), name="llmstream.streams.read_ahead")
        elif self._more is not None and not self._more.done():
            self._more.set_result(None)

    def made_room(self) -> None:
        """Something was taken, or somebody left: go on reading if that is enough."""
        if self._room is not None and not self._room.done() and self._fits(self._low):
            self._room.set_result(None)

    def raise_failure(self) -> None:
        """Raise what the source raised."""
        if self._failure is not None:
            raise self._failure

    def leave(self, queue: Queue) -> bool:
        """A consumer has gone. True if it was the last; then nothing more is read."""
        if queue not in self._queues:
            return False
        self._queues.remove(queue)
        if self._queues:
            self.made_room()
            return False
        if self._task is not None:
            self._task.cancel()
        return True

    async def aclose(self) -> None:
        """Wait until the source is closed. Raises what closing it raised."""
        going = self._task is not None and not self.ended
        if self._task is not None:
            await asyncio.wait((self._task,))
        self.ended = True
        await self._source.aclose()  # a task that was cancelled before its first step has not
        if going and isinstance(self._failure, Exception):
            raise self._failure

    async def _read(self) -> None:
        try:
            async with self._source as events:
                async for event in events:
                    for queue in self._queues:
                        queue.items.append(event)
                        queue.wake()
                    if event.type in TERMINAL:
                        await self._rest()
                    if not self._fits(self._high - 1):
                        await self._pause()
        except BaseException as failure:
            self._failure = failure
            if not isinstance(failure, Exception):
                raise
        finally:
            self.ended = True
            for queue in self._queues:
                queue.wake()

    def _fits(self, mark: int) -> bool:
        return all(len(queue.items) <= mark for queue in self._queues)

    async def _rest(self) -> None:
        self._more = asyncio.get_running_loop().create_future()
        try:
            await self._more
        finally:
            self._more = None

    async def _pause(self) -> None:
        if self._on_pause is not None:
            self._on_pause()
        self._room = asyncio.get_running_loop().create_future()
        try:
            self.made_room()  # on_pause may have taken
            await self._room
        finally:
            self._room = None
        if self._on_resume is not None:
            self._on_resume()


class Branch:
    """Takes what a Pump reads. Leaves when closed or dropped, so that it holds nobody up."""

    __slots__ = ("_pump", "_queue", "items")

    def __init__(self, pump: Pump) -> None:
        self._pump = pump
        self._queue = pump.join()
        self.items = self._queue.items

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.aclose()

    def __del__(self) -> None:
        self._pump.leave(self._queue)

    async def aclose(self) -> None:
        """Leave. The last to do so closes the source."""
        if self._pump.leave(self._queue):
            await self._pump.aclose()

    def take(self) -> StreamEvent:
        """The next event; there must be one."""
        event = self.items.popleft()
        self._pump.made_room()
        return event

    def wake(self) -> None:
        """End a wait though nothing came."""
        self._queue.wake()

    async def wait(self) -> bool:
        """Until something comes, or `wake()`. False at the end; then raises what the source raised."""
        if not self.items:
            self._pump.go_on()
        # Looked at again, since an eager task has read by now.
        if not self.items and not self._pump.ended:
            self._queue.waiting = asyncio.get_running_loop().create_future()
            try:
                await self._queue.waiting
            finally:
                self._queue.waiting = None
        if self.items or not self._pump.ended:
            return True
        self._pump.raise_failure()
        return False


def flow(branch: Branch) -> Flow[AnyEvent]:
    """A branch's events as they are."""
    return Flow(_flow(branch), branch)


@narrow
async def _flow(branch: Branch) -> AsyncGenerator[StreamEvent, None]:
    async with branch:
        while await branch.wait():
            while branch.items:
                yield branch.take()
