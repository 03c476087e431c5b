"""Tokens by modality: in every format whose vendors tell them, read, written, summed."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmstream import (
    ErrorInfo,
    EventType,
    FinishReason,
    LLMClient,
    RetryPolicy,
    StreamEvent,
)
from llmstream.events.types import text_delta
from llmstream.messages import Usage
from llmstream.testing import ScriptedProvider
from llmstream.wire import decoder, encoder
from llmstream.wire.formats import FORMATS
from llmstream.wire.gemini_generate import usage as gemini_generate
from llmstream.wire.gemini_interactions import usage as gemini_interactions
from llmstream.wire.modalities import MODALITIES
from llmstream.wire.openai_chat.encode import render_usage as chat_usage
from llmstream.wire.openai_responses.values import render_usage as responses_usage

INPUT = {"text": 10, "image": 258, "audio": 32}
OUTPUT = {"image": 1290}
CACHED = {"audio": 20, "text": 5}
TOLD = Usage(
    input_tokens=300,
    output_tokens=1300,
    cache_read_tokens=25,
    reasoning_tokens=10,
    input_by_modality=INPUT,
    output_by_modality=OUTPUT,
    cache_read_by_modality=CACHED,
)
GOOGLES: dict[str, ModuleType] = {
    "gemini-generate": gemini_generate,
    "gemini-interactions": gemini_interactions,
}
OPENAIS = ("openai-chat", "openai-responses")


def answered(format: str, usage: Usage) -> Usage | None:
    """The usage of an answer that was written in this format and read again."""
    written, read = encoder(format), decoder(format)
    end = StreamEvent(EventType.MESSAGE_COMPLETE, finish_reason=FinishReason.STOP, usage=usage)
    data = b"".join(filter(None, map(written.feed, [text_delta("hi"), end])))
    *_, last = [*read.feed(data), *read.finish()]
    assert last.type is EventType.MESSAGE_COMPLETE, last.error
    return last.usage


tokens = st.dictionaries(st.sampled_from(MODALITIES), st.integers(1, 2**40), max_size=5)


def usage_with(asked: dict[str, int], said: dict[str, int], cached: dict[str, int]) -> Usage:
    return Usage(
        input_tokens=sum(asked.values()) + sum(cached.values()),
        output_tokens=sum(said.values()),
        cache_read_tokens=sum(cached.values()),
        input_by_modality=asked,
        output_by_modality=said,
        cache_read_by_modality=cached,
    )


@pytest.mark.parametrize("format", OPENAIS)
@settings(max_examples=25)
@given(tokens, tokens)
def test_what_was_written_is_read(format: str, asked: dict[str, int], said: dict[str, int]) -> None:
    """OpenAI's details don't say what the cache had."""
    usage = usage_with(asked, said, {})
    assert answered(format, usage) == usage


@pytest.mark.parametrize("format", GOOGLES)
@settings(max_examples=25)
@given(tokens, tokens, tokens)
def test_google_s_usage_goes_both_ways(
    format: str, asked: dict[str, int], said: dict[str, int], cached: dict[str, int]
) -> None:
    usage = usage_with(asked, said, cached)
    assert of_google(format, GOOGLES[format].render_usage(usage)) == usage


def test_google_s_answer_says_it() -> None:
    assert answered("gemini-generate", TOLD) == TOLD


@pytest.mark.parametrize("format", [name for name in FORMATS if name not in (*GOOGLES, *OPENAIS)])
def test_formats_without_a_word_for_it_leave_it_out(format: str) -> None:
    usage = answered(format, TOLD)
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens) == (300, 1300)
    assert (usage.input_by_modality, usage.output_by_modality) == ({}, {})


GENERATE = {
    "promptTokenCount": 290,
    "toolUsePromptTokenCount": 10,
    "candidatesTokenCount": 1290,
    "thoughtsTokenCount": 10,
    "cachedContentTokenCount": 25,
    "promptTokensDetails": [
        {"modality": "IMAGE", "tokenCount": 258},
        {"modality": "AUDIO", "tokenCount": 32},
    ],
    "toolUsePromptTokensDetails": [{"modality": "TEXT", "tokenCount": 10}],
    "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1290}],
    "cacheTokensDetails": [
        {"modality": "AUDIO", "tokenCount": 20},
        {"modality": "TEXT", "tokenCount": 5},
    ],
}
INTERACTION = {
    "total_input_tokens": 290,
    "total_tool_use_tokens": 10,
    "total_output_tokens": 1290,
    "total_thought_tokens": 10,
    "total_cached_tokens": 25,
    "input_tokens_by_modality": [
        {"modality": "image", "tokens": 258},
        {"modality": "audio", "tokens": 32},
    ],
    "tool_use_tokens_by_modality": [{"modality": "text", "tokens": 10}],
    "output_tokens_by_modality": [{"modality": "image", "tokens": 1290}],
    "cached_tokens_by_modality": [
        {"modality": "audio", "tokens": 20},
        {"modality": "text", "tokens": 5},
    ],
}


def of_google(format: str, *usages: Any) -> Usage:
    module = GOOGLES[format]
    counts: dict[str, Any] = {}
    for usage in usages:
        counts |= module.read_counts(usage)
    read = module.usage_of(counts)
    assert read is not None
    return read


@pytest.mark.parametrize(
    ("format", "told"), [("gemini-generate", GENERATE), ("gemini-interactions", INTERACTION)]
)
def test_google_s_lists_are_read(format: str, told: dict[str, Any]) -> None:
    """Tools' prompts are part of the prompt; of two lists of one kind the later counts."""
    assert of_google(format, told) == TOLD
    earlier = {
        name: value[:1] if isinstance(value, list) else value for name, value in told.items()
    }
    assert of_google(format, earlier, told) == TOLD


