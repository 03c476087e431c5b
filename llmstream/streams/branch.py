"""Branch: one consumer's end of a Pump."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Self

from llmstream.events.any_event import AnyEvent, narrow
from llmstream.events.types import StreamEvent
from llmstream.streams.flow import Flow
from llmstream.streams.pump import Pump


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
        if (
            not self.items and not self._pump.ended
        ):  # looked at again: an eager task has read by now
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
