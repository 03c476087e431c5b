"""A turn that was answered before, told again as a stream; nobody is asked."""

from __future__ import annotations

from collections.abc import Iterator

from llmstream.conversations.records import Turn
from llmstream.events.types import (
    EventType,
    Start,
    Status,
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


def replay_turn(turn: Turn, *, stream: bool) -> Iterator[StreamEvent]:
    """The events of its last answer, after STATUS(kind="replayed"). With `stream=False` only the terminal one."""
    answers = [message for message in turn.messages[1:] if message.role == "assistant"]
    message = answers[-1] if answers else Message("assistant")
    start = Start(message.id, message.model, message.provider)
    if stream:
        yield StreamEvent(EventType.STATUS, status=Status("replayed", "this turn was answered before"))
        yield StreamEvent(EventType.MESSAGE_START, start=start)
        for part in message.parts:
            yield from _events(part)
    yield StreamEvent(
        EventType.MESSAGE_COMPLETE,
        text_delta=TextDelta(message.text) if message.text and not stream else None,
        start=start,
        message=message,
        messages=turn.messages[1:],
        finish_reason=message.finish_reason,
        usage=message.usage,
    )


def _events(part: Part) -> Iterator[StreamEvent]:
    if isinstance(part, TextPart) and part.text:
        yield text_delta(part.text)
    elif isinstance(part, RefusalPart) and part.text:
        yield refusal_delta(part.text)
    elif isinstance(part, ReasoningPart):
        if part.text:
            yield reasoning_delta(part.text)
        if part.format is not None:
            yield opaque(part.format, signature=part.signature, id=part.id)
    elif isinstance(part, ProviderPart):
        yield opaque(part.format, item=part.data)
    elif isinstance(part, ToolCall):
        yield StreamEvent(EventType.TOOL_CALL, tool_call=part)
    elif isinstance(part, ToolResult):
        yield StreamEvent(EventType.TOOL_RESULT, tool_result=part)
    elif isinstance(part, Source):
        yield StreamEvent(EventType.SOURCE, source=part)
    elif isinstance(part, File):
        yield StreamEvent(EventType.FILE, file=part)
