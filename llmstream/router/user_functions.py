"""Calls of other people's functions: none may block the event loop, wait for ever, or tell what a person wrote."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

from llmstream.checks import is_limit, require
from llmstream.thread import in_thread


async def call(function: Callable[[str], Any], text: str) -> Any:
    """Call `function` with `text`. One that isn't async runs in a thread of its own, which nobody can stop."""
    result = function(text) if _is_async(function) else await in_thread(partial(function, text))
    return await result if inspect.isawaitable(result) else result


def _is_async(function: Callable[..., Any]) -> bool:
    return any(
        inspect.iscoroutinefunction(each) or inspect.isasyncgenfunction(each)
        for each in (function, getattr(type(function), "__call__", None))  # noqa: B004  # the method, not whether
    )


def check_seconds(timeout: float | None) -> float | None:
    """Raise ValueError for what is no limit in seconds."""
    require(
        is_limit(timeout),
        f"timeout must be positive seconds, or None for no limit, not {timeout!r}",
    )
    return timeout
