"""AnyEvent, the events of a stream for type checkers: one class per type, so that `event.type` narrows.

    if event.type == EventType.TEXT_DELTA:  # or `is`, or `match event.type`
        print(event.text_delta.content)

At run time there is no class but StreamEvent, and telling a checker more costs nothing per event. Who makes events
yields StreamEvent; who takes them takes `AsyncIterable[StreamEvent]`, which streams of AnyEvent fit.
"""

# pyright wants a field that can be set to have the same type in a subclass; nobody sets these.
# pyright: reportIncompatibleVariableOverride=false

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import TYPE_CHECKING, Literal, ParamSpec, TypeAlias, cast

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

P = ParamSpec("P")

if TYPE_CHECKING:
    from llmstream.errors import ErrorInfo
    from llmstream.messages import File, FinishReason, Source, ToolCall, ToolResult

    class MessageStartEvent(StreamEvent):
        """A MESSAGE_START."""

        type: Literal[EventType.MESSAGE_START]
        start: Start

    class TextDeltaEvent(StreamEvent):
        """A TEXT_DELTA."""

        type: Literal[EventType.TEXT_DELTA]
        text_delta: TextDelta

    class ReasoningDeltaEvent(StreamEvent):
        """A REASONING_DELTA."""

        type: Literal[EventType.REASONING_DELTA]
        reasoning_delta: ReasoningDelta

    class RefusalDeltaEvent(StreamEvent):
        """A REFUSAL_DELTA."""

        type: Literal[EventType.REFUSAL_DELTA]
        refusal_delta: RefusalDelta

    class ToolCallDeltaEvent(StreamEvent):
        """A TOOL_CALL_DELTA."""

        type: Literal[EventType.TOOL_CALL_DELTA]
        tool_call_delta: ToolCallDelta

    class ToolCallEvent(StreamEvent):
        """A TOOL_CALL."""

        type: Literal[EventType.TOOL_CALL]
        tool_call: ToolCall

    class ToolResultEvent(StreamEvent):
        """A TOOL_RESULT."""

        type: Literal[EventType.TOOL_RESULT]
        tool_result: ToolResult

    class SourceEvent(StreamEvent):
        """A SOURCE."""

        type: Literal[EventType.SOURCE]
        source: Source

    class FileEvent(StreamEvent):
        """A FILE."""

        type: Literal[EventType.FILE]
        file: File

    class StatusEvent(StreamEvent):
        """A STATUS."""

        type: Literal[EventType.STATUS]
        status: Status

    class RetryEvent(StreamEvent):
        """A RETRY."""

        type: Literal[EventType.RETRY]
        retry: Retry

    class MessageCompleteEvent(StreamEvent):
        """A MESSAGE_COMPLETE."""

        type: Literal[EventType.MESSAGE_COMPLETE]
        # `message` may be None: with `keep_message=False` it is.
        finish_reason: FinishReason

    class ErrorEvent(StreamEvent):
        """An ERROR."""

        type: Literal[EventType.ERROR]
        error: str
        error_info: ErrorInfo

    AnyEvent: TypeAlias = (
        MessageStartEvent
        | TextDeltaEvent
        | ReasoningDeltaEvent
        | RefusalDeltaEvent
        | ToolCallDeltaEvent
        | ToolCallEvent
        | ToolResultEvent
        | SourceEvent
        | FileEvent
        | StatusEvent
        | RetryEvent
        | MessageCompleteEvent
        | ErrorEvent
    )
else:
    AnyEvent = StreamEvent


def narrow(
    make: Callable[P, AsyncGenerator[StreamEvent, None]],
) -> Callable[P, AsyncGenerator[AnyEvent, None]]:
    """Tell checkers that what this async generator function yields is AnyEvent, as it keeps to the grammar.

    It is given back as it is, so neither a call nor an event costs more.
    """
    return cast("Callable[P, AsyncGenerator[AnyEvent, None]]", make)
