"""The stream's vocabulary (`types`), its rules (`grammar`) and the message it adds up to (`builder`)."""

from llmstream.events.builder import MessageBuilder
from llmstream.events.types import (
    EventType,
    ReasoningDelta,
    RefusalDelta,
    Retry,
    Start,
    Status,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
)

__all__ = [
    "EventType",
    "MessageBuilder",
    "ReasoningDelta",
    "RefusalDelta",
    "Retry",
    "Start",
    "Status",
    "StreamEvent",
    "TextDelta",
    "ToolCallDelta",
]
