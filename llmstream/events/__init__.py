"""A stream's events (`types`), its rules (`grammar`), the message it adds up to (`builder`) and back (`unfold`).

`flow` has what closes a stream, for everything that reads one or returns one.
"""

from llmstream.events.any_event import AnyEvent
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
    "AnyEvent",
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
