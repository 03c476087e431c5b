"""The two ends of every operator: the Upstream it reads and closes, and the Flow it returns. And Batched events."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterator, Sequence
from typing import Any, Generic, Protocol, TypeVar

from llmstream.checks import require
from llmstream.events.types import StreamEvent

T_co = TypeVar("T_co", covariant=True)


class Closable(Protocol):
    """Something to close; closing it again does nothing."""

    async def aclose(self) -> None:
        """Close."""


class Upstream:
    """The events that an operator reads, closed once: `async with source as events`.

    `events` is any async iterable; it is closed if it has an `aclose`, and so is the iterator it gave.
    """

    __slots__ = ("_events", "_open")

    def __init__(self, events: AsyncIterable[StreamEvent]) -> None:
        require(
            hasattr(events, "__aiter__"),
            f"events must be an async iterable of StreamEvents, not {type(events).__name__}",
            TypeError,
        )
        self._events = events
        self._open: tuple[Any, ...] = (events,)

    async def __aenter__(self) -> AsyncIterator[StreamEvent]:
        iterator = aiter(self._events)
        if iterator is not self._events:
            self._open = (iterator, self._events)
        return iterator

    async def __aexit__(self, *exception: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close what was read."""
        opened, self._open = self._open, ()
        for each in opened:
            if hasattr(each, "aclose"):
                await each.aclose()


class Batched:
    """The events of `LLMClient.batches`, one by one. Whoever can use them together reads `batches`."""

    __slots__ = ("_rest", "batches")

    def __init__(self, batches: AsyncGenerator[Sequence[StreamEvent], None]) -> None:
        self.batches = batches
        self._rest: Iterator[StreamEvent] = iter(())

    def __aiter__(self) -> AsyncIterator[StreamEvent]:
        return self

    async def __anext__(self) -> StreamEvent:
        while (event := next(self._rest, None)) is None:
            self._rest = iter(await self.batches.__anext__())
        return event

    async def aclose(self) -> None:
        """Stop, and close the connection."""
        await self.batches.aclose()


class Flow(Generic[T_co]):
    """An operator's stream: iterate over it; close it with `aclose()`, `contextlib.aclosing`, or by dropping it.

    An async generator but for one thing: closed before its first step, it closes its source all the same.
    """

    __slots__ = ("_generator", "_source")

    def __init__(self, generator: AsyncGenerator[T_co, None], source: Closable) -> None:
        self._generator = generator
        self._source = source

    def __aiter__(self) -> AsyncIterator[T_co]:
        return self._generator  # not self: a call less for every event

    async def __anext__(self) -> T_co:
        return await self._generator.__anext__()

    async def aclose(self) -> None:
        """Stop, and close the source at once. Again: does nothing."""
        await self._generator.aclose()
        await self._source.aclose()
