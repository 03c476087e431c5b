"""Tasks that somebody may cancel: the one way to race work against time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine, Generator
from functools import partial
from typing import Any, Generic, TypeVar

from llmstream.clock import Clock

T = TypeVar("T")


async def first_of(*tasks: asyncio.Future[Any]) -> None:
    """Wait until one of the tasks is over; the others go on.

    When the caller is cancelled, all of them are cancelled and waited for. So CancelledError means
    that the caller was cancelled, never that a task was.
    """
    try:
        await any_done(*tasks)
    except asyncio.CancelledError:
        await stop(*tasks)
        raise


async def any_done(*tasks: asyncio.Future[Any], seconds: float | None = None) -> None:
    """Wait until one of the tasks is over, for at most so many `seconds`. It neither cancels nor raises anything.

    `asyncio.wait` does the same for any number of tasks; every request pays for this one several times.
    """
    if any(task.done() for task in tasks):
        return
    loop = asyncio.get_running_loop()
    over = loop.create_future()

    def wake(*_: object) -> None:
        if not over.done():
            over.set_result(None)

    timer = None if seconds is None else loop.call_later(seconds, wake)
    for task in tasks:
        task.add_done_callback(wake)
    try:
        await over
    finally:
        if timer is not None:
            timer.cancel()
        for task in tasks:
            task.remove_done_callback(wake)


async def within(seconds: float | None, clock: Clock, work: Awaitable[T]) -> T:
    """The result of `work`. Raises TimeoutError after `seconds` of `clock` (None: no limit).

    On time-out, and when the caller is cancelled, `work` is cancelled and waited for: nothing of it
    is left. What it returns or raises after the limit is dropped. Otherwise raises what `work` raises.
    """
    task = asyncio.ensure_future(work)
    limits = [] if seconds is None else [asyncio.ensure_future(clock.sleep(seconds))]
    try:
        await first_of(task, *limits)
        if not task.done():
            raise TimeoutError
    finally:
        await stop(task, *limits)
    return task.result()


async def finish_within(seconds: float | None, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`. Raises TimeoutError after so many `seconds` (None: no limit), upon which it is cancelled.

    Work that needn't wait costs no timer.
    """
    try:
        awaited = work.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    async with asyncio.timeout(seconds):
        return await _Begun(work, awaited)


class _Begun(Generic[T]):
    """Awaits the rest of work that was begun and waits for `awaited`."""

    def __init__(self, work: Coroutine[Any, Any, T], awaited: Any) -> None:
        self._work, self._awaited = work, awaited

    def __await__(self) -> Generator[Any, Any, T]:
        work, awaited = self._work, self._awaited
        while True:
            try:
                got = yield awaited
            except BaseException as problem:  # noqa: BLE001  # it is the work's
                step = partial(work.throw, problem)
            else:
                step = partial(work.send, got)
            try:
                awaited = step()
            except StopIteration as done:
                result: T = done.value
                return result


async def stop(*tasks: asyncio.Future[Any]) -> None:
    """Cancel the tasks that still run, and wait until they are over. Raises nothing that they raise."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def is_cancelled() -> bool:
    """Whether the current task is being cancelled.

    A CancelledError may also come from a task that it waited for, or be raised like any other
    exception.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def is_foreign(problem: BaseException) -> bool:
    """Whether somebody's code raised this by itself.

    False: it is the cancellation or the closing of whoever waits for that code, or the end of the process.
    """
    if isinstance(problem, asyncio.CancelledError):
        return not is_cancelled()
    return not isinstance(problem, (GeneratorExit, KeyboardInterrupt, SystemExit))
