"""FirstUse: a part of an app that is made when the first request needs it, and not when the server starts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from threading import Lock
from typing import Generic, TypeVar

from llmstream.checks import require_value

T = TypeVar("T")
Connection = TypeVar("Connection")
Answer = TypeVar("Answer")


class FirstUse(Generic[T]):
    """The value that `make` returns. It is called once, in a thread: what it imports would hold up every stream.

    An exception of `make` goes to the request that waits for it, and the next request tries again.
    """

    def __init__(self, make: Callable[[], T], made: T | None = None) -> None:
        self._make = make
        self._lock = Lock()
        self.made = made
        """None before the first use."""

    @classmethod
    def of(cls, value: T) -> FirstUse[T]:
        """A value that there is already."""
        return cls(lambda: value, value)

    async def get(self) -> T:
        """The value."""
        if self.made is None:
            await asyncio.to_thread(self._open)
        return require_value(self.made, "make returned None", TypeError)

    def endpoint(
        self, answer: Callable[[T, Connection], Awaitable[Answer]]
    ) -> Callable[[Connection], Awaitable[Answer]]:
        """An endpoint that calls `answer` with the value and the request, or the WebSocket."""

        async def serve(connection: Connection) -> Answer:
            return await answer(await self.get(), connection)

        return serve

    def _open(self) -> None:
        with self._lock:
            if self.made is None:
                self.made = self._make()
