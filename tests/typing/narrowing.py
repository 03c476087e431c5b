"""What a type checker knows of an event once `event.type` was looked at. Checked by mypy and pyright, never run.

Where a line must be wrong, its ignore says so: both checkers read it, and report one that isn't needed.
"""

# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable
from typing import assert_never, assert_type

from llmstream import (
    AnyEvent,
    ErrorInfo,
    EventType,
    File,
    FinishReason,
    LLMClient,
    Message,
    ReasoningDelta,
    RefusalDelta,
    Retry,
    Source,
    Start,
    Status,
    StreamEvent,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolResult,
    events,
)
from llmstream.streams import Flow, buffer, coalesce, tee
from llmstream.tools import run_tools


def each_type(event: AnyEvent) -> None:
    if event.type == EventType.MESSAGE_START:
        assert_type(event.start, Start)
    elif event.type == EventType.TEXT_DELTA:
        assert_type(event.text_delta, TextDelta)
    elif event.type == EventType.REASONING_DELTA:
        assert_type(event.reasoning_delta, ReasoningDelta)
    elif event.type == EventType.REFUSAL_DELTA:
        assert_type(event.refusal_delta, RefusalDelta)
    elif event.type == EventType.TOOL_CALL_DELTA:
        assert_type(event.tool_call_delta, ToolCallDelta)
    elif event.type == EventType.TOOL_CALL:
        assert_type(event.tool_call, ToolCall)
    elif event.type == EventType.TOOL_RESULT:
        assert_type(event.tool_result, ToolResult)
    elif event.type == EventType.SOURCE:
        assert_type(event.source, Source)
    elif event.type == EventType.FILE:
        assert_type(event.file, File)
    elif event.type == EventType.STATUS:
        assert_type(event.status, Status)
    elif event.type == EventType.RETRY:
        assert_type(event.retry, Retry)
    elif event.type == EventType.MESSAGE_COMPLETE:
        assert_type(event.finish_reason, FinishReason)
        assert_type(event.message, Message | None)  # None with keep_message=False
    elif event.type == EventType.ERROR:
        assert_type(event.error, str)
        assert_type(event.error_info, ErrorInfo)
    else:
        assert_never(event)


def the_ways_to_look(event: AnyEvent) -> None:
    if event.type is EventType.TEXT_DELTA:
        assert_type(event.text_delta, TextDelta)
    if event.type is not EventType.RETRY:
        return
    assert_type(event.retry, Retry)


def a_match(event: AnyEvent) -> None:
    match event.type:
        case EventType.TOOL_CALL:
            assert_type(event.tool_call, ToolCall)
        case EventType.ERROR:
            assert_type(event.error_info, ErrorInfo)
        case _:
            assert_type(event.tool_call, ToolCall | None)


def what_is_wrong(event: AnyEvent) -> None:
    print(event.text_delta.content)  # type: ignore[union-attr]
    if event.type == EventType.TEXT_DELTA:
        print(event.text_delta.contents)  # type: ignore[attr-defined]
        print(event.tool_call.name)  # type: ignore[union-attr]


async def every_stream(client: LLMClient) -> None:
    question = [{"role": "user", "content": "hi"}]
    answer = client.chat_completion(question)
    assert_type(answer, AsyncGenerator[AnyEvent, None])
    first, _ = tee(answer)
    async for event in coalesce(buffer(first), "word"):
        if event.type == EventType.TEXT_DELTA:
            assert_type(event.text_delta, TextDelta)
    async for event in run_tools(client, question, []):
        if event.type == EventType.TOOL_RESULT:
            assert_type(event.tool_result, ToolResult)
    async with client.stream(question) as stream:
        async for event in stream:
            if event.type == EventType.ERROR:
                assert_type(event.error, str)


async def shout(source: AsyncIterable[StreamEvent]) -> AsyncGenerator[StreamEvent, None]:
    """An operator that somebody else wrote: it takes and gives events of any making."""
    async for event in source:
        yield StreamEvent(EventType.TEXT_DELTA, TextDelta(event.text.upper()))


async def streams_meet(client: LLMClient, own: Callable[[], Flow[StreamEvent]]) -> None:
    answer = shout(client.chat_completion([{"role": "user", "content": "hi"}]))
    assert_type(answer, AsyncGenerator[StreamEvent, None])
    assert_type(buffer(shout(buffer(answer))), Flow[AnyEvent])
    any_flow: Flow[StreamEvent] = buffer(own())
    narrow: Flow[AnyEvent] = own()  # type: ignore[assignment]
    event: events.AnyEvent = StreamEvent(EventType.ERROR)  # type: ignore[assignment]
    del any_flow, narrow, event
