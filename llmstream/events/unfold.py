"""A whole message as events: those that would have added up to it, or the one of batch mode."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from llmstream.events.types import (
    EventType,
    RefusalDelta,
    StreamEvent,
    TextDelta,
    opaque,
    reasoning_delta,
    refusal_delta,
    text_delta,
)
from llmstream.messages import (
    File,
    Message,
    Part,
    ProviderPart,
    ReasoningPart,
    RefusalPart,
    Source,
    TextPart,
    ToolCall,
    ToolResult,
)


def unfold(message: Message) -> Iterator[StreamEvent]:
    """The events between MESSAGE_START and the terminal one, one for a part; what a user sent in gives none.

    The inverse of MessageBuilder.
    """
    phase: tuple[str, Any] | None = None
    before: Part | None = None
    for part in message.parts:
        if isinstance(part, TextPart):
            last, phase = phase, _phase(part)
            if phase is not None:
                yield opaque(phase[0], phase=phase[1])
            elif last is not None or isinstance(before, TextPart):
                yield opaque(last[0] if last else "", phase=None)  # the two stay apart
        elif _leads(part) and isinstance(before, TextPart) and phase is None:
            yield opaque("", phase=None)
        before = part
        events = _EVENTS.get(getattr(part, "type", ""))
        if events is not None:
            yield from events(part)


def _phase(part: TextPart) -> tuple[str, Any] | None:
    data = part.provider_data
    return None if data is None or "phase" not in data else (data["format"], data["phase"])


def _leads(part: Part) -> bool:
    """Whether it belongs to the text that follows: citations of Anthropic's format come before theirs."""
    return isinstance(part, Source) and "citation" in (part.provider_data or {})


def unfold_answer(event: StreamEvent) -> Iterator[StreamEvent]:
    """The pieces of an answer that came in one MESSAGE_COMPLETE: its message's, or else its own words."""
    if event.message is not None:
        yield from unfold(event.message)
        return
    if event.text_delta is not None:
        yield StreamEvent(EventType.TEXT_DELTA, event.text_delta)
    if event.refusal_delta is not None:
        yield StreamEvent(EventType.REFUSAL_DELTA, refusal_delta=event.refusal_delta)


def unfold_stream(event: StreamEvent) -> Iterator[StreamEvent]:
    """The events that a stream would have had before a MESSAGE_COMPLETE that came alone."""
    yield StreamEvent(EventType.MESSAGE_START, start=event.start)
    yield from unfold_answer(event)


def as_batch(event: StreamEvent, message: Message | None) -> StreamEvent:
    """A MESSAGE_COMPLETE as batch mode has it: the message's text and its refusal are in the event's own deltas."""
    told = message or Message("assistant")
    text, refusal = told.text, told.refusal
    return replace(
        event,
        text_delta=TextDelta(text) if text else None,
        refusal_delta=RefusalDelta(refusal) if refusal else None,
    )


def _text(part: TextPart) -> Iterator[StreamEvent]:
    if part.text:
        yield text_delta(part.text)


def _refusal(part: RefusalPart) -> Iterator[StreamEvent]:
    if part.text:
        yield refusal_delta(part.text)


def _reasoning(part: ReasoningPart) -> Iterator[StreamEvent]:
    if part.text:
        yield reasoning_delta(part.text)
    data = part.provider_data or {}
    format = part.format or data.get("format")
    if format is not None:
        kept = {
            "readable": True if part.format is None else None,
            "signature": part.signature,
            "id": part.id,
            "provider_data": part.provider_data,
        }
        known = {name: value for name, value in kept.items() if value is not None}
        yield opaque(format, **known)


_EVENTS: Mapping[str, Callable[[Any], Iterable[StreamEvent]]] = {
    TextPart.type: _text,
    RefusalPart.type: _refusal,
    ReasoningPart.type: _reasoning,
    ProviderPart.type: lambda part: [opaque(part.format, item=part.data)],
    ToolCall.type: lambda part: [StreamEvent(EventType.TOOL_CALL, tool_call=part)],
    ToolResult.type: lambda part: [StreamEvent(EventType.TOOL_RESULT, tool_result=part)],
    Source.type: lambda part: [StreamEvent(EventType.SOURCE, source=part)],
    File.type: lambda part: [StreamEvent(EventType.FILE, file=part)],
}
"""The events of a part, by its type."""
