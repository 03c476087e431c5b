"""The public API as a type checker sees it. Checked by mypy and pyright, never run."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, assert_type

from llmstream import (
    ErrorInfo,
    EventType,
    FinishReason,
    ImagePart,
    LLMClient,
    LLMError,
    Message,
    RetryPolicy,
    Source,
    StreamEvent,
    TextDelta,
    TextPart,
    Timeouts,
    Tool,
    ToolCall,
    ToolResult,
    Usage,
)
from llmstream.providers import Call, Provider, ProviderConfig, register
from llmstream.testing import ScriptedProvider, VirtualClock
from llmstream.wire import decoder, encoder


async def the_loop() -> None:
    client = LLMClient()
    async for event in client.chat_completion(messages=[{"role": "user", "content": "what's up?"}], stream=True):
        assert_type(event, StreamEvent)
        if event.type == EventType.TEXT_DELTA and event.text_delta is not None:
            assert_type(event.text_delta.content, str)
        elif event.type == EventType.MESSAGE_COMPLETE:
            assert_type(event.finish_reason, FinishReason | None)
            assert_type(event.usage, Usage | None)
        elif event.type == EventType.ERROR:
            assert_type(event.error, str | None)
            assert_type(event.error_info, ErrorInfo | None)
        assert_type(event.text, str)


async def the_ways_to_ask() -> None:
    timeouts = Timeouts(first_token=30, total=None)
    async with LLMClient(
        "openai:gpt-5-mini", api_key="k", retry=RetryPolicy(max_attempts=1), timeouts=timeouts
    ) as client:
        history: list[Message | dict[str, Any]] = [
            Message("system", [TextPart("Be brief.")]),
            {"role": "user", "content": [{"type": "text", "text": "What is this?"}]},
            Message("user", [ImagePart(url="https://example.com/a.png")]),
        ]
        message = await client.complete(history, tools=[Tool("look")], tool_choice="auto", max_tokens=10)
        assert_type(message, Message)
        assert_type(message.tool_calls, list[ToolCall])
        assert_type(message.sources, list[Source])
        history += [message, Message("tool", [ToolResult(message.tool_calls[0].id, "a cat")])]
        async with client.stream(history) as stream:
            async for event in stream:
                assert_type(event, StreamEvent)
            async for piece in stream.text():
                assert_type(piece, str)
            assert_type(await stream.message(), Message)


def the_values() -> None:
    event = StreamEvent(type=EventType.TEXT_DELTA, text_delta=TextDelta(content="hi"))
    assert_type(StreamEvent.from_dict(event.to_dict()), StreamEvent)
    try:
        event.raise_for_error()
    except LLMError as problem:
        assert_type(problem.info, ErrorInfo)


class Third:
    """A provider that somebody else wrote."""

    name = "third"

    def __init__(self, config: ProviderConfig) -> None:
        self.config = config

    async def stream(self, request: Any, call: Call) -> AsyncGenerator[StreamEvent, None]:
        yield StreamEvent(EventType.MESSAGE_COMPLETE)

    async def aclose(self) -> None:
        pass


def the_extensions() -> None:
    provider: Provider = Third(ProviderConfig("third"))
    register("third", Third)
    LLMClient(provider=provider, model="m")
    LLMClient(provider=ScriptedProvider(["a"], [ErrorInfo("rate_limit")]), clock=VirtualClock())
    assert_type(decoder("openai-chat").feed(b""), list[StreamEvent])
    assert_type(encoder("openai-chat").feed(StreamEvent(EventType.MESSAGE_COMPLETE)), bytes)
