"""Calls of other people's functions: none may block the event loop, wait for ever, or tell what a person wrote."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

from llmstream.clock import Clock
from llmstream.thread import in_thread

T = TypeVar("T")


async def call(function: Callable[[str], Any], text: str) -> Any:
    """What `function` makes of `text`. One that is not async runs in a thread of its own, which nobody can stop."""
    result = function(text) if _is_async(function) else await in_thread(partial(function, text))
    return await result if inspect.isawaitable(result) else result


def _is_async(function: Callable[..., Any]) -> bool:
    return any(
        inspect.iscoroutinefunction(each) or inspect.isasyncgenfunction(each)
        for each in (function, getattr(type(function), "__call__", None))  # noqa: B004  # the method, not whether
    )


async def within(seconds: float | None, clock: Clock, work: Awaitable[T]) -> T:
    """The result of `work`; TimeoutError after `seconds` (None: never), with `work` cancelled and over."""
    task = asyncio.ensure_future(work)

    def expire() -> None:
        task.cancel()

    timer = None if seconds is None else clock.call_later(seconds, expire)
    try:
        await asyncio.wait({task})
    finally:
        if timer is not None:
            timer.cancel()
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
    if task.cancelled():
        raise TimeoutError
    return task.result()


def check_seconds(timeout: float | None) -> float | None:
    """Raise ValueError for what is no limit in seconds."""
    if timeout is not None and not timeout > 0:
        raise ValueError(f"timeout must be positive seconds, or None for no limit, not {timeout!r}")
    return timeout


def is_cancelled() -> bool:
    """Whether this task is being cancelled: a CancelledError may also be somebody's own, raised like any other."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
