"""Answers written down: items such as a string, a tool call or an error, turned into the events they stand for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TypeAlias

from llmstream.errors import ErrorInfo
from llmstream.events.grammar import TERMINAL
from llmstream.events.types import (
    EventType,
    Start,
    StreamEvent,
    ToolCallDelta,
    error,
    opaque,
    reasoning_delta,
    refusal_delta,
    text_delta,
)
from llmstream.messages import (
    FinishReason,
    ReasoningPart,
    RefusalPart,
    Source,
    TextPart,
    ToolCall,
    Usage,
)

ScriptItem: TypeAlias = (
    str
    | TextPart
    | ReasoningPart
    | RefusalPart
    | ToolCall
    | Source
    | Usage
    | FinishReason
    | ErrorInfo
    | StreamEvent
)
"""One step of an answer. A string is text, word by word; an ErrorInfo ends the answer there."""


def script_events(
    items: Iterable[ScriptItem],
    *,
    id: str | None = None,
    model: str | None = None,
    format: str = "openai-chat",
) -> Iterator[StreamEvent]:
    """The events of an answer made of `items`: begun and ended properly unless they say otherwise.

    `format` is the wire format that signed the reasoning, where the item doesn't say.
    """
    usage: Usage | None = None
    reason: FinishReason | None = None
    called = 0
    items = iter(items)
    first = next(items, None)
    has_start = isinstance(first, StreamEvent) and first.type is EventType.MESSAGE_START
    if not has_start:
        yield StreamEvent(EventType.MESSAGE_START, start=Start(id, model))
    for item in chain([] if first is None else [first], items):
        match item:
            case Usage():
                usage = item
            case FinishReason():
                reason = item
            case ErrorInfo():
                failed = error(item)
                failed.usage = usage
                yield failed
                return
            case StreamEvent():
                yield item
                if item.type in TERMINAL:
                    return
            case ToolCall():
                yield from _call(item, called)
                called += 1
            case _:
                yield from _piece(item, format)
    reason = reason or (FinishReason.TOOL_CALLS if called else FinishReason.STOP)
    yield StreamEvent(EventType.MESSAGE_COMPLETE, finish_reason=reason, usage=usage)


def _piece(
    item: str | TextPart | ReasoningPart | RefusalPart | Source, format: str
) -> Iterator[StreamEvent]:
    match item:
        case Source():
            yield StreamEvent(EventType.SOURCE, source=item)
        case ReasoningPart():
            yield from map(reasoning_delta, words(item.text))
            if item.signature is not None:
                yield opaque(item.format or format, signature=item.signature)
        case RefusalPart():
            yield from map(refusal_delta, words(item.text))
        case TextPart():
            yield from map(text_delta, words(item.text))
        case str():
            yield from map(text_delta, words(item))


def _call(call: ToolCall, index: int) -> Iterator[StreamEvent]:
    yield StreamEvent(
        EventType.TOOL_CALL_DELTA, tool_call_delta=ToolCallDelta(index, call.id, call.name)
    )
    for start in range(0, len(call.arguments), 12):
        delta = ToolCallDelta(index, arguments=call.arguments[start : start + 12])
        yield StreamEvent(EventType.TOOL_CALL_DELTA, tool_call_delta=delta)
    yield StreamEvent(EventType.TOOL_CALL, tool_call=call)


def words(text: str) -> list[str]:
    """The text in pieces about as large as a model's tokens; they join to the same text."""
    return re.findall(r"\s*\S{1,12}|\s+", text)
