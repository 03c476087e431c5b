"""Background: what has to be done even if nobody waits for it any more."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Background:
    """Runs work to its end, also where the one who asked for it is cancelled again and again, as anyio's scopes do."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do it, and wait for it as long as we may."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)  # the loop itself holds tasks weakly
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    async def aclose(self) -> None:
        """Wait for what is still being done."""
        await asyncio.gather(*self._tasks, return_exceptions=True)
