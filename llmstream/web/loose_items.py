"""LooseItems: what an application streams, as events: StreamEvents, pieces of text, or a conversation's chunks."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, TypeAlias

from llmstream.events.flow import Upstream
from llmstream.events.relay import Relay
from llmstream.events.types import EventType, Start, StreamEvent, text_delta
from llmstream.messages import FinishReason, Source, Usage

if TYPE_CHECKING:
    from llmstream.conversations import StreamingChunk

Items: TypeAlias = "AsyncIterable[StreamEvent] | AsyncIterable[str] | AsyncIterable[StreamingChunk]"
"""What can be served. Text that just ends is whole; chunks end with one that `is_complete`."""
_IN_METADATA = {
    "reasoning": EventType.REASONING_DELTA,
    "refusal": EventType.REFUSAL_DELTA,
    "status": EventType.STATUS,
    "retry": EventType.RETRY,
    "tool_call": EventType.TOOL_CALL,
    "tool_result": EventType.TOOL_RESULT,
    "file": EventType.FILE,
}
"""What a chunk's metadata may hold (`llmstream.conversations.chunks`), and the event that says it."""
_DELTAS = ("reasoning", "refusal")


class LooseItems:
    """Gives the events of `items`. The first item tells of what kind all are; StreamEvents go through as they are."""

    def __init__(self, items: Items) -> None:
        self._source = Upstream(items)  # type: ignore[arg-type]  # it looks at none of them
        self._next: Callable[[], Awaitable[StreamEvent]] = self._begin
        self._made: AsyncGenerator[StreamEvent, None] | None = None

    def __aiter__(self) -> AsyncIterator[StreamEvent]:
        return self

    def __anext__(self) -> Awaitable[StreamEvent]:
        return self._next()

    async def aclose(self) -> None:
        """Close the source."""
        if self._made is not None:
            await self._made.aclose()
        await self._source.aclose()

    async def _begin(self) -> StreamEvent:
        items: AsyncIterator[Any] = await self._source.__aenter__()
        first = await anext(items)
        if isinstance(first, StreamEvent):
            self._next = items.__anext__
            return first
        make = _text_events if isinstance(first, str) else _chunk_events
        self._made = make(first, items)
        self._next = self._made.__anext__
        return await self._next()


async def _text_events(first: Any, rest: AsyncIterator[Any]) -> AsyncGenerator[StreamEvent, None]:
    """Pieces of text as an answer, which their end makes whole."""
    relay = Relay(keep_message=False)
    async with aclosing(_with_first(first, rest)) as items:
        async for item in items:
            if not isinstance(item, str):
                raise _odd(item)
            if item:
                for event in relay.feed(text_delta(item)):
                    yield event
    for event in relay.feed(
        StreamEvent(EventType.MESSAGE_COMPLETE, finish_reason=FinishReason.STOP)
    ):
        yield event


async def _chunk_events(first: Any, rest: AsyncIterator[Any]) -> AsyncGenerator[StreamEvent, None]:
    """A conversation's chunks as the events that they were made of. What they raise after an error is the ERROR."""
    relay = Relay(keep_message=False)
    async with aclosing(_with_first(first, rest)) as items:
        async for item in items:
            if not hasattr(item, "is_complete"):
                raise _odd(item)
            for made in _events_of(item):
                for event in relay.feed(made):
                    yield event


def _events_of(chunk: StreamingChunk) -> list[StreamEvent]:
    metadata = chunk.metadata or {}
    events = []
    if "start" in metadata:
        start = Start.from_dict(metadata["start"])
        events.append(StreamEvent(EventType.MESSAGE_START, start=start))
    for name, kind in _IN_METADATA.items():
        if name in metadata:
            field = f"{name}_delta" if name in _DELTAS else name
            said = {"content": metadata[name]} if name in _DELTAS else metadata[name]
            events.append(StreamEvent.from_dict({"type": kind.value, field: said}))
    if chunk.content:
        events.append(text_delta(chunk.content))
    if chunk.is_complete:
        sources = [_source_of(each) for each in chunk.sources or ()]
        events += [StreamEvent(EventType.SOURCE, source=source) for source in sources]
        events.append(_end(metadata.get("finish") or {}))
    return events


def _end(finish: dict[str, Any]) -> StreamEvent:
    usage = finish.get("usage")
    return StreamEvent(
        EventType.MESSAGE_COMPLETE,
        finish_reason=FinishReason(finish.get("finish_reason") or FinishReason.STOP),
        usage=None if usage is None else Usage.from_dict(usage),
    )


def _source_of(cited: Any) -> Source:
    names = ("id", "title", "url", "relevance_score", "excerpt", "start", "end")
    return Source(**{name: getattr(cited, name, None) for name in names})


async def _with_first(first: Any, rest: AsyncIterator[Any]) -> AsyncGenerator[Any, None]:
    yield first
    async for item in rest:
        yield item


def _odd(item: object) -> TypeError:
    return TypeError(
        f"events must be StreamEvents, pieces of text or StreamingChunks, not {type(item).__name__}"
    )
