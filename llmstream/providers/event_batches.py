"""EventBatches: a stream of events that its source has in batches, all events of one read together."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import Any

from llmstream.events.types import StreamEvent


class EventBatches(AsyncGenerator[StreamEvent, None]):
    """An event at a time, like any provider's stream; the client takes `batches`, which costs less for each event."""

    def __init__(self, batches: AsyncGenerator[Sequence[StreamEvent], None]) -> None:
        self.batches = batches
        """None of them is empty."""
        self._rest: Iterator[StreamEvent] = iter(())

    async def __anext__(self) -> StreamEvent:
        for event in self._rest:
            return event
        self._rest = iter(await self.batches.__anext__())
        return next(self._rest)

    async def asend(self, value: None) -> StreamEvent:
        """The next event; there is nothing to send."""
        return await self.__anext__()

    async def athrow(self, *problem: Any) -> StreamEvent:
        """Raise an exception where the stream waits."""
        self._rest = iter(await self.batches.athrow(*problem))
        return next(self._rest)

    async def aclose(self) -> None:
        """Close the stream."""
        self._rest = iter(())
        await self.batches.aclose()
