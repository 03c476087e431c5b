"""An answer that came in one event (`stream=False`), taken apart again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from llmstream.events.types import (
    EventType,
    StreamEvent,
    opaque,
    reasoning_delta,
    refusal_delta,
    text_delta,
)
from llmstream.messages import (
    File,
    Message,
    ProviderPart,
    ReasoningPart,
    RefusalPart,
    Source,
    TextPart,
    ToolCall,
    ToolResult,
)

_FIELDS: dict[type[Any], tuple[EventType, str]] = {
    ToolCall: (EventType.TOOL_CALL, "tool_call"),
    ToolResult: (EventType.TOOL_RESULT, "tool_result"),
    Source: (EventType.SOURCE, "source"),
    File: (EventType.FILE, "file"),
}


def pieces(message: Message) -> Iterator[StreamEvent]:
    """The events that add up to `message` again."""
    for part in message.parts:
        if isinstance(part, TextPart):
            yield text_delta(part.text)
        elif isinstance(part, RefusalPart):
            yield refusal_delta(part.text)
        elif isinstance(part, ReasoningPart):
            yield reasoning_delta(part.text)
            if part.format is not None:
                yield opaque(part.format, signature=part.signature, id=part.id)
        elif isinstance(part, ProviderPart):
            yield opaque(part.format, item=part.data)
        elif type(part) in _FIELDS:
            kind, name = _FIELDS[type(part)]
            event = StreamEvent(kind)
            setattr(event, name, part)
            yield event
