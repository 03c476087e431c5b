"""LoopThread: an event loop in a thread of its own, for programs that have none.

There is one a process, made when it is first needed. A forked child makes another: the parent's thread isn't there. It
ends with the interpreter: what still runs is cancelled, and the connections are closed.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import AsyncIterable, Awaitable, Coroutine
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import Any, Final, Generic, TypeVar, cast
from weakref import WeakSet

from llmstream.checks import require
from llmstream.errors import ConfigurationError

T = TypeVar("T")

END: Final = object()
"""What `Puller.pull` returns after the last item."""
_LAST_TASKS: Final = 5.0
"""Seconds that what was cancelled at the interpreter's end has to close its connections."""


class LoopThread:
    """Runs coroutines for other threads."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._process = os.getpid()
        self._has_ended = False
        self._open: WeakSet[Puller[Any]] = WeakSet()
        self._thread = threading.Thread(target=self._work, name="llmstream.loop", daemon=True)
        self._thread.start()

    @property
    def is_here(self) -> bool:
        """Whether it runs, in this process: none outlives a fork."""
        return self._process == os.getpid() and not self._has_ended

    def run(self, awaitable: Awaitable[T]) -> T:
        """Wait for what an awaitable returns or raises. An interrupt (Ctrl-C) while waiting cancels it.

        Raises ConfigurationError where that can't be: in a callback of the loop itself, after a fork, at the end.
        """
        try:
            self._check()
        except ConfigurationError:
            if isinstance(awaitable, Coroutine):
                awaitable.close()  # else Python warns that nobody awaited it
            raise
        future = asyncio.run_coroutine_threadsafe(_awaited(awaitable), self._loop)
        try:
            return future.result()
        except CancelledError:
            if self._has_ended:
                raise SystemExit from None  # of a daemon thread, which Python ends without a word as well
            raise
        except BaseException:
            future.cancel()  # an interrupt; nothing happens to one that is done
            raise

    def run_later(self, coroutine: Coroutine[Any, Any, object]) -> None:
        """Run a coroutine for which nobody waits, such as what a garbage collector begins in any thread."""
        if self.is_here:
            asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        else:
            coroutine.close()

    @property
    def is_current(self) -> bool:
        """Whether this is the loop's own thread."""
        return threading.get_ident() == self._thread.ident

    def add(self, puller: Puller[Any]) -> None:
        """Close this one before the interpreter ends, if it is still there."""
        self._open.add(puller)

    def end(self) -> None:
        """Cancel what runs, close what is open, and let the thread end."""
        if not self.is_here:
            return
        self._has_ended = True
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(2 * _LAST_TASKS)

    def _check(self) -> None:
        problem = (
            "this began before a fork, and its connections are the parent's: make it in the child"
        )
        require(self._process == os.getpid(), problem, ConfigurationError)
        require(not self._has_ended, "the interpreter is about to end", ConfigurationError)
        problem = "a SyncLLMClient can't be waited for in a callback of its own loop: await an LLMClient there"
        require(not self.is_current, problem, ConfigurationError)

    def _work(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        self._loop.run_until_complete(self._cancel_all())
        self._loop.run_until_complete(
            self._loop.shutdown_asyncgens()
        )  # clients close with their loop
        self._loop.run_until_complete(asyncio.sleep(0))  # transports say farewell one step later
        self._loop.close()

    async def _cancel_all(self) -> None:
        own = asyncio.current_task()
        tasks = [task for task in asyncio.all_tasks() if task is not own]
        for task in tasks:
            task.cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_TASKS):
                await asyncio.gather(*tasks, return_exceptions=True)
                # From without: asyncio would close the layers of an answer in any order.
                closed = [puller.aclose() for puller in [*self._open]]
                await asyncio.gather(*closed, return_exceptions=True)


async def _awaited(awaitable: Awaitable[T]) -> T:
    return await awaitable


class _Current:
    """The thread of this process, once somebody needed it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: LoopThread | None = None

    def get(self) -> LoopThread:
        """The thread, made now if there is none."""
        with self._lock:
            if self._thread is None or not self._thread.is_here:
                self._thread = LoopThread()
            return self._thread

    def end(self) -> None:
        """The interpreter ends."""
        if self._thread is not None:
            self._thread.end()

    def renew(self) -> None:
        """In a forked child: another thread of the parent may hold the lock, for good."""
        self._lock = threading.Lock()


_current = _Current()
current_loop: Final = _current.get
atexit.register(_current.end)
if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_current.renew)


class Puller(Generic[T]):
    """Takes the items of an async iterable one at a time, for a thread that waits for each."""

    def __init__(self, source: AsyncIterable[T], thread: LoopThread) -> None:
        self._source = aiter(source)
        self._thread = thread
        self._lock = asyncio.Lock()
        thread.add(self)

    def pull(self) -> T:
        """The next item, END after the last."""
        return self._thread.run(self._next())

    def close(self) -> None:
        """Close the source. Waits for it, but where a garbage collector calls this in the loop's own thread."""
        if self._thread.is_here and not self._thread.is_current:
            self._thread.run(self.aclose())
        else:
            self._thread.run_later(self.aclose())

    async def aclose(self) -> None:
        """Close the source, in the loop."""
        aclose = getattr(self._source, "aclose", None)
        if aclose is not None:
            async with self._lock:
                await aclose()

    async def _next(self) -> T:
        # An interrupted step has to end before the source can be closed.
        async with self._lock:
            return cast("T", await anext(self._source, END))