@pytest.mark.parametrize(
    "told",
    [
        [{"modality": "IMAGE"}, {"tokenCount": 3}, "IMAGE", None, {"modality": 7, "tokenCount": 1}],
        [{"modality": "IMAGE", "tokenCount": -1}, {"modality": "IMAGE", "tokenCount": "x"}],
        [{"modality": "MODALITY_UNSPECIFIED", "tokenCount": 5}],
        {"modality": "IMAGE", "tokenCount": 5},
        "5",
        None,
    ],
)
def test_lists_that_say_nothing_are_left(told: Any) -> None:
    usage = of_google("gemini-generate", {"promptTokenCount": 7, "promptTokensDetails": told})
    assert usage == Usage(input_tokens=7)


def test_openai_s_words() -> None:
    """https://platform.openai.com/docs/api-reference/chat/object: `audio_tokens` is 0 where there are none."""
    usage = Usage(
        input_tokens=7,
        output_tokens=9,
        input_by_modality={"audio": 5},
        output_by_modality={"audio": 8},
    )
    assert chat_usage(usage)["prompt_tokens_details"] == {"audio_tokens": 5}
    assert chat_usage(usage)["completion_tokens_details"] == {"audio_tokens": 8}
    assert responses_usage(usage)["input_tokens_details"] == {"audio_tokens": 5}
    given = {"prompt_tokens": 7, "completion_tokens": 9}
    told = {
        "prompt_tokens_details": {"audio_tokens": 5, "text_tokens": None, "image_tokens": 0},
        "completion_tokens_details": {"audio_tokens": 8, "accepted_prediction_tokens": 3},
    }
    read = decoder("openai-chat")
    chunk = {"id": "c", "choices": [{"delta": {"content": "hi"}, "finish_reason": "stop"}]}
    frames = [{**chunk, "usage": {**given, **told}}]
    data = b"".join(b"data: " + json.dumps(frame).encode() + b"\n\n" for frame in frames)
    *_, last = [*read.feed(data + b"data: [DONE]\n\n"), *read.finish()]
    assert last.usage == usage


async def test_attempts_whose_text_is_in_the_message_are_summed() -> None:
    other = Usage(input_tokens=1, output_tokens=2, input_by_modality={"image": 2, "video": 3})
    provider = ScriptedProvider(["Hello, ", TOLD, ErrorInfo("truncated", "cut")], ["world!", other])
    retry = RetryPolicy(base_delay=0)
    async with LLMClient(provider=provider, on_interrupt="continue", retry=retry) as client:
        message = await client.stream([{"role": "user", "content": "hi"}]).message()
    total = message.usage
    assert total is not None
    assert (message.text, total.attempts) == ("Hello, world!", (TOLD, other))
    assert total.input_by_modality == {"text": 10, "image": 260, "audio": 32, "video": 3}
    assert (total.output_by_modality, total.cache_read_by_modality) == (OUTPUT, CACHED)
    assert Usage.from_dict(total.to_dict()) == total
