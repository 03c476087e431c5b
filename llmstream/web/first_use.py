"""FirstUse: a part of an app that is made when the first request needs it, and not when the server starts."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Generic, TypeVar

T = TypeVar("T")
Connection = TypeVar("Connection")
Answer = TypeVar("Answer")


class FirstUse(Generic[T]):
    """The value that `make` returns. It is called once, in the event loop, after `module` was imported.

    That happens in a thread, since it would hold up every stream. An exception goes to the request that waits for the
    value, and the next request tries again.
    """

    def __init__(self, module: str, make: Callable[[], T], made: T | None = None) -> None:
        self._module, self._make = module, make
        self.made = made
        """None before the first use."""

    async def get(self) -> T:
        """The value."""
        if self.made is None and self._module not in sys.modules:
            await asyncio.to_thread(import_module, self._module)
        if self.made is None:
            self.made = self._make()
        return self.made

    def endpoint(
        self, answer: Callable[[T, Connection], Awaitable[Answer]]
    ) -> Callable[[Connection], Awaitable[Answer]]:
        """An endpoint that calls `answer` with the value and the request, or the WebSocket."""

        async def serve(connection: Connection) -> Answer:
            return await answer(await self.get(), connection)

        return serve
