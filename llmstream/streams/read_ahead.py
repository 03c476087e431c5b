"""Reading ahead: a Pump reads a source in a task of its own, up to a limit, for one or more Branches.

A Branch is one consumer's end. Two futures join the two sides:

- `Pump._room`: the pump waits on it while a branch is full; `check_room()` ends the wait.
- `Pump._more`: the pump waits on it after the terminal event; `want_more()` ends the wait.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Callable
from contextlib import ExitStack, closing
from typing import Any, Self

from llmstream.clock import Clock, LoopClock, Timer
from llmstream.events.any_event import AnyEvent, narrow
from llmstream.events.flow import Flow, Upstream
from llmstream.events.grammar import TERMINAL
from llmstream.events.types import StreamEvent
from llmstream.log import get_logger

logger = get_logger("llmstream.streams")

PATIENCE = 30.0
"""Seconds that a full queue waits for a reader where none has begun, or the last one's task has returned."""


class Queue:
    """The events that one consumer hasn't taken yet."""

    __slots__ = ("items", "reader", "waiting", "was_given_up", "watch")

    def __init__(self) -> None:
        self.reader: asyncio.Task[Any] | None = None
        """The task that read last."""
        self.watch: _Watch | None = None
        """While the queue is full."""
        self.was_given_up = False
        self.items: deque[StreamEvent] = deque()
        self.waiting: asyncio.Future[None] | None = None

    def begin_reading(self) -> None:
        """The task that runs now reads."""
        task = asyncio.current_task()
        if self.watch is not None and task is not self.reader:
            self.watch.follow(task)
        self.reader = task

    def wake(self) -> None:
        """End the consumer's wait."""
        _set(self.waiting)


class _Watch:
    """Gives a full queue up once its reader is gone: nobody closes it, and it holds all others up."""

    def __init__(self, queue: Queue, clock: Clock, give_up: Callable[[Queue], None]) -> None:
        self._queue = queue
        self._clock = clock
        self._give_up = give_up
        self._timer: Timer | None = None
        self._task: asyncio.Task[Any] | None = None
        queue.watch = self
        self.follow(queue.reader)

    def follow(self, task: asyncio.Task[Any] | None) -> None:
        """Watch the task that reads now. None: nobody has begun, who may have failed before."""
        self._stop()
        self._task = task
        if task is None:
            self._wait()
        else:
            task.add_done_callback(self._end)

    def close(self) -> None:
        """Watch no more."""
        self._stop()
        self._queue.watch = None

    def _stop(self) -> None:
        if self._task is not None:
            self._task.remove_done_callback(self._end)
        if self._timer is not None:
            self._timer.cancel()

    def _wait(self) -> None:
        self._timer = self._clock.call_later(PATIENCE, lambda: self._give_up(self._queue))

    def _end(self, task: asyncio.Task[Any]) -> None:
        failure = None if task.cancelled() else task.exception()
        if failure is None and not task.cancelled():
            # It may have read for somebody else, as `asyncio.wait_for` does.
            self._wait()
            return
        name = "CancelledError" if failure is None else type(failure).__name__
        logger.warning("a reader of a stream ended with %s: it gets no more events", name)
        self._give_up(self._queue)


class Pump:
    """Hands every event to each of its branches.

    Stops reading while one of them holds `high` events, until all hold `low` or fewer. The task
    starts with the first wait, and ends with the source or with the last branch; it closes the
    source itself. After the terminal event it goes on only when a branch asks for more. So a
    consumer that leaves there closes the source just there, as it would without a task between,
    and doesn't interrupt a source that is storing its answer.
    """

    def __init__(
        self,
        events: AsyncIterable[StreamEvent],
        *,
        high: int,
        low: int,
        on_pause: Callable[[], None] | None = None,
        on_resume: Callable[[], None] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._clock = clock or LoopClock()
        self._source = Upstream(events)
        self._high, self._low = high, low
        self._on_pause, self._on_resume = on_pause, on_resume
        self._queues: list[Queue] = []
        self._task: asyncio.Task[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self._more: asyncio.Future[None] | None = None
        self._failure: BaseException | None = None
        self.ended = False

    def join(self) -> Queue:
        """One more consumer, which gets all that is read from now on."""
        queue = Queue()
        self._queues.append(queue)
        return queue

    def want_more(self) -> None:
        """A consumer has nothing left: begin to read, or read on after the terminal event."""
        if self._task is None and not self.ended:
            self._task = asyncio.create_task(self._read(), name="llmstream.streams.read_ahead")
        else:
            _set(self._more)

    def check_room(self) -> None:
        """Something was taken, or a consumer left: read on if that is enough."""
        if self._room is not None and self._fits(self._low):
            _set(self._room)

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
            self.check_room()
            return False
        if self._task is not None:
            self._task.cancel()
        return True

    async def aclose(self) -> None:
        """Wait until the source is closed. Raises what closing it raised."""
        was_reading = self._task is not None and not self.ended
        if self._task is not None:
            await asyncio.wait((self._task,))
        self.ended = True
        # A task that was cancelled before its first step hasn't closed it.
        await self._source.aclose()
        if was_reading and isinstance(self._failure, Exception):
            raise self._failure

    async def _read(self) -> None:
        try:
            async with self._source as events:
                async for event in events:
                    for queue in self._queues:
                        queue.items.append(event)
                        queue.wake()
                    if event.type in TERMINAL:
                        await self._wait_until_more_is_wanted()
                    if not self._fits(self._high - 1):
                        await self._wait_for_room()
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

    async def _wait_until_more_is_wanted(self) -> None:
        self._more = asyncio.get_running_loop().create_future()
        try:
            await self._more
        finally:
            self._more = None

    async def _wait_for_room(self) -> None:
        if self._on_pause is not None:
            self._on_pause()
        self._room = asyncio.get_running_loop().create_future()
        try:
            self.check_room()  # on_pause may have taken some
            with ExitStack() as watches:
                for queue in self._queues:
                    if len(queue.items) > self._low:
                        watches.enter_context(self._watch(queue))
                await self._room
        finally:
            self._room = None
        if self._on_resume is not None:
            self._on_resume()

    def _watch(self, queue: Queue) -> closing[_Watch]:
        return closing(_Watch(queue, self._clock, self._give_up))

    def _give_up(self, queue: Queue) -> None:
        if queue.reader is None and len(self._queues) == 1:
            return  # it holds nobody up, and may be read yet
        queue.was_given_up = True
        queue.items.clear()
        self.leave(queue)


def _set(future: asyncio.Future[None] | None) -> None:
    """End the wait on a future, if there is one."""
    if future is not None and not future.done():
        future.set_result(None)


class Branch:
    """One consumer's end of a Pump. It leaves when it is closed or dropped."""

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
        # A consumer that drops its branch would stop the pump for all others.
        self._pump.leave(self._queue)

    async def aclose(self) -> None:
        """Leave. The last to do so closes the source."""
        if self._pump.leave(self._queue):
            await self._pump.aclose()

    def take(self) -> StreamEvent:
        """The next event; there must be one."""
        event = self.items.popleft()
        self._pump.check_room()
        return event

    def wake(self) -> None:
        """End a wait though nothing came."""
        self._queue.wake()

    async def wait(self) -> bool:
        """Until something comes, or `wake()`. False at the end; then raises what the source raised."""
        if self._queue.was_given_up:
            raise RuntimeError(
                "this stream was given up: nobody read it, and it held others up. "
                "Close a stream that nobody reads to its end"
            )
        self._queue.begin_reading()
        if not self.items:
            self._pump.want_more()
        # Asked again: an eager task has read by now.
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
